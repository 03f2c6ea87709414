import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { partOf } from '../../src/api/kinds.ts';
import { apiVersionOf, type KubeList } from '../../src/kube/objects.ts';
import type { KubeObject, ResourceType } from '../../src/api/meta.ts';
import type { Clock } from '../../src/base/clock.ts';
import type {
  DeleteOptions,
  KubeClient,
  NewObject,
  PatchOptions,
  WriteOptions,
} from '../../src/kube/client.ts';
import { KubeError } from '../../src/kube/errors.ts';
import type { Store } from '../../src/kube/store.ts';
import { assertConditions, type ConditionedStatus } from './conditions.ts';
import { wired } from './controller-kube.ts';

/** What any object may hold. */
export interface AnyObject extends KubeObject {
  readonly spec?: object;
  readonly status?: ConditionedStatus & Readonly<Record<string, unknown>>;
}

interface ManagedFields {
  readonly manager: string;
  readonly fieldsV1: object;
}

/** What the operator, or somebody else, has written. */
export interface Write {
  readonly verb: 'create' | 'status' | 'patch' | 'delete';
  readonly resource: ResourceType;
  readonly name: string;
  /** Left out for other people. */
  readonly manager: string | undefined;
  /** The object before and after; undefined when it was not there, or is gone. */
  readonly before: AnyObject | undefined;
  readonly after: AnyObject | undefined;
}

const UNSEEN = { observedGeneration: -1 };

/**
 * The API server's part for a whole operator, in memory and in virtual time: names that are taken, versions,
 * generations, preconditions, finalizers, and stores that hear of everything a little later. Whatever status is written
 * is held to the rules of conditions.
 */
export class MemoryKube {
  readonly #clock: Clock;
  readonly #objects = new Map<string, AnyObject>();
  readonly #stores = new Map<string, Store<AnyObject>>();
  #version = 1;
  /** What stores hear of is so old, in milliseconds. */
  lagMs = 5;
  /** Of the namespace, which is being deleted. */
  isTerminating = false;
  /** Told of each write that changed something. */
  onWrite: (write: Write) => void = () => undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** This, where a real client is asked for. */
  get client(): KubeClient {
    const client: Pick<KubeClient, 'get' | 'list' | 'create' | 'putStatus' | 'mergePatch' | 'delete'> = {
      get: <T extends KubeObject>(resource: ResourceType, namespace: string | undefined, name: string) =>
        answer(() => this.#found(resource, namespace, name) as unknown as T),
      list: <T extends KubeObject>(resource: ResourceType) =>
        answer((): KubeList<T> => ({
          metadata: { resourceVersion: String(this.#version) },
          items: this.all(resource) as unknown as T[],
        })),
      create: <T extends KubeObject>(resource: ResourceType, object: NewObject, options?: WriteOptions) =>
        answer(() => this.create(resource, object, options?.fieldManager) as unknown as T),
      putStatus: <T extends KubeObject>(
        resource: ResourceType,
        object: T,
        status: unknown,
        options?: WriteOptions,
      ) =>
        answer(
          () => this.#putStatus(resource, object.metadata, status, options?.fieldManager) as unknown as T,
        ),
      mergePatch: <T extends KubeObject>(
        resource: ResourceType,
        _namespace: string | undefined,
        name: string,
        body: unknown,
        options?: PatchOptions,
      ) => answer(() => this.patch(resource, name, body, options?.fieldManager) as unknown as T),
      delete: (
        resource: ResourceType,
        _namespace: string | undefined,
        name: string,
        options?: DeleteOptions,
      ) => answer(() => this.delete(resource, name, options?.preconditions, 'operator')),
    };
    return client as unknown as KubeClient;
  }

  all({ plural }: ResourceType): readonly AnyObject[] {
    return [...this.#objects].filter(([key]) => key.startsWith(`${plural}/`)).map(([, object]) => object);
  }

  get({ plural }: ResourceType, name: string): AnyObject | undefined {
    return this.#objects.get(`${plural}/${name}`);
  }

  /** The store is filled, and hears of everything from now on. The answer ends that. */
  feed<T extends KubeObject>(resource: ResourceType, store: Store<T>): () => void {
    const fed = store as unknown as Store<AnyObject>;
    fed.replace(this.all(resource), String(this.#version));
    this.#stores.set(resource.plural, fed);
    return () => {
      if (this.#stores.get(resource.plural) === fed) this.#stores.delete(resource.plural);
    };
  }

  /** @throws KubeError */
  create(resource: ResourceType, { metadata = {}, ...rest }: NewObject, manager?: string): AnyObject {
    const { name = randomUUID(), namespace } = metadata;
    if (this.isTerminating && resource.namespaced) {
      throw refusal(403, 'Forbidden', 'the namespace is being terminated', 'NamespaceTerminating');
    }
    if (this.get(resource, name) !== undefined) throw refusal(409, 'AlreadyExists', `${name} already exists`);
    const { labels } = metadata as KubeObject['metadata'];
    const isOurs = resource.group !== '';
    return this.#put('create', resource, undefined, manager, {
      ...(isOurs ? { spec: {}, status: UNSEEN } : {}),
      ...(wired(rest) as object),
      apiVersion: apiVersionOf(resource),
      kind: resource.kind,
      metadata: {
        ...metadata,
        name,
        ...(namespace === undefined ? {} : { namespace }),
        uid: randomUUID(),
        generation: 1,
        creationTimestamp: new Date(this.#clock.now()).toISOString(),
        ...managing([], manager, Object.keys(labels ?? {})),
      },
    });
  }

  /** A JSON merge patch. @throws KubeError */
  patch(resource: ResourceType, name: string, body: unknown, manager?: string): AnyObject {
    const before = this.#found(resource, undefined, name);
    const { metadata = {}, ...rest } = body as { readonly metadata?: Partial<KubeObject['metadata']> };
    admit(before, metadata);
    // These only say which state of the object is meant.
    const changes = { ...metadata, uid: undefined, resourceVersion: undefined };
    const after = merged(before, { ...rest, metadata: changes }) as AnyObject;
    const { generation = 1 } = before.metadata;
    const isWished = !isDeepStrictEqual(after.spec, before.spec);
    return this.#put('patch', resource, before, manager, {
      ...after,
      metadata: {
        ...after.metadata,
        generation: isWished ? generation + 1 : generation,
        ...managing(managedFieldsOf(before), manager, Object.keys(metadata.labels ?? {})),
      },
    });
  }

  /** @throws KubeError */
  delete(
    resource: ResourceType,
    name: string,
    preconditions: DeleteOptions['preconditions'] = {},
    manager?: string,
  ): void {
    const before = this.#found(resource, undefined, name);
    admit(before, preconditions);
    const deletionTimestamp = before.metadata.deletionTimestamp ?? new Date(this.#clock.now()).toISOString();
    this.#put('delete', resource, before, manager, {
      ...before,
      metadata: { ...before.metadata, deletionTimestamp },
    });
  }

  #putStatus(
    resource: ResourceType,
    metadata: KubeObject['metadata'],
    status: unknown,
    manager: string | undefined,
  ): AnyObject {
    const before = this.#found(resource, undefined, metadata.name);
    admit(before, metadata);
    const next = wired(status) as AnyObject['status'];
    assertConditions(next, before.metadata.generation ?? 0);
    return this.#put('status', resource, before, manager, {
      ...before,
      ...(next === undefined ? {} : { status: next }),
    });
  }

