import type { Origin } from './kinds.ts';
import type { KubeObject } from './meta.ts';

/** Labels of a mirror. Those beside `mirror` are there to select by. */
export const mirrorLabels = {
  mirror: 'coder.com/mirror',
  organization: 'coder.com/organization',
  owner: 'coder.com/owner',
  template: 'coder.com/template',
} as const;

/** Field manager of what the operator writes on mirrors beside their status. */
export const MIRROR_MANAGER = 'coder-operator-mirror';

interface WithOrigin extends KubeObject {
  readonly spec?: object;
  readonly status?: { readonly origin?: Origin | undefined };
}

/**
 * Whether an object is the operator's own image of something in Coder: labelled as one, nothing wished, nothing held,
 * and never anybody else's before. All of it, so that neither a label that a person copied, nor an empty manifest, nor a
 * wish that was taken back makes an object ours.
 */
export function isMirror({ metadata, spec = {}, status }: WithOrigin): boolean {
  const { origin = 'Mirrored' } = status ?? {};
  return (
    origin === 'Mirrored' &&
    metadata.labels?.[mirrorLabels.mirror] === 'true' &&
    Object.keys(spec).length === 0 &&
    (metadata.finalizers ?? []).length === 0
  );
}

/** Whether a user has just made a mirror theirs: what was mirrored is adopted from now on. */
export function isTakenOver(object: WithOrigin): boolean {
  return object.status?.origin === 'Mirrored' && !isMirror(object);
}

/** The status as rules see it: what was mirrored counts as adopted as soon as a wish is there, and before it says so. */
export function ownedStatus<Status extends { readonly origin?: Origin | undefined }>(
  object: KubeObject & { readonly spec?: object; readonly status?: Status },
): Status | undefined {
  const { status } = object;
  return status !== undefined && isTakenOver(object) ? { ...status, origin: 'Adopted' } : status;
}
