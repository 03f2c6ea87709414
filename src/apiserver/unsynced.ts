import { findCondition } from '../api/conditions.ts';
import type { CoderControlPlane } from '../api/kinds.ts';

/**
 * What a reader has to be warned of: control planes that do not hear from their Coder, so that what is shown of it may be
 * old. One sentence for a namespace; readers of all namespaces get one for each, up to ten.
 */
export function unsyncedWarnings(controlPlanes: readonly CoderControlPlane[]): readonly string[] {
  const texts = controlPlanes.flatMap((controlPlane) => {
    const { namespace = '', name } = controlPlane.metadata;
    const synced = findCondition(controlPlane.status?.conditions, 'Synced');
    // A second one in its namespace is not asked for anything: what is shown comes from the first.
    if (synced === undefined || synced.status === 'True' || synced.reason === 'AnotherControlPlane')
      return [];
    const what = `CoderControlPlane ${namespace}/${name} does not hear from Coder`;
    return [`${what} since ${synced.lastTransitionTime} (${synced.reason}): what is shown may be old`];
  });
  if (texts.length <= MOST) return texts;
  return [...texts.slice(0, MOST), `${texts.length - MOST} more control planes do not hear from Coder`];
}

const MOST = 10;
