import { existsSync, readFileSync } from 'node:fs';
import type { Clock } from '../../src/base/clock.ts';

/** A time for which the event loop did not turn, as `hold-log.mjs` writes it. Milliseconds. */
export interface Hold {
  /** When it ended, by the wall clock. */
  readonly at: number;
  readonly heldMs: number;
  /** For so long of it the machine had no core for the thread. */
  readonly waitedMs: number;
}

/** The longest holds of one phase, which need not be the same one. Milliseconds. */
export interface LongestHold {
  readonly phase: string;
  /** By the clock on the wall. */
  readonly ms: number;
  /** Less the time in which other programs had the cores. */
  readonly ownMs: number;
}

export interface HoldsOptions {
  /** Where the holds are written; need not exist. */
  readonly file: string;
  readonly clock: Pick<Clock, 'now'>;
}

/** The operator's event loop in each phase of the bench. A hold counts for the phase in which it began. */
export class Holds {
  readonly #options: HoldsOptions;
  readonly #phases: { readonly name: string; readonly from: number }[] = [];

  constructor(options: HoldsOptions) {
    this.#options = options;
  }

  /** From now on the holds are those of this phase; one may be entered again. */
  enter(name: string): void {
    this.#phases.push({ name, from: this.#options.clock.now() });
  }

  /** Of each phase, in the order in which they were first entered. Without holds of note there are zeros. */
  longest(): readonly LongestHold[] {
    const { file } = this.#options;
    const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n') : [];
    // The last line may be in the making.
    const holds = lines.slice(0, -1).map((line) => JSON.parse(line) as Hold);
    return longestOf(holds, this.#phases);
  }
}

/** @param phases in the order of their beginnings */
export function longestOf(
  holds: readonly Hold[],
  phases: readonly { readonly name: string; readonly from: number }[],
): readonly LongestHold[] {
  const longest = new Map(phases.map(({ name }) => [name, { ms: 0, ownMs: 0 }]));
  for (const { at, heldMs, waitedMs } of holds) {
    const phase = phases.findLast(({ from }) => from <= at - heldMs);
    const so = phase === undefined ? undefined : longest.get(phase.name);
    if (so === undefined) continue;
    so.ms = Math.max(so.ms, heldMs);
    so.ownMs = Math.max(so.ownMs, heldMs - waitedMs);
  }
  return [...longest].map(([phase, so]) => ({ phase, ...so }));
}
