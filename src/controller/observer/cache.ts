import { systemClock, type Clock } from '../../base/clock.ts';
import { sameRecord } from './record.ts';
import { inSlices } from './slices.ts';

interface Entry<T> {
  record: T;
  /** Monotonic time at which the request that brought the record was sent. */
  asOf: number;
  /** Whether the last whole list had it. */
  isListed: boolean;
}

export interface RecordCacheOptions<T> {
  /** Told of each record that was taken in, whoever brought it, and with `undefined` of what is forgotten. */
  readonly onTaken?: ((id: string, record: T | undefined) => void) | undefined;
  /** The name that a record is found by besides its id. Default: by none. */
  readonly nameOf?: ((record: T) => string) | undefined;
  /** Default the machine's. */
  readonly clock?: Pick<Clock, 'breathe'> | undefined;
}

/** What a whole list changed. */
export interface ListChange {
  /** Ids whose record is another one than before, or new. */
  readonly changed: readonly string[];
  /** Ids that were known and are not in the list: a suspicion, never a proof. */
  readonly missing: readonly string[];
}

/**
 * What is suspected of a record that a whole list lacks: that it is gone (`all`), the same but only if the list before
 * had it (`listed`), or nothing, so that it is remembered (`none`).
 */
export type Suspicion = 'all' | 'listed' | 'none';

/** No answer to a single read is on its way for longer than this. */
const LONGEST_READ_MS = 60_000;

/**
 * What is known of every workspace, or every template, in one Coder.
 *
 * Answers may overtake each other: a list that was asked for before our own write came back knows less than the answer
 * to the write. So each record carries the time its request was sent, and an older one never replaces a newer one, nor
 * brings back what is known to be gone.
 */
export class RecordCache<T extends { readonly id: string }> {
  readonly #options: RecordCacheOptions<T>;
  readonly #entries = new Map<string, Entry<T>>();
  /** Ids by name: nearly always one, but a successor may bear the name of what is not known to be gone yet. */
  readonly #named = new Map<string, string | readonly string[]>();
  /** Ids of what is gone for certain, and when that became known. */
  readonly #graves = new Map<string, number>();

  constructor(options: RecordCacheOptions<T> = {}) {
    this.#options = options;
  }

  get(id: string): T | undefined {
    return this.#entries.get(id)?.record;
  }

  /** The record with this name; of several the one that was seen last. */
  named(name: string): T | undefined {
    let found: Entry<T> | undefined;
    for (const id of this.#idsNamed(name)) {
      const entry = this.#entries.get(id);
      if (entry !== undefined && (found === undefined || entry.asOf >= found.asOf)) found = entry;
    }
    return found?.record;
  }

  get size(): number {
    return this.#entries.size;
  }

  *records(): Iterable<T> {
    for (const { record } of this.#entries.values()) yield record;
  }

  /** Takes a record in; true when it says something new. */
  put(record: T, asOf: number): boolean {
    return this.#put(record, asOf, false);
  }

  /** Takes in what is known of records by another way than a look at them. Gives the ids of those that change. */
  amend(change: (record: T) => T): readonly string[] {
    const changed: string[] = [];
    for (const [id, entry] of this.#entries) {
      const next = change(entry.record);
      if (next === entry.record) continue;
      this.#replace(entry, next);
      this.#options.onTaken?.(id, next);
      changed.push(id);
    }
    return changed;
  }

  /** Forgets what is not seen any more; whoever asks for it reads it afresh. */
  forget(id: string): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    this.#entries.delete(id);
    this.#unname(entry.record);
    this.#options.onTaken?.(id, undefined);
  }

  /**
   * Forgets what is gone for certain, as became known at `knownAt`. Nothing that was asked for until then brings it back:
   * Coder may have answered that before.
   */
  bury(id: string, knownAt: number): void {
    this.#graves.set(id, knownAt);
    this.forget(id);
  }

  /** Whether it became known lately that this one is gone for certain. */
  isBuried(id: string): boolean {
    return this.#graves.has(id);
  }

  /** Takes a whole list in that was asked for at `asOf`. Others have their turn meanwhile. */
  async putAll(
    records: ReadonlyMap<string, T>,
    asOf: number,
    suspicion: Suspicion = 'all',
  ): Promise<ListChange> {
    const { clock = systemClock } = this.#options;
    const changed: string[] = [];
    const take = (record: T): void => {
      if (this.#put(record, asOf, true)) changed.push(record.id);
    };
    await inSlices(records.values(), take, clock);
    const missing: string[] = [];
    const miss = ([id, entry]: readonly [string, Entry<T>]): void => {
      if (records.has(id) || entry.asOf > asOf || suspicion === 'none') return;
      if (suspicion === 'listed' && !entry.isListed) return;
      // What is missing is not remembered any longer, so that whoever asks reads it afresh.
      this.forget(id);
      missing.push(id);
    };
    await inSlices(this.#entries, miss, clock);
    for (const [id, knownAt] of this.#graves) {
      if (asOf - knownAt > LONGEST_READ_MS) this.#graves.delete(id);
    }
    return { changed, missing };
  }

  #put(record: T, asOf: number, isListed: boolean): boolean {
    const { id } = record;
    const buriedAt = this.#graves.get(id);
    if (buriedAt !== undefined) {
      if (asOf <= buriedAt) return false;
      this.#graves.delete(id);
    }
    const entry = this.#entries.get(id);
    if (entry === undefined) {
      this.#entries.set(id, { record, asOf, isListed });
      this.#name(record);
      this.#options.onTaken?.(id, record);
      return true;
    }
    if (isListed) entry.isListed = true;
    if (entry.asOf > asOf) return false;
    entry.asOf = asOf;
    // The one that is kept shares its texts with others already.
    const isNews = !sameRecord(entry.record, record);
    if (isNews) this.#replace(entry, record);
    this.#options.onTaken?.(id, entry.record);
    return isNews;
  }

  #replace(entry: Entry<T>, record: T): void {
    const { nameOf } = this.#options;
    const isRenamed = nameOf !== undefined && nameOf(entry.record) !== nameOf(record);
    if (isRenamed) this.#unname(entry.record);
    entry.record = record;
    if (isRenamed) this.#name(record);
  }

  #idsNamed(name: string): readonly string[] {
    const ids = this.#named.get(name) ?? [];
    return typeof ids === 'string' ? [ids] : ids;
  }

  #name(record: T): void {
    const { nameOf } = this.#options;
    if (nameOf === undefined) return;
    const name = nameOf(record);
    const others = this.#idsNamed(name);
    this.#named.set(name, others.length === 0 ? record.id : [...others, record.id]);
  }

  #unname(record: T): void {
    const { nameOf } = this.#options;
    if (nameOf === undefined) return;
    const name = nameOf(record);
    const others = this.#idsNamed(name).filter((id) => id !== record.id);
    const [first, ...more] = others;
    if (first === undefined) this.#named.delete(name);
    else this.#named.set(name, more.length === 0 ? first : others);
  }
}
