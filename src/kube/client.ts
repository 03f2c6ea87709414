import type { KubeObject, ResourceType } from '../api/meta.ts';
import { KubeError, type KubeVerb } from './errors.ts';
import { apiVersionOf, hasVersion, resourcePath, type KubeList, type PathParts } from './objects.ts';
import { KubeTransport, type Exchange, type TransportOptions } from './transport.ts';

export type KubeClientOptions = TransportOptions;

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  /** For credentials, request and answer together, in milliseconds; default 10 s, for a list 60 s. */
  readonly deadlineMs?: number | undefined;
  /** Largest answer accepted, in bytes; default 16 MiB, for a list 32 MiB. */
  readonly maxBytes?: number | undefined;
}

export interface SelectOptions {
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
}

export interface ListOptions extends CallOptions, SelectOptions {
  /** Most items of a page; left out: all. */
  readonly limit?: number | undefined;
  /** Token of the page before. */
  readonly continue?: string | undefined;
  /** Left out: as fresh as a write just made. `'0'`: whatever the server's cache holds. */
  readonly resourceVersion?: string | undefined;
}

export interface WriteOptions extends CallOptions {
  readonly fieldManager?: string | undefined;
}

export interface PatchOptions extends WriteOptions {
  readonly subresource?: string | undefined;
}

export interface DeleteOptions extends CallOptions {
  /** The delete fails with a Conflict when the object is not this one any more. */
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
  readonly propagationPolicy?: 'Background' | 'Foreground' | 'Orphan';
}

export interface WatchOptions extends SelectOptions {
  /** Events after this one. */
  readonly resourceVersion: string;
  /** The server ends the stream after this many seconds. */
  readonly timeoutSeconds: number;
  readonly allowWatchBookmarks?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Life of the stream in milliseconds, should the server not end it; default `timeoutSeconds` and 15 s. */
  readonly deadlineMs?: number | undefined;
  /** Silence that ends the stream with an error, in milliseconds; default that of the connection. */
  readonly inactivityMs?: number | undefined;
}

/** An object to be created; apiVersion and kind are filled in. */
export interface NewObject {
  readonly metadata?: { readonly name?: string; readonly namespace?: string };
}

const CALL_DEADLINE_MS = 10_000;
const LIST_DEADLINE_MS = 60_000;
const WATCH_GRACE_MS = 15_000;
const MAX_BYTES = 16 * 1024 * 1024;
const LIST_MAX_BYTES = 32 * 1024 * 1024;

/**
 * The calls to the API server that this program makes. Objects are plain JSON, so that fields of newer API versions
 * pass through untouched. Every method throws a KubeError for what the server or the network did, and the signal's
 * reason when the caller aborts; nothing is tried again but what KubeTransport says.
 */
export class KubeClient {
  readonly #transport: KubeTransport;

  constructor(options: KubeClientOptions) {
    this.#transport = new KubeTransport(options);
  }

  get<T extends KubeObject>(
    resource: ResourceType,
    namespace: string | undefined,
    name: string,
    options: CallOptions = {},
  ): Promise<T> {
    return this.#call<T>(exchange('get', 'GET', resource, { namespace, name }), options);
  }

