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

  get(id: string): T | undefined {
    return this.#entries.get(id)?.record;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Takes a record in; true when it says something new. */
  put(record: T, asOf: number): boolean {
    const before = this.#entries.get(record.id);
    if (before !== undefined && before.asOf > asOf) return false;
    this.#entries.set(record.id, { record, asOf });
    return before === undefined || !sameRecord(before.record, record);
  }

  /** Forgets what is not seen any more; whoever asks for it reads it afresh. */
  forget(id: string): void {
    this.#entries.delete(id);
  }

  /** Takes a whole list in that was asked for at `asOf`. */
  putAll(records: readonly T[], asOf: number): ListChange {
    const changed = records.filter((r) => this.put(r, asOf)).map((r) => r.id);
    const listed = new Set(records.map((r) => r.id));
    const missing: string[] = [];
    for (const [id, entry] of this.#entries) {
      if (listed.has(id) || entry.asOf > asOf) continue;
      // What is missing is not remembered any longer, so that whoever asks reads it afresh.
      this.#entries.delete(id);
      missing.push(id);
    }
    return { changed, missing };
  }
}
