import { StandingClock } from '../clock.ts';

/** Time that stands still until it is moved to a later one, at which everything in between has fallen due. */
export class JumpingClock extends StandingClock {
  /** When the next timer falls due, on the monotonic clock. */
  get next(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const { due } of this.timers) next = Math.min(next, due);
    return next;
  }

  /** It is so late now: what has fallen due is run, in order, and may set timers for later. */
  jumpTo(elapsed: number): void {
    this.moveTo(elapsed);
    for (const timer of this.dueBy(this.monotonic())) {
      // One of them may have cancelled another.
      if (this.timers.delete(timer)) timer.fn();
    }
  }
}
