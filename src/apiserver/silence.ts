import type { Clock } from '../base/clock.ts';
import type { ReflectorStats } from '../kube/reflector.ts';

export interface SilenceOptions {
  readonly clock: Clock;
  /** What keeps each resource equal to what the API server has, by plural. */
  readonly followed: ReadonlyMap<string, Followed>;
}

/** A reflector, as far as it tells when the API server last said anything. */
export interface Followed {
  stats(): Pick<ReflectorStats, 'lastEventAgeMs'>;
}

/**
 * More than a pause: bookmarks come about every minute, and a watch without a word for 110 seconds is begun anew, which
 * takes ten seconds where somebody answers.
 */
const TOO_LONG_MS = 120_000;

/**
 * How long the API server has said nothing of a resource, by which a replica that is cut off from it is known: it goes
 * on to answer from memory.
 */
export class Silence {
  readonly #options: SilenceOptions;
  readonly #began: number;

  constructor(options: SilenceOptions) {
    this.#options = options;
    this.#began = options.clock.monotonic();
  }

  get plurals(): readonly string[] {
    return [...this.#options.followed.keys()];
  }

  /** Milliseconds since the last list, event or bookmark; since the beginning when there was none. */
  ms(plural: string): number {
    const { clock, followed } = this.#options;
    return followed.get(plural)?.stats().lastEventAgeMs ?? clock.monotonic() - this.#began;
  }

  /** What who reads this resource has to be warned of. The text stays the same for as long as the silence. */
  warnings(plural: string): readonly string[] {
    const ms = this.ms(plural);
    if (ms <= TOO_LONG_MS) return [];
    const since = new Date(this.#options.clock.now() - ms).toISOString().replace(/\.\d+Z$/, 'Z');
    return [
      `this replica has heard nothing of ${plural} from the Kubernetes API server since ${since}: what is shown may be old`,
    ];
  }
}
