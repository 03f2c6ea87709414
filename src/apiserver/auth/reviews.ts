import type { Clock } from '../../base/clock.ts';
import { OperatorError } from '../../base/errors.ts';
import { abortable } from '../../kube/deadline.ts';
import { KubeError } from '../../kube/errors.ts';
import { StatusError } from '../http/status.ts';
import { ExpiringMap } from './expiring.ts';

export interface ReviewsOptions {
  readonly clock: Clock;
  /** How long an answer is kept, in milliseconds. */
  readonly ttlMs: number;
  /** Of more answers the least recently used one is forgotten. */
  readonly maxEntries: number;
  /** Of more reviews at once the further ones are refused. */
  readonly maxInFlight: number;
  /** Between 0 and 1; default Math.random. */
  readonly random?: () => number;
}

export interface ReviewOptions {
  /** Of the caller: when it aborts, only this caller stops waiting. */
  readonly signal: AbortSignal;
  /** False: the answer is shared with those who wait for the same, but not kept. Default true. */
  readonly keep?: boolean;
  /**
   * Who makes us ask. Whoever has as many reviews open as there are places left gets no further one: one alone can take
   * half of the places, and it takes ten to leave none of 512. Left out: it is not known.
   */
  readonly asker?: string;
}

/** All tries together. */
const DEADLINE_MS = 10_000;
/** One try: a connection that leads nowhere must leave time for another one. */
const TRY_MS = 5_000;
/** The rhythm of Kubernetes' own servers (apiserver/pkg/server/options/authentication.go). */
const TRIES = 5;
const FIRST_PAUSE_MS = 500;
const PAUSE_FACTOR = 1.5;
const JITTER = 0.2;

/**
 * Questions to the API server whose answers hold for a while. The same question is asked once, however many wait for
 * its answer, and goes on when all of them have gone. Failures are tried again and never kept.
 */
export class Reviews<T> {
  readonly #options: ReviewsOptions;
  readonly #answers: ExpiringMap<T>;
  readonly #asking = new Map<string, Promise<T>>();
  /** How many of those each asker has. */
  readonly #open = new Map<string, number>();

  constructor(options: ReviewsOptions) {
    this.#options = options;
    this.#answers = new ExpiringMap(options);
  }

  /**
   * @param key the whole question, or a hash of it.
   * @param ask asks once, within so many milliseconds.
   * @throws StatusError TooManyRequests when too many questions are open, what `ask` threw at last, or the reason of
   *   the signal.
   */
  async answer(key: string, ask: (deadlineMs: number) => Promise<T>, options: ReviewOptions): Promise<T> {
    const known = this.#answers.get(key);
    if (known !== undefined) return known;
    return abortable(this.#asking.get(key) ?? this.#ask(key, ask, options), options.signal);
  }

  #ask(
    key: string,
    ask: (deadlineMs: number) => Promise<T>,
    { keep = true, asker }: ReviewOptions,
  ): Promise<T> {
    const left = this.#options.maxInFlight - this.#asking.size;
    const own = asker === undefined ? 0 : (this.#open.get(asker) ?? 0);
    if (own >= left) {
      const details = { retryAfterSeconds: 1 };
      throw new StatusError('TooManyRequests', 'Too many requests, please try again later.', { details });
    }
    const asking = this.#persist(ask)
      .then((answer) => {
        if (keep) this.#answers.set(key, answer, this.#options.ttlMs);
        return answer;
      })
      .finally(() => {
        this.#asking.delete(key);
        this.#count(asker, -1);
      });
    this.#asking.set(key, asking);
    this.#count(asker, 1);
    return asking;
  }

  #count(asker: string | undefined, change: 1 | -1): void {
    if (asker === undefined) return;
    const open = (this.#open.get(asker) ?? 0) + change;
    if (open === 0) this.#open.delete(asker);
    else this.#open.set(asker, open);
  }

  async #persist(ask: (deadlineMs: number) => Promise<T>): Promise<T> {
    const { clock, random = Math.random } = this.#options;
    const end = clock.monotonic() + DEADLINE_MS;
    let pause = FIRST_PAUSE_MS;
    for (let tries = 1; ; tries++) {
      try {
        return await ask(Math.min(TRY_MS, end - clock.monotonic()));
      } catch (error) {
        const asked = error instanceof KubeError ? (error.retryAfterMs ?? 0) : 0;
        const wait = Math.max(asked, pause * (1 + JITTER * random()));
        const mayHeal = error instanceof OperatorError && error.retryable;
        if (!mayHeal || tries === TRIES || clock.monotonic() + wait >= end) throw error;
        await clock.sleep(wait);
        pause *= PAUSE_FACTOR;
      }
    }
  }
}

/** The label of an exchange in the metrics. */
export function codeOf(error: unknown): string {
  return error instanceof KubeError && error.status > 0 ? String(error.status) : '<error>';
}
