import type { CoderControlPlane } from '../../api/kinds.ts';
import { isMirror, isTakenOver, MIRROR_MANAGER, mirrorLabels } from '../../api/mirrors.ts';
import { errorText } from '../../base/errors.ts';
import {
  isAlreadyExists,
  isForbidden,
  isInvalid,
  isNamespaceTerminating,
  isNotFound,
} from '../../kube/errors.ts';
import { objectKey } from '../../kube/objects.ts';
import { priorities, type WorkQueue } from '../../kube/workqueue.ts';
import type { LiveConnection } from '../connections.ts';
import type { Context } from '../context.ts';
import { inSlices } from '../observer/slices.ts';
import { after, untilWoken, type Rest } from '../step.ts';
import { decideAppearance, decideMirror, type Neighbour, type Thing } from './decide.ts';
import { Gates } from './gates.ts';
import { withBinding, type Binding, type MirroredObject, type MirrorKind } from './kinds.ts';
import { hasLabels, isAppliedByOthers, labelsToGiveUp } from './labels.ts';
import { Refusals } from './refusals.ts';
import { Suspects } from './suspects.ts';
import { Sweeps } from './sweeps.ts';
import { Unmirrored } from './unmirrored.ts';

export interface MirrorsOptions {
  readonly context: Context;
  readonly kind: MirrorKind;
  readonly queue: Pick<WorkQueue, 'add'>;
  readonly controlPlaneOf: (namespace: string) => CoderControlPlane | undefined;
}

/**
 * Keeps the mirrors of one kind: makes one for each thing in Coder that no object stands for, and removes those that
 * show nothing any more. What a mirror says is the matter of the ordinary pass of its kind.
 */
export class Mirrors {
  readonly #options: MirrorsOptions;
  readonly #gates: Gates;
  readonly #refusals: Refusals;
  readonly #suspects: Suspects;
  readonly #sweeps: Sweeps;
  readonly #unmirrored = new Unmirrored();

