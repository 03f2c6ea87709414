import { systemClock } from '../../src/base/clock.ts';
import { throwIfAborted } from './errors.ts';

export interface WaitOptions {
  /** Milliseconds until it is given up. */
  readonly withinMs: number;
  /** Milliseconds between two looks. Default 100. */
  readonly everyMs?: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Looks again and again until `look` gives something other than undefined; undefined when the time is over.
 * @throws StackError ABORTED when the signal aborts; whatever `look` throws.
 */
export async function until<T>(
  look: () => T | undefined | Promise<T | undefined>,
  options: WaitOptions,
): Promise<T | undefined> {
  const end = systemClock.monotonic() + options.withinMs;
  for (;;) {
    throwIfAborted(options.signal);
    const found = await look();
    if (found !== undefined) return found;
    if (systemClock.monotonic() >= end) return undefined;
    await systemClock.sleep(options.everyMs ?? 100, options.signal).catch(() => undefined);
  }
}
