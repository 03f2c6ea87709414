import { findCondition } from '../../../src/api/conditions.ts';
import type { KubeStatus } from '../../../src/kube/errors.ts';
import type { Mutation } from './mutations.ts';
import type { Managed } from './world.ts';

/** Why an object waits for what nobody does here: it rests. */
const WAITING = new Set([
  'WaitingForDependency',
  'ControlPlaneNotReady',
  'InvalidCredentials',
  'TokenRefused',
  'SourceUnavailable',
  'NotVisibleInCoder',
  'Forbidden',
]);

/**
 * How an object rests: `ready`, or with a reason why not. Undefined while it is on its way, or speaks of another
 * generation.
 */
export function restOf(object: Managed | undefined): string | undefined {
  const { status, metadata } = object ?? {};
  if (status === undefined || status.observedGeneration !== metadata?.generation) return undefined;
  if ('pendingOperation' in status && status.pendingOperation !== undefined) return undefined;
  const find = (type: string): ReturnType<typeof findCondition> => findCondition(status.conditions, type);
  const [ready, stalled, reconciling] = [find('Ready'), find('Stalled'), find('Reconciling')];
  if (stalled !== undefined) return `Stalled ${stalled.reason}`;
  if (reconciling !== undefined) {
    // An import that no provisioner takes.
    const isStuck =
      reconciling.reason === 'WaitingForImport' && reconciling.message.includes('no provisioner');
    return WAITING.has(reconciling.reason) || isStuck ? `Reconciling ${reconciling.reason}` : undefined;
  }
  if (ready?.status !== 'True') return ready === undefined ? undefined : `not Ready ${ready.reason}`;
  const drifted = find('Drifted');
  return drifted === undefined ? 'ready' : `Drifted ${drifted.reason}`;
}

/** Words by which a refusal says what would be right. Server-side apply says itself that an item lacks its key. */
const RIGHT =
  /must|should|may not|supported values|at most|set exactly|required|duplicate|too (?:long|many|few)|belong|omits all key fields/i;

/** What is wrong with the words in which the API server refuses; undefined when they help. */
export function refusalFault({ names }: Mutation, { message = '' }: KubeStatus): string | undefined {
  if (names.length > 0 && !names.some((name) => message.includes(name))) {
    return 'The refusal does not name the field';
  }
  return RIGHT.test(message) ? undefined : 'The refusal does not say what is right';
}

/** Parts of a status that differ each time: when, and how often. */
const PASSING = new Set([
  'observedGeneration',
  'lastTransitionTime',
  'startedAt',
  'completedAt',
  'deadline',
  'lastUsedAt',
  'after',
  'build',
  'number',
]);

/** An object as it is compared: without times, and without the numbers and ids of builds. */
export function masked(object: Managed): unknown {
  const { metadata, spec, status } = object;
  return lasting({ finalizers: metadata.finalizers ?? [], spec, status });
}

function lasting(value: unknown, within = ''): unknown {
  if (typeof value === 'string') return value.replace(/\bbuild \d+/g, 'build N');
  if (Array.isArray(value)) return value.map((item) => lasting(item));
  if (typeof value !== 'object' || value === null) return value;
  const kept = Object.entries(value).filter(
    ([name]) => !PASSING.has(name) && !(within === 'latestBuild' && name === 'id'),
  );
  return Object.fromEntries(kept.map(([name, field]) => [name, lasting(field, name)]));
}
