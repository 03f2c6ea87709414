import {
  controlPlanes,
  finalizers,
  templates,
  workspaces,
  type CoderControlPlane,
  type CoderTemplate,
  type CoderWorkspace,
} from '../api/kinds.ts';
import type { Clock } from '../base/clock.ts';
import type { KubeObject, ResourceType } from '../api/meta.ts';
import { isMirror } from '../api/mirrors.ts';
import { canonicalEqual } from '../kube/equality.ts';
import { objectKey } from '../kube/objects.ts';
import type { Store, StoreEvent } from '../kube/store.ts';
import { priorities, type WorkQueue } from '../kube/workqueue.ts';
import type { FluxRef } from './flux.ts';
import { inSlices } from './observer/slices.ts';
import type { Stores } from './stores.ts';
import { isAwaitingPromotion } from './template/status.ts';
import type { TemplateRecord } from './template/input.ts';
import { templateNameOf } from './template/records.ts';

export interface WakeupsOptions {
  readonly clock: Pick<Clock, 'breathe'>;
  readonly queue: WorkQueue;
  readonly stores: Stores;
  /** Whether a state of an object is the echo of our own write. */
  readonly isOwnWrite: (resource: ResourceType, object: KubeObject) => boolean;
  /** Calls back once no write on an object is under way. */
  readonly afterWrite: (resource: ResourceType, object: KubeObject, then: () => void) => void;
  readonly mirrors: { readonly workspaces: MirrorWakeups; readonly templates: MirrorWakeups };
}

/** The part of the mirrors of one kind that is woken. */
export interface MirrorWakeups {
  /** A thing in Coder may need a mirror. */
  wake(namespace: string, id: string): void;
  /** So may any in the namespace's Coder. */
  sweep(namespace: string): void;
  objectGone(object: CoderTemplate | CoderWorkspace): void;
}

/** A key of the queue: `<kind>:<namespace>/<name>`. */
export function parseKey(key: string): { readonly kind: string; readonly objectKey: string } {
  const at = key.indexOf(':');
  return { kind: key.slice(0, at), objectKey: key.slice(at + 1) };
}

/** The namespace of what a key of the queue names: objects of one share a control plane. */
export function namespaceOf(key: string): string {
  const { objectKey: name } = parseKey(key);
  return name.slice(0, name.indexOf('/'));
}

/** Which objects a change concerns: the one table of who wakes whom. */
export class Wakeups {
  readonly #options: WakeupsOptions;

  constructor(options: WakeupsOptions) {
    this.#options = options;
  }

  add(resource: ResourceType, key: string, priority: number): void {
    this.#options.queue.add(`${resource.kind}:${key}`, { priority });
  }

  /** At the beginning of a term every object is looked at once; control planes first. */
  everything(): void {
    const { stores } = this.#options;
    for (const object of stores.controlPlanes.list()) this.#wake(controlPlanes, object, priorities.change);
    this.#wakeMany(templates, stores.templates.list(), () => priorities.resync);
    this.#wakeMany(workspaces, stores.workspaces.list(), () => priorities.resync);
  }

  controlPlaneEvent(event: StoreEvent<CoderControlPlane>): void {
    const namespace = event.object.metadata.namespace ?? '';
    // The next oldest one takes over when one goes, so all of the namespace are looked at.
    if (event.type !== 'modified') {
      this.#wakeControlPlanes(namespace);
      return;
    }
    this.#wakeUnlessOwn(controlPlanes, event.object);
    // Objects ask the control plane's object itself; a look at Coder that finds all as before wakes none of them.
    const [before, now] = [event.previous?.spec, event.object.spec];
    if (before?.suspend !== now.suspend || !canonicalEqual(before?.mirror, now.mirror))
      this.connectionChanged(namespace, true);
    // Deletions that were held may go on; it is our own write that says so.
    const released = event.object.status?.deletionsReleasedAt;
    if (released !== undefined && released !== event.previous?.status?.deletionsReleasedAt) {
      for (const object of this.#options.stores.workspaces.byIndex('deleting', namespace)) {
        this.#wake(workspaces, object, priorities.change);
      }
    }
  }

  templateEvent(event: StoreEvent<CoderTemplate>): void {
    const { object, previous } = event;
    if (event.type !== 'deleted') this.#wakeUnlessOwn(templates, object);
    if (isJustBound(event)) this.#wakeBound(templates, this.#options.stores.templates, object);
    this.#finalizerEvent(event, finalizers.template);
    if (event.type === 'deleted') this.#wakeDuplicates(templates);
    this.#thingLeft(event, this.#options.mirrors.templates);
    const moved = object.status?.activeVersion?.id !== previous?.status?.activeVersion?.id;
    if (event.type === 'modified' && moved)
      this.#wakeUsers(object.metadata.namespace ?? '', object.metadata.name);
  }

