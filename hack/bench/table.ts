import type { Result, Unit } from './figures.ts';

/** A number as a person reads it: three digits that count, no more than two behind the point. */
export function readable(value: number, unit: Unit): string {
  if (Number.isNaN(value)) return '-';
  const digits = value >= 100 || Number.isInteger(value) ? 0 : value >= 10 ? 1 : 2;
  const number = value.toFixed(digits);
  return unit === '' || unit === '/min' ? `${number}${unit}` : `${number} ${unit}`;
}

/** Rows of cells as lines with aligned columns. */
export function columns(rows: readonly (readonly string[])[]): readonly string[] {
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, i) => (widths[i] = Math.max(widths[i] ?? 0, cell.length)));
  return rows.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

/** All results as a table; notes stand below their figure. */
export function resultTable(sizes: readonly number[], results: readonly Result[]): string {
  const counts = sizes.map((size) => size.toLocaleString('en'));
  const rows = [['FIGURE', ...counts, ...(sizes.length > 1 ? ['GROWTH'] : []), 'AIM', 'MET']];
  const below = new Map<number, string[]>();
  for (const { title, unit, aim, beside, values, growth, met } of results) {
    rows.push([
      title,
      ...values.map((v) => (v === undefined ? '-' : readable(v.value, unit))),
      ...(sizes.length > 1 ? [growth === undefined ? '' : `× ${readable(growth, '')}`] : []),
      aim === undefined ? '' : `≤ ${readable(aim, unit)}`,
      met === undefined ? '' : met ? 'yes' : 'NO',
    ]);
    const notes = values.flatMap((v, i) =>
      v?.note === undefined ? [] : [`at ${counts[i] ?? ''}: ${v.note}`],
    );
    const lines = [...(beside === undefined ? [] : [beside]), ...notes];
    if (lines.length > 0) below.set(rows.length - 1, lines);
  }
  return columns(rows)
    .flatMap((line, i) => [line, ...(below.get(i) ?? []).map((note) => `    ${note}`)])
    .join('\n');
}
