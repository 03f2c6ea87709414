import type { Clock } from '../../../src/base/clock.ts';
import { rateLimited } from './refusals.ts';

const MINUTE_MS = 60_000;
/** So many requests a minute one address may make to each path. */
export const GENERAL_LIMIT = 512;

/** What the headers of an answer tell of a limit. */
export interface Allowance {
  readonly limit: number;
  readonly remaining: number;
  /** When the minute of the clock ends. */
  readonly resetAt: number;
}

interface Count {
  /** When the minute of the clock began. */
  readonly minute: number;
  readonly present: number;
  readonly before: number;
}

/**
 * Coder's limit of requests a minute: those of the present minute of the clock, and of the one before such a share as the
 * last sixty seconds still reach into. What is refused does not count, so whoever keeps asking gets through all the same.
 */
export class MinuteLimit {
  readonly #clock: Clock;
  readonly #most: number;
  readonly #counts = new Map<string, Count>();

  constructor(clock: Clock, most: number) {
    this.#clock = clock;
    this.#most = most;
  }

  /** @throws CoderError 429 */
  admit(key: string): void {
    const { minute, present, before, rate } = this.#rateOf(key);
    if (rate + 1 > this.#most) throw rateLimited(this.#most);
    this.#counts.set(key, { minute, present: present + 1, before });
  }

  allowance(key: string): Allowance {
    const { minute, rate } = this.#rateOf(key);
    return { limit: this.#most, remaining: this.#most - rate, resetAt: minute + MINUTE_MS };
  }

  #rateOf(key: string): Count & { readonly rate: number } {
    const now = this.#clock.now();
    const minute = now - (now % MINUTE_MS);
    const { present, before } = this.#countAt(key, minute);
    const rate = Math.round((before * (MINUTE_MS - (now - minute))) / MINUTE_MS + present);
    return { minute, present, before, rate };
  }

  #countAt(key: string, minute: number): Pick<Count, 'present' | 'before'> {
    const last = this.#counts.get(key);
    if (last?.minute === minute) return last;
    return { present: 0, before: last?.minute === minute - MINUTE_MS ? last.present : 0 };
  }
}
