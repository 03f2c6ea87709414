/** One measured number. */
export interface Value {
  readonly value: number;
  /** Shown behind it: `3.1 s for the bare loop`. */
  readonly note?: string;
}

export type Unit = 'ms' | 's' | 'MB' | '%' | '×' | '' | '/min';

/** What a row of the bench asks for. */
export interface Figure {
  /** Of the row it belongs to, as in `--only`. */
  readonly row: string;
  readonly title: string;
  readonly unit: Unit;
  /** The most that it may be; left out where the figure only explains another one. */
  readonly aim?: number;
  /** What it stands beside, in words. */
  readonly beside?: string;
}

/** A figure as it was at one size. */
export interface Measurement extends Figure, Value {}

/** A figure at all sizes. */
export interface Result extends Figure {
  /** In the order of the sizes; undefined where it was not measured. */
  readonly values: readonly (Value | undefined)[];
  /** How many times the value of the smaller size the larger one's is. */
  readonly growth: number | undefined;
  /** Whether the aim is met at the largest size; undefined without an aim. */
  readonly met: boolean | undefined;
}

/** The value below or at which the part `q` of all samples is: one of them, never one in between. NaN when there are none. */
export function quantile(samples: readonly number[], q: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(q * sorted.length) - 1))] ?? NaN;
}

/** Puts measurements of several sizes beside each other, in the order in which figures were first measured. */
export function compare(sizes: readonly (readonly Measurement[])[]): readonly Result[] {
  const keys = new Map<string, Measurement>();
  // The last size is the one that counts: its wording wins.
  for (const measurement of sizes.flat()) keys.set(keyOf(measurement), measurement);
  return [...keys].map(([key, figure]) => {
    const values = sizes.map((all) => all.find((m) => keyOf(m) === key)).map(valueOf);
    const [first, last] = [values.at(0), values.at(-1)];
    const { row, title, unit, aim, beside } = figure;
    return {
      row,
      title,
      unit,
      ...(aim === undefined ? {} : { aim }),
      ...(beside === undefined ? {} : { beside }),
      values,
      growth: values.length > 1 && first !== undefined && last !== undefined ? ratio(last, first) : undefined,
      met: aim === undefined ? undefined : last !== undefined && last.value <= aim,
    };
  });
}

function keyOf({ row, title }: Figure): string {
  return `${row}: ${title}`;
}

function valueOf(measurement: Measurement | undefined): Value | undefined {
  if (measurement === undefined) return undefined;
  const { value, note } = measurement;
  return note === undefined ? { value } : { value, note };
}

function ratio(last: Value, first: Value): number | undefined {
  return first.value > 0 ? last.value / first.value : undefined;
}
