import type { Clock } from '../../base/clock.ts';

export interface ExpiringOptions {
  readonly clock: Clock;
  /** Of more than so many the least recently used one is forgotten. */
  readonly maxEntries: number;
}

interface Kept<V> {
  readonly value: V;
  /** On the monotonic clock. */
  readonly until: number;
}

/** A bounded memory whose entries last for a time. */
export class ExpiringMap<V> {
  readonly #options: ExpiringOptions;
  readonly #entries = new Map<string, Kept<V>>();

  constructor(options: ExpiringOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: string): V | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#entries.delete(key);
    if (this.#options.clock.monotonic() >= entry.until) return undefined;
    // At the end again: the first of a Map is the one that was not used for longest.
    this.#entries.set(key, entry);
    return entry.value;
  }

  set(key: string, value: V, ttlMs: number): void {
    this.#entries.delete(key);
    this.#entries.set(key, { value, until: this.#options.clock.monotonic() + ttlMs });
    const [oldest] = this.#entries.keys();
    if (this.#entries.size > this.#options.maxEntries && oldest !== undefined) this.#entries.delete(oldest);
  }
}
