import type { Clock } from '../../base/clock.ts';

/** Something that is due at a time of the monotonic clock; the time may move. */
export interface Ticking {
  readonly due: number;
  /** Called once it is due. Has to move `due`, or take itself out. */
  tick(now: number): void;
}

/** Rounds follow each other no faster than this. */
const SHORTEST_MS = 100;

/** Thousands of deadlines on one timer: each round looks at all of them, at most ten times a second. */
export class Ticker {
  readonly #clock: Clock;
  readonly #items = new Set<Ticking>();
  #armedFor = Infinity;
  #cancel: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(item: Ticking): void {
    this.#items.add(item);
    this.sooner(item.due);
  }

  delete(item: Ticking): void {
    this.#items.delete(item);
    if (this.#items.size === 0) this.#disarm();
  }

  /** Something may be due earlier than was known. */
  sooner(due: number): void {
    if (due < this.#armedFor) this.#arm(due);
  }

  close(): void {
    this.#items.clear();
    this.#disarm();
  }

  #arm(due: number, shortest = 0): void {
    this.#disarm();
    this.#armedFor = due;
    this.#cancel = this.#clock.after(Math.max(shortest, due - this.#clock.monotonic()), () => this.#round());
  }

  #disarm(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#armedFor = Infinity;
  }

  #round(): void {
    this.#disarm();
    const now = this.#clock.monotonic();
    let next = Infinity;
    for (const item of this.#items) {
      if (item.due <= now) item.tick(now);
      if (this.#items.has(item)) next = Math.min(next, item.due);
    }
    if (next < Infinity) this.#arm(next, SHORTEST_MS);
  }
}
