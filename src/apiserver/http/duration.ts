const UNITS_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3, // U+00B5
  μs: 1e-3, // U+03BC
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

// Digits can be taken in one way only: with two, a long row of them would take the square of its length.
const TERM = /(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)/y;

/**
 * A duration as Go writes it (`time.ParseDuration`), such as `1h2m3.5s`, in milliseconds.
 *
 * @returns undefined for everything else.
 */
export function parseDuration(text: string): number | undefined {
  const [, sign = '', terms = ''] = /^([-+]?)([^]*)$/.exec(text) ?? [];
  if (terms === '0') return 0;
  if (terms === '') return undefined;
  let ms = 0;
  let end = 0;
  while (end < terms.length) {
    TERM.lastIndex = end;
    const match = TERM.exec(terms);
    if (match === null) return undefined;
    ms += Number(match[1]) * (UNITS_MS[match[2] ?? ''] ?? NaN);
    end = TERM.lastIndex;
  }
  return sign === '-' ? -ms : ms;
}