  workspaceEvent(event: StoreEvent<CoderWorkspace>): void {
    const { object } = event;
    if (event.type !== 'deleted') this.#wakeUnlessOwn(workspaces, object);
    if (isJustBound(event)) this.#wakeBound(workspaces, this.#options.stores.workspaces, object);
    this.#finalizerEvent(event, finalizers.workspace);
    this.#thingLeft(event, this.#options.mirrors.workspaces);
    if (event.type !== 'deleted') return;
    this.#wakeDuplicates(workspaces);
    // A template that is being deleted waits for the last workspace.
    for (const template of this.#options.stores.templates.byIndex(
      'deleting',
      object.metadata.namespace ?? '',
    )) {
      this.#wake(templates, template, priorities.change);
    }
  }

  /**
   * A connection became usable or unusable: that concerns every object of its namespace. While nothing in Coder was
   * looked at yet (`hasLooked` false), those that rest are left alone: each would have to be read by itself.
   */
  connectionChanged(namespace: string, hasLooked: boolean): void {
    const { stores } = this.#options;
    const priority = (object: CoderTemplate | CoderWorkspace): number | undefined =>
      isWaiting(object) ? priorities.change : hasLooked ? priorities.resync : undefined;
    this.#wakeMany(templates, stores.templates.byIndex('namespace', namespace), priority);
    this.#wakeMany(workspaces, stores.workspaces.byIndex('namespace', namespace), priority);
    if (!hasLooked) return;
    this.#options.mirrors.templates.sweep(namespace);
    this.#options.mirrors.workspaces.sweep(namespace);
  }

  /** Everything in a Coder was looked at once. The control plane says how much that is. */
  firstLook(namespace: string): void {
    this.#wakeControlPlanes(namespace);
    this.connectionChanged(namespace, true);
  }

  /**
   * A workspace changed in Coder.
   *
   * @param name what its object is to be called; undefined when it is not seen any more.
   */
  workspaceChanged(namespace: string, id: string, name: string | undefined): void {
    const { stores, mirrors } = this.#options;
    let isShown = false;
    for (const object of stores.workspaces.byIndex('id', id)) {
      if (object.metadata.namespace !== namespace) continue;
      this.#wake(workspaces, object, priorities.change);
      isShown ||= object.metadata.name === name;
    }
    if (!isShown && name !== undefined) mirrors.workspaces.wake(namespace, id);
  }

  /** A ConfigMap changed, or can be read at last: that concerns what has values or content from it. */
  configMapChanged(namespace: string, name: string): void {
    for (const object of this.#options.stores.workspaces.byIndex('configMap', `${namespace}/${name}`)) {
      this.#wake(workspaces, object, priorities.change);
    }
    for (const object of this.#options.stores.templates.byIndex('configMap', `${namespace}/${name}`)) {
      this.#wake(templates, object, priorities.change);
    }
  }

  /** The same for a source of Flux, which templates have their content from. */
  sourceChanged(namespace: string, { kind, name }: FluxRef): void {
    for (const object of this.#options.stores.templates.byIndex('source', `${namespace}/${kind}/${name}`)) {
      this.#wake(templates, object, priorities.change);
    }
  }

  /** A template changed in Coder, or appeared there: objects that wait for one of that name may go on. */
  templateChanged(namespace: string, id: string, record: TemplateRecord | undefined): void {
    for (const object of this.#options.stores.templates.byIndex('id', id)) {
      if (object.metadata.namespace === namespace) this.#wake(templates, object, priorities.change);
    }
    if (record === undefined) return;
    const name = templateNameOf(record);
    this.#wakeUsers(namespace, name);
    if (this.#options.stores.templates.get(`${namespace}/${name}`)?.status?.id !== id) {
      this.#options.mirrors.templates.wake(namespace, id);
    }
  }

  /** Workspaces of a template that are not there yet, or that could not be built with its former version. */
  #wakeUsers(namespace: string, templateName: string): void {
    const waiting = this.#options.stores.workspaces.byIndex('awaits', `${namespace}/${templateName}`);
    for (const object of waiting) this.#wake(workspaces, object, priorities.change);
  }

  /** Objects that had to leave their thing in Coder to an older one: that may have been the one that is gone now. */
  #wakeDuplicates(resource: ResourceType): void {
    const { stores } = this.#options;
    const store = resource === templates ? stores.templates : stores.workspaces;
    for (const object of store.byIndex('stalled', 'DuplicateClaim')) {
      this.#wake(resource, object, priorities.change);
    }
  }

  /** The control plane keeps its finalizer while any object of the namespace has one. */
  #finalizerEvent(event: StoreEvent<KubeObject>, finalizer: string): void {
    const has = (object: KubeObject | undefined): boolean =>
      object?.metadata.finalizers?.includes(finalizer) === true;
    const before = event.type === 'deleted' ? has(event.object) : has(event.previous);
    const after = event.type !== 'deleted' && has(event.object);
    if (before === after && (event.type !== 'deleted' || isMirror(event.object))) return;
    this.#wakeControlPlanes(event.object.metadata.namespace ?? '');
  }

  #wakeControlPlanes(namespace: string): void {
    for (const object of this.#options.stores.controlPlanes.byIndex('namespace', namespace)) {
      this.#wake(controlPlanes, object, priorities.change);
    }
  }

  #wakeUnlessOwn(resource: ResourceType, object: KubeObject): void {
    const { afterWrite, isOwnWrite } = this.#options;
    afterWrite(resource, object, () => {
      if (!isOwnWrite(resource, object)) this.#wake(resource, object, priorities.change);
    });
  }

  /** What an object stood for may need a mirror when the object goes, or is bound to another one. */
  #thingLeft(
    { type, object, previous }: StoreEvent<CoderTemplate | CoderWorkspace>,
    mirrors: MirrorWakeups,
  ): void {
    const before = previous?.status?.id;
    if (type === 'deleted') mirrors.objectGone(object);
    else if (before !== undefined && before !== object.status?.id) {
      mirrors.wake(object.metadata.namespace ?? '', before);
    }
  }

  /** The object, and all that are bound to the same: a mirror under the former name makes room for the one that came. */
  #wakeBound<T extends CoderTemplate | CoderWorkspace>(
    resource: ResourceType,
    store: Store<T>,
    { status }: T,
  ): void {
    for (const object of store.byIndex('id', status?.id ?? '')) {
      this.#wake(resource, object, priorities.change);
    }
  }

  /** Of ten thousand, others have their turn meanwhile. */
  #wakeMany<T extends CoderTemplate | CoderWorkspace>(
    resource: ResourceType,
    objects: readonly T[],
    priorityOf: (object: T) => number | undefined,
  ): void {
    const wake = (object: T): void => {
      const priority = priorityOf(object);
      if (priority !== undefined) this.#wake(resource, object, priority);
    };
    void inSlices(objects, wake, this.#options.clock);
  }

  #wake(resource: ResourceType, object: KubeObject, priority: number): void {
    this.add(
      resource,
      objectKey(object),
      isMirror(object) ? Math.min(priority, priorities.mirror) : priority,
    );
  }
}

