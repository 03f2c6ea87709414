import { createHash } from 'node:crypto';
import { fluxCrds } from '../../hack/stack/flux.ts';
import { until } from '../../hack/stack/wait.ts';
import type { Condition } from '../../src/api/conditions.ts';
import type { KubeObject, ResourceType } from '../../src/api/meta.ts';
import { fluxKinds, fluxResources, type FluxKind } from '../../src/controller/flux.ts';
import type { KubeClient } from '../../src/kube/client.ts';
import { isAlreadyExists, isNotFound, isUnknownKind } from '../../src/kube/errors.ts';

interface InstalledCrd extends KubeObject {
  readonly status?: { readonly conditions?: readonly Pick<Condition, 'type' | 'status'>[] };
}

const crdResource: ResourceType = {
  group: 'apiextensions.k8s.io',
  version: 'v1',
  plural: 'customresourcedefinitions',
  kind: 'CustomResourceDefinition',
  namespaced: false,
};

const WITHIN_MS = 30_000;

/** Installs the real CRDs of Flux's sources and waits until the API server serves them. Those that are there stay. */
export async function installFluxCrds(kube: KubeClient): Promise<void> {
  const crds = await fluxCrds();
  for (const crd of crds) await unless(isAlreadyExists, kube.create(crdResource, crd));
  await eventually('serve the kinds of Flux', async () => {
    const found = await Promise.all(
      crds.map(({ metadata }) => kube.get<InstalledCrd>(crdResource, undefined, metadata.name)),
    );
    const established = found.every(({ status }) =>
      status?.conditions?.some((c) => c.type === 'Established' && c.status === 'True'),
    );
    return established && !(await served(kube)).includes(false);
  });
}

/** Removes the CRDs and with them every object of their kinds, and waits until nothing of them is served. */
export async function removeFluxCrds(kube: KubeClient): Promise<void> {
  const names = fluxKinds.map((kind) => `${fluxResources[kind].plural}.${fluxResources[kind].group}`);
  for (const name of names) await unless(isNotFound, kube.delete(crdResource, undefined, name));
  await eventually('stop serving the kinds of Flux', async () => {
    const gone = await Promise.all(
      names.map((name) =>
        kube.get(crdResource, undefined, name).then(
          () => false,
          (error: unknown) => {
            if (isNotFound(error)) return true;
            throw error;
          },
        ),
      ),
    );
    return !gone.includes(false) && !(await served(kube)).includes(true);
  });
}

/** Whether each kind can be listed. */
function served(kube: KubeClient): Promise<boolean[]> {
  return Promise.all(
    fluxKinds.map((kind) =>
      kube.list(fluxResources[kind], undefined, { limit: 1 }).then(
        () => true,
        (error: unknown) => {
          if (isUnknownKind(error)) return false;
          throw error;
        },
      ),
    ),
  );
}

async function unless(isFine: (error: unknown) => boolean, call: Promise<unknown>): Promise<void> {
  await call.catch((error: unknown) => {
    if (!isFine(error)) throw error;
  });
}

async function eventually(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const done = await until(async () => ((await isSo()) ? true : undefined), {
    withinMs: WITHIN_MS,
    everyMs: 50,
  });
  if (done === undefined) throw new Error(`The API server did not ${what} within ${WITHIN_MS} ms.`);
}

/** What the controller of a source has packed, and where it serves it. */
export interface PublishedArtifact {
  readonly url: string;
  /** The bytes that should be there; size, digest and revision follow from them. */
  readonly bytes: Uint8Array;
  /** Default: such as the controller of that kind would give content like this. */
  readonly revision?: string;
  /** `<algorithm>:<checksum>`. Default: the sha256 of the bytes. */
  readonly digest?: string;
}

/** A spec that each CRD takes. Nobody ever connects to these addresses: the tests play the controller of the source. */
const specs: Readonly<Record<FluxKind, object>> = {
  GitRepository: { interval: '1m', url: 'https://git.example.com/templates', ref: { branch: 'main' } },
  OCIRepository: { interval: '1m', url: 'oci://registry.example.com/templates', ref: { tag: 'latest' } },
  Bucket: { interval: '1m', bucketName: 'templates', endpoint: 's3.example.com' },
  ExternalArtifact: { sourceRef: { apiVersion: 'example.com/v1', kind: 'Source', name: 'templates' } },
};

