import type { ResourceType } from '../../../src/api/meta.ts';
import { crdSchema } from '../crd-samples.ts';

/** What is read of a schema here. */
export interface Schema {
  readonly type?: 'object' | 'array' | 'string' | 'integer' | 'boolean';
  readonly enum?: readonly string[];
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly minProperties?: number;
  readonly maxProperties?: number;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly additionalProperties?: Schema;
  readonly 'x-kubernetes-list-type'?: 'map' | 'atomic' | 'set';
  readonly 'x-kubernetes-list-map-keys'?: readonly string[];
  readonly 'x-kubernetes-validations'?: readonly { readonly rule: string }[];
}

/** One step of a path: the name of a field, `ITEM` for an item of a list, `VALUE` for a value of a map. */
export type Step = string;

export const ITEM = '[]';
export const VALUE = '{}';

/** A place in a spec: a leaf, a list, a map or an object. */
export interface Place {
  /** Such as `parameters[].value`; empty for the spec itself. */
  readonly path: string;
  readonly steps: readonly Step[];
  readonly schema: Schema;
}

/** The schema of the spec of a resource of coder.com, from `crds/`. */
export function specSchema(resource: ResourceType): Schema {
  const schema = (crdSchema(resource) as Schema).properties?.['spec'];
  if (schema === undefined) throw new TypeError(`The CRD ${resource.plural} has no spec`);
  return schema;
}

/** Every place of a schema, each object before what is in it. */
export function placesOf(schema: Schema, steps: readonly Step[] = []): readonly Place[] {
  const below: (readonly [Step, Schema])[] = Object.entries(schema.properties ?? {});
  if (schema.items !== undefined) below.push([ITEM, schema.items]);
  if (schema.additionalProperties !== undefined) below.push([VALUE, schema.additionalProperties]);
  return [
    { path: pathOf(steps), steps, schema },
    ...below.flatMap(([step, inner]) => placesOf(inner, [...steps, step])),
  ];
}

function pathOf(steps: readonly Step[]): string {
  return steps.reduce<string>(
    (path, step) => (step === ITEM || step === VALUE || path === '' ? path + step : `${path}.${step}`),
    '',
  );
}

/**
 * What the schema alone says against a value, rules in CEL aside: the API server must refuse it. Undefined where it has
 * nothing to say.
 */
export function schemaFault(schema: Schema, value: unknown, path = 'spec'): string | undefined {
  if (typeof value === 'string') return textFault(schema, value, path);
  if (typeof value === 'number') {
    const { minimum = -Infinity, maximum = Infinity } = schema;
    return value < minimum || value > maximum || !Number.isInteger(value)
      ? `${path}: out of range`
      : undefined;
  }
  if (Array.isArray(value)) return listFault(schema, value as readonly unknown[], path);
  if (typeof value !== 'object' || value === null) return undefined;
  const entries = Object.entries(value);
  if (entries.length < (schema.minProperties ?? 0)) return `${path}: too few`;
  if (entries.length > (schema.maxProperties ?? Infinity)) return `${path}: too many`;
  const missing = schema.required?.find((name) => !Object.hasOwn(value, name));
  if (missing !== undefined) return `${path}.${missing}: required`;
  return firstFault(
    entries.map(([name, field]) => [
      schema.properties?.[name] ?? schema.additionalProperties,
      field,
      `${path}.${name}`,
    ]),
  );
}

function textFault(schema: Schema, text: string, path: string): string | undefined {
  // A character is one, however many units it takes here.
  const length = Array.from(text).length;
  if (length < (schema.minLength ?? 0)) return `${path}: too short`;
  if (length > (schema.maxLength ?? Infinity)) return `${path}: too long`;
  if (schema.enum !== undefined && !schema.enum.includes(text)) return `${path}: none of the values`;
  // The API server's expressions know no ^ and $ within a text.
  if (schema.pattern !== undefined && !new RegExp(schema.pattern).test(text)) return `${path}: other pattern`;
  return undefined;
}

function listFault(schema: Schema, list: readonly unknown[], path: string): string | undefined {
  if (list.length < (schema.minItems ?? 0)) return `${path}: too few`;
  if (list.length > (schema.maxItems ?? Infinity)) return `${path}: too many`;
  const keys = schema['x-kubernetes-list-map-keys'];
  if (keys !== undefined) {
    const known = list.map((item) =>
      JSON.stringify(keys.map((key) => (item as Record<string, unknown>)[key])),
    );
    if (new Set(known).size < known.length) return `${path}: duplicate`;
  }
  return firstFault(list.map((item, i) => [schema.items, item, `${path}[${i}]`]));
}

function firstFault(parts: readonly (readonly [Schema | undefined, unknown, string])[]): string | undefined {
  for (const [schema, value, path] of parts) {
    const fault = schema === undefined ? undefined : schemaFault(schema, value, path);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

/** Whether a list is empty anywhere in a value whose items are told by a key. */
export function hasEmptyKeyedList(schema: Schema, value: unknown): boolean {
  if (Array.isArray(value)) {
    const items = value as readonly unknown[];
    if (items.length === 0) return schema['x-kubernetes-list-type'] === 'map';
    return items.some((item) => hasEmptyKeyedList(schema.items ?? {}, item));
  }
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(value).some(([name, field]) =>
    hasEmptyKeyedList(schema.properties?.[name] ?? schema.additionalProperties ?? {}, field),
  );
}
