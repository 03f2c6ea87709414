import { controlPlanes, partOf, templates, workspaces } from '../api/kinds.ts';
import type { KubeObject, ResourceType } from '../api/meta.ts';
import type { Clock } from '../base/clock.ts';
import { OperatorError } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import { USER_AGENT } from '../base/version.ts';
import type { HostPolicy } from '../coder/address.ts';
import type { RequestReport } from '../coder/transport.ts';
import type { KubeClient } from '../kube/client.ts';
import { untilAborted } from '../kube/deadline.ts';
import { EventRecorder } from '../kube/events.ts';
import { LeaderElector } from '../kube/leader.ts';
import { Reflector } from '../kube/reflector.ts';
import type { Store } from '../kube/store.ts';
import type { WorkResult } from '../kube/workers.ts';
import { WorkQueue, type WorkQueueMetrics } from '../kube/workqueue.ts';
import { readDefinition } from './context.ts';
import { runController } from './controller.ts';
import type { Settings } from './settings.ts';
import { ServingKeeper } from './serving/keeper.ts';
import { createStores, type Stores } from './stores.ts';
import { namespaceOf } from './wakeups.ts';

export interface RunOptions {
  readonly kube: KubeClient;
  /** Namespace of the Lease. */
  readonly namespace: string;
  /** New for every process. */
  readonly identity: string;
  /** After so many milliseconds without a sign of life another process takes over; whole seconds. */
  readonly leaseDurationMs: number;
  readonly workers: number;
  readonly settings: Settings;
  readonly hosts: HostPolicy;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly onCoderRequest?: (report: RequestReport) => void;
  readonly onResult?: (result: WorkResult) => void;
  readonly onLeading?: (leading: boolean) => void;
  /** Told when a version may have been left in Coder that belongs to no template. */
  readonly onVersionLeft?: () => void;
  readonly queueMetrics?: WorkQueueMetrics;
  /** Told when the caches are filled: from then on this process could take over at once. */
  readonly onSynced?: () => void;
}

const LEASE = 'coder-operator';
/** Events that are still to be sent when the process ends get this long. */
const LAST_EVENTS_MS = 2_000;

/** A CRD that is missing, or that belongs to somebody else. */
export class DefinitionError extends OperatorError {
  constructor(message: string) {
    super('CRD_NOT_OURS', message);
  }
}

/**
 * Runs a controller process: fills the caches, waits for its turn to lead, and works until the signal aborts.
 *
 * @throws DefinitionError when the CRDs are not installed, or are another project's.
 * @throws LeadershipLostError when another process leads now; the process should end.
 */
export async function runOperator(options: RunOptions, signal: AbortSignal): Promise<void> {
  const { kube, clock, logger, identity, namespace } = options;
  await checkDefinitions(kube);

  const stores = createStores(logger);
  const stopped = new AbortController();
  const reflecting = reflect(stores, options, stopped.signal);
  const events = new EventRecorder({
    client: kube,
    component: 'coder-operator',
    instance: identity,
    clock,
    logger,
  });
  const elector = new LeaderElector({
    client: kube,
    namespace,
    name: LEASE,
    identity,
    clock,
    logger,
    leaseDurationMs: options.leaseDurationMs,
    renewDeadlineMs: (options.leaseDurationMs * 2) / 3,
    retryPeriodMs: (options.leaseDurationMs * 2) / 15,
    onTransition: (state) => options.onLeading?.(state.leading),
  });
  try {
    await untilSynced(stores, signal);
    if (signal.aborted) return;
    options.onSynced?.();
    logger.info('caches are filled; waiting to lead', { identity });
    await elector.run(signal, async (leading, epoch) => {
      logger.info('leading', { epoch });
      const assertLeading = (): void => elector.assertLeading();
      const serving = new ServingKeeper({ kube, namespace, clock, logger, events, assertLeading });
      const ended = new AbortController();
      const keeping = serving.run(AbortSignal.any([leading, ended.signal]));
      try {
        await runController(
          {
            ...options,
            stores,
            events,
            epoch,
            queue: new WorkQueue({
              clock,
              // A Coder whose answers hang must not hold up the objects of another one.
              groupOf: namespaceOf,
              maxPerGroup: mostPerNamespace(options.workers),
              ...(options.queueMetrics === undefined ? {} : { metrics: options.queueMetrics }),
            }),
            coder: {
              policy: options.hosts,
              userAgent: USER_AGENT,
              timeoutMs: options.settings.requestTimeoutMs,
              ...(options.onCoderRequest === undefined ? {} : { onRequest: options.onCoderRequest }),
            },
            assertLeading,
          },
          leading,
        );
      } finally {
        ended.abort(new Error('the controller has ended'));
        await keeping;
      }
      await events.flush(LAST_EVENTS_MS);
    });
  } finally {
    stopped.abort(new Error('the controller has ended'));
    await reflecting;
  }
}

/** Refuses to work on CRDs that are not this project's: another operator may own kinds of the same names. */
async function checkDefinitions(kube: KubeClient): Promise<void> {
  for (const resource of [controlPlanes, templates, workspaces]) {
    const name = `${resource.plural}.${resource.group}`;
    const definition = await readDefinition(kube, resource);
    if (definition === undefined) {
      throw new DefinitionError(
        `The CRD ${name} is not installed: kubectl apply --server-side -k config/default`,
      );
    }
    if (definition.metadata.labels?.[partOf.key] !== partOf.value) {
      throw new DefinitionError(
        `The CRD ${name} belongs to another project (it lacks the label ${partOf.key}: ${partOf.value}). coder-operator replaces coder-k8s and cannot run beside it: remove that one and its CRDs first, then install ours`,
      );
    }
  }
}

/** Some workers are left to others, unless there are too few for that. */
function mostPerNamespace(workers: number): number {
  return Math.max(1, workers - Math.ceil(workers / 5));
}

async function reflect(stores: Stores, options: RunOptions, signal: AbortSignal): Promise<void> {
  const run = <T extends KubeObject>(resource: ResourceType, store: Store<T>): Promise<void> =>
    new Reflector<T>({
      client: options.kube,
      resource,
      store,
      clock: options.clock,
      logger: options.logger,
    }).run(signal);
  await Promise.all([
    run(controlPlanes, stores.controlPlanes),
    run(templates, stores.templates),
    run(workspaces, stores.workspaces),
  ]);
}

async function untilSynced(stores: Stores, signal: AbortSignal): Promise<void> {
  const synced = Promise.all([
    stores.controlPlanes.hasSynced,
    stores.templates.hasSynced,
    stores.workspaces.hasSynced,
  ]);
  await Promise.race([synced, untilAborted(signal)]);
}
