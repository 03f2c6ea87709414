import type { KubeObject, ObjectMeta } from '../../api/meta.ts';
import { shownAnnotations, shownLabels } from './marks.ts';
import { present } from './present.ts';
import type { ViewMetadata } from './types.ts';

/** What an API server may send beside what the rest of this program reads. */
interface FullMeta extends ObjectMeta {
  readonly deletionGracePeriodSeconds?: number;
}

/**
 * The metadata of the view: the object's own, so that uid and resourceVersion mean the same in both groups. Gone are
 * finalizers and managedFields, which are for those who write; owner references, or the owner would seem to have two
 * children; and the marks by which tools find what they applied.
 */
export function viewMetadata({ metadata }: KubeObject): ViewMetadata {
  const meta: FullMeta = metadata;
  return {
    name: meta.name,
    namespace: meta.namespace ?? '',
    uid: meta.uid ?? '',
    resourceVersion: meta.resourceVersion ?? '',
    ...present({
      generation: meta.generation,
      creationTimestamp: meta.creationTimestamp,
      deletionTimestamp: meta.deletionTimestamp,
      deletionGracePeriodSeconds: meta.deletionGracePeriodSeconds,
      labels: shownLabels(meta.labels),
      annotations: shownAnnotations(meta.annotations),
    }),
  };
}
