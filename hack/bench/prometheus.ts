/** One line of what a program tells of itself. */
export interface Series {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)(?:\s+\d+)?$/;
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g;

/** Reads Prometheus' text format; what is no series is left out. */
export function parseSeries(text: string): readonly Series[] {
  const series: Series[] = [];
  for (const line of text.split('\n')) {
    const found = line.startsWith('#') ? null : LINE.exec(line);
    if (found === null) continue;
    const [, name = '', list = '', value = ''] = found;
    const labels = [...list.matchAll(LABEL)].map(([, key = '', text = '']) => [key, unescape(text)] as const);
    series.push({ name, labels: Object.fromEntries(labels), value: Number(value) });
  }
  return series;
}

function unescape(text: string): string {
  return text.replaceAll(/\\(.)/g, (_, char: string) => (char === 'n' ? '\n' : char));
}

/** Sum over all series of a name whose labels are as wanted. */
export function sum(
  series: readonly Series[],
  name: string,
  isWanted: (labels: Series['labels']) => boolean = () => true,
): number {
  return series
    .filter((s) => s.name === name && isWanted(s.labels))
    .reduce((total, { value }) => total + value, 0);
}

/** How much each counter of a name has grown, by what `keyOf` makes of its labels; those that have not are left out. */
export function growth(
  before: readonly Series[],
  after: readonly Series[],
  name: string,
  keyOf: (labels: Series['labels']) => string,
): ReadonlyMap<string, number> {
  const grown = new Map<string, number>();
  const add = (all: readonly Series[], sign: number): void => {
    for (const s of all) {
      if (s.name !== name) continue;
      const key = keyOf(s.labels);
      grown.set(key, (grown.get(key) ?? 0) + sign * s.value);
    }
  };
  add(after, 1);
  add(before, -1);
  return new Map([...grown].filter(([, value]) => value !== 0));
}
