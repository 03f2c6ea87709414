import type { Clock } from '../../src/base/clock.ts';
import type { Operator } from '../stack/operator.ts';
import { limit } from './limit.ts';
import { parseSeries, type Series } from './prometheus.ts';

/** What the operator said of itself at one time. */
export interface Sample {
  /** By the monotonic clock. */
  readonly at: number;
  readonly series: readonly Series[];
}

export interface ScraperOptions {
  readonly operator: Operator;
  readonly clock: Clock;
  /** Between two looks, in milliseconds. Default 250. */
  readonly everyMs?: number;
}

const LONGEST_READ_MS = 5_000;

/** Reads the metrics of the operator again and again. */
export class Scraper {
  readonly #options: ScraperOptions;
  #last: Sample | undefined;
  #waiting: ((sample: Sample) => void)[] = [];

  constructor(options: ScraperOptions) {
    this.#options = options;
  }

  /** The last sample; undefined before the first. */
  get last(): Sample | undefined {
    return this.#last;
  }

  /** Runs until the signal aborts. While the operator does not answer there are no samples. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, operator, everyMs = 250 } = this.#options;
    while (!signal.aborted) {
      const series = await this.#read(operator.url, signal);
      if (series !== undefined) {
        this.#last = { at: clock.monotonic(), series };
        for (const wake of this.#waiting.splice(0)) wake(this.#last);
      }
      await clock.sleep(everyMs, signal).catch(() => undefined);
    }
  }

  /** A sample that was taken wholly after this call. */
  async fresh(signal: AbortSignal): Promise<Sample> {
    await this.#next(signal);
    return this.#next(signal);
  }

  /** Waits for a sample that is as `isSo` says; undefined when the time is over. */
  async until(
    isSo: (sample: Sample) => boolean,
    withinMs: number,
    signal: AbortSignal,
  ): Promise<Sample | undefined> {
    const within = limit(signal, withinMs, this.#options.clock);
    try {
      for (;;) {
        const sample = await this.#next(within.signal);
        if (isSo(sample)) return sample;
      }
    } catch (error) {
      if (within.isOver()) return undefined;
      throw error;
    } finally {
      within.release();
    }
  }

  #next(signal: AbortSignal): Promise<Sample> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => reject(signal.reason as Error);
      if (signal.aborted) {
        onAbort();
        return;
      }
      signal.addEventListener('abort', onAbort, { once: true });
      this.#waiting.push((sample) => {
        signal.removeEventListener('abort', onAbort);
        resolve(sample);
      });
    });
  }

  async #read(url: string, signal: AbortSignal): Promise<readonly Series[] | undefined> {
    const within = limit(signal, LONGEST_READ_MS, this.#options.clock);
    try {
      const answer = await fetch(`${url}/metrics`, { signal: within.signal });
      return answer.ok ? parseSeries(await answer.text()) : undefined;
    } catch {
      return undefined;
    } finally {
      within.release();
    }
  }
}
