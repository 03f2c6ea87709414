import type { KubeObject } from '../api/meta.ts';
import { errorText } from '../base/errors.ts';
import { silentLogger, type Logger } from '../base/logger.ts';
import { compareResourceVersions, objectKey, trimmed } from './objects.ts';

/** A change of the store. An object that was deleted and created again under its name shows as both. */
export interface StoreEvent<T extends KubeObject> {
  readonly type: 'added' | 'modified' | 'deleted';
  /** `namespace/name`. */
  readonly key: string;
  /** For `deleted` the last state known. */
  readonly object: T;
  /** What a modified object was before. */
  readonly previous?: T;
}

/** A change as a watch delivers it. */
export interface WatchChange<T extends KubeObject> {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly object: T;
}

/** The values under which an object is found in an index. */
export type Indexer<T extends KubeObject> = (object: T) => readonly string[];

export interface StoreOptions<T extends KubeObject> {
  /** By name of the index. */
  readonly indexers?: Readonly<Record<string, Indexer<T>>>;
  /** Applied to every object before it is kept, after managedFields are dropped; for instance to keep less of it. */
  readonly transform?: (object: T) => T;
  readonly logger?: Logger;
}

/** Objects of a list that are taken in at once: a few milliseconds, with all that their change sets off. */
const STEP = 500;

interface Entry<T extends KubeObject> {
  readonly object: T;
  /** Our own write, which neither a list nor a watch has confirmed yet. */
  readonly assumed: boolean;
}

/**
 * What the API server holds of one resource, as far as list and watch have told, plus our own writes at once.
 *
 * Time never runs backwards in here: an object gives way only to a newer one, whatever the order in which the answer
 * of our write and the events of the watch arrive. Objects are shared: nobody may change one.
 */
export class Store<T extends KubeObject> {
  readonly #entries = new Map<string, Entry<T>>();
  readonly #indexers: readonly [string, Indexer<T>][];
  readonly #indices = new Map<string, Map<string, Set<string>>>();
  readonly #handlers = new Set<(event: StoreEvent<T>) => void>();
  readonly #transform: (object: T) => T;
  readonly #logger: Logger;
  #resourceVersion: string | undefined;
  #markSynced: () => void = () => undefined;
  #synced = false;
  /** Resolves when the first complete list is in. */
  readonly hasSynced: Promise<void>;