  constructor(options: MirrorsOptions) {
    this.#options = options;
    const { context, kind } = options;
    this.#gates = new Gates(context.clock);
    this.#refusals = new Refusals(context.clock);
    this.#suspects = new Suspects({
      context,
      kind,
      onChecked: (namespace, id) => this.#wakeMirrorsOf(namespace, id),
    });
    this.#sweeps = new Sweeps({
      sweep: (namespace) => this.#sweep(namespace),
      onError: (namespace, error) =>
        context.logger.error('mirrors could not be swept', { namespace, error: errorText(error) }),
    });
  }

  /** The queue's word for a thing in Coder that may need a mirror. */
  get keyKind(): string {
    return `Mirror of ${this.#options.kind.resource.kind}`;
  }

  /** A thing in Coder may need a mirror. */
  wake(namespace: string, id: string, priority: number = priorities.mirror): void {
    this.#sweeps.due(namespace, id);
    this.#options.queue.add(`${this.keyKind}:${namespace}/${id}`, { priority });
  }

  /** How many there are, and how many things can be shown by none; undefined while some are still to be made. */
  counts(namespace: string): { readonly mirrored: number; readonly unmirrored: number } | undefined {
    if (!this.#sweeps.isSettled(namespace)) return undefined;
    return { mirrored: this.#mirrors(namespace).length, unmirrored: this.#unmirrored.of(namespace).length };
  }

  /** What a person has to know of them, in sentences. */
  remarks(namespace: string): readonly string[] {
    const held = this.#suspects.held(namespace);
    if (held === 0) return [];
    const { setting } = this.#options.kind;
    return [
      `${held} mirrored ${setting} are missing in Coder at once: their mirrors stay until each is known to be gone. Look whether the token has lost a role, or Coder its data`,
    ];
  }

  /** Everything of this kind in a namespace's Coder was looked at. */
  looked(namespace: string): void {
    const { kind, context } = this.#options;
    const live = context.connections.live(namespace);
    if (live === undefined || !kind.hasLooked(live.observer)) return;
    // What shows something of another Coder than the accepted one is not missed in this one.
    const { deploymentID } = live.fact;
    const mirrored = this.#mirrors(namespace)
      .filter(({ status }) => (status?.deploymentID ?? deploymentID) === deploymentID)
      .map(({ status }) => status?.id)
      .filter((id) => id !== undefined);
    this.#suspects.looked(namespace, live, mirrored);
    this.#gates.prune();
    this.#tellUnmirrored(namespace, live);
    this.sweep(namespace);
  }

  /** Wakes whatever is not as it should be: things without an object, and mirrors of what bears another name now. */
  sweep(namespace: string): void {
    this.#sweeps.sweep(namespace);
  }

  /** An object went away: the thing that it stood for may need a mirror, and so may one that waited for its name. */
  objectGone(object: MirroredObject): void {
    const { kind, context } = this.#options;
    const { namespace = '', name } = object.metadata;
    if (!isMirror(object)) this.#gates.free(objectKey(object));
    const live = context.connections.live(namespace);
    if (live === undefined) return;
    const named = kind.named(live.observer, live.fact.scope, name)?.id;
    for (const id of new Set([object.status?.id, named])) if (id !== undefined) this.wake(namespace, id);
  }

  /** One pass over a thing in Coder that may need a mirror. @throws KubeError */
  async appear(namespace: string, id: string): Promise<Rest | undefined> {
    const rest = await this.#appear(namespace, id);
    this.#sweeps.done(namespace, id);
    return rest;
  }

  async #appear(namespace: string, id: string): Promise<Rest | undefined> {
    const { kind, context, controlPlaneOf } = this.#options;
    const live = context.connections.live(namespace);
    const connection = context.connections.fact(namespace);
    const thing = live === undefined ? undefined : kind.thing(live.observer, live.fact.scope, id);
    this.#unmirrored.forget(namespace, id);
    if (live === undefined || connection.state !== 'ready' || thing === undefined) return undefined;
    if (!kind.hasLooked(live.observer)) return undefined;
    const key = `${namespace}/${thing.name}`;
    const namesake = kind.store.get(key);
    const appearance = decideAppearance({
      enabled:
        this.#enabled(namespace) && controlPlaneOf(namespace)?.metadata.deletionTimestamp === undefined,
      thing,
      claimants: this.#claimants(namespace, id),
      namesake: namesake === undefined ? undefined : neighbour(namesake),
      freedForMs: this.#gates.freedForMs(key),
    });
    switch (appearance.do) {
      case 'nothing':
        // Its first status may not have been written.
        if (namesake !== undefined && isMirror(namesake) && namesake.status?.id === undefined)
          this.#wakeObject(namesake, priorities.mirror);
        return undefined;
      case 'wait':
        return after(appearance.ms);
      case 'tell':
        this.#unmirrored.put(namespace, id, thing.name, appearance.why);
        return undefined;
      case 'create':
        return this.#create(namespace, thing.name, live, id);
    }
  }

  /** One pass over an object that is a mirror. @throws KubeError when our copy was stale. */
  async reconcile(object: MirroredObject): Promise<Rest | undefined> {
    const { kind, context } = this.#options;
    const { namespace = '', name, deletionTimestamp } = object.metadata;
    const live = context.connections.live(namespace);
    const connection = context.connections.fact(namespace);
    if (connection.state !== 'none') this.#gates.adopt(namespace);
    const id = object.status?.id;
    const look = <T>(at: (live: LiveConnection) => T): T | undefined =>
      live === undefined ? undefined : at(live);
    const bound = look(({ observer, fact }) =>
      id === undefined ? undefined : kind.thing(observer, fact.scope, id),
    );
    const named = look(({ observer, fact }) => kind.named(observer, fact.scope, name));
    // One that is bound to nothing yet is about to stand for what bears its name.
    const stands = id ?? named?.id;
    const namesake = bound === undefined ? undefined : kind.store.get(`${namespace}/${bound.name}`);
    const step = decideMirror({
      id,
      deploymentID: object.status?.deploymentID,
      isDeleting: deletionTimestamp !== undefined,
      enabled: this.#enabled(namespace),
      connection,
      orphanedForMs: () => this.#gates.orphanedForMs(namespace),
      isOutside: ({ scope }) => kind.isOutside(scope, name),
      hasLooked: look(({ observer }) => kind.hasLooked(observer)) ?? false,
      named,
      bound,
      absence:
        look((at) => (id === undefined ? undefined : this.#suspects.answer(namespace, at, id))) ??
        'unchecked',
      claimants:
        stands === undefined ? [] : this.#claimants(namespace, stands).filter((c) => c.name !== name),
      namesake: namesake === undefined ? undefined : neighbour(namesake),
    });
    switch (step.do) {
      case 'nothing':
        return untilWoken;
      case 'wait':
        return after(step.ms);
      case 'remove':
        return step.unlessApplied === true && (await this.#isApplied(object))
          ? kind.show(object, false)
          : this.#remove(object, step.why);
      case 'succeed':
        this.wake(namespace, step.id);
        return this.#show(object, step.id, live);
      case 'show':
        return this.#show(object, step.id, live);
    }
  }

  /** An object that was a mirror and is a user's now: what we have put on it goes, and nothing else is touched. */
  async giveUp<T extends MirroredObject>(object: T): Promise<T> {
    const { context, kind } = this.#options;
    const { namespace, name, uid, labels = {}, deletionTimestamp } = object.metadata;
    const has = (key: string): boolean => labels[key] !== undefined;
    const isUnbound = object.status?.id === undefined && has(mirrorLabels.mirror);
    const isOurs = isUnbound || (isTakenOver(object) && Object.values(mirrorLabels).some(has));
    if (!isOurs || deletionTimestamp !== undefined) return object;
    const live = await context.kube.get<T>(kind.resource, namespace, name);
    // Somebody has taken the wish back meanwhile: what we have is stale, and it is looked at again.
    if (live.metadata.uid !== uid || isMirror(live)) return object;
    const given = labelsToGiveUp(live, MIRROR_MANAGER);
    if (given.length === 0) return object;
    const off = Object.fromEntries(given.map((key) => [key, null]));
    return context.writer.setLabels(kind.resource, live, off, MIRROR_MANAGER);
  }

  /** The control plane of the namespace is gone. */
  forget(namespace: string): void {
    this.#gates.orphanedForMs(namespace);
    this.#refusals.forget(namespace);
    this.#suspects.forget(namespace);
    this.#sweeps.forget(namespace);
    this.#unmirrored.forgetAll(namespace);
  }

  async #create(
    namespace: string,
    name: string,
    live: LiveConnection,
    id: string,
  ): Promise<Rest | undefined> {
    const { context, kind } = this.#options;
    if (this.#gates.isClosed(namespace)) return undefined;
    const refusal = this.#refusals.why(namespace, id);
    if (refusal !== undefined) {
      this.#unmirrored.put(namespace, id, name, refusal);
      return undefined;
    }
    context.assertLeading();
    let created: MirroredObject;
    try {
      const mirror = { metadata: { name, namespace, labels: kind.labels(live.observer, id) }, spec: {} };
      created = await context.writer.create<MirroredObject>(kind.resource, mirror, MIRROR_MANAGER);
    } catch (error) {
      // A user, or the watch that tells of one, was first: the object wakes whoever has to do with it.
      if (isAlreadyExists(error) || isNotFound(error)) return undefined;
      if (isNamespaceTerminating(error)) {
        this.#gates.close(namespace);
        return undefined;
      }
      if (!isForbidden(error) && !isInvalid(error)) throw error;
      this.#refusals.refuse(namespace, id, error.message);
      this.#unmirrored.put(namespace, id, name, error.message);
      return undefined;
    }
    this.#refusals.accept(namespace, id);
    return kind.show(withBinding(created, bindingOf(live, id)), false);
  }

  async #show(
    object: MirroredObject,
    id: string | undefined,
    live: LiveConnection | undefined,
  ): Promise<Rest | undefined> {
    const { context, kind } = this.#options;
    if (live === undefined || id === undefined) return kind.show(object, false);
    const labels = kind.labels(live.observer, id);
    const labelled =
      labels === undefined || hasLabels(object, labels)
        ? object
        : await context.writer.setLabels(kind.resource, object, labels, MIRROR_MANAGER);
    const isUnseen =
      labels === undefined && this.#suspects.answer(object.metadata.namespace ?? '', live, id) === 'unseen';
    const isBound = object.status?.id !== undefined;
    return kind.show(isBound ? labelled : withBinding(labelled, bindingOf(live, id)), isUnseen);
  }

  async #isApplied({ metadata: { namespace, name } }: MirroredObject): Promise<boolean> {
    const { context, kind } = this.#options;
    return isAppliedByOthers(await context.kube.get(kind.resource, namespace, name), MIRROR_MANAGER);
  }

  async #remove(object: MirroredObject, why: string): Promise<undefined> {
    const { context, kind } = this.#options;
    const { namespace, name } = object.metadata;
    context.assertLeading();
    const mirror = `${namespace ?? ''}/${name}`;
    context.logger.info('a mirror is removed', { mirror, kind: kind.resource.kind, why });
    // Whoever has set a wish meanwhile has made it theirs: then this fails, and the object is looked at again.
    await context.writer.remove(kind.resource, object);
    return undefined;
  }

  async #sweep(namespace: string): Promise<boolean> {
    const { kind, context } = this.#options;
    const live = context.connections.live(namespace);
    if (live === undefined || !kind.hasLooked(live.observer)) return false;
    if (!this.#enabled(namespace)) {
      this.#unmirrored.forgetAll(namespace);
      return true;
    }
    const look = ({ id, name, isForeign }: Pick<Thing, 'id' | 'name' | 'isForeign'>): void => {
      const object = kind.store.get(`${namespace}/${name}`);
      const isOwn = object?.status?.id === id;
      if (object !== undefined && !isOwn && isMirror(object)) this.#wakeObject(object, priorities.resync);
      const isSettled = isOwn || isForeign || this.#claimants(namespace, id).some((c) => !c.isMirror);
      if (isSettled) this.#unmirrored.forget(namespace, id);
      else this.wake(namespace, id, priorities.resync);
    };
    await inSlices(kind.all(live.observer, live.fact.scope), look, context.clock);
    return true;
  }

  #tellUnmirrored(namespace: string, live: LiveConnection): void {
    const { kind, context, controlPlaneOf } = this.#options;
    const isThere = (id: string): boolean => kind.isKnown(live.observer, id);
    const news = this.#unmirrored.news(namespace, isThere);
    const controlPlane = controlPlaneOf(namespace);
    if (news !== undefined && controlPlane !== undefined) {
      const message = `Of the ${kind.setting} in Coder ${news.count} cannot be shown by an object: ${news.text}`;
      context.emit(controlPlane, { type: 'Warning', reason: 'Unmirrored', message });
    }
  }

  #wakeMirrorsOf(namespace: string, id: string): void {
    for (const object of this.#options.kind.store.byIndex('id', id)) {
      if (object.metadata.namespace === namespace) this.#wakeObject(object, priorities.mirror);
    }
  }

  #wakeObject(object: MirroredObject, priority: number): void {
    const { kind, queue } = this.#options;
    queue.add(`${kind.resource.kind}:${objectKey(object)}`, { priority });
  }

  #enabled(namespace: string): boolean {
    const { kind, controlPlaneOf } = this.#options;
    return controlPlaneOf(namespace)?.spec.mirror?.[kind.setting] !== 'Disabled';
  }

  #mirrors(namespace: string): readonly MirroredObject[] {
    return this.#options.kind.store.byIndex('mirror', namespace);
  }

  #claimants(namespace: string, id: string): readonly Neighbour[] {
    return this.#options.kind.store
      .byIndex('id', id)
      .filter((object) => object.metadata.namespace === namespace)
      .map((object) => neighbour(object));
  }
}

function neighbour(object: MirroredObject): Neighbour {
  return { name: object.metadata.name, isMirror: isMirror(object), id: object.status?.id };
}

function bindingOf({ fact }: LiveConnection, id: string): Binding {
  return { id, deploymentID: fact.deploymentID, origin: 'Mirrored' };
}
