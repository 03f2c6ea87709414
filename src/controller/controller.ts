import { setMaxListeners } from 'node:events';
import {
  controlPlanes,
  templates,
  workspaces,
  type CoderControlPlane,
  type CoderTemplate,
  type CoderWorkspace,
} from '../api/kinds.ts';
import type { KubeObject, ResourceType } from '../api/meta.ts';
import { isMirror } from '../api/mirrors.ts';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import type { CoderClient, CoderClientOptions } from '../coder/client.ts';
import { download } from '../coder/download.ts';
import type { KubeClient } from '../kube/client.ts';
import type { EventRecorder } from '../kube/events.ts';
import { isNotFound } from '../kube/errors.ts';
import { objectKey } from '../kube/objects.ts';
import { runWorkers, type HandlerResult, type WorkResult } from '../kube/workers.ts';
import { priorities, type WorkQueue } from '../kube/workqueue.ts';
import { Archives } from './archives.ts';
import { isClaimedByAnother, isOlder, olderClaim } from './claims.ts';
import { Connections } from './connections.ts';
import { ConfigMaps } from './configmaps.ts';
import type { Context } from './context.ts';
import { ControlPlaneReconciler } from './controlplane/reconcile.ts';
import { jobFeedRemarks } from './controlplane/remarks.ts';
import { Deletions } from './deletions.ts';
import { FluxSources } from './flux.ts';
import { AllMirrors } from './mirror/mirrors.ts';
import { objectNameOf } from './observer/record.ts';
import { readSecret } from './secrets.ts';
import type { Settings } from './settings.ts';
import type { Rest } from './step.ts';
import { held, type Stores } from './stores.ts';
import { contentConfigMaps, contentSources } from './template/content.ts';
import { TemplateReconciler } from './template/reconcile.ts';
import { referredConfigMaps, resolveValues } from './values.ts';
import { Wakeups, parseKey } from './wakeups.ts';
import { WorkspaceReconciler } from './workspace/reconcile.ts';
import { RememberingWriter } from './writer.ts';

export interface ControllerOptions {
  readonly kube: KubeClient;
  readonly stores: Stores;
  readonly queue: WorkQueue;
  readonly events: EventRecorder;
  readonly coder: Pick<CoderClientOptions, 'policy' | 'timeoutMs' | 'onRequest' | 'userAgent'>;
  /** Makes a Coder client. Default: a real one. */
  readonly makeClient?: (options: CoderClientOptions) => CoderClient;
  readonly settings: Settings;
  /** Objects that are worked on at the same time. */
  readonly workers: number;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Throws when the lease was lost. */
  readonly assertLeading: () => void;
  readonly epoch: string;
  readonly onResult?: (result: WorkResult) => void;
  /** Told when a version may have been left in Coder that belongs to no template. */
  readonly onVersionLeft?: () => void;
}

const FIELD_MANAGER = 'coder-operator';

/**
 * Works for one term of leadership: puts every object in the queue once, then whatever a change anywhere concerns, and
 * ends when the signal aborts and every pass has settled.
 */
