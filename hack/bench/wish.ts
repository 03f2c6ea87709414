import { systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/logger.ts';
import { findCondition, type Condition } from '../../src/api/conditions.ts';
import type { CoderWorkspace } from '../../src/api/kinds.ts';
import { objectKey } from '../../src/kube/objects.ts';
import type { KubeObject, ResourceType } from '../../src/api/meta.ts';
import type { CoderClient } from '../../src/coder/client.ts';
import type { KubeClient, SelectOptions } from '../../src/kube/client.ts';
import { Reflector } from '../../src/kube/reflector.ts';
import type { Store } from '../../src/kube/store.ts';

/** How long a wish took. */
export interface WishTimes {
  /** From the request to Ready, in milliseconds. */
  readonly totalMs: number;
  /** Of that, the build's own. */
  readonly buildMs: number;
}

const LONGEST_WAIT_MS = 120_000;

interface Conditioned extends KubeObject {
  readonly status?: {
    readonly conditions?: readonly Condition[] | undefined;
    readonly observedGeneration?: number | undefined;
  };
}

/** Keeps a store equal to the objects of a namespace until the signal aborts. */
export function reflect<T extends KubeObject>(
  kube: KubeClient,
  resource: ResourceType,
  namespace: string,
  store: Store<T>,
  signal: AbortSignal,
  selection: SelectOptions = {},
): Promise<void> {
  const options = { client: kube, resource, namespace, store, clock: systemClock, logger: silentLogger };
  return new Reflector<T>({ ...options, ...selection }).run(signal);
}

/** Times one wish for a workspace, from its request to Ready. */
export async function timedWish(
  store: Store<CoderWorkspace>,
  client: CoderClient,
  request: () => Promise<KubeObject>,
): Promise<WishTimes> {
  const start = systemClock.monotonic();
  const asked = await request();
  const { generation } = asked.metadata;
  const { object, at } = await untilObject(store, objectKey(asked), (o) => isReady(o, generation));
  const { job } = (await client.workspace(object.status?.id ?? '')).latest_build;
  return {
    totalMs: at - start,
    buildMs: new Date(job.completed_at ?? '').getTime() - new Date(job.created_at).getTime(),
  };
}

/** Waits until an object is as `isSo` says, and tells when that was seen. */
export function untilObject<T extends KubeObject>(
  store: Store<T>,
  key: string,
  isSo: (object: T) => boolean,
): Promise<{ readonly object: T; readonly at: number }> {
  return new Promise((resolve, reject) => {
    const cancel = systemClock.after(LONGEST_WAIT_MS, () => {
      unsubscribe();
      const is = JSON.stringify(store.get(key)?.metadata);
      reject(new Error(`${key} did not become what it should, ${isSo.toString()}: ${is}`));
    });
    const look = (): void => {
      const object = store.get(key);
      if (object === undefined || !isSo(object)) return;
      cancel();
      unsubscribe();
      resolve({ object, at: systemClock.monotonic() });
    };
    const unsubscribe = store.subscribe(look);
    look();
  });
}

/** Whether an object is Ready in that generation. */
export function isReady({ status }: Conditioned, generation: number | undefined): boolean {
  return (
    findCondition(status?.conditions, 'Ready')?.status === 'True' && status?.observedGeneration === generation
  );
}
