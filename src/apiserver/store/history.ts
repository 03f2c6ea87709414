import type { Clock } from '../../base/clock.ts';
import { firstIndex } from './segments.ts';
import type { Change } from './types.ts';

/** From one version to a later one. */
export interface Step {
  readonly from: bigint;
  readonly to: bigint;
  /** In the order in which they are told. */
  readonly changes: readonly Change[];
  /**
   * The changes are the differences of a new list. What happened in between is not known one by one, so nobody can
   * begin within.
   */
  readonly isDifference: boolean;
}

export interface HistoryOptions {
  readonly clock: Clock;
  /** Changes older than this are forgotten, in milliseconds. */
  readonly maxAgeMs: number;
  readonly maxEvents: number;
  /** Bytes of entries that nobody but the history holds. */
  readonly maxBytes: number;
}

interface Kept {
  readonly step: Step;
  readonly at: number;
  readonly events: number;
  readonly bytes: number;
}

/** What changed of late, so that a watch can resume where it stopped. */
export class History {
  readonly #options: HistoryOptions;
  /** In the order of versions, without overlap. Undefined before `#head`: forgotten. */
  #kept: (Kept | undefined)[] = [];
  #head = 0;
  #floor: bigint;
  /** End of the last difference that was not empty. */
  #lastDifference = 0n;
  #events = 0;
  #bytes = 0;

  /** @param floor what is known from here on. */
  constructor(floor: bigint, options: HistoryOptions) {
    this.#floor = floor;
    this.#options = options;
  }

  /** The oldest version from which on everything is known. */
  get floor(): bigint {
    return this.#floor;
  }

  get events(): number {
    return this.#events;
  }

  get bytes(): number {
    return this.#bytes;
  }

  append(step: Step): void {
    const bytes = step.changes.reduce((sum, change) => sum + heldBytes(change), 0);
    const kept = {
      step,
      at: this.#options.clock.monotonic(),
      events: Math.max(1, step.changes.length),
      bytes,
    };
    this.#kept.push(kept);
    this.#events += kept.events;
    this.#bytes += kept.bytes;
    if (step.isDifference && step.changes.length > 0) this.#lastDifference = step.to;
    this.forget();
  }

  /**
   * What to tell to somebody who knows everything up to `version`.
   *
   * @param takesDifferences see ChangeListener.
   * @returns undefined when that is not known.
   */
  since(version: bigint, takesDifferences: boolean): readonly Step[] | undefined {
    if (version < this.#floor) return undefined;
    if (!takesDifferences && version < this.#lastDifference) return undefined;
    const index = firstIndex(this.#kept, ({ step }) => step.to > version);
    const steps = this.#kept.slice(index).flatMap((kept) => kept?.step ?? []);
    return (steps[0]?.from ?? version) < version ? undefined : steps;
  }

  /** Forgets what is too old or too much. */
  forget(): void {
    const { clock, maxAgeMs, maxEvents, maxBytes } = this.#options;
    const oldest = clock.monotonic() - maxAgeMs;
    for (;;) {
      const kept = this.#kept[this.#head];
      if (kept === undefined) break;
      if (kept.at >= oldest && this.#events <= maxEvents && this.#bytes <= maxBytes) break;
      this.#kept[this.#head++] = undefined;
      this.#events -= kept.events;
      this.#bytes -= kept.bytes;
      this.#floor = kept.step.to;
    }
    if (this.#head > 1_000 && this.#head * 2 > this.#kept.length) {
      this.#kept = this.#kept.slice(this.#head);
      this.#head = 0;
    }
  }
}

/** Bytes that nothing else holds once the change has happened: of what was there before and, when it went, of its last state. */
function heldBytes({ type, entry, previous }: Change): number {
  return (previous?.json.length ?? 0) + (type === 'deleted' ? entry.json.length : 0);
}