export async function runController(options: ControllerOptions, signal: AbortSignal): Promise<void> {
  const { kube, stores, queue, clock, logger, settings } = options;
  // Every worker and every call listens for the end: that many are no leak.
  setMaxListeners(0, signal);
  const writer = new RememberingWriter({
    kube,
    fieldManager: FIELD_MANAGER,
    assume: (resource, object) => stores.assume(resource, object),
  });
  const wakeups = new Wakeups({
    clock,
    queue,
    stores,
    isOwnWrite: (resource, object) => writer.isOwnWrite(resource, object),
    afterWrite: (resource, object, then) => writer.afterWrite(resource, object, then),
    mirrors: {
      get workspaces() {
        return mirrors.workspaces;
      },
      get templates() {
        return mirrors.templates;
      },
    },
  });
  const connections = new Connections({
    clock,
    logger,
    signal,
    controlPlaneOf: (namespace) => oldestControlPlane(stores, namespace)?.metadata.name,
    suspendedBySpec: (namespace) => oldestControlPlane(stores, namespace)?.spec.suspend === true,
    onChange: (namespace) =>
      wakeups.connectionChanged(namespace, connections.live(namespace)?.observer.hasLooked ?? true),
    onFirstLook: (namespace) => wakeups.firstLook(namespace),
    onLook: (namespace, what) => mirrors.looked(namespace, what),
    onSuspicion: (namespace, name) => wakeups.add(controlPlanes, `${namespace}/${name}`, priorities.change),
    onWorkspace: (namespace, id) => {
      const record = connections.live(namespace)?.observer.workspaces.get(id);
      wakeups.workspaceChanged(namespace, id, record === undefined ? undefined : objectNameOf(record));
    },
    onTemplate: (namespace, id) =>
      wakeups.templateChanged(namespace, id, connections.live(namespace)?.observer.template(id)),
    onSlot: (_, key) => wakeups.add(workspaces, key, priorities.change),
  });
  const deletions = new Deletions({
    clock,
    budget: settings.deletionBudget,
    deleting: (namespace) => stores.workspaces.byIndex('deleting', namespace),
    releasedAt: (namespace) => oldestControlPlane(stores, namespace)?.status?.deletionsReleasedAt,
  });
  const configMaps = new ConfigMaps({
    kube,
    clock,
    logger,
    signal,
    onChange: (namespace, name) => wakeups.configMapChanged(namespace, name),
  });
  const flux = new FluxSources({
    kube,
    clock,
    logger,
    signal,
    onChange: (namespace, ref) => wakeups.sourceChanged(namespace, ref),
  });
  const archives = new Archives({
    clock,
    logger,
    signal,
    download: (url, sha256, ended) =>
      download({
        url,
        sha256,
        policy: options.coder.policy,
        userAgent: options.coder.userAgent,
        signal: ended,
      }),
    onAnswer: (key) => wakeups.add(templates, key, priorities.change),
  });
  const context: Context = {
    content: {
      configMap: (namespace, name) => configMaps.read(namespace, name),
      flux: (namespace, ref) => flux.read(namespace, ref),
      archive: (key, request) => archives.get(key, request),
    },
    deletions,
    values: {
      resolve: (namespace, items) =>
        resolveValues(items, {
          namespace,
          secret: (name) => readSecret(kube, namespace, name, { signal }),
          configMap: (name) => configMaps.read(namespace, name),
        }),
    },
    kube,
    writer,
    connections,
    settings,
    clock,
    logger,
    epoch: options.epoch,
    assertLeading: options.assertLeading,
    onVersionLeft: options.onVersionLeft,
    emit: (object, event) => options.events.record(object, event.type, event.reason, event.message),
    signal,
  };
  const controlPlaneReconciler = new ControlPlaneReconciler({
    context,
    coder: options.coder,
    ...(options.makeClient === undefined ? {} : { makeClient: options.makeClient }),
    isThere: (object) => stores.controlPlanes.get(objectKey(object))?.metadata.uid === object.metadata.uid,
    olderOne: (object) => olderControlPlane(stores, object),
    held: (namespace) => held(stores, namespace),
    mirrored: (namespace) => mirrors.counts(namespace),
    remarks: (object) => {
      const { namespace = '' } = object.metadata;
      const feed = connections.live(namespace)?.observer.jobFeed.state ?? 'unknown';
      return [...mirrors.remarks(namespace), ...jobFeedRemarks(feed, object)];
    },
  });
  const templateReconciler = new TemplateReconciler({
    context,
    claimedBy: (object, id) => olderClaim(object, stores.templates.byIndex('id', id)),
    isClaimedByAnother: (object, id) => isClaimedByAnother(object, stores.templates.byIndex('id', id)),
  });
  const workspaceReconciler = new WorkspaceReconciler({
    context,
    claimedBy: (object, id) => olderClaim(object, stores.workspaces.byIndex('id', id)),
    isClaimedByAnother: (object, id) => isClaimedByAnother(object, stores.workspaces.byIndex('id', id)),
  });
  const mirrors = new AllMirrors({
    context,
    queue,
    stores,
    controlPlaneOf: (namespace) => oldestControlPlane(stores, namespace),
    show: {
      workspaces: (object, isUnseen) => workspaceReconciler.reconcile(object, isUnseen),
      templates: (object, isUnseen) => templateReconciler.reconcile(object, isUnseen),
    },
  });

  const unsubscribe = [
    stores.controlPlanes.subscribe((event) => {
      if (event.type === 'deleted') forgetControlPlane(event.object);
      wakeups.controlPlaneEvent(event);
    }),
    stores.templates.subscribe((event) => {
      if (event.type === 'deleted')
        forget(templates, event.object, () => templateReconciler.forget(event.object));
      referToContent(event.object, event.type === 'deleted');
      wakeups.templateEvent(event);
    }),
    stores.workspaces.subscribe((event) => {
      if (event.type === 'deleted')
        forget(workspaces, event.object, () => workspaceReconciler.forget(event.object));
      referToConfigMaps(event.object, event.type === 'deleted');
      wakeups.workspaceEvent(event);
    }),
  ];
  for (const object of stores.workspaces.list()) referToConfigMaps(object, false);
  for (const object of stores.templates.list()) referToContent(object, false);
  wakeups.everything();

  function referToConfigMaps(object: CoderWorkspace, isGone: boolean): void {
    const names = isGone ? [] : referredConfigMaps(object.spec.parameters);
    configMaps.refer(object.metadata.namespace ?? '', `${workspaces.kind}:${objectKey(object)}`, names);
  }

  function referToContent(object: CoderTemplate, isGone: boolean): void {
    const namespace = object.metadata.namespace ?? '';
    const referrer = `${templates.kind}:${objectKey(object)}`;
    configMaps.refer(namespace, referrer, isGone ? [] : contentConfigMaps(object.spec));
    flux.refer(namespace, referrer, isGone ? [] : contentSources(object.spec));
  }

  function forget(resource: ResourceType, object: KubeObject, more: () => void): void {
    writer.forget(resource, object);
    more();
  }

  function forgetControlPlane(object: CoderControlPlane): void {
    forget(controlPlanes, object, () => undefined);
    const others = stores.controlPlanes.byIndex('namespace', object.metadata.namespace ?? '');
    if (others.length > 0) return;
    controlPlaneReconciler.forget(object);
    mirrors.forget(object.metadata.namespace ?? '');
  }

  async function reconcile(key: string): Promise<HandlerResult | undefined> {
    const { kind, objectKey: name } = parseKey(key);
    try {
      return asResult(await pass(kind, name));
    } catch (error) {
      // The object was deleted meanwhile, as the watch is about to tell.
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  async function pass(kind: string, name: string): Promise<Rest | undefined> {
    switch (kind) {
      case controlPlanes.kind: {
        const object = stores.controlPlanes.get(name);
        return object === undefined ? undefined : controlPlaneReconciler.reconcile(object);
      }
      case templates.kind: {
        const object = stores.templates.get(name);
        if (object === undefined) return undefined;
        if (isMirror(object)) return mirrors.templates.reconcile(object);
        return templateReconciler.reconcile(await mirrors.templates.giveUp(object));
      }
      case workspaces.kind: {
        const object = stores.workspaces.get(name);
        if (object === undefined) return undefined;
        if (isMirror(object)) return mirrors.workspaces.reconcile(object);
        return workspaceReconciler.reconcile(await mirrors.workspaces.giveUp(object));
      }
      default:
        return mirrors.appear(kind, name);
    }
  }

  try {
    await runWorkers({
      queue,
      workers: options.workers,
      handler: reconcile,
      logger,
      clock,
      signal,
      ...(options.onResult === undefined ? {} : { onResult: options.onResult }),
    });
  } finally {
    for (const stop of unsubscribe) stop();
    connections.close();
    configMaps.close();
    flux.close();
    controlPlaneReconciler.close();
    queue.shutDown();
  }
}

/** What the queue is to do with a key after a pass. */
function asResult(rest: Rest | undefined): HandlerResult | undefined {
  switch (rest?.until) {
    case 'time':
      return {
        requeueAfterMs: rest.afterMs,
        priority: rest.afterMs > 5_000 ? priorities.requeue : priorities.change,
      };
    case 'build':
      return rest.afterMs === undefined
        ? undefined
        : { requeueAfterMs: rest.afterMs, priority: priorities.requeue };
    case 'backoff':
      return { backoff: true, priority: priorities.requeue };
    default:
      return undefined;
  }
}

/** The one that counts in a namespace. */
function oldestControlPlane(stores: Stores, namespace: string): CoderControlPlane | undefined {
  return stores.controlPlanes
    .byIndex('namespace', namespace)
    .reduce<CoderControlPlane | undefined>(
      (oldest, one) => (oldest !== undefined && isOlder(oldest, one) ? oldest : one),
      undefined,
    );
}

function olderControlPlane(stores: Stores, object: CoderControlPlane): string | undefined {
  return stores.controlPlanes
    .byIndex('namespace', object.metadata.namespace ?? '')
    .filter((other) => other.metadata.uid !== object.metadata.uid)
    .find((other) => isOlder(other, object))?.metadata.name;
}
