import type { Clock } from '../../src/base/clock.ts';

interface Timer {
  readonly due: number;
  readonly order: number;
  readonly fn: () => void;
}

/** A clock that stands still until a test moves it. Wall clock and monotonic clock move together. */
export class FakeClock implements Clock {
  #elapsed = 0;
  #order = 0;
  readonly #start: number;
  readonly #timers = new Set<Timer>();

  constructor(start: Date = new Date('2026-01-01T00:00:00Z')) {
    this.#start = start.getTime();
  }

  now(): number {
    return this.#start + this.#elapsed;
  }

  monotonic(): number {
    return this.#elapsed;
  }

  after(ms: number, fn: () => void): () => void {
    const timer: Timer = { due: this.#elapsed + Math.max(0, ms), order: this.#order++, fn };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const abort = (): void => {
        cancel();
        reject(signal?.reason instanceof Error ? signal.reason : new Error('aborted'));
      };
      const cancel = this.after(ms, () => {
        signal?.removeEventListener('abort', abort);
        resolve();
      });
      if (signal?.aborted) abort();
      else signal?.addEventListener('abort', abort, { once: true });
    });
  }

  /** No time passes in a turn. */
  breathe(): Promise<void> | undefined {
    return undefined;
  }

  /** How many timers are waiting. */
  get pending(): number {
    return this.#timers.size;
  }

  /** Moves time on by `ms`, running every timer that falls due, in order, and letting promises settle in between. */
  async advance(ms: number): Promise<void> {
    const end = this.#elapsed + ms;
    await settle();
    for (;;) {
      const next = [...this.#timers]
        .filter((t) => t.due <= end)
        .sort((a, b) => a.due - b.due || a.order - b.order)[0];
      if (next === undefined) break;
      this.#elapsed = Math.max(this.#elapsed, next.due);
      this.#timers.delete(next);
      next.fn();
      await settle();
    }
    this.#elapsed = end;
    await settle();
  }
}

/** Lets everything that is ready to run do so: promise callbacks, then a turn of the event loop. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
}
