import type { Clock } from '../../base/clock.ts';

/** What was refused is tried again after this time at first, and then more and more seldom. */
const FIRST_MS = 120_000;
const LONGEST_MS = 1_800_000;
/** So many refusals of different things in a row, and it is likely that all would be refused. */
const MOST_IN_ROW = 3;
/** Then none is tried for this time at first. Shorter than the above, so that others have their turn then. */
const FIRST_CLOSED_MS = 60_000;

interface Refusal {
  readonly why: string;
  readonly until: number;
  readonly pauseMs: number;
}

interface Namespace {
  readonly things: Map<string, Refusal>;
  /** Refusals of things that were not refused before, since the last one that was created. */
  inRow: number;
  all: Refusal | undefined;
}

/**
 * What the cluster did not let us create, and when that is worth another try: by a rule that holds for some things, as an
 * admission webhook may have, or by a quota or rights that we lack, which hold for all. Which of them it is shows by
 * whether others are created. All by the monotonic clock.
 */
export class Refusals {
  readonly #clock: Clock;
  readonly #namespaces = new Map<string, Namespace>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Why a thing is not to be tried now; undefined when it is. */
  why(namespace: string, id: string): string | undefined {
    const known = this.#namespaces.get(namespace);
    const now = this.#clock.monotonic();
    return [known?.all, known?.things.get(id)].find((r) => r !== undefined && r.until > now)?.why;
  }

  refuse(namespace: string, id: string, why: string): void {
    const known = this.#namespaces.get(namespace) ?? fresh();
    this.#namespaces.set(namespace, known);
    const before = known.things.get(id);
    known.things.set(id, this.#longer(before, why, FIRST_MS));
    // That something is refused again says nothing of others.
    if (before === undefined) known.inRow++;
    const isClosed = known.all !== undefined && known.all.until > this.#clock.monotonic();
    if (known.inRow >= MOST_IN_ROW && !isClosed) {
      known.inRow = 0;
      known.all = this.#longer(known.all, why, FIRST_CLOSED_MS);
    }
  }

  /** A thing was created: what was refused to others was theirs alone. */
  accept(namespace: string, id: string): void {
    const known = this.#namespaces.get(namespace);
    if (known === undefined) return;
    known.things.delete(id);
    known.inRow = 0;
    known.all = undefined;
  }

  forget(namespace: string): void {
    this.#namespaces.delete(namespace);
  }

  #longer(before: Refusal | undefined, why: string, firstMs: number): Refusal {
    const pauseMs = before === undefined ? firstMs : Math.min(LONGEST_MS, before.pauseMs * 2);
    return { why, until: this.#clock.monotonic() + pauseMs, pauseMs };
  }
}

function fresh(): Namespace {
  return { things: new Map(), inRow: 0, all: undefined };
}
