import type { KubeObject, ResourceType } from '../api/meta.ts';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import type { KubeClient } from '../kube/client.ts';
import { isNotFound } from '../kube/errors.ts';
import type { Connections, LiveConnection } from './connections.ts';
import type { Deletions } from './deletions.ts';
import { NotConnectedError, SuspendedError } from './notconnected.ts';
import type { Settings } from './settings.ts';
import type { StepEvent } from './step.ts';
import type { ContentSources } from './template/sources.ts';
import type { ValueResolver } from './values.ts';
import type { ObjectWriter } from './writer.ts';

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
