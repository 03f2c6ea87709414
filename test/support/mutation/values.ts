import type { Schema } from './schema.ts';

/** What becomes of a value; undefined takes it out. */
export interface Change {
  readonly label: string;
  readonly value: unknown;
}

/** Longest text that is filled up with letters of four bytes. */
const LONGEST_WIDE = 512;

/** The values that a place is given in turn: those at and beyond each limit of its schema, and what often goes wrong. */
export function changesOf(schema: Schema, value: unknown): readonly Change[] {
  const changes = [...valuesFor(schema, value), { label: 'delete', value: undefined }];
  return changes.filter((change) => JSON.stringify(change.value) !== JSON.stringify(value));
}

function valuesFor(schema: Schema, value: unknown): readonly Change[] {
  switch (schema.type) {
    case 'boolean':
      return [{ label: 'toggle', value: value !== true }];
    case 'integer':
      return numbers(schema, Number(value));
    case 'string':
      if (schema.enum !== undefined) return choices(schema.enum);
      return [...texts(schema, String(value)), ...durations(schema)];
    case 'array':
      return lists(schema, value as readonly unknown[]);
    default:
      return schema.additionalProperties === undefined
        ? [{ label: 'empty', value: {} }]
        : maps(schema, value as Readonly<Record<string, unknown>>);
  }
}

function numbers({ minimum, maximum }: Schema, value: number): readonly Change[] {
  return [
    { label: 'inc', value: value + 1 },
    { label: 'dec', value: value - 1 },
    { label: 'zero', value: 0 },
    ...(minimum === undefined
      ? []
      : [
          { label: 'min', value: minimum },
          { label: 'below', value: minimum - 1 },
        ]),
    ...(maximum === undefined
      ? []
      : [
          { label: 'max', value: maximum },
          { label: 'above', value: maximum + 1 },
        ]),
    { label: 'huge', value: Number.MAX_SAFE_INTEGER },
  ];
}

function choices(values: readonly string[]): readonly Change[] {
  return [
    ...values.map((value) => ({ label: value, value })),
    { label: 'unknown', value: 'Sometimes' },
    { label: 'lower-case', value: (values[0] ?? '').toLowerCase() },
    { label: 'empty', value: '' },
  ];
}

function texts({ maxLength = 0 }: Schema, value: string): readonly Change[] {
  return [
    { label: 'empty', value: '' },
    { label: 'max', value: value.padEnd(maxLength, 'a') },
    { label: 'over', value: value.padEnd(maxLength + 1, 'a') },
    { label: 'unicode', value: 'zażółć 世界 😀' },
    ...(maxLength > LONGEST_WIDE ? [] : [{ label: 'max-wide', value: '😀'.repeat(maxLength) }]),
    { label: 'upper', value: value.toUpperCase() },
    { label: 'spaces', value: ` ${value} ` },
    { label: 'hyphens', value: `-${value}-` },
    { label: 'control', value: `${value}\n\u0007` },
  ];
}

/** The limits of a duration stand in its rule. */
function durations(schema: Schema): readonly Change[] {
  const rules = schema['x-kubernetes-validations'] ?? [];
  const limits = rules.flatMap(({ rule }) => [...rule.matchAll(/duration\('(\d+)([smh])'\)/g)]);
  const [least, most] = limits.map(([, count, unit]) => Number(count) * (UNIT_MS[unit ?? ''] ?? 0));
  if (least === undefined || most === undefined) return [];
  return [
    { label: 'least', value: `${least}ms` },
    { label: 'most', value: `${most}ms` },
    { label: 'too-short', value: `${least - 1}ms` },
    { label: 'too-long', value: `${most + 1}ms` },
    { label: 'compound', value: `1m${least / 1000}s` },
    { label: 'fraction', value: '1.5m' },
    { label: 'zero', value: '0s' },
    { label: 'negative', value: '-1m' },
    { label: 'without-unit', value: '60' },
    { label: 'days', value: '1d' },
    { label: 'overflow', value: `${'9'.repeat(20)}h` },
  ];
}

const UNIT_MS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000 };

function lists(schema: Schema, value: readonly unknown[]): readonly Change[] {
  const { maxItems = 0 } = schema;
  const grown = (count: number): readonly unknown[] => [
    ...value,
    ...Array.from({ length: count - value.length }, (_, i) => another(schema, value, i)),
  ];
  return [
    { label: 'push', value: grown(value.length + 1) },
    { label: 'pop', value: value.slice(0, -1) },
    { label: 'empty', value: [] },
    { label: 'duplicate', value: [...value, value[0]] },
    { label: 'max', value: grown(maxItems) },
    { label: 'over', value: grown(maxItems + 1) },
  ];
}

/** One item more, which no other one has the key of. */
function another({ items = {}, ...list }: Schema, value: readonly unknown[], i: number): unknown {
  const [first] = value;
  const [key] = list['x-kubernetes-list-map-keys'] ?? [];
  if (key !== undefined) {
    const item = first as Readonly<Record<string, unknown>>;
    return { ...item, [key]: `${String(item[key])}-${i}` };
  }
  const choices = items.enum;
  return choices === undefined ? `${String(first)}-${i}` : choices[(value.length + i) % choices.length];
}

function maps({ maxProperties = 0 }: Schema, value: Readonly<Record<string, unknown>>): readonly Change[] {
  const [[key, first] = ['key', '']] = Object.entries(value);
  const grown = (count: number): object => ({
    ...value,
    ...Object.fromEntries(
      Array.from({ length: count - Object.keys(value).length }, (_, i) => [`${key}-${i}`, first]),
    ),
  });
  return [
    { label: 'push', value: grown(Object.keys(value).length + 1) },
    { label: 'pop', value: Object.fromEntries(Object.entries(value).slice(0, -1)) },
    { label: 'empty', value: {} },
    { label: 'max', value: grown(maxProperties) },
    { label: 'over', value: grown(maxProperties + 1) },
  ];
}