/**
 * Whether a UUID was written down that was not there before, or has come into a user's hands. A change in Coder wakes
 * the object that bears the UUID, so one that came a moment earlier woke nobody: the object is looked at once more,
 * though the write was our own.
 */
function isJustBound({ type, object, previous }: StoreEvent<CoderTemplate | CoderWorkspace>): boolean {
  const id = object.status?.id;
  if (type === 'deleted' || id === undefined) return false;
  // A mirror that a user has taken over claims what it was bound to all along.
  const isTaken = previous !== undefined && isMirror(previous) && !isMirror(object);
  return isTaken || id !== previous?.status?.id;
}

/** Whether something was asked of an object that has not been carried out. */
function isWaiting({ metadata, spec, status }: CoderTemplate | CoderWorkspace): boolean {
  return (
    status?.id === undefined ||
    metadata.deletionTimestamp !== undefined ||
    status.observedGeneration !== metadata.generation ||
    status.pendingOperation !== undefined ||
    ('pendingVersion' in status && hasOpenImport({ spec, status })) ||
    ('power' in status && status.power?.state === 'Pending') ||
    ('driftedAt' in status && status.driftedAt !== undefined)
  );
}

function hasOpenImport({
  spec,
  status,
}: {
  readonly spec: CoderTemplate['spec'];
  readonly status: NonNullable<CoderTemplate['status']>;
}): boolean {
  return status.pendingVersion !== undefined && !isAwaitingPromotion(spec, status);
}
