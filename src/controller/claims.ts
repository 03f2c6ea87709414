import type { KubeObject } from '../api/meta.ts';
import { isMirror } from '../api/mirrors.ts';

/**
 * Of the objects that are bound to the same UUID in Coder, the oldest one counts. Gives the name of an older one than
 * `object`, so that two never drive the same thing. One that is being deleted counts until it is gone: it may have to
 * delete the thing in Coder first. A mirror claims nothing: it makes room for any object that does.
 */
export function olderClaim(object: KubeObject, claimants: readonly KubeObject[]): string | undefined {
  if (isMirror(object)) return undefined;
  const older = claimants
    .filter((other) => other.metadata.uid !== object.metadata.uid && !isMirror(other))
    .find((other) => isOlder(other, object));
  if (older === undefined) return undefined;
  // What other namespaces hold is not for everybody to read.
  return older.metadata.namespace === object.metadata.namespace
    ? older.metadata.name
    : 'in another namespace';
}

/** Whether another object than this one is bound to the same UUID: then the thing is not this one's to delete. */
export function isClaimedByAnother(object: KubeObject, claimants: readonly KubeObject[]): boolean {
  return claimants.some((other) => other.metadata.uid !== object.metadata.uid && !isMirror(other));
}

/** Whether `a` was created before `b`; among those of the same second the uid decides, so that all agree. */
export function isOlder(a: KubeObject, b: KubeObject): boolean {
  const [ta, tb] = [a.metadata.creationTimestamp ?? '', b.metadata.creationTimestamp ?? ''];
  return ta === tb ? (a.metadata.uid ?? '') < (b.metadata.uid ?? '') : ta < tb;
}
