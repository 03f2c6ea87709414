import { StackError } from '../stack/errors.ts';
import { activity, isIdle, templateLists } from './counters.ts';
import type { Site } from './site.ts';

/** Nothing has moved for so long: it is settled. */
const QUIET_MS = 3_000;
const LONGEST_WAIT_MS = 900_000;

/** When the operator last did something before a while in which it did nothing. @throws StackError NOT_READY. */
export async function untilSettled({ scraper, signal }: Site): Promise<number> {
  let moved: { readonly at: number; readonly activity: number } | undefined;
  const settled = await scraper.until(
    ({ at, series }) => {
      const now = activity(series);
      if (now !== moved?.activity || !isIdle(series)) moved = { at, activity: now };
      return at - moved.at >= QUIET_MS;
    },
    LONGEST_WAIT_MS,
    signal,
  );
  if (settled !== undefined && moved !== undefined) return moved.at;
  throw new StackError('NOT_READY', `The operator did not settle within ${LONGEST_WAIT_MS / 1000} s.`);
}

/** Waits until the operator has looked so many more times at everything in Coder. @throws StackError NOT_READY. */
export async function untilLooked({ scraper, signal }: Site, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const before = templateLists((await scraper.fresh(signal)).series);
    const looked = await scraper.until(
      ({ series }) => templateLists(series) > before,
      LONGEST_WAIT_MS,
      signal,
    );
    if (looked === undefined) {
      throw new StackError(
        'NOT_READY',
        `The operator did not look at Coder within ${LONGEST_WAIT_MS / 1000} s.`,
      );
    }
  }
}