  /** Stores the object; one that is being deleted and that nothing holds is gone. */
  #put(
    verb: Write['verb'],
    resource: ResourceType,
    before: AnyObject | undefined,
    manager: string | undefined,
    next: AnyObject,
  ): AnyObject {
    // As the real one: what changes nothing is no write.
    if (isDeepStrictEqual(before, next)) return next;
    const metadata = { ...next.metadata, resourceVersion: String(++this.#version) };
    const after = { ...next, metadata };
    const isGone = metadata.deletionTimestamp !== undefined && (metadata.finalizers ?? []).length === 0;
    const key = `${resource.plural}/${metadata.name}`;
    if (isGone) this.#objects.delete(key);
    else this.#objects.set(key, after);
    const { name } = metadata;
    this.onWrite({ verb, resource, name, manager, before, after: isGone ? undefined : after });
    const type = isGone ? 'DELETED' : before === undefined ? 'ADDED' : 'MODIFIED';
    const store = this.#stores.get(resource.plural);
    if (store !== undefined) {
      this.#clock.after(this.lagMs, () => {
        // A process that has ended hears nothing any more, and its successor was told already.
        if (this.#stores.get(resource.plural) === store) store.apply({ type, object: after });
      });
    }
    return after;
  }

  #found(resource: ResourceType, namespace: string | undefined, name: string): AnyObject {
    const object = this.get(resource, name);
    if (object !== undefined) return object;
    // The CRDs, which are there and ours.
    if (namespace === undefined && resource.plural === 'customresourcedefinitions') {
      return { metadata: { name, labels: { [partOf.key]: partOf.value } } };
    }
    throw refusal(404, 'NotFound', `${name} not found`);
  }
}

function answer<T>(act: () => T): Promise<T> {
  return new Promise((resolve) => resolve(act()));
}

/** @throws KubeError for a stale copy, or for another object of that name. */
function admit({ metadata }: AnyObject, wished: Partial<KubeObject['metadata']>): void {
  const isSame = (one: unknown, other: unknown): boolean => one === undefined || one === other;
  if (!isSame(wished.uid, metadata.uid) || !isSame(wished.resourceVersion, metadata.resourceVersion)) {
    throw refusal(409, 'Conflict', 'the object has been modified');
  }
}

function refusal(status: number, reason: string, message: string, cause?: string): KubeError {
  const causes = cause === undefined ? [] : [{ reason: cause }];
  return new KubeError('KUBE_REFUSED', message, { status, reason, causes });
}

/** As the API server merges: null takes a field out. */
function merged(value: unknown, patch: unknown): unknown {
  if (!isRecord(patch)) return patch;
  const before = isRecord(value) ? value : {};
  const changes = Object.entries(patch).filter(([, change]) => change !== undefined);
  const kept = Object.entries(before).filter(([key]) => patch[key] !== null);
  const changed = changes
    .filter(([, change]) => change !== null)
    .map(([key, change]) => [key, merged(before[key], change)] as const);
  return Object.fromEntries([...kept, ...changed]);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function managedFieldsOf({ metadata }: AnyObject): readonly ManagedFields[] {
  return (metadata as { readonly managedFields?: readonly ManagedFields[] }).managedFields ?? [];
}

/** Whose which labels are; of other fields nobody asks. */
function managing(
  before: readonly ManagedFields[],
  manager: string | undefined,
  labels: readonly string[],
): object {
  if (manager === undefined || labels.length === 0)
    return before.length === 0 ? {} : { managedFields: before };
  const own = Object.fromEntries(labels.map((label) => [`f:${label}`, {}]));
  const others = before.filter((entry) => entry.manager !== manager);
  return {
    managedFields: [...others, { manager, fieldsV1: { 'f:metadata': { 'f:labels': own } } }],
  };
}
