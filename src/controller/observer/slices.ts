import type { Clock } from '../../base/clock.ts';

/** So many at a time take a millisecond or so. */
const SLICE = 50;

/**
 * Does something with each of many, and lets others have their turn now and then: the event loop must not be held for as
 * long as ten thousand take. What is done for one must be complete in itself.
 */
export async function inSlices<T>(
  items: Iterable<T>,
  act: (item: T) => void,
  clock: Pick<Clock, 'breathe'>,
): Promise<void> {
  let done = 0;
  for (const item of items) {
    act(item);
    done++;
    if (done % SLICE === 0) await clock.breathe();
  }
}
