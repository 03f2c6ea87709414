import type { KubeObject, ResourceType } from '../api/meta.ts';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import type { KubeClient } from '../kube/client.ts';
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
  readonly writer: PassWriter;
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

export interface RememberingWriterOptions {
  readonly kube: Pick<KubeClient, 'putStatus' | 'mergePatch'>;
  readonly fieldManager: string;
  /** Gets the answer of every write, for the store to read it back at once. */
  readonly assume: (resource: ResourceType, object: KubeObject) => void;
}

/**
 * Writes status and finalizers, and remembers the version that each write made, so that the echo of our own write
 * wakes nobody.
 */
export class RememberingWriter implements PassWriter {
  readonly #writer: StatusWriter;
  readonly #written = new Map<string, string | undefined>();

  constructor(options: RememberingWriterOptions) {
    this.#writer = new StatusWriter({
      client: options.kube,
      fieldManager: options.fieldManager,
      assume: (resource, object) => {
        this.#written.set(keyOf(resource, object), object.metadata.resourceVersion);
        options.assume(resource, object);
      },
    });
  }

  async writeStatus<T extends KubeObject>(resource: ResourceType, object: T, status: object): Promise<T> {
    const written = await this.#writer.write<KubeObject & { readonly status?: unknown }>(
      resource,
      object,
      status,
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
    return present
      ? this.#writer.addFinalizer(resource, object, finalizer)
      : this.#writer.removeFinalizer(resource, object, finalizer);
  }

  /** Whether this state of the object is the one that our last write made. */
  isOwnWrite(resource: ResourceType, object: KubeObject): boolean {
    const version = object.metadata.resourceVersion;
    return version !== undefined && this.#written.get(keyOf(resource, object)) === version;
  }

  forget(resource: ResourceType, object: KubeObject): void {
    this.#written.delete(keyOf(resource, object));
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
