import type { Clock } from '../../base/clock.ts';

/**
 * Shares the event loop between what is long: lists, and the beginnings of watches. Each of them is made piece by
 * piece; however many there are, the loop turns after a few milliseconds of making, so that a small answer or an event
 * never waits for all of them. Nobody holds a place here while waiting for a slow client.
 */
export class Pacer {
  readonly #clock: Pick<Clock, 'breathe'>;

  constructor(clock: Pick<Clock, 'breathe'>) {
    this.#clock = clock;
  }

  /** Does the work, in this turn or a later one, and resolves with its result. */
  async run<T>(work: () => T): Promise<T> {
    // Asked again after each rest: others that rested too have begun to fill the new turn.
    for (let rest = this.#clock.breathe(); rest !== undefined; rest = this.#clock.breathe()) await rest;
    return work();
  }

  /**
   * Goes through the steps of what takes longer, in as many turns as that needs.
   *
   * @throws the reason of the signal once nobody waits for it any more
   */
  async through<T>(steps: Generator<void, T>, signal: AbortSignal): Promise<T> {
    for (;;) {
      signal.throwIfAborted();
      const step = await this.run(() => steps.next());
      if (step.done === true) return step.value;
    }
  }
}
