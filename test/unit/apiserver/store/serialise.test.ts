import { expect } from 'chai';
import fc from 'fast-check';
import { serialise, withResourceVersion } from '../../../../src/apiserver/store/serialise.ts';
import type { Entry } from '../../../../src/apiserver/store/types.ts';
import type { ViewKind, ViewObject } from '../../../../src/apiserver/view/types.ts';
import { OperatorError } from '../../../../src/base/errors.ts';
import { widgetIn } from '../../../support/view-store.ts';
import { widgetView } from '../../../support/widget-view.ts';

const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 12 }),
  fc.constantFrom('"resourceVersion":"1"', '\u2028\u2029', 'grün', '日本', '"metadata":{', ''),
);
const version = fc.bigInt({ min: 1n, max: 2n ** 64n - 1n });
const viewObject: fc.Arbitrary<ViewObject> = fc.record({
  kind: text,
  apiVersion: text,
  metadata: fc.record(
    {
      name: text,
      namespace: text,
      uid: text,
      resourceVersion: version.map(String),
      generation: fc.nat(),
      labels: fc.dictionary(fc.stringMatching(/^[a-z]{1,5}$/), text),
      annotations: fc.dictionary(fc.stringMatching(/^[a-z]{1,5}$/), text),
    },
    { requiredKeys: ['name', 'namespace', 'uid', 'resourceVersion'] },
  ),
  spec: fc.dictionary(fc.stringMatching(/^[a-z]{1,5}$/), fc.jsonValue()),
  status: fc.dictionary(fc.stringMatching(/^[a-z]{1,5}$/), fc.jsonValue()),
});

/** Whatever object comes, this view of it is shown. */
const showing = (view: ViewObject): ViewKind => ({ ...widgetView, view: () => view, cells: () => [] });

const parsed = (bytes: Uint8Array): unknown => JSON.parse(Buffer.from(bytes).toString('utf8'));
const metadataOf = ({ json, metadata: [start, end] }: Entry): unknown => parsed(json.subarray(start, end));
/** As it comes through JSON. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

describe('serialise', () => {
  it('puts kind, apiVersion and metadata first, and knows where the metadata is, for any object', () => {
    fc.assert(
      fc.property(viewObject, (view) => {
        const entry = serialise(showing(view), widgetIn('any'));
        expect(parsed(entry.json)).to.deep.equal(plain(view));
        expect(Object.keys(parsed(entry.json) as object)).to.deep.equal(Object.keys(view));
        expect(metadataOf(entry)).to.deep.equal(plain(view.metadata));
        expect(entry.labels).to.deep.equal(view.metadata.labels ?? {});
        expect(String(entry.resourceVersion)).to.equal(view.metadata.resourceVersion);
      }),
    );
  });

  it('splices in another version, for any object', () => {
    fc.assert(
      fc.property(viewObject, version, (view, other) => {
        const entry = serialise(showing(view), widgetIn('any'));
        const before = Buffer.from(entry.json);
        const changed = withResourceVersion(entry, other);
        const metadata = { ...view.metadata, resourceVersion: String(other) };
        expect(parsed(changed.json)).to.deep.equal(plain({ ...view, metadata }));
        expect(metadataOf(changed)).to.deep.equal(plain(metadata));
        expect(changed).to.deep.include({ name: entry.name, uid: entry.uid, resourceVersion: other });
        expect(entry.json.equals(before), 'the old bytes are shared: they stay').to.equal(true);
      }),
    );
  });

  it('is one line for every client, also those that break lines at U+2028 and U+2029', () => {
    const entry = serialise(widgetView, widgetIn('a', { colour: 'a\u2028b\u2029c\nd' }));
    expect(entry.json.toString()).to.not.match(/[\u2028\u2029\n]/);
    expect(parsed(entry.json)).to.deep.include({ spec: { colour: 'a\u2028b\u2029c\nd' } });
  });

  it('keeps the cells as the kind makes them', () => {
    const { cells } = serialise(widgetView, widgetIn('a', { colour: 'red' }));
    expect(cells).to.deep.equal(['a', 'red', '<unknown>']);
  });

  it('does not share its memory with other buffers', () => {
    const { json } = serialise(widgetView, widgetIn('a'));
    expect(json.buffer.byteLength).to.equal(json.length);
    expect(withResourceVersion(serialise(widgetView, widgetIn('a')), 5n).json.buffer.byteLength).to.equal(
      json.length,
    );
  });

  for (const rv of ['', '0', '01', '-1', '1.5', '1e3', 'abc', ' 1', '123456789012345678901']) {
    it(`refuses the version ${JSON.stringify(rv)} as broken`, () => {
      expect(() => serialise(widgetView, widgetIn('a', { rv })))
        .to.throw(OperatorError)
        .with.property('code', 'BROKEN_VERSION');
    });
  }
});
