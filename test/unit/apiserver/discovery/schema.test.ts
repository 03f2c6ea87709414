import { expect } from 'chai';
import type { KubeObject } from '../../../../src/api/meta.ts';
import { objectMetaSchema } from '../../../../src/apiserver/discovery/metadata.ts';
import { viewSchemas } from '../../../../src/apiserver/discovery/schema.generated.ts';
import type { Schema } from '../../../../src/apiserver/discovery/schema.ts';
import { viewKinds } from '../../../../src/apiserver/view/kinds.ts';
import type { ViewKind } from '../../../../src/apiserver/view/types.ts';
import { fullObject } from '../../../support/crd-samples.ts';

for (const kind of viewKinds) {
  describe(`the schema of ${kind.resource.plural}`, () => {
    const schema = schemaOf(kind);
    const view = kind.view(fullObject(kind.source, kind.singular === 'codertemplate' ? 'a.b' : 'a.b.c'));

    it('knows every field that a full object shows, and no other one', () => {
      expect(pathsOfValue(view).sort()).to.deep.equal(pathsOfSchema(schema).sort());
    });

    it('says of each what it is', () => {
      expect(faults(view, schema, '')).to.deep.equal([]);
    });

    it('says to a person what each means', () => {
      const silent = [...walk(schema, '')].filter(([, { description = '' }]) => description === '');
      // What a map or a list of texts holds needs no words beside those of the field.
      expect(silent.map(([path]) => path).filter((path) => !/(\[\]|\{\})$/.test(path))).to.deep.equal([]);
      for (const [path, { description }] of walk(schema, '')) {
        if (description !== undefined) expect(description, path).to.match(/[.]$/).and.not.match(/\n/);
      }
    });

    it('says truly what is always there', () => {
      const bare: KubeObject & { spec: object } = { metadata: { name: 'a.b.c' }, spec: {} };
      expect(faults(kind.view(bare), schema, '')).to.deep.equal([]);
    });

    it('tells lists that are maps from those that are not, for who merges', () => {
      const lists = [...walk(schema, '')].filter(([, { type }]) => type === 'array');
      expect(lists.length).to.be.above(0);
      for (const [path, list] of lists) {
        const keys = list['x-kubernetes-list-map-keys'];
        if (path === 'status.conditions') expect(keys).to.deep.equal(['type']);
        const isMap = list['x-kubernetes-list-type'] === 'map';
        expect(isMap, path).to.equal(keys !== undefined);
        for (const key of keys ?? []) expect(list.items?.required, path).to.include(key);
        if (list.items?.type === 'string') expect(list['x-kubernetes-list-type'], path).to.equal('atomic');
      }
    });

    it('holds no rule for writing', () => {
      for (const [path, field] of walk(schema, '')) {
        expect(known, path).to.include.members(Object.keys(field));
        // Swagger 2.0 has no empty list of what is required.
        expect(field.required ?? ['some'], path).to.not.be.empty;
      }
    });
  });
}

const known = [
  'type',
  'format',
  'description',
  'enum',
  'required',
  'properties',
  'items',
  'additionalProperties',
  'x-kubernetes-list-type',
  'x-kubernetes-list-map-keys',
  'x-kubernetes-map-type',
];

/** The whole object: the halves from crds/, and what every object has. */
function schemaOf({ resource }: ViewKind): Schema {
  const { description, spec, status } = viewSchemas[resource.plural]!;
  const text: Schema = { type: 'string', description: 'Fixed.' };
  return {
    type: 'object',
    description,
    required: ['kind', 'apiVersion', 'metadata', 'spec', 'status'],
    properties: { kind: text, apiVersion: text, metadata: objectMetaSchema, spec, status },
  };
}

function* walk(schema: Schema, path: string): Generator<[path: string, schema: Schema]> {
  yield [path, schema];
  for (const [name, field] of Object.entries(schema.properties ?? {})) yield* walk(field, joined(path, name));
  if (schema.items !== undefined) yield* walk(schema.items, `${path}[]`);
  if (schema.additionalProperties !== undefined) yield* walk(schema.additionalProperties, `${path}{}`);
}

function joined(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}

function pathsOfSchema(schema: Schema): string[] {
  return [...walk(schema, '')].map(([path]) => path.replace(/\{\}$/, ''));
}

/** Paths of everything in a value; the keys of a map are not told, since each may be another one. */
function pathsOfValue(value: unknown, path = ''): string[] {
  if (Array.isArray(value)) return [path, ...value.flatMap((item) => pathsOfValue(item, `${path}[]`))];
  if (typeof value !== 'object' || value === null) return [path];
  const isMap = ['metadata.labels', 'metadata.annotations', 'spec.files'].includes(path);
  const inner = Object.entries(value).flatMap(([name, field]) =>
    isMap ? [path] : pathsOfValue(field, joined(path, name)),
  );
  return [path, ...inner];
}

/** In what a value is not what the schema says. */
function faults(value: unknown, schema: Schema, path: string): string[] {
  const type = Array.isArray(value) ? 'array' : Number.isInteger(value) ? 'integer' : typeof value;
  if (type !== schema.type) return [`${path} is ${type}, not ${schema.type}`];
  if (schema.enum !== undefined && !schema.enum.includes(value as string))
    return [`${path} is none of its values`];
  if (schema.format === 'date-time' && Number.isNaN(Date.parse(value as string)))
    return [`${path} is no time`];
  if (Array.isArray(value)) return value.flatMap((item) => faults(item, schema.items!, `${path}[]`));
  if (type !== 'object') return [];
  const fields = value as Readonly<Record<string, unknown>>;
  const missing = (schema.required ?? []).filter((name) => !Object.hasOwn(fields, name));
  const wrong = Object.entries(fields).flatMap(([name, field]) => {
    const its = schema.properties?.[name] ?? schema.additionalProperties;
    return its === undefined ? [`${path} has ${name}`] : faults(field, its, joined(path, name));
  });
  return [...missing.map((name) => `${path} lacks ${name}`), ...wrong];
}
