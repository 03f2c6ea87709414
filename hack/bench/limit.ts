import type { Clock } from '../../src/base/clock.ts';

/** A signal that also aborts by itself after a while. */
export interface Limit {
  readonly signal: AbortSignal;
  /** Whether it was the time that was over. */
  readonly isOver: () => boolean;
  /** To be called when the signal is of no use any more. */
  readonly release: () => void;
}

/**
 * Aborts with another signal, or after so many milliseconds. `AbortSignal.any` with an `AbortSignal.timeout` would not do:
 * in Node 20 the latter may be collected as garbage, and then it never aborts.
 */
export function limit(signal: AbortSignal, ms: number, clock: Clock): Limit {
  const own = new AbortController();
  let isOver = false;
  const onAbort = (): void => own.abort(signal.reason);
  if (signal.aborted) onAbort();
  signal.addEventListener('abort', onAbort, { once: true });
  const cancel = clock.after(ms, () => {
    isOver = !own.signal.aborted;
    own.abort(new Error(`${ms} ms are over`));
  });
  return {
    signal: own.signal,
    isOver: () => isOver,
    release: () => {
      cancel();
      signal.removeEventListener('abort', onAbort);
    },
  };
}
