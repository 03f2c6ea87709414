import type { Clock } from '../base/clock.ts';
import { isRateLimited, isUnavailable } from '../coder/errors.ts';

/** How often an answer that does not come is asked for. */
const MOST_TRIES = 4;
const FIRST_WAIT_MS = 1_000;

export interface Patience {
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/**
 * Reads, and again where Coder asks to wait, for as long as it does, or does not answer, a few times: after half an hour
 * of reading, one lost answer must not cost the whole.
 */
export async function patiently<T>(read: () => Promise<T>, { clock, signal }: Patience): Promise<T> {
  for (let failures = 0; ;) {
    try {
      return await read();
    } catch (error) {
      if (isRateLimited(error)) {
        await clock.sleep(error.retryAfterMs, signal);
      } else {
        failures++;
        if (!isUnavailable(error) || failures === MOST_TRIES) throw error;
        await clock.sleep(FIRST_WAIT_MS * 2 ** (failures - 1), signal);
      }
    }
  }
}

/** Does something for each item, so many at a time. After a failure nothing new is begun. */
export async function forEach<T>(
  items: readonly T[],
  atOnce: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const left = items.values();
  let hasFailed = false;
  const worker = async (): Promise<void> => {
    for (const item of left) {
      if (hasFailed) return;
      try {
        await work(item);
      } catch (error) {
        hasFailed = true;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, worker));
}
