import type { PendingOperation } from '../api/kinds.ts';
import type { Clock } from '../base/clock.ts';

/**
 * How long this process has known of each object's open operation.
 *
 * The time in the status is another process's wall clock and may be wrong by hours; only our own monotonic clock tells
 * whether a request can still be under way.
 */
export class PendingTimes {
  readonly #clock: Clock;
  readonly #seen = new Map<string, { readonly operation: string; readonly since: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Milliseconds since this operation was first seen here; 0 when there is none. */
  waitedMs(objectUID: string, pending: PendingOperation | undefined): number {
    if (pending === undefined) {
      this.#seen.delete(objectUID);
      return 0;
    }
    const before = this.#seen.get(objectUID);
    if (before?.operation === pending.id) return this.#clock.monotonic() - before.since;
    this.#seen.set(objectUID, { operation: pending.id, since: this.#clock.monotonic() });
    return 0;
  }

  forget(objectUID: string): void {
    this.#seen.delete(objectUID);
  }
}
