import type { Clock } from '../../src/base/clock.ts';

interface Timer {
  readonly due: number;
  readonly order: number;
  readonly fn: () => void;
}

/** Time that stands still until whoever extends it moves it. Wall clock and monotonic clock move together. */
export abstract class StandingClock implements Clock {
  readonly #epoch: number;
  readonly #timers = new Set<Timer>();
  #elapsed: number;
  #order = 0;

  /** @param epoch of the wall clock, when nothing had elapsed. */
  constructor(epoch: number, elapsed = 0) {
    this.#epoch = epoch;
    this.#elapsed = elapsed;
  }

  now(): number {
    return this.#epoch + this.#elapsed;
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

  /** The timers that are waiting. */
  protected get timers(): Set<Timer> {
    return this.#timers;
  }

  /** Those that fall due by then, in order. */
  protected dueBy(elapsed: number): readonly Timer[] {
    return [...this.#timers]
      .filter((t) => t.due <= elapsed)
      .sort((a, b) => a.due - b.due || a.order - b.order);
  }

  /** It is so late now, unless it is later already. Runs nothing. */
  protected moveTo(elapsed: number): void {
    this.#elapsed = Math.max(this.#elapsed, elapsed);
  }
}

/** A clock that stands still until a test moves it. */
export class FakeClock extends StandingClock {
  constructor(start: Date = new Date('2026-01-01T00:00:00Z')) {
    super(start.getTime());
  }

  /** How many timers are waiting. */
  get pending(): number {
    return this.timers.size;
  }

  /** Moves time on by `ms`, running every timer that falls due, in order, and letting promises settle in between. */
  async advance(ms: number): Promise<void> {
    const end = this.monotonic() + ms;
    await settle();
    for (;;) {
      const [next] = this.dueBy(end);
      if (next === undefined) break;
      this.moveTo(next.due);
      this.timers.delete(next);
      next.fn();
      await settle();
    }
    this.moveTo(end);
    await settle();
  }
}

/** One turn of the event loop: whatever has arrived is taken in. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Lets everything that is ready to run do so: promise callbacks, then a turn of the event loop. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 5; i++) await turn();
}
