import { expect } from 'chai';
import fc from 'fast-check';
import { viewKinds } from '../../../../src/apiserver/view/kinds.ts';
import { crdSchema, type SampledSchema } from '../../../support/crd-samples.ts';

for (const kind of viewKinds) {
  describe(`the kind of ${kind.resource.plural}`, () => {
    it('is that of coder.com in the other group', () => {
      expect(kind.source.group).to.equal('coder.com');
      expect(kind.resource).to.deep.equal({ ...kind.source, group: 'aggregation.coder.com' });
      expect(kind.resource.kind.toLowerCase()).to.equal(kind.singular);
      expect(kind.resource.plural).to.equal(`${kind.singular}s`);
    });

    it('25. names its first column so that kubectl finds the object, and each column once', () => {
      const [first, ...others] = kind.columns;
      expect(first).to.include({ name: 'Name', type: 'string', format: 'name', priority: 0 });
      expect(others.map(({ format }) => format)).to.deep.equal(others.map(() => ''));
      expect(new Set(kind.columns.map(({ name }) => name)).size).to.equal(kind.columns.length);
      // What clients get of a column is what Kubernetes knows of one.
      for (const column of kind.columns) {
        expect(Object.keys(column)).to.deep.equal(['name', 'type', 'format', 'description', 'priority']);
        expect(column.description).to.match(/^[A-Z].*[^.]$/);
      }
    });

    it('25. gives a cell of the right type for every column, in one line, whatever the object holds', () => {
      const { spec, status } = crdSchema(kind.source).properties!;
      const metadata = fc.record(
        { name: fc.constantFrom('a.b.c', 'a.b', 'odd'), creationTimestamp: times },
        { requiredKeys: ['name'] },
      );
      const objects = fc.record(
        { metadata, spec: valuesOf(spec!), status: valuesOf(status!) },
        { requiredKeys: ['metadata', 'spec'] },
      );
      fc.assert(
        fc.property(objects, (object) => {
          const cells = kind.cells(object);
          expect(cells.length).to.equal(kind.columns.length);
          for (const [i, { name, type }] of kind.columns.entries()) {
            const cell = cells[i] ?? null;
            if (cell === null) continue;
            if (typeof cell === 'object') {
              expect(type, name).to.equal('date');
              expect(cell.since).to.be.above(0);
              continue;
            }
            expect(typeof cell, name).to.equal(
              type === 'integer' ? 'number' : type === 'boolean' ? 'boolean' : 'string',
            );
            if (i > 0 && typeof cell === 'string') expect(cell).to.match(/^[^\p{Cc}\u2028\u2029]+$/u);
          }
        }),
      );
    });

    it('makes a view of whatever the schema admits, and JSON says all of it', () => {
      const { spec, status } = crdSchema(kind.source).properties!;
      const metadata = fc.constant({ name: 'a.b.c', namespace: 'demo', uid: 'u', resourceVersion: '1' });
      const objects = fc.record(
        { metadata, spec: valuesOf(spec!), status: valuesOf(status!) },
        { requiredKeys: ['metadata', 'spec'] },
      );
      fc.assert(
        fc.property(objects, (object) => {
          const view = kind.view(object);
          expect(JSON.parse(JSON.stringify(view))).to.deep.equal(view);
        }),
      );
    });
  });
}

const times = fc.constantFrom('2026-01-02T03:04:05Z', '0001-01-01T00:00:00Z', '2126-01-01T00:00:00Z');

/** Any value of a schema, fields that are left out among them. */
function valuesOf(schema: SampledSchema): fc.Arbitrary<unknown> {
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
  if (schema.format === 'date-time') return times;
  switch (schema.type) {
    case 'string':
      return fc.constantFrom('', 'text', 'two\nlines', 'a\u2028b\u0085c', '\u001b[31m');
    case 'integer':
      return fc.nat();
    case 'boolean':
      return fc.boolean();
    case 'array':
      return fc.array(valuesOf(schema.items!), { maxLength: 2 });
    default: {
      const more = schema.additionalProperties;
      if (more !== undefined) return fc.dictionary(fc.constantFrom('a', 'b'), valuesOf(more));
      const fields = Object.entries(schema.properties ?? {});
      return fc.record(Object.fromEntries(fields.map(([name, field]) => [name, valuesOf(field)])), {
        requiredKeys: [],
      });
    }
  }
}
