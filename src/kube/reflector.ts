import { setImmediate } from 'node:timers/promises';
import type { KubeObject, ResourceType } from '../api/meta.ts';
import type { Clock } from '../base/clock.ts';
import { errorText } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import type { KubeClient, SelectOptions } from './client.ts';
import { isAborted } from './deadline.ts';
import {
  errorFromStatus,
  isGone,
  isTooLargeResourceVersion,
  isUnknownKind,
  KubeError,
  type KubeCall,
} from './errors.ts';
import { LineSplitter } from './lines.ts';
import { apiVersionOf, hasVersion, isObjectOf, trimmed, type KubeList } from './objects.ts';
import type { WatchChange } from './store.ts';

export type ReflectorState = 'stopped' | 'listing' | 'watching' | 'backoff';

/** What a reflector reports as it happens. */
export interface ReflectorMetrics {
  stateChanged?(state: ReflectorState): void;
  listed?(items: number, durationMs: number): void;
  watchStarted?(): void;
  eventReceived?(type: string): void;
  failed?(error: unknown): void;
}

export interface ReflectorStats {
  readonly state: ReflectorState;
  /** Complete lists. */
  readonly lists: number;
  /** Watches that the server accepted. */
  readonly watches: number;
  /** Without bookmarks. */
  readonly events: number;
  /** Failed lists and watches, a plain end left out. */
  readonly errors: number;
  /** Milliseconds since the server last said anything about this resource, bookmarks included. */
  readonly lastEventAgeMs: number | undefined;
  /** Why the last list or watch failed; cleared by the next that works. */
  readonly lastError: string | undefined;
}

/** What a reflector feeds: a `Store`, or whatever else keeps what the API server holds of one resource. */
export interface ReflectorSink<T extends KubeObject, Item = T> {
  /**
   * Makes of a listed object what shall be kept of it. Called while the pages come in, so that parsed objects need not
   * pile up until the last. Left out: the object itself is the item. When it throws, the list is as good as broken.
   */
  prepare?(object: T): Item;
  /**
   * Takes a complete list as the truth, in steps of some milliseconds between which others have their turn. Neither
   * `apply` nor `advance` is called before the last step.
   *
   * @param askedAt when the list was asked for, on the monotonic clock: what it shows is of that time or later.
   */
  replaceInSteps(items: readonly Item[], resourceVersion: string, askedAt: number): Iterator<void, void>;
  /** Takes one event of the watch. When it throws, the watch is broken and resumes before this event. */
  apply(change: WatchChange<T>): void;
  /** Notes how far the watch has come without an event. */
  advance(resourceVersion: string): void;
}

export interface ReflectorOptions<T extends KubeObject, Item = T> extends SelectOptions {
  readonly client: Pick<KubeClient, 'list' | 'watch'>;
  readonly resource: ResourceType;
  /** Left out: all namespaces. */
  readonly namespace?: string | undefined;
  readonly store: ReflectorSink<T, Item>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics?: ReflectorMetrics;
  /** Between 0 and 1; default Math.random. */
  readonly random?: () => number;
  /** Items asked for at once; default 500. Choose it so that a page stays below about 5 MB: parsing holds the loop. */
  readonly pageSize?: number;
  /** Silence on the watch that ends it, in milliseconds; default that of the connection. */
  readonly inactivityMs?: number;
  /** Longest pause after a failure, in milliseconds, unless the server asks for more; default 30 s. */
  readonly maxBackoffMs?: number;
  /** Failures that the owner of the reflector tells people of: they are no news for the log. */
  readonly isExpected?: (error: unknown) => boolean;
}

interface Listed<Item> {
  readonly items: Item[];
  readonly resourceVersion: string;
  /** On the monotonic clock. */
  readonly askedAt: number;
}

