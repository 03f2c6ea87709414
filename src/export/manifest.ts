import { GROUP, VERSION } from '../api/kinds.ts';
import type { CoderTemplateSpec, CoderWorkspaceSpec } from '../api/generated.ts';

export type ManifestKind = 'CoderTemplate' | 'CoderWorkspace';

/** An object as `kubectl apply` takes it. Its keys are printed in this order. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: ManifestKind;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly spec: CoderTemplateSpec | CoderWorkspaceSpec;
}

/** What is printed for one thing in Coder. */
export interface Exported {
  readonly manifest: Manifest;
  /** Why something is as it is or is not there: comments of one line, the same for the same state of Coder. */
  readonly notes: readonly string[];
}

/** What of Coder goes into manifests, beyond what taking over needs. */
export interface Detail {
  /** How things are now: power, TTL, schedule, settings. */
  readonly withWishes: boolean;
  /** Values of the workspaces' parameters, which may be secrets. */
  readonly withParameters: boolean;
  /** Left out: the manifests name none. */
  readonly namespace?: string | undefined;
}

/** The namespace goes in only where one is wished: a GitOps tool or `kubectl -n` may choose it. */
export function manifestOf(
  kind: ManifestKind,
  name: string,
  namespace: string | undefined,
  spec: Manifest['spec'],
): Manifest {
  return {
    apiVersion: `${GROUP}/${VERSION}`,
    kind,
    metadata: { name, ...(namespace === undefined ? {} : { namespace }) },
    spec,
  };
}

/** By kind, then by name: the order of characters and not of any language, so that it is the same everywhere. */
export function inOrder(objects: readonly Exported[]): readonly Exported[] {
  const key = ({ manifest }: Exported): string => `${manifest.kind}/${manifest.metadata.name}`;
  return [...objects].sort((a, b) => (key(a) < key(b) ? -1 : 1));
}
