import type { Clock } from '../../base/clock.ts';
import { errorText } from '../../base/errors.ts';
import type { Logger } from '../../base/logger.ts';
import { CoderError } from '../../coder/errors.ts';
import { failureOf } from '../failure.ts';

/** What a look at one thing by its id has shown. `gone` is a proof, `unseen` is none. */
export type Absence = 'gone' | 'unseen' | 'found';

export interface AbsencesOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Looks at one thing by its id. @throws CoderError */
  readonly check: (id: string, signal: AbortSignal) => Promise<Absence>;
  /** Told of each that was looked at. */
  readonly onChecked: (id: string) => void;
  /** Ends the looking. */
  readonly signal: AbortSignal;
}

interface Suspect {
  readonly answer: Absence | undefined;
  /** Looks at everything until it is looked at again; doubles each time that nothing comes of it. */
  readonly pause: number;
  readonly dueAt: number;
}

/** A list that lacks more than so many of the mirrored things at once, and more than that part of them, is not believed. */
const MOST_AT_ONCE = 10;
const MOST_PART = 0.2;
/** The first few are looked at without a pause: one that is deleted now and then is gone from the cluster at once. */
const WITHOUT_PAUSE = 10;
const PAUSE_MS = 250;
/** Of what stays unseen each is looked at at least once in so many looks at everything. */
const LONGEST_PAUSE = 64;

/** Whether so many things are missing at once that something else than their deletion is likely. */
export function isMassive(missing: number, mirrored: number): boolean {
  return missing > Math.max(MOST_AT_ONCE, mirrored * MOST_PART);
}

/**
 * Finds out of mirrored things that Coder does not list whether they are gone. That a list lacks them is a suspicion:
 * rows may be missing, or hidden from us. So each is looked at by its id, one after the other and at a slow pace.
 *
 * When very many are missing at once, it is likelier that the operator has lost its rights, or that Coder lost its data.
 * Then nothing is even looked at before another list says the same.
 */
export class Absences {
  readonly #options: AbsencesOptions;
  readonly #suspects = new Map<string, Suspect>();
  #looks = 0;
  #isHeld = false;
  #checking = false;

  constructor(options: AbsencesOptions) {
    this.#options = options;
  }

  /** How many are missing, while that is so many that it is not believed. */
  get held(): number {
    return this.#isHeld ? this.#suspects.size : 0;
  }

  /** What is known of a thing that Coder does not list. Of what is held back only a proof counts. */
  answer(id: string): 'gone' | 'unseen' | 'unchecked' {
    const answer = this.#suspects.get(id)?.answer;
    if (answer === 'gone') return 'gone';
    return answer === 'unseen' && !this.#isHeld ? 'unseen' : 'unchecked';
  }

  /**
   * Everything was looked at.
   *
   * @param missing the ids of mirrored things that Coder did not list.
   * @param mirrored how many things are mirrored.
   */
  looked(missing: readonly string[], mirrored: number): void {
    this.#looks++;
    const wasHeld = this.#isHeld;
    this.#isHeld = isMassive(missing.length, mirrored);
    const isNewlyHeld = this.#isHeld && !wasHeld;
    const listed = new Set(missing);
    for (const id of this.#suspects.keys()) if (!listed.has(id)) this.#suspects.delete(id);
    for (const id of missing) {
      if (this.#suspects.has(id)) continue;
      // What the next list has again was only lost on the way.
      const dueAt = this.#isHeld ? this.#looks + 1 : this.#looks;
      this.#suspects.set(id, { answer: undefined, pause: 1, dueAt });
    }
    if (isNewlyHeld) {
      this.#options.logger.warn(
        'very many mirrored things are missing in Coder at once; none is given up yet',
        {
          missing: missing.length,
          mirrored,
        },
      );
    }
    void this.#checkAll();
  }

  async #checkAll(): Promise<void> {
    if (this.#checking) return;
    this.#checking = true;
    const { clock, signal, logger, onChecked } = this.#options;
    try {
      let checked = 0;
      for (let id = this.#next(); id !== undefined; id = this.#next()) {
        if (checked++ >= WITHOUT_PAUSE) await clock.sleep(PAUSE_MS, signal);
        signal.throwIfAborted();
        const answer = await this.#check(id);
        const suspect = this.#suspects.get(id);
        if (suspect === undefined) continue;
        const { pause } = suspect;
        const dueAt = this.#looks + pause;
        this.#suspects.set(id, { answer, pause: Math.min(LONGEST_PAUSE, pause * 2), dueAt });
        onChecked(id);
      }
    } catch (error) {
      // The next look at everything goes on where this one has stopped.
      if (!signal.aborted)
        logger.warn('what Coder does not list could not be looked at', { error: errorText(error) });
    } finally {
      this.#checking = false;
    }
  }

  /** Nothing is known of one whose answer cannot be read, as if it were not shown. */
  async #check(id: string): Promise<Absence> {
    try {
      return await this.#options.check(id, this.#options.signal);
    } catch (error) {
      if (error instanceof CoderError && error.kind !== 'Aborted' && !endsRound(error)) return 'unseen';
      this.#putBack(id);
      throw error;
    }
  }

  /** It may be this very one that Coder fails at: in the next round the others come before it. */
  #putBack(id: string): void {
    const suspect = this.#suspects.get(id);
    if (suspect === undefined) return;
    this.#suspects.delete(id);
    this.#suspects.set(id, { ...suspect, dueAt: this.#looks + 1 });
  }

  /** Those that were never looked at come first, then those that have been due for longest. */
  #next(): string | undefined {
    let next: string | undefined;
    let earliest = Infinity;
    for (const [id, { dueAt, answer }] of this.#suspects) {
      if (dueAt > this.#looks || answer === 'gone') continue;
      if (answer === undefined) return id;
      if (dueAt >= earliest) continue;
      next = id;
      earliest = dueAt;
    }
    return next;
  }
}

/** Whether the others would end in the same way. */
function endsRound(error: CoderError): boolean {
  return error.kind === 'RateLimited' || failureOf(error).isOfConnection;
}
