import type { Clock } from '../../base/clock.ts';

interface Waiter {
  readonly version: bigint;
  end(reached: boolean): void;
}

/** Those who wait until the store has come to a version. */
export class Waiters {
  readonly #clock: Clock;
  readonly #all = new Set<Waiter>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Resolves to false when the time is over or the signal aborts first. */
  wait(version: bigint, timeoutMs: number, signal: AbortSignal): Promise<boolean> {
    if (signal.aborted) return Promise.resolve(false);
    return new Promise((resolve) => {
      const waiter: Waiter = {
        version,
        end: (reached) => {
          cancel();
          signal.removeEventListener('abort', abort);
          this.#all.delete(waiter);
          resolve(reached);
        },
      };
      const abort = (): void => waiter.end(false);
      const cancel = this.#clock.after(timeoutMs, abort);
      signal.addEventListener('abort', abort, { once: true });
      this.#all.add(waiter);
    });
  }

  reached(version: bigint): void {
    for (const waiter of this.#all) if (waiter.version <= version) waiter.end(true);
  }
}
