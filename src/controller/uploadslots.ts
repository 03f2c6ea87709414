import type { Clock } from '../base/clock.ts';

/**
 * Uploads in a row after a quiet time, and the time between two in the long run. Coder allows 12 in a window of a minute
 * and weighs in what is left of the window before: this stays below that at any moment, wherever its windows begin.
 */
const BURST = 3;
const INTERVAL_MS = 7_000;
/** Whoever does not come so long after it was told to has lost its place. */
const KEPT_MS = 120_000;

interface Place {
  /** When it was told to come, or was let through, by the monotonic clock. */
  readonly at: number;
  readonly isLetThrough: boolean;
}

/**
 * Who may upload content to one Coder now. Whoever has to wait is given a time and keeps its place in the line, so that
 * waiting holds no worker and many new templates come through one after the other.
 *
 * A turn counts from when it is taken and not from when it was foretold: many who come late do not go all at once.
 */
export class UploadSlots {
  readonly #clock: Pick<Clock, 'monotonic'>;
  /** In the order of asking. */
  readonly #places = new Map<string, Place>();
  /** When the next one may go if nobody has for long. */
  #next = -Infinity;

  constructor(clock: Pick<Clock, 'monotonic'>) {
    this.#clock = clock;
  }

  /** Milliseconds until this one may upload; 0 for now. Asking again keeps the place. */
  waitMs(key: string): number {
    const now = this.#clock.monotonic();
    for (const [other, { at }] of this.#places) if (at + KEPT_MS < now) this.#places.delete(other);
    if (this.#places.get(key)?.isLetThrough === true) return 0;
    const first = Math.max(this.#next, now - (BURST - 1) * INTERVAL_MS);
    const at = first + this.#before(key, now) * INTERVAL_MS;
    const isLetThrough = at <= now;
    if (isLetThrough) this.#next = first + INTERVAL_MS;
    this.#places.set(key, { at: Math.max(at, now), isLetThrough });
    return Math.max(0, at - now);
  }

  /** The turn was used, or is not needed any more. */
  leave(key: string): void {
    this.#places.delete(key);
  }

  /** Those that are still to come before this one. Whoever is late keeps its place, and holds up nobody. */
  #before(key: string, now: number): number {
    let count = 0;
    for (const [other, { at, isLetThrough }] of this.#places) {
      if (other === key) break;
      if (!isLetThrough && at >= now) count++;
    }
    return count;
  }
}
