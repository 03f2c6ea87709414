/**
 * Time, injected everywhere so that tests can move it.
 *
 * `now` is the wall clock and may jump; `monotonic` never does. Durations, deadlines and fences are measured with
 * `monotonic`, times that people or other programs read are taken from `now`.
 */
export interface Clock {
  /** Wall-clock time in milliseconds since the epoch. */
  now(): number;
  /** Milliseconds since an arbitrary start; never goes back. */
  monotonic(): number;
  /** Calls `fn` once after `ms` milliseconds; the answer cancels it. */
  after(ms: number, fn: () => void): () => void;
  /** Resolves after `ms` milliseconds; rejects with the signal's reason when it aborts first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /**
   * For work that would hold the event loop: undefined while this turn of it is young, else a promise of the next one.
   * All such work of the process shares one turn, so that many small holds do not add up to a long one. Ask after each
   * piece of a millisecond or so.
   */
  breathe(): Promise<void> | undefined;
}

/** Longest delay that a Node timer can hold; longer ones would fire at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** So long a turn of the event loop may be filled with work on purpose; probes, leases and watches want theirs. */
const LONG_TURN_MS = 8;

/** Turns of the event loop, which a process has one of. */
class Turns {
  #began = 0;
  #next: Promise<void> | undefined;

  breathe(): Promise<void> | undefined {
    // A turn that began with something else is taken for an old one, and ended once too often.
    if (this.#next === undefined && performance.now() - this.#began >= LONG_TURN_MS) {
      this.#next = new Promise((resolve) => {
        setImmediate(() => {
          this.#began = performance.now();
          this.#next = undefined;
          resolve();
        });
      });
    }
    return this.#next;
  }
}

const turns = new Turns();

/** The machine's own clock. */
export const systemClock: Clock = {
  breathe: () => turns.breathe(),
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(ms, fn) {
    const timer = setTimeout(fn, Math.min(ms, LONGEST_TIMER_MS));
    return () => clearTimeout(timer);
  },
  sleep(ms, signal) {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(asError(signal.reason));
        return;
      }
      const onAbort = (): void => {
        clearTimeout(timer);
        reject(asError(signal?.reason));
      };
      const timer = setTimeout(
        () => {
          signal?.removeEventListener('abort', onAbort);
          resolve();
        },
        Math.min(ms, LONGEST_TIMER_MS),
      );
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  },
};

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error('The operation was aborted', { cause: reason });
}