  constructor(options: StoreOptions<T> = {}) {
    this.#indexers = Object.entries(options.indexers ?? {});
    for (const [name] of this.#indexers) this.#indices.set(name, new Map());
    this.#transform = options.transform ?? ((object) => object);
    this.#logger = options.logger ?? silentLogger;
    this.hasSynced = new Promise((resolve) => (this.#markSynced = resolve));
  }

  get synced(): boolean {
    return this.#synced;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Everything up to here has been delivered by list or watch. */
  get resourceVersion(): string | undefined {
    return this.#resourceVersion;
  }

  get(key: string): T | undefined {
    return this.#entries.get(key)?.object;
  }

  list(): T[] {
    return Array.from(this.#entries.values(), (entry) => entry.object);
  }

  keys(): string[] {
    return [...this.#entries.keys()];
  }

  /** @throws RangeError when the store has no index of that name. */
  byIndex(indexName: string, value: string): T[] {
    const index = this.#indices.get(indexName);
    if (index === undefined) throw new RangeError(`the store has no index ${indexName}`);
    const found: T[] = [];
    for (const key of index.get(value) ?? []) {
      const object = this.get(key);
      if (object !== undefined) found.push(object);
    }
    return found;
  }

  /** Calls the handler for every change from now on; the answer ends that. A handler that throws is only logged. */
  subscribe(handler: (event: StoreEvent<T>) => void): () => void {
    const own = (event: StoreEvent<T>): void => handler(event);
    this.#handlers.add(own);
    return () => {
      this.#handlers.delete(own);
    };
  }

  /**
   * Takes a complete list as the truth and emits the differences. Our own writes that are newer than the list stay,
   * unless the server's data went back in time, as a restored backup does: then nothing of ours is newer.
   */
  replace(items: readonly T[], resourceVersion: string): void {
    const steps = this.replaceInSteps(items, resourceVersion);
    while (steps.next().done !== true);
  }

  /**
   * The same in steps of some milliseconds, between which others may have their turn. What is gone goes first, so that
   * no step shows an object beside the one that took its place. Nothing may be applied before the last step; our own
   * writes may be assumed.
   */
  *replaceInSteps(items: readonly T[], resourceVersion: string): Generator<void, void> {
    const wentBack = (compareResourceVersions(resourceVersion, this.#resourceVersion) ?? 0) < 0;
    const isNewerThanList = (key: string): boolean => {
      const entry = this.#entries.get(key);
      return (
        entry?.assumed === true &&
        !wentBack &&
        (compareResourceVersions(entry.object.metadata.resourceVersion, resourceVersion) ?? 0) > 0
      );
    };
    // At once: the answer to a write that is part of the list must not be assumed any more.
    this.#resourceVersion = resourceVersion;
    const listed = new Set(items.map(objectKey));
    let handled = 0;
    for (const key of this.keys()) {
      const gone = listed.has(key) || isNewerThanList(key) ? undefined : this.get(key);
      if (gone === undefined) continue;
      this.#remove(key, gone);
      if (++handled % STEP === 0) yield;
    }
    for (const item of items) {
      const object = this.#prepare(item);
      const key = objectKey(object);
      if (!isNewerThanList(key)) this.#put(key, object, false);
      if (++handled % STEP === 0) yield;
    }
    if (this.#synced) return;
    this.#synced = true;
    this.#markSynced();
  }

  /** Takes one event of the watch, unless it is older than what is known. */
  apply(change: WatchChange<T>): void {
    const object = this.#prepare(change.object);
    const key = objectKey(object);
    const known = this.#entries.get(key)?.object;
    this.advance(object.metadata.resourceVersion);
    const older =
      (compareResourceVersions(object.metadata.resourceVersion, known?.metadata.resourceVersion) ?? 0) < 0;
    if (change.type === 'DELETED') {
      // Nothing can be written to an object after its deletion: of the same uid a deletion always wins.
      if (known !== undefined && (!older || known.metadata.uid === object.metadata.uid)) {
        this.#remove(key, object);
      }
    } else if (!older) {
      this.#put(key, object, false);
    }
  }

  /** Notes how far the watch has come, as bookmarks tell it. */
  advance(resourceVersion: string | undefined): void {
    if (resourceVersion === undefined) return;
    if ((compareResourceVersions(resourceVersion, this.#resourceVersion) ?? 1) > 0) {
      this.#resourceVersion = resourceVersion;
    }
  }

  /**
   * Read your writes: takes the answer of our own create, update or patch without waiting for the watch. An answer
   * that the watch has already passed is ignored, so it can neither roll a newer state back nor bring a deleted
   * object to life. Never call it with the answer to a read.
   */
  assume(answer: T): void {
    const object = this.#prepare(answer);
    const { resourceVersion, deletionTimestamp, finalizers = [] } = object.metadata;
    const key = objectKey(object);
    const known = this.#entries.get(key)?.object.metadata.resourceVersion;
    if (this.#resourceVersion !== undefined && !isNewer(resourceVersion, this.#resourceVersion)) return;
    if (known !== undefined && !isNewer(resourceVersion, known)) return;
    // The answer to the removal of the last finalizer shows an object that is gone already.
    if (deletionTimestamp !== undefined && finalizers.length === 0) return;
    this.#put(key, object, true);
  }

  #prepare(object: T): T {
    return this.#transform(trimmed(object));
  }

  #put(key: string, object: T, assumed: boolean): void {
    const previous = this.#entries.get(key)?.object;
    if (previous !== undefined && previous.metadata.uid !== object.metadata.uid) {
      this.#remove(key, previous);
      this.#put(key, object, assumed);
      return;
    }
    const { resourceVersion } = object.metadata;
    const unchanged = resourceVersion !== undefined && previous?.metadata.resourceVersion === resourceVersion;
    if (previous !== undefined && unchanged) {
      if (!assumed) this.#entries.set(key, { object: previous, assumed: false });
      return;
    }
    this.#entries.set(key, { object, assumed });
    this.#reindex(key, previous, object);
    this.#emit(
      previous === undefined ? { type: 'added', key, object } : { type: 'modified', key, object, previous },
    );
  }

  #remove(key: string, object: T): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#reindex(key, entry.object, undefined);
    this.#emit({ type: 'deleted', key, object });
  }

  #reindex(key: string, before: T | undefined, after: T | undefined): void {
    for (const [name, indexer] of this.#indexers) {
      const index = this.#indices.get(name);
      if (index === undefined) continue;
      const old = before === undefined ? [] : indexer(before);
      const now = after === undefined ? [] : indexer(after);
      for (const value of old) {
        if (now.includes(value)) continue;
        const keys = index.get(value);
        keys?.delete(key);
        if (keys?.size === 0) index.delete(value);
      }
      for (const value of now) {
        const keys = index.get(value);
        if (keys === undefined) index.set(value, new Set([key]));
        else keys.add(key);
      }
    }
  }

  #emit(event: StoreEvent<T>): void {
    for (const handler of this.#handlers) {
      try {
        handler(event);
      } catch (error) {
        this.#logger.error('a handler of store events failed', { key: event.key, error: errorText(error) });
      }
    }
  }
}

/** Certainly newer; with versions that cannot be compared nothing is certain, and the watch will tell soon. */
function isNewer(resourceVersion: string | undefined, than: string): boolean {
  return (compareResourceVersions(resourceVersion, than) ?? -1) > 0;
}
