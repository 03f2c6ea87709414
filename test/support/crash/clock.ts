import type { Clock } from '../../../src/base/clock.ts';

interface Timer {
  readonly due: number;
  readonly order: number;
  readonly fn: () => void;
}

/** Time that stands still until it is moved to a later one, at which everything in between has fallen due. */
export class JumpingClock implements Clock {
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

  /** When the next timer falls due, on the monotonic clock. */
  get next(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const { due } of this.#timers) next = Math.min(next, due);
    return next;
  }

  /** It is so late now: what has fallen due is run, in order, and may set timers for later. */
  jumpTo(elapsed: number): void {
    this.#elapsed = Math.max(this.#elapsed, elapsed);
    const due = [...this.#timers].filter((t) => t.due <= this.#elapsed);
    for (const timer of due.sort((a, b) => a.due - b.due || a.order - b.order)) {
      // One of them may have cancelled another.
      if (this.#timers.delete(timer)) timer.fn();
    }
  }
}
