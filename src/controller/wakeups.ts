import { findCondition } from '../api/conditions.ts';
import {
  controlPlanes,
  finalizers,
  templates,
  workspaces,
  type CoderControlPlane,
  type CoderTemplate,
  type CoderWorkspace,
} from '../api/kinds.ts';
import type { KubeObject, ResourceType } from '../api/meta.ts';
import { objectKey } from '../kube/objects.ts';
import type { Store, StoreEvent } from '../kube/store.ts';
import { priorities, type WorkQueue } from '../kube/workqueue.ts';
import type { FluxRef } from './flux.ts';
import type { Stores } from './stores.ts';
import { isAwaitingPromotion } from './template/status.ts';
import type { TemplateRecord } from './template/input.ts';

export interface WakeupsOptions {
  readonly queue: WorkQueue;
  readonly stores: Stores;
  /** Whether a state of an object is the echo of our own write. */
  readonly isOwnWrite: (resource: ResourceType, object: KubeObject) => boolean;
}

/** A key of the queue: `<kind>:<namespace>/<name>`. */
export function parseKey(key: string): { readonly kind: string; readonly objectKey: string } {
  const at = key.indexOf(':');
  return { kind: key.slice(0, at), objectKey: key.slice(at + 1) };
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
    for (const object of stores.templates.list()) this.#wake(templates, object, priorities.resync);
    for (const object of stores.workspaces.list()) this.#wake(workspaces, object, priorities.resync);
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
    if (event.object.spec.suspend !== event.previous?.spec.suspend) this.connectionChanged(namespace, true);
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
    if (isJustBound(event)) this.#wake(templates, object, priorities.change);
    this.#finalizerEvent(event, finalizers.template);
    if (event.type === 'deleted') this.#wakeDuplicates(templates, this.#options.stores.templates);
    const moved = object.status?.activeVersion?.id !== previous?.status?.activeVersion?.id;
    if (event.type === 'modified' && moved)
      this.#wakeUsers(object.metadata.namespace ?? '', object.metadata.name);
  }

  workspaceEvent(event: StoreEvent<CoderWorkspace>): void {
    const { object } = event;
    if (event.type !== 'deleted') this.#wakeUnlessOwn(workspaces, object);
    if (isJustBound(event)) this.#wake(workspaces, object, priorities.change);
    this.#finalizerEvent(event, finalizers.workspace);
    if (event.type !== 'deleted') return;
    this.#wakeDuplicates(workspaces, this.#options.stores.workspaces);
    // A template that is being deleted waits for the last workspace.
    for (const template of this.#options.stores.templates.byIndex(
      'namespace',
      object.metadata.namespace ?? '',
    )) {
      if (template.metadata.deletionTimestamp !== undefined)
        this.#wake(templates, template, priorities.change);
    }
  }

  /**
   * A connection became usable or unusable: that concerns every object of its namespace. While nothing in Coder was
   * looked at yet (`hasLooked` false), those that rest are left alone: each would have to be read by itself.
   */
  connectionChanged(namespace: string, hasLooked: boolean): void {
    const { stores } = this.#options;
    for (const [resource, store] of [
      [templates, stores.templates],
      [workspaces, stores.workspaces],
    ] as const) {
      for (const object of store.byIndex('namespace', namespace)) {
        const waits = isWaiting(object);
        if (waits || hasLooked) this.#wake(resource, object, waits ? priorities.change : priorities.resync);
      }
    }
  }

  /** Everything in a Coder was looked at once. The control plane says how much that is. */
  firstLook(namespace: string): void {
    this.#wakeControlPlanes(namespace);
    this.connectionChanged(namespace, true);
  }

  /** A workspace changed in Coder. */
  workspaceChanged(namespace: string, id: string): void {
    for (const object of this.#options.stores.workspaces.byIndex('id', id)) {
      if (object.metadata.namespace === namespace) this.#wake(workspaces, object, priorities.change);
    }
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
    if (record !== undefined) {
      this.#wakeUsers(namespace, `${record.organizationName}.${record.name}`.toLowerCase());
    }
  }

  /** Workspaces of a template that are not there yet, or that could not be built with its former version. */
  #wakeUsers(namespace: string, templateName: string): void {
    const [organization, template] = templateName.split('.');
    for (const object of this.#options.stores.workspaces.byIndex('namespace', namespace)) {
      const waits = object.status?.id === undefined || object.status.failures !== undefined;
      const uses =
        object.spec.templateName === template && object.metadata.name.startsWith(`${organization ?? ''}.`);
      if (waits && uses) this.#wake(workspaces, object, priorities.change);
    }
  }

  /** Objects that had to leave their thing in Coder to an older one: that may have been the one that is gone now. */
  #wakeDuplicates<T extends CoderTemplate | CoderWorkspace>(resource: ResourceType, store: Store<T>): void {
    for (const object of store.list()) {
      const isDuplicate = findCondition(object.status?.conditions, 'Stalled')?.reason === 'DuplicateClaim';
      if (isDuplicate) this.#wake(resource, object, priorities.change);
    }
  }

  /** The control plane keeps its finalizer while any object of the namespace has one. */
  #finalizerEvent(event: StoreEvent<KubeObject>, finalizer: string): void {
    const has = (object: KubeObject | undefined): boolean =>
      object?.metadata.finalizers?.includes(finalizer) === true;
    const before = event.type === 'deleted' ? has(event.object) : has(event.previous);
    const after = event.type !== 'deleted' && has(event.object);
    if (before === after && event.type !== 'deleted') return;
    this.#wakeControlPlanes(event.object.metadata.namespace ?? '');
  }

  #wakeControlPlanes(namespace: string): void {
    for (const object of this.#options.stores.controlPlanes.byIndex('namespace', namespace)) {
      this.#wake(controlPlanes, object, priorities.change);
    }
  }

  #wakeUnlessOwn(resource: ResourceType, object: KubeObject): void {
    if (!this.#options.isOwnWrite(resource, object)) this.#wake(resource, object, priorities.change);
  }

  #wake(resource: ResourceType, object: KubeObject, priority: number): void {
    this.add(resource, objectKey(object), priority);
  }
}

/**
 * Whether a UUID was written down that was not there before. A change in Coder wakes the object that bears the UUID, so
 * one that came a moment earlier woke nobody: the object is looked at once more, though the write was our own.
 */
function isJustBound({ type, object, previous }: StoreEvent<CoderTemplate | CoderWorkspace>): boolean {
  const id = object.status?.id;
  return type !== 'deleted' && id !== undefined && id !== previous?.status?.id;
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
