import type { KubeObject, ResourceType } from '../api/meta.ts';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import type { KubeClient, NewObject } from '../kube/client.ts';
import { isNotFound } from '../kube/errors.ts';
import { objectKey } from '../kube/objects.ts';
import { StatusWriter } from '../kube/status.ts';
import type { Connections, LiveConnection } from './connections.ts';
import type { Deletions } from './deletions.ts';
import { NotConnectedError, SuspendedError } from './notconnected.ts';
import type { PassWriter } from './pass.ts';
import type { Settings } from './settings.ts';
import type { StepEvent } from './step.ts';
import type { ContentSources } from './template/sources.ts';
import type { ValueResolver } from './values.ts';

/** What every reconciler of one term of leadership shares. */
export interface Context {
  readonly kube: KubeClient;
  readonly writer: ObjectWriter;
  readonly connections: Connections;
  readonly deletions: Deletions;
  readonly values: ValueResolver;
  readonly content: ContentSources;
  readonly settings: Settings;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly epoch: string;
  readonly assertLeading: () => void;
  /** Told when a version may have been left in Coder that belongs to no template. */
  readonly onVersionLeft?: (() => void) | undefined;
  readonly emit: (object: KubeObject, event: StepEvent) => void;
  readonly signal: AbortSignal;
}

/** An object to be created, under a name of our choice. */
export interface NamedObject extends NewObject {
  readonly metadata: { readonly name: string; readonly namespace: string };
}

/** Where passes write to: what belongs to users, and the objects of our own. */
export interface ObjectWriter extends PassWriter {
  /** @throws KubeError, `isAlreadyExists` when the name is taken. */
  create<T extends KubeObject>(resource: ResourceType, object: NamedObject, manager: string): Promise<T>;
  /** Sets labels, and with null takes them off. @throws KubeError on a stale copy. */
  setLabels<T extends KubeObject>(
    resource: ResourceType,
    object: T,
    labels: Readonly<Record<string, string | null>>,
    manager: string,
  ): Promise<T>;
  /** Deletes just this state of an object; that it is gone already is as good. @throws KubeError on a stale copy. */
  remove(resource: ResourceType, object: KubeObject): Promise<void>;
}

export interface RememberingWriterOptions {
  readonly kube: Pick<KubeClient, 'putStatus' | 'mergePatch' | 'create' | 'delete'>;
  readonly fieldManager: string;
  /** Gets the answer of every write, for the store to read it back at once. */
  readonly assume: (resource: ResourceType, object: KubeObject) => void;
}

/**
 * Writes status and finalizers, and remembers the version that each write made, so that the echo of our own write
 * wakes nobody.
 */
export class RememberingWriter implements ObjectWriter {
  readonly #options: RememberingWriterOptions;
  readonly #writer: StatusWriter;
  readonly #written = new Map<string, string | undefined>();
  /** Writes whose answer is awaited: how many of an object, and what is to be done when all have come. */
  readonly #underWay = new Map<string, { count: number; readonly waiting: (() => void)[] }>();