const PAGE_SIZE = 500;
/** For the list without pages that follows an expired continue token. */
const UNPAGED_MAX_BYTES = 256 * 1024 * 1024;
/** Above the largest object that etcd takes, with room for managedFields. */
const MAX_LINE_BYTES = 16 * 1024 * 1024;
const WATCH_MIN_SECONDS = 300;
const BACKOFF_BASE_MS = 800;
const BACKOFF_MAX_MS = 30_000;
const BACKOFF_MIN_MS = 100;
/** Peace for so long makes the next failure a first one. */
const BACKOFF_RESET_MS = 120_000;
/** A watch that ends sooner than this is followed by a pause, whatever the reason. */
const SHORT_WATCH_MS = 5_000;

/**
 * Keeps a store equal to what the API server holds of one resource: lists page by page, then watches, for ever.
 *
 * A broken, silent or ended watch resumes from the last resourceVersion. Only the server's word that this version is
 * too old (or from a future that a restored backup does not know), or that the kind is unknown, leads to a new list,
 * whose differences are emitted. An answer of 403 or 404 to the list proves nothing about objects: the store keeps what
 * it has.
 */
export class Reflector<T extends KubeObject, Item = T> {
  readonly #options: ReflectorOptions<T, Item>;
  readonly #watchCall: KubeCall;
  readonly #random: () => number;
  #state: ReflectorState = 'stopped';
  #resourceVersion: string | undefined;
  #pageSize: number;
  #failures = 0;
  #lastFailureAt = Number.NEGATIVE_INFINITY;
  #lastHeardAt: number | undefined;
  #lastError: string | undefined;
  readonly #counts = { lists: 0, watches: 0, events: 0, errors: 0 };

  constructor(options: ReflectorOptions<T, Item>) {
    this.#options = options;
    this.#watchCall = { verb: 'watch', target: options.resource.plural };
    this.#random = options.random ?? Math.random;
    this.#pageSize = options.pageSize ?? PAGE_SIZE;
  }

  get state(): ReflectorState {
    return this.#state;
  }

  stats(): ReflectorStats {
    const heard = this.#lastHeardAt;
    return {
      state: this.#state,
      ...this.#counts,
      lastEventAgeMs: heard === undefined ? undefined : this.#options.clock.monotonic() - heard,
      lastError: this.#lastError,
    };
  }