  /**
   * One page; without `limit` everything.
   *
   * @throws KubeError KUBE_BAD_ANSWER also for JSON that is no list: taken for an empty one, it would stand for the
   *   deletion of everything.
   */
  async list<T extends KubeObject>(
    resource: ResourceType,
    namespace: string | undefined,
    options: ListOptions = {},
  ): Promise<KubeList<T>> {
    const { limit, continue: token, resourceVersion, labelSelector, fieldSelector } = options;
    const query = { limit, continue: token, resourceVersion, labelSelector, fieldSelector };
    const what = { ...exchange('list', 'GET', resource, { namespace }), query };
    const answer = await this.#call<KubeList<T>>(what, {
      signal: options.signal,
      deadlineMs: options.deadlineMs ?? LIST_DEADLINE_MS,
      maxBytes: options.maxBytes ?? LIST_MAX_BYTES,
    });
    if (hasVersion(answer) && Array.isArray(answer.items)) return answer;
    throw new KubeError('KUBE_BAD_ANSWER', `The answer to list ${what.call.target} is not a list`, {
      retryable: true,
    });
  }

  /** POST of an object; also of those that only ask something, such as a SubjectAccessReview. */
  create<T extends KubeObject>(
    resource: ResourceType,
    object: NewObject,
    options: WriteOptions = {},
  ): Promise<T> {
    const namespace = object.metadata?.namespace;
    const body = { apiVersion: apiVersionOf(resource), kind: resource.kind, ...object };
    return this.#write<T>({ ...exchange('create', 'POST', resource, { namespace }), body }, options);
  }

  /** PUT of the whole object; its resourceVersion guards against a stale copy. */
  replace<T extends KubeObject>(resource: ResourceType, object: T, options: WriteOptions = {}): Promise<T> {
    const { namespace, name } = object.metadata;
    const body = { apiVersion: apiVersionOf(resource), kind: resource.kind, ...object };
    return this.#write<T>({ ...exchange('update', 'PUT', resource, { namespace, name }), body }, options);
  }

  /**
   * PUT to the status subresource with a minimal body: the server takes nothing but the status from it. The uid and
   * resourceVersion of `object` make it fail with a Conflict on a stale copy or on a namesake.
   */
  putStatus<T extends KubeObject>(
    resource: ResourceType,
    object: T,
    status: unknown,
    options: WriteOptions = {},
  ): Promise<T> {
    const { namespace, name, uid, resourceVersion } = object.metadata;
    const body = {
      apiVersion: apiVersionOf(resource),
      kind: resource.kind,
      metadata: { namespace, name, uid, resourceVersion },
      status,
    };
    const parts = { namespace, name, subresource: 'status' };
    return this.#write<T>({ ...exchange('update', 'PUT', resource, parts), body }, options);
  }

  /** JSON merge patch. Put `metadata.resourceVersion` into the body wherever a list is replaced. */
  mergePatch<T extends KubeObject>(
    resource: ResourceType,
    namespace: string | undefined,
    name: string,
    body: unknown,
    options: PatchOptions = {},
  ): Promise<T> {
    const parts = { namespace, name, subresource: options.subresource };
    const contentType = 'application/merge-patch+json';
    return this.#write<T>({ ...exchange('patch', 'PATCH', resource, parts), body, contentType }, options);
  }

  async delete(
    resource: ResourceType,
    namespace: string | undefined,
    name: string,
    options: DeleteOptions = {},
  ): Promise<void> {
    const { preconditions, propagationPolicy } = options;
    const body = { apiVersion: 'v1', kind: 'DeleteOptions', preconditions, propagationPolicy };
    await this.#call({ ...exchange('delete', 'DELETE', resource, { namespace, name }), body }, options);
  }

  /** GET of a path that is no resource, such as `/version`. The path goes out as it is given. */
  getPath<T>(path: `/${string}`, options: CallOptions = {}): Promise<T> {
    return this.#call<T>({ call: { verb: 'get', target: path }, resource: '', method: 'GET', path }, options);
  }

  /** The raw bytes of a watch: lines of JSON. Resolves once the server has accepted it. */
  watch(
    resource: ResourceType,
    namespace: string | undefined,
    options: WatchOptions,
  ): Promise<AsyncIterable<Uint8Array>> {
    const { signal, deadlineMs, inactivityMs, ...selection } = options;
    return this.#transport.stream(
      { ...exchange('watch', 'GET', resource, { namespace }), query: { watch: true, ...selection } },
      { signal, inactivityMs, deadlineMs: deadlineMs ?? options.timeoutSeconds * 1000 + WATCH_GRACE_MS },
    );
  }

  #write<T>(what: Exchange, options: WriteOptions): Promise<T> {
    return this.#call<T>({ ...what, query: { fieldManager: options.fieldManager } }, options);
  }

  #call<T>(what: Exchange, options: CallOptions): Promise<T> {
    return this.#transport.send<T>(what, {
      signal: options.signal,
      deadlineMs: options.deadlineMs ?? CALL_DEADLINE_MS,
      maxBytes: options.maxBytes ?? MAX_BYTES,
    });
  }
}

function exchange(
  verb: KubeVerb,
  method: Exchange['method'],
  resource: ResourceType,
  parts: PathParts,
): Exchange {
  const { namespace, name, subresource } = parts;
  const plural = subresource === undefined ? resource.plural : `${resource.plural}/${subresource}`;
  const where = [namespace, name].filter((part) => part !== undefined).join('/');
  return {
    call: { verb, target: where === '' ? plural : `${plural} ${where}` },
    resource: plural,
    method,
    path: resourcePath(resource, parts),
  };
}