/** A source of Flux in the API server. The test is its controller, and writes the status as the real one does. */
export class FluxObject {
  readonly kind: FluxKind;
  readonly namespace: string;
  readonly name: string;
  readonly #kube: KubeClient;

  private constructor(kube: KubeClient, namespace: string, kind: FluxKind, name: string) {
    this.#kube = kube;
    this.namespace = namespace;
    this.kind = kind;
    this.name = name;
  }

  /** Creates one that has no status yet; `spec` is added to the least that its CRD takes. */
  static async create(
    kube: KubeClient,
    namespace: string,
    kind: FluxKind,
    name: string,
    spec: object = {},
  ): Promise<FluxObject> {
    await kube.create(fluxResources[kind], {
      metadata: { name, namespace },
      spec: { ...specs[kind], ...spec },
    } as object);
    return new FluxObject(kube, namespace, kind, name);
  }

  /** What `spec.source.sourceRef` of a template says to mean this one. */
  get ref(): { readonly kind: FluxKind; readonly name: string } {
    return { kind: this.kind, name: this.name };
  }

  get(): Promise<KubeObject> {
    return this.#kube.get(fluxResources[this.kind], this.namespace, this.name);
  }

  /** Its controller has stored an artifact, the first one or that of a new revision. */
  async publish({ url, bytes, ...given }: PublishedArtifact): Promise<void> {
    const revision = given.revision ?? revisionOf(this.kind, bytes);
    const artifact = {
      digest: given.digest ?? `sha256:${hex('sha256', bytes)}`,
      lastUpdateTime: now(),
      path: new URL(url).pathname.slice(1),
      revision,
      size: bytes.length,
      url,
    };
    const why = { reason: 'Succeeded', message: `stored artifact for revision '${revision}'` };
    const ready = { type: 'Ready', status: 'True', ...why };
    const inStorage = { type: 'ArtifactInStorage', status: 'True', ...why };
    await this.#write({ artifact }, this.#isExternal ? [ready] : [ready, inStorage]);
  }

  /** Its controller could not fetch anything newer. The artifact of before stays, if there is one. */
  async fail(message = 'authentication required'): Promise<void> {
    const why = { reason: 'AuthenticationFailed', message };
    await this.#write({}, [
      { type: 'Ready', status: 'False', ...why },
      { type: 'FetchFailed', status: 'True', ...why },
    ]);
  }

  /** Its artifact is gone, as after a restart of a controller that keeps them in memory. */
  async unpublish(): Promise<void> {
    const why = { reason: 'Progressing', message: 'building artifact: disappeared from storage' };
    await this.#write({ artifact: null }, [
      { type: 'Reconciling', status: 'True', ...why },
      { type: 'Ready', status: 'Unknown', ...why },
    ]);
  }

  delete(): Promise<void> {
    return this.#kube.delete(fluxResources[this.kind], this.namespace, this.name);
  }

  /** Written by other controllers than Flux's own; less is in its status. */
  get #isExternal(): boolean {
    return this.kind === 'ExternalArtifact';
  }

  async #write(status: object, conditions: readonly object[]): Promise<void> {
    const resource = fluxResources[this.kind];
    const { generation = 1 } = (await this.get()).metadata;
    const stamped = conditions.map((c) => ({
      ...c,
      observedGeneration: generation,
      lastTransitionTime: now(),
    }));
    const observed = this.#isExternal ? {} : { observedGeneration: generation };
    const body = { status: { ...observed, ...status, conditions: stamped } };
    await this.#kube.mergePatch(resource, this.namespace, this.name, body, { subresource: 'status' });
  }
}

function revisionOf(kind: FluxKind, bytes: Uint8Array): string {
  switch (kind) {
    case 'GitRepository':
      return `main@sha1:${hex('sha1', bytes)}`;
    case 'OCIRepository':
      return `latest@sha256:${hex('sha256', bytes)}`;
    case 'Bucket':
      return `sha256:${hex('sha256', bytes)}`;
    case 'ExternalArtifact':
      return `v1.0.0@sha256:${hex('sha256', bytes)}`;
  }
}

function hex(algorithm: string, bytes: Uint8Array): string {
  return createHash(algorithm).update(bytes).digest('hex');
}

/** Whole seconds, as Go's metav1.Time writes them. */
function now(): string {
  return new Date().toISOString().replace(/\.\d+Z$/, 'Z');
}
