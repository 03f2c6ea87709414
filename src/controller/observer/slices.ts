import { setImmediate as nextTurn } from 'node:timers/promises';

/** So many at a time take a few milliseconds at most. */
const SLICE = 250;

/**
 * Does something with each of many, and lets others have their turn now and then: the event loop must not be held for as
 * long as ten thousand take. What is done for one must be complete in itself.
 */
export async function inSlices<T>(items: Iterable<T>, act: (item: T) => void): Promise<void> {
  let done = 0;
  for (const item of items) {
    act(item);
    done++;
    if (done % SLICE === 0) await nextTurn();
  }
}
