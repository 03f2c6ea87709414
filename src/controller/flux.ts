import type { KubeObject, ResourceType } from '../api/meta.ts';
import { ReferredObjects, type ReferredAnswer, type ReferredObjectsOptions } from './referred.ts';

export const fluxKinds = ['GitRepository', 'OCIRepository', 'Bucket', 'ExternalArtifact'] as const;
export type FluxKind = (typeof fluxKinds)[number];

/** An object of Flux in the namespace of the one that refers to it. */
export interface FluxRef {
  readonly kind: FluxKind;
  readonly name: string;
}

/** What is read of one. It is foreign: nothing is sure to be there. */
export interface FluxSource extends KubeObject {
  readonly status?: { readonly artifact?: Partial<Artifact> };
}

interface Artifact {
  readonly url: string;
  readonly revision: string;
  readonly digest: string;
}

/** Where the content of a source is, and what it must hash to. */
export interface FluxArtifact {
  readonly url: string;
  /** For people, such as `main@sha1:…`. */
  readonly revision: string;
  /** 64 hexadecimal digits, in lower case. */
  readonly sha256: string;
}

export interface FluxSourcesOptions extends Pick<
  ReferredObjectsOptions<FluxSource>,
  'kube' | 'clock' | 'logger' | 'signal'
> {
  /**
   * Told when a source that somebody refers to came, went or has another artifact; and for each that was asked for, when
   * it can be read at last, or not any more.
   */
  readonly onChange: (namespace: string, ref: FluxRef) => void;
}

/** v1 of them all: GitRepository since source-controller 1.0, Bucket 1.5, OCIRepository 1.6, ExternalArtifact 1.7. */
export const fluxResources: Readonly<Record<FluxKind, ResourceType>> = {
  GitRepository: resource('GitRepository', 'gitrepositories'),
  OCIRepository: resource('OCIRepository', 'ocirepositories'),
  Bucket: resource('Bucket', 'buckets'),
  ExternalArtifact: resource('ExternalArtifact', 'externalartifacts'),
};

/**
 * Reads sources of Flux, and watches those of a namespace and kind as long as somebody refers to one there. Their CRDs
 * may be absent, come later and go again.
 */
export class FluxSources {
  readonly #byKind: ReadonlyMap<FluxKind, ReferredObjects<FluxSource>>;

  constructor(options: FluxSourcesOptions) {
    const { kube, clock, logger, signal, onChange } = options;
    const sources = (kind: FluxKind): ReferredObjects<FluxSource> =>
      new ReferredObjects({
        kube,
        clock,
        logger,
        signal,
        resource: fluxResources[kind],
        keep: artifactOnly,
        answers: 'kept',
        differs: hasOtherArtifact,
        onChange: (namespace, name) => onChange(namespace, { kind, name }),
      });
    this.#byKind = new Map(fluxKinds.map((kind) => [kind, sources(kind)]));
  }

  /** What a referrer refers to now; nothing when it is gone. */
  refer(namespace: string, referrer: string, refs: readonly FluxRef[]): void {
    for (const [kind, sources] of this.#byKind) {
      const names = refs.filter((ref) => ref.kind === kind).map(({ name }) => name);
      sources.refer(namespace, referrer, names);
    }
  }

  /** From memory while it is referred to. @throws KubeError */
  async read(namespace: string, { kind, name }: FluxRef): Promise<ReferredAnswer<FluxSource>> {
    return this.#byKind.get(kind)?.read(namespace, name);
  }

  /** Ends every watch. */
  close(): void {
    for (const sources of this.#byKind.values()) sources.close();
  }
}

/** `problem` completes a sentence that begins with the source. */
export function artifactOf(source: FluxSource): FluxArtifact | { readonly problem: string } {
  const { artifact } = source.status ?? {};
  if (artifact === undefined) return { problem: 'has no artifact yet; its conditions tell why' };
  const { url = '', revision = '', digest = '' } = artifact;
  if (url === '') return { problem: 'has an artifact without a url' };
  const sha256 = /^sha256:([0-9a-f]{64})$/i.exec(digest)?.[1]?.toLowerCase();
  if (sha256 !== undefined) return { url, revision, sha256 };
  const algorithm = /^([a-z0-9+._-]{1,32}):/.exec(digest)?.[1] ?? 'sha256';
  if (algorithm === 'sha256')
    return { problem: 'has an artifact whose digest is not sha256: and 64 hexadecimal digits' };
  return {
    problem: `has an artifact with a ${algorithm} digest, and only sha256 is checked; let the controller that makes it use sha256 (for Flux: --artifact-digest-algo=sha256)`,
  };
}

function resource(kind: FluxKind, plural: string): ResourceType {
  return { group: 'source.toolkit.fluxcd.io', version: 'v1', plural, kind, namespaced: true };
}

function artifactOnly({ metadata, status: { artifact } = {} }: FluxSource): FluxSource {
  const bare = { metadata: { ...metadata, labels: {}, annotations: {} } };
  return artifact === undefined ? bare : { ...bare, status: { artifact } };
}

/** Flux writes conditions often, and they are nobody's business here. */
function hasOtherArtifact(before: FluxSource, after: FluxSource): boolean {
  const [a, b] = [before.status?.artifact, after.status?.artifact];
  return a?.url !== b?.url || a?.revision !== b?.revision || a?.digest !== b?.digest;
}