  constructor(options: RememberingWriterOptions) {
    this.#options = options;
    this.#writer = new StatusWriter({
      client: options.kube,
      fieldManager: options.fieldManager,
      assume: (resource, object) => this.#assume(resource, object),
    });
  }

  async writeStatus<T extends KubeObject>(resource: ResourceType, object: T, status: object): Promise<T> {
    const written = await this.#during(resource, object, () =>
      this.#writer.write<KubeObject & { readonly status?: unknown }>(resource, object, status),
    );
    // The API server answers with the same kind of object that it was sent.
    return written === undefined ? object : (written as T);
  }

  async setFinalizer<T extends KubeObject>(
    resource: ResourceType,
    object: T,
    finalizer: string,
    present: boolean,
  ): Promise<T | undefined> {
    return this.#during(resource, object, () =>
      present
        ? this.#writer.addFinalizer(resource, object, finalizer)
        : this.#writer.removeFinalizer(resource, object, finalizer),
    );
  }

  async create<T extends KubeObject>(
    resource: ResourceType,
    object: NamedObject,
    fieldManager: string,
  ): Promise<T> {
    return this.#during(resource, object, async () => {
      const created = await this.#options.kube.create<T>(resource, object, { fieldManager });
      this.#assume(resource, created);
      return created;
    });
  }

  async setLabels<T extends KubeObject>(
    resource: ResourceType,
    object: T,
    labels: Readonly<Record<string, string | null>>,
    fieldManager: string,
  ): Promise<T> {
    const { namespace, name, uid, resourceVersion } = object.metadata;
    const patch = { metadata: { uid, resourceVersion, labels } };
    return this.#during(resource, object, async () => {
      const answer = await this.#options.kube.mergePatch<T>(resource, namespace, name, patch, {
        fieldManager,
      });
      this.#assume(resource, answer);
      return answer;
    });
  }

  async remove(resource: ResourceType, object: KubeObject): Promise<void> {
    const { namespace, name, uid, resourceVersion } = object.metadata;
    const preconditions = {
      ...(uid === undefined ? {} : { uid }),
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
    };
    try {
      await this.#options.kube.delete(resource, namespace, name, { preconditions });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }

  /** Whether this state of the object is the one that our last write made. */
  isOwnWrite(resource: ResourceType, object: KubeObject): boolean {
    const version = object.metadata.resourceVersion;
    return version !== undefined && this.#written.get(keyOf(resource, object)) === version;
  }

  /**
   * Calls back once no write on the object is under way, at once when none is. The watch often tells of a write before
   * its answer is there: whose it was is known only then.
   */
  afterWrite(resource: ResourceType, object: KubeObject, then: () => void): void {
    const underWay = this.#underWay.get(keyOf(resource, object));
    if (underWay === undefined) then();
    else underWay.waiting.push(then);
  }

  forget(resource: ResourceType, object: KubeObject): void {
    this.#written.delete(keyOf(resource, object));
  }

  #assume(resource: ResourceType, object: KubeObject): void {
    this.#written.set(keyOf(resource, object), object.metadata.resourceVersion);
    this.#options.assume(resource, object);
  }

  async #during<T>(resource: ResourceType, object: KubeObject, write: () => Promise<T>): Promise<T> {
    const key = keyOf(resource, object);
    const underWay = this.#underWay.get(key) ?? { count: 0, waiting: [] };
    this.#underWay.set(key, underWay);
    underWay.count++;
    try {
      return await write();
    } finally {
      underWay.count--;
      if (underWay.count === 0) {
        this.#underWay.delete(key);
        for (const then of underWay.waiting) then();
      }
    }
  }
}

/** What a pass needs of the context, the same for every kind. */
export function passContext(
  context: Context,
): Pick<Context, 'writer' | 'assertLeading' | 'epoch' | 'clock' | 'emit'> {
  const { writer, assertLeading, epoch, clock, emit } = context;
  return { writer, assertLeading, epoch, clock, emit };
}

/**
 * Whether everything in an object's Coder is still to be looked at for the first time: an object that rests waits for
 * that, or after a restart each would be read by itself.
 */
export function isTooEarly(context: Context, object: KubeObject): boolean {
  const namespace = object.metadata.namespace ?? '';
  const isReady = context.connections.fact(namespace).state === 'ready';
  return isReady && context.connections.live(namespace)?.observer.hasLooked === false;
}

/**
 * A last look right before something is sent: whether this process still leads, and whether the control plane was
 * suspended since the decision.
 *
 * @throws LeadershipLostError, SuspendedError. Nothing is sent then.
 */
export function assertMaySend(context: Context, namespace: string): void {
  context.assertLeading();
  if (context.connections.isSuspended(namespace)) throw new SuspendedError(namespace);
}

/** The connection of an object's namespace, working or as it last was. @throws NotConnectedError */
export function liveConnection(context: Context, object: KubeObject): LiveConnection {
  const namespace = object.metadata.namespace ?? '';
  const live = context.connections.live(namespace);
  if (live === undefined) throw new NotConnectedError(namespace);
  return live;
}

function keyOf(resource: ResourceType, object: KubeObject): string {
  return `${resource.plural}/${objectKey(object)}`;
}

const definitions: ResourceType = {
  group: 'apiextensions.k8s.io',
  version: 'v1',
  plural: 'customresourcedefinitions',
  kind: 'CustomResourceDefinition',
  namespaced: false,
};

/** The CRD of a kind, or undefined when it is not installed. */
export async function readDefinition(
  kube: KubeClient,
  resource: ResourceType,
): Promise<KubeObject | undefined> {
  try {
    return await kube.get(definitions, undefined, `${resource.plural}.${resource.group}`);
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

/** Whether the kind itself is being removed from the cluster, or is gone already. Asked of the API server each time. */
export async function isBeingUninstalled(kube: KubeClient, resource: ResourceType): Promise<boolean> {
  const definition = await readDefinition(kube, resource);
  return definition?.metadata.deletionTimestamp !== undefined || definition === undefined;
}
