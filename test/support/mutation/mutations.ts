import type { ResourceType } from '../../../src/api/meta.ts';
import {
  hasEmptyKeyedList,
  ITEM,
  placesOf,
  schemaFault,
  specSchema,
  VALUE,
  type Place,
  type Schema,
  type Step,
} from './schema.ts';
import { changesOf, type Change } from './values.ts';

/** A spec that is good in itself. */
export type Spec = Readonly<Record<string, unknown>>;

/** A good spec that fills some of the schema's places. */
export interface Seed {
  readonly name: string;
  readonly spec: Spec;
}

/** Values that a place means something by, by its path and then by a label of each; a function makes one of the seed's. */
export type Meanings = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

type Key = string | number;

interface PlacedChange {
  readonly keys: readonly Key[];
  /** Undefined takes out what is there. */
  readonly to: unknown;
}

/** A change of one place of a seed, or of two at once. */
export interface Mutation {
  /** It replays this one: `CoderWorkspace/full/spec.ttlMillis/above`. */
  readonly id: string;
  readonly resource: ResourceType;
  readonly seed: string;
  /** Of the schema, such as `parameters[].value`; of a pair the first one's. */
  readonly path: string;
  /** What a refusal may name: the field of spec that is changed, or that it is in. */
  readonly names: readonly string[];
  readonly changes: readonly PlacedChange[];
  /** What the schema alone says against it. */
  readonly fault: string | undefined;
  /** Whether a list is empty whose items are told by a key. */
  readonly emptiesKeyedList: boolean;
  /** The whole spec; undefined for none at all. */
  readonly mutated: Spec | undefined;
}

export interface MutationsOptions {
  readonly resource: ResourceType;
  readonly seeds: readonly Seed[];
  readonly meanings: Meanings;
}

/**
 * All mutations of a kind: for each place of its schema those that follow from the schema, and the meaningful ones, on
 * the first seed that has something there. @throws Error for a place that no seed fills.
 */
export function mutationsOf({ resource, seeds, meanings }: MutationsOptions): readonly Mutation[] {
  const schema = specSchema(resource);
  const places = placesOf(schema);
  const stray = Object.keys(meanings).filter((path) => !places.some((place) => place.path === path));
  if (stray.length > 0) throw new Error(`${resource.kind} has no spec.${stray.join(', spec.')}`);
  return places.flatMap((place) =>
    mutationsAt({ resource, schema }, place, seeds, meanings[place.path] ?? {}),
  );
}

/** A kind with the schema of its spec. */
interface Kind {
  readonly resource: ResourceType;
  readonly schema: Schema;
}

function mutationsAt(
  kind: Kind,
  place: Place,
  seeds: readonly Seed[],
  meant: Readonly<Record<string, unknown>>,
): readonly Mutation[] {
  const { resource } = kind;
  for (const { name, spec } of seeds) {
    const keys = keysTo(spec, place.steps);
    if (keys === undefined) continue;
    const field = fieldOf(keys);
    const value = keys.reduce<unknown>((at, key) => (at as Record<Key, unknown>)[key], spec);
    const changes: readonly Change[] = [
      ...changesOf(place.schema, value),
      ...Object.entries(meant).map(([label, meaning]) => ({
        label,
        value: typeof meaning === 'function' ? (meaning as (value: unknown) => unknown)(value) : meaning,
      })),
    ];
    return changes.map(({ label, value: to }) =>
      mutationOf(kind.schema, spec, {
        id: `${resource.kind}/${name}/${field}/${label}`,
        resource,
        seed: name,
        path: place.path,
        names: keys.length === 0 ? [] : [String(keys[0])],
        changes: [{ keys, to }],
      }),
    );
  }
  throw new Error(`No seed of ${resource.kind} has spec.${place.path}`);
}

function mutationOf(
  schema: Schema,
  spec: Spec,
  what: Omit<Mutation, 'fault' | 'mutated' | 'emptiesKeyedList'>,
): Mutation {
  const mutated = what.changes.reduce<unknown>((next, { keys, to }) => changed(next, keys, to), spec);
  const fault = schemaFault(schema, mutated ?? {});
  const emptiesKeyedList = mutated !== undefined && hasEmptyKeyedList(schema, mutated);
  return { ...what, fault, emptiesKeyedList, mutated: mutated as Spec | undefined };
}

/** Two mutations that the schema takes, at once: of the same seed and of different fields. */
export function pairsOf(
  { resource, seeds }: MutationsOptions,
  mutations: readonly Mutation[],
  { count, random }: { readonly count: number; readonly random: () => number },
): readonly Mutation[] {
  const schema = specSchema(resource);
  const isPartner = (one: Mutation, other: Mutation): boolean =>
    other.seed === one.seed && other.names[0] !== one.names[0];
  const single = mutations.filter(({ fault, names }) => fault === undefined && names.length > 0);
  const taken = single.filter((one) => single.some((other) => isPartner(one, other)));
  const pick = <T>(items: readonly T[]): T | undefined => items[Math.floor(random() * items.length)];
  return Array.from({ length: count }, () => {
    const first = pick(taken);
    const second = pick(taken.filter((other) => first !== undefined && isPartner(first, other)));
    const spec = seeds.find(({ name }) => name === first?.seed)?.spec;
    if (first === undefined || second === undefined || spec === undefined) {
      throw new RangeError('There are no two mutations of one seed');
    }
    return mutationOf(schema, spec, {
      ...first,
      id: `${first.id} & ${second.id}`,
      names: [...first.names, ...second.names],
      changes: [...first.changes, ...second.changes],
    });
  });
}

/** Numbers from 0 to 1 that follow from a seed (mulberry32). */
export function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Where a place is in a spec; undefined when it has nothing there. */
function keysTo(value: unknown, steps: readonly Step[]): readonly Key[] | undefined {
  const [step, ...others] = steps;
  if (step === undefined) return value === undefined ? undefined : [];
  if (typeof value !== 'object' || value === null) return undefined;
  const candidates: readonly Key[] =
    step === ITEM ? [...(value as readonly unknown[]).keys()] : step === VALUE ? Object.keys(value) : [step];
  for (const key of candidates) {
    if (!Object.hasOwn(value, key)) continue;
    const below = keysTo((value as Record<Key, unknown>)[key], others);
    if (below !== undefined) return [key, ...below];
  }
  return undefined;
}

/** A copy with something else at a place; undefined takes it out. */
export function changed(value: unknown, keys: readonly Key[], to: unknown): unknown {
  const [key, ...others] = keys;
  if (key === undefined) return to;
  if (Array.isArray(value)) {
    const items = (value as readonly unknown[]).map((item, i) =>
      i === key ? changed(item, others, to) : item,
    );
    return items.filter((item) => item !== undefined);
  }
  const entries = Object.entries(value as object).flatMap(([name, field]) => {
    const next: unknown = name === key ? changed(field, others, to) : field;
    return next === undefined ? [] : [[name, next] as const];
  });
  return Object.fromEntries(entries);
}

function fieldOf(keys: readonly Key[]): string {
  return keys.reduce<string>(
    (path, key) =>
      typeof key === 'number'
        ? `${path}[${key}]`
        : /^[A-Za-z0-9_]+$/.test(key)
          ? `${path}.${key}`
          : `${path}["${key}"]`,
    'spec',
  );
}
