import { sameRecord } from './record.ts';

interface Entry<T> {
  readonly record: T;
  /** Monotonic time at which the request that brought the record was sent. */
  readonly asOf: number;
}

/** What a whole list changed. */
export interface ListChange {
  /** Ids whose record is another one than before, or new. */
  readonly changed: readonly string[];
  /** Ids that were known and are not in the list: a suspicion, never a proof. */
  readonly missing: readonly string[];
}

/**
 * What is known of every workspace, or every template, in one Coder.
 *
 * Answers may overtake each other: a list that was asked for before our own write came back knows less than the answer
 * to the write. So each record carries the time its request was sent, and an older one never replaces a newer one.
 */
export class RecordCache<T extends { readonly id: string }> {
  readonly #entries = new Map<string, Entry<T>>();
  readonly #onTaken: (id: string, record: T | undefined) => void;

  /** @param onTaken told of each record that was taken in, whoever brought it, and with `undefined` of what is forgotten. */
  constructor(onTaken: (id: string, record: T | undefined) => void = () => undefined) {
    this.#onTaken = onTaken;
  }

  get(id: string): T | undefined {
    return this.#entries.get(id)?.record;
  }

  get size(): number {
    return this.#entries.size;
  }

  *records(): Iterable<T> {
    for (const { record } of this.#entries.values()) yield record;
  }

  /** Takes a record in; true when it says something new. */
  put(record: T, asOf: number): boolean {
    const before = this.#entries.get(record.id);
    if (before !== undefined && before.asOf > asOf) return false;
    this.#entries.set(record.id, { record, asOf });
    this.#onTaken(record.id, record);
    return before === undefined || !sameRecord(before.record, record);
  }

  /** Takes in what is known of records by another way than a look at them. Gives the ids of those that change. */
  amend(change: (record: T) => T): readonly string[] {
    const changed: string[] = [];
    for (const [id, { record, asOf }] of this.#entries) {
      const next = change(record);
      if (next === record) continue;
      this.#entries.set(id, { record: next, asOf });
      this.#onTaken(id, next);
      changed.push(id);
    }
    return changed;
  }

  /** Forgets what is not seen any more; whoever asks for it reads it afresh. */
  forget(id: string): void {
    if (this.#entries.delete(id)) this.#onTaken(id, undefined);
  }

  /** Takes a whole list in that was asked for at `asOf`. */
  putAll(records: readonly T[], asOf: number): ListChange {
    const changed = records.filter((r) => this.put(r, asOf)).map((r) => r.id);
    const listed = new Set(records.map((r) => r.id));
    const missing: string[] = [];
    for (const [id, entry] of this.#entries) {
      if (listed.has(id) || entry.asOf > asOf) continue;
      // What is missing is not remembered any longer, so that whoever asks reads it afresh.
      this.forget(id);
      missing.push(id);
    }
    return { changed, missing };
  }
}