  /** Runs until the signal aborts, and resolves then; no failure ends it. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        this.#resourceVersion ??= await this.#list(signal);
        if (await this.#watch(this.#resourceVersion, signal)) continue;
        await this.#pause(signal);
      } catch (error) {
        if (isAborted(signal)) break;
        this.#failed(error);
        await this.#pause(signal, error);
      }
    }
    this.#enter('stopped');
  }

  /** Lists everything into the store; answers the resourceVersion to watch from. */
  async #list(signal: AbortSignal): Promise<string> {
    const { clock, store, metrics } = this.#options;
    this.#enter('listing');
    const started = clock.monotonic();
    const { items, resourceVersion, askedAt } = await this.#readAll(signal);
    const steps = store.replaceInSteps(items, resourceVersion, askedAt);
    while (steps.next().done !== true) await setImmediate();
    this.#counts.lists++;
    this.#heard();
    metrics?.listed?.(items.length, clock.monotonic() - started);
    return resourceVersion;
  }

  /**
   * A continue token lasts for minutes, so one that has expired tells of a page that was held up, by a frozen process
   * for instance: the pages begin anew. When that happens again, paging takes longer than the server's history lasts,
   * and one answer must do for all, although taking it in holds the event loop.
   */
  async #readAll(signal: AbortSignal): Promise<Listed<Item>> {
    return (await this.#readPages(signal)) ?? (await this.#readPages(signal)) ?? this.#readAtOnce(signal);
  }

  /** Undefined when a continue token was too old. */
  async #readPages(signal: AbortSignal): Promise<Listed<Item> | undefined> {
    const askedAt = this.#options.clock.monotonic();
    const items: Item[] = [];
    let token: string | undefined;
    for (;;) {
      const page = await this.#readPage(token, signal);
      if (page === 'expired') return undefined;
      await this.#prepare(page.items, items);
      token = page.metadata.continue;
      if (token === undefined || token === '')
        return { items, resourceVersion: page.metadata.resourceVersion, askedAt };
      // Parsing a page takes milliseconds; others must get their turn in between.
      await setImmediate();
    }
  }

  /** A page, halved until it is not too large; `expired` when the continue token is too old. */
  async #readPage(token: string | undefined, signal: AbortSignal): Promise<KubeList<T> | 'expired'> {
    const { client, resource, namespace, labelSelector, fieldSelector } = this.#options;
    for (;;) {
      try {
        const selection = { labelSelector, fieldSelector, limit: this.#pageSize, continue: token };
        return await client.list<T>(resource, namespace, { ...selection, signal });
      } catch (error) {
        if (token !== undefined && isGone(error)) return 'expired';
        const tooLarge = error instanceof KubeError && error.code === 'KUBE_ANSWER_TOO_LARGE';
        if (!tooLarge || this.#pageSize === 1) throw error;
        this.#pageSize = Math.ceil(this.#pageSize / 2);
      }
    }
  }

  async #readAtOnce(signal: AbortSignal): Promise<Listed<Item>> {
    const { client, resource, namespace, labelSelector, fieldSelector, clock } = this.#options;
    const askedAt = clock.monotonic();
    const options = { labelSelector, fieldSelector, maxBytes: UNPAGED_MAX_BYTES, signal };
    const list = await client.list<T>(resource, namespace, options);
    const items: Item[] = [];
    await this.#prepare(list.items, items);
    return { items, resourceVersion: list.metadata.resourceVersion, askedAt };
  }

  async #prepare(objects: readonly T[], items: Item[]): Promise<void> {
    const { store, clock } = this.#options;
    for (const listed of objects) {
      const object = this.#complete(listed);
      // Without `prepare`, Item is T.
      items.push(store.prepare === undefined ? (object as unknown as Item) : store.prepare(object));
      const pause = clock.breathe();
      if (pause !== undefined) await pause;
    }
  }

  /** Watches until the stream ends. Answers whether the next watch may follow at once. */
  async #watch(resourceVersion: string, signal: AbortSignal): Promise<boolean> {
    const { client, resource, namespace, labelSelector, fieldSelector, inactivityMs, clock } = this.#options;
    const started = clock.monotonic();
    // Spread, or all watches of a fleet would end in the same second for ever.
    const timeoutSeconds = Math.round(WATCH_MIN_SECONDS * (1 + this.#random()));
    try {
      const stream = await client.watch(resource, namespace, {
        resourceVersion,
        timeoutSeconds,
        allowWatchBookmarks: true,
        labelSelector,
        fieldSelector,
        inactivityMs,
        signal,
      });
      this.#counts.watches++;
      this.#lastError = undefined;
      this.#options.metrics?.watchStarted?.();
      this.#heard();
      this.#enter('watching');
      await this.#follow(stream);
    } catch (error) {
      // A kind that comes back has a history of its own.
      if (isUnknownKind(error)) this.#resourceVersion = undefined;
      if (!isGone(error) && !isTooLargeResourceVersion(error)) throw error;
      this.#options.logger.debug('the watch needs a new list', this.#fields(error));
      this.#resourceVersion = undefined;
    }
    return clock.monotonic() - started >= SHORT_WATCH_MS;
  }

  async #follow(stream: AsyncIterable<Uint8Array>): Promise<void> {
    const { clock } = this.#options;
    const splitter = new LineSplitter(MAX_LINE_BYTES);
    for await (const chunk of stream) {
      for (const line of splitter.push(chunk)) {
        this.#take(line);
        // One chunk can bring dozens of events, and one event can set off much work.
        const pause = clock.breathe();
        if (pause !== undefined) await pause;
      }
      this.#heard();
    }
    if (splitter.pendingBytes > 0) throw this.#broken('the stream ended within a line');
  }

  #take(line: string): void {
    const { store, metrics } = this.#options;
    const event = parseEvent(line);
    if (event === undefined) throw this.#broken('a line is not a watch event');
    if (event.type === 'ERROR') throw errorFromStatus(this.#watchCall, event.object);
    if (event.type === 'BOOKMARK') {
      if (!hasVersion(event.object)) throw this.#broken('a bookmark holds no version');
      store.advance(event.object.metadata.resourceVersion);
      this.#resourceVersion = event.object.metadata.resourceVersion;
    } else {
      const object = this.#complete(event.object);
      store.apply({ type: event.type, object });
      this.#counts.events++;
      this.#resourceVersion = object.metadata.resourceVersion;
    }
    metrics?.eventReceived?.(event.type);
  }

  /**
   * Items of a list come without apiVersion and kind. Trimmed here, page by page, although the store would do it too:
   * for all objects at once it would hold the event loop for too long.
   */
  #complete(object: unknown): T {
    const { resource } = this.#options;
    // Better to begin anew once too often than to keep a wrong object.
    if (!isObjectOf(resource, object)) throw this.#broken(`something came that is no ${resource.kind}`);
    const lean = trimmed(object as T);
    if (lean.apiVersion !== undefined && lean.kind !== undefined) return lean;
    return { ...lean, apiVersion: apiVersionOf(resource), kind: resource.kind };
  }

  #broken(why: string): KubeError {
    const message = `What the API server sends of ${this.#options.resource.plural} is broken: ${why}`;
    return new KubeError('KUBE_BAD_ANSWER', message, { retryable: true });
  }

  #failed(error: unknown): void {
    this.#counts.errors++;
    this.#lastError = errorText(error);
    this.#options.metrics?.failed?.(error);
    const fields = this.#fields(error);
    // One failure of a watch is everyday life; a list that fails, or the third failure in a row, is news.
    const news = this.#resourceVersion === undefined || this.#failures >= 2;
    if (news && this.#options.isExpected?.(error) !== true)
      this.#options.logger.warn('list or watch failed; trying again', fields);
    else this.#options.logger.debug('list or watch failed; trying again', fields);
  }

  /** Exponential with full jitter, and at least as long as the server asks. */
  async #pause(signal: AbortSignal, error?: unknown): Promise<void> {
    const { clock, maxBackoffMs = BACKOFF_MAX_MS } = this.#options;
    if (clock.monotonic() - this.#lastFailureAt > BACKOFF_RESET_MS) this.#failures = 0;
    const ceiling = Math.min(maxBackoffMs, BACKOFF_BASE_MS * 2 ** Math.min(this.#failures, 16));
    const jittered = Math.max(BACKOFF_MIN_MS, ceiling * this.#random());
    const asked = error instanceof KubeError ? (error.retryAfterMs ?? 0) : 0;
    this.#failures++;
    this.#enter('backoff');
    await clock.sleep(Math.max(jittered, asked), signal).catch(() => undefined);
    this.#lastFailureAt = clock.monotonic();
  }

  #heard(): void {
    this.#lastHeardAt = this.#options.clock.monotonic();
  }

  #enter(state: ReflectorState): void {
    if (this.#state === state) return;
    this.#state = state;
    this.#options.metrics?.stateChanged?.(state);
  }

  #fields(error: unknown): Readonly<Record<string, unknown>> {
    return {
      resource: this.#options.resource.plural,
      namespace: this.#options.namespace,
      error: errorText(error),
    };
  }
}

interface RawEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: unknown;
}

const EVENT_TYPES: ReadonlySet<unknown> = new Set(['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK', 'ERROR']);

function parseEvent(line: string): RawEvent | undefined {
  let event: unknown;
  try {
    event = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (typeof event !== 'object' || event === null || !('type' in event) || !('object' in event))
    return undefined;
  return EVENT_TYPES.has(event.type) ? (event as RawEvent) : undefined;
}
