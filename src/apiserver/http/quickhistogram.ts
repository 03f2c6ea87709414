import type { Histogram, Registry } from 'prom-client';

export interface QuickHistogramOptions<T extends string> {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly T[];
  /** Upper bounds, growing; one for everything above is added. */
  readonly buckets: readonly number[];
  readonly registers: readonly Registry[];
}

type Labels<T extends string> = Readonly<Record<T, string>>;

/** What is known of one combination of labels. */
interface Tally<T extends string> {
  readonly labels: Labels<T>;
  /** For each bucket by itself, and what is above all of them. */
  readonly counts: number[];
  sum: number;
}

interface Value {
  readonly metricName: string;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
}

/**
 * A histogram for what happens a thousand times for one event: counting takes a few additions, where the library's own
 * checks and hashes the labels each time.
 */
export class QuickHistogram<T extends string> {
  readonly name: string;
  readonly #options: QuickHistogramOptions<T>;
  readonly #tallies = new Map<string, Tally<T>>();

  constructor(options: QuickHistogramOptions<T>) {
    this.name = options.name;
    this.#options = options;
    // Of a metric, a registry needs no more than its name, `get` and `reset`; its types only know the library's own.
    for (const registry of options.registers) registry.registerMetric(this as unknown as Histogram);
  }

  /** Counts under these labels; to be kept and called many times. */
  counter(labels: Labels<T>): (value: number) => void {
    const { labelNames, buckets } = this.#options;
    const key = JSON.stringify(labelNames.map((name) => labels[name]));
    const tally = this.#tallies.get(key) ?? { labels, counts: buckets.map(() => 0).concat(0), sum: 0 };
    this.#tallies.set(key, tally);
    const { counts } = tally;
    return (value) => {
      let i = 0;
      while (value > (buckets[i] ?? Infinity)) i++;
      counts[i] = (counts[i] ?? 0) + 1;
      tally.sum += value;
    };
  }

  /** For the registry: everything, in the library's form. */
  get(): Promise<{
    readonly name: string;
    readonly help: string;
    readonly type: 'histogram';
    readonly aggregator: 'sum';
    readonly values: readonly Value[];
  }> {
    const values = [...this.#tallies.values()].flatMap((tally) => this.#valuesOf(tally));
    const { help } = this.#options;
    return Promise.resolve({ name: this.name, help, type: 'histogram', aggregator: 'sum', values });
  }

  reset(): void {
    for (const tally of this.#tallies.values()) {
      tally.counts.fill(0);
      tally.sum = 0;
    }
  }

  #valuesOf({ labels, counts, sum }: Tally<T>): Value[] {
    let total = 0;
    const buckets = counts.map((count, i) => {
      total += count;
      const le = this.#options.buckets[i] ?? '+Inf';
      return { metricName: `${this.name}_bucket`, labels: { le, ...labels }, value: total };
    });
    return [
      ...buckets,
      { metricName: `${this.name}_sum`, labels, value: sum },
      { metricName: `${this.name}_count`, labels, value: total },
    ];
  }
}
