import type { Clock } from '../../base/clock.ts';
import type { Snapshot } from '../store/types.ts';

export interface PagesOptions {
  readonly clock: Clock;
  /** Most lists that are kept at a time; default 32. */
  readonly maxLists?: number | undefined;
  /** Most bytes of objects that only the kept lists may still hold, counted high; default 64 MiB. */
  readonly maxBytes?: number | undefined;
}

interface Held {
  readonly listing: Snapshot;
  readonly since: number;
  used: number;
  /** Clients that have not asked for their last page. */
  readers: number;
}

const MAX_LISTS = 32;
const MAX_BYTES = 64 * 1024 * 1024;
const IDLE_MS = 5 * 60_000;
const LONGEST_MS = 15 * 60_000;
const SWEEP_MS = 60_000;

/**
 * Keeps the lists of one resource that clients read page by page, so that all pages come from one version: each for five
 * minutes after its last page, fifteen at most. When there are too many, those go first that all readers have read to
 * the end, then the ones that were not used for longest.
 */
export class Pages {
  readonly #clock: Clock;
  readonly #maxLists: number;
  readonly #maxBytes: number;
  readonly #held = new Map<bigint, Held>();
  #cancelSweep: (() => void) | undefined;

  constructor({ clock, maxLists = MAX_LISTS, maxBytes = MAX_BYTES }: PagesOptions) {
    this.#clock = clock;
    this.#maxLists = maxLists;
    this.#maxBytes = maxBytes;
  }

  get size(): number {
    return this.#held.size;
  }

  /** The list of exactly this version, if it is kept. */
  get(resourceVersion: bigint): Snapshot | undefined {
    return this.#held.get(resourceVersion)?.listing;
  }

  /** A client got a page of this list and will ask for more. `isFirst`: it has just begun. */
  keep(listing: Snapshot, isFirst: boolean): void {
    const now = this.#clock.monotonic();
    const { since = now, readers = 0 } = this.#held.get(listing.resourceVersion) ?? {};
    const isNew = isFirst || readers === 0;
    const held = { listing, since, used: now, readers: isNew ? readers + 1 : readers };
    this.#held.set(listing.resourceVersion, held);
    while (this.#isTooMuch(listing)) this.#drop(listing);
    this.#cancelSweep ??= this.#clock.after(SWEEP_MS, () => this.#sweep());
  }

  /** A client got the last page of this list. It stays for a while: the answer may have been lost on its way. */
  finish(resourceVersion: bigint): void {
    const held = this.#held.get(resourceVersion);
    if (held === undefined) return;
    held.used = this.#clock.monotonic();
    held.readers = Math.max(0, held.readers - 1);
  }

  /** Drops all of them. */
  clear(): void {
    this.#cancelSweep?.();
    this.#cancelSweep = undefined;
    this.#held.clear();
  }

  #isTooMuch(newest: Snapshot): boolean {
    return this.#held.size > this.#maxLists || this.#bytesBeside(newest) > this.#maxBytes;
  }

  /** Of the segments that the newest list does not share: most of their objects it does, but this is quick to count. */
  #bytesBeside(newest: Snapshot): number {
    const counted = new Set<unknown>(newest.segments());
    let bytes = 0;
    for (const { listing } of this.#held.values()) {
      for (const segment of listing.segments()) {
        if (counted.has(segment)) continue;
        counted.add(segment);
        bytes += segment.bytes;
      }
    }
    return bytes;
  }

  #drop(newest: Snapshot): void {
    const others = [...this.#held.values()].filter(({ listing }) => listing !== newest);
    const [first] = others.sort((a, b) => Math.min(a.readers, 1) - Math.min(b.readers, 1) || a.used - b.used);
    this.#held.delete((first?.listing ?? newest).resourceVersion);
  }

  #sweep(): void {
    const now = this.#clock.monotonic();
    for (const [version, { since, used }] of this.#held) {
      if (now - used >= IDLE_MS || now - since >= LONGEST_MS) this.#held.delete(version);
    }
    this.#cancelSweep = this.#held.size === 0 ? undefined : this.#clock.after(SWEEP_MS, () => this.#sweep());
  }
}
