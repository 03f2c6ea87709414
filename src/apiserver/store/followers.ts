import { errorText } from '../../base/errors.ts';
import type { Logger } from '../../base/logger.ts';
import type { Step } from './history.ts';
import type { Change, ChangeListener } from './types.ts';

export interface Follower {
  readonly listener: ChangeListener;
  /** What it knew when it began: it is told only what came later. */
  readonly after: bigint;
  ended: boolean;
}

/** Calls to listeners without a pause. A listener takes some microseconds. */
const TURN = 1_000;

/** Those who are told of changes as they happen. */
export class Followers {
  readonly #all = new Set<Follower>();
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  get size(): number {
    return this.#all.size;
  }

  /** Tells the past and then, unless that failed, all that is to come; the answer ends it. */
  add(listener: ChangeListener, after: bigint, past: readonly Step[]): () => void {
    const follower: Follower = { listener, after, ended: false };
    this.#all.add(follower);
    for (const { changes } of past) for (const change of changes) this.#tell(follower, change);
    return () => this.#end(follower);
  }

  /** Tells everybody who knows of everything before this step; others know of all of it. */
  tell(step: Step): void {
    for (const pause = this.tellInSteps(step); pause.next().done !== true;);
  }

  /** The same, with pauses between groups of changes. Who comes meanwhile must be told by whoever lets them in. */
  *tellInSteps({ from, changes }: Step): Generator<void, void> {
    const followers = [...this.#all].filter(({ after }) => after <= from);
    let calls = 0;
    for (const change of changes) {
      if (calls >= TURN) {
        calls = 0;
        yield;
      }
      for (const follower of followers) this.#tell(follower, change);
      calls += followers.length;
    }
  }

  /** Ends those for whom it cannot go on. */
  lose(isLost: (follower: Follower) => boolean = () => true): void {
    for (const follower of [...this.#all]) {
      if (!isLost(follower) || follower.ended) continue;
      this.#end(follower);
      this.#call(() => follower.listener.lost());
    }
  }

  #tell(follower: Follower, change: Change): void {
    if (follower.ended || this.#call(() => follower.listener.changed(change))) return;
    // It may have missed this change, and nobody shall go on without one.
    this.#end(follower);
    this.#call(() => follower.listener.lost());
  }

  #end(follower: Follower): void {
    follower.ended = true;
    this.#all.delete(follower);
  }

  /** Whether it went well. */
  #call(call: () => void): boolean {
    try {
      call();
      return true;
    } catch (error) {
      this.#logger.error('a listener to changes failed', { error: errorText(error) });
      return false;
    }
  }
}
