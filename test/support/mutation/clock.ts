import { systemClock, type Clock } from '../../../src/base/clock.ts';

export interface HasteOptions {
  /** So many times faster than the machine's own. */
  readonly times: number;
  /** Whoever means to sleep for longer sleeps for so long, in milliseconds of the hastened clock. */
  readonly longestSleepMs: number;
}

/**
 * A clock on which all that an operator waits for comes soon: retries, cooldowns, turns for uploads, looks at
 * everything. Wall clock and monotonic clock run equally fast, so that whatever measures one by the other stays right.
 */
export function hastenedClock({ times, longestSleepMs }: HasteOptions): Clock {
  const [wall, start] = [Date.now(), performance.now()];
  const elapsed = (): number => (performance.now() - start) * times;
  return {
    now: () => Math.round(wall + elapsed()),
    monotonic: elapsed,
    after: (ms, fn) => systemClock.after(ms / times, fn),
    sleep: (ms, signal) => systemClock.sleep(Math.min(ms, longestSleepMs) / times, signal),
    breathe: () => systemClock.breathe(),
  };
}
