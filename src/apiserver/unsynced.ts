import { findCondition } from '../api/conditions.ts';
import type { CoderControlPlane } from '../api/kinds.ts';

export interface UnsyncedOptions {
  /** False: it is only said that there is one. Who may read some objects need not know of all control planes. */
  readonly named: boolean;
}

/**
 * What a reader has to be warned of: control planes that do not hear from their Coder, so that what is shown of it may be
 * old. One sentence for a namespace; readers of all namespaces get one for each, up to ten.
 *
 * @param controlPlanes of all that is read.
 */
export function unsyncedWarnings(
  controlPlanes: readonly CoderControlPlane[],
  { named }: UnsyncedOptions,
): readonly string[] {
  const texts = controlPlanes.flatMap((controlPlane) => {
    const { namespace = '', name } = controlPlane.metadata;
    const synced = findCondition(controlPlane.status?.conditions, 'Synced');
    // A second one in its namespace is not asked for anything: what is shown comes from the first.
    if (synced === undefined || synced.status === 'True' || synced.reason === 'AnotherControlPlane')
      return [];
    const what = `CoderControlPlane ${namespace}/${name} does not hear from Coder`;
    return [`${what} since ${synced.lastTransitionTime} (${synced.reason}): what is shown may be old`];
  });
  if (!named && texts.length > 0)
    return ['a control plane does not hear from Coder: what is shown may be old'];
  if (texts.length <= MOST) return texts;
  return [...texts.slice(0, MOST), `${texts.length - MOST} more control planes do not hear from Coder`];
}

const MOST = 10;
