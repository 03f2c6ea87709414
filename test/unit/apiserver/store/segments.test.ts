import { expect } from 'chai';
import fc from 'fast-check';
import { SortedEntries } from '../../../../src/apiserver/store/entries.ts';
import type { EntrySegment } from '../../../../src/apiserver/store/segments.ts';
import type { Entry } from '../../../../src/apiserver/store/types.ts';
import { widgetEntry } from '../../../support/view-store.ts';

const named = (i: number): string => `w${String(i).padStart(4, '0')}`;
const several = (count: number, namespace = 'default'): Entry[] =>
  Array.from({ length: count }, (_, i) => widgetEntry(named(i), { namespace }));
const of = (entries: readonly Entry[]): SortedEntries =>
  entries.reduce((all, entry) => all.with(entry), SortedEntries.none());
const names = (segments: readonly EntrySegment[]): string[] =>
  segments.flatMap(({ entries }) => entries.map(({ namespace, name }) => `${namespace}/${name}`));

/** What must be true of all segments, whatever was done. */
function expectSound(all: SortedEntries): void {
  const segments = all.segments();
  for (const { entries, bytes, namespace } of segments) {
    expect(entries.length).to.be.within(1, 128);
    expect(entries.every((entry) => entry.namespace === namespace)).to.equal(true);
    expect(bytes).to.equal(entries.map(({ json }) => json.toString()).join(',').length);
  }
  for (const [i, right] of segments.entries()) {
    const left = segments[i - 1];
    if (left?.namespace === right.namespace)
      expect(left.entries.length + right.entries.length, 'two together').to.be.above(64);
  }
  expect(names(segments)).to.deep.equal(names(segments).sort());
}

/** Puts or removes some of a few hundred names, near each other, in two namespaces. */
const work = fc.array(
  fc.record({
    isPut: fc.boolean(),
    namespace: fc.constantFrom('a', 'b'),
    from: fc.nat(600),
    count: fc.integer({ min: 1, max: 150 }),
    step: fc.integer({ min: 1, max: 3 }),
  }),
  { maxLength: 12 },
);

describe('SortedEntries', () => {
  it('holds what was put and not removed, in order, in sound segments', () => {
    fc.assert(
      fc.property(work, (acts) => {
        const expected = new Map<string, Entry>();
        let all = SortedEntries.none();
        for (const [rv, { isPut, namespace, from, count, step }] of acts.entries()) {
          for (let i = 0; i < count; i++) {
            const name = named(from + i * step);
            if (isPut) {
              const entry = widgetEntry(name, { namespace, rv: rv + 1 });
              all = all.with(entry);
              expected.set(`${namespace}/${name}`, entry);
            } else {
              all = all.without(namespace, name);
              expected.delete(`${namespace}/${name}`);
            }
          }
          expectSound(all);
        }
        expect(names(all.segments())).to.deep.equal([...expected.keys()].sort());
        expect(all.size).to.equal(expected.size);
        for (const [key, entry] of expected) {
          const [namespace = '', name = ''] = key.split('/');
          expect(all.get(namespace, name)).to.equal(entry);
        }
        expect(all.get('a', 'none'), 'a name that is not there').to.equal(undefined);
        expect(names(all.segments('a'))).to.deep.equal(
          [...expected.keys()].filter((key) => key.startsWith('a/')).sort(),
        );
      }),
      { numRuns: 40 },
    );
  });

  it('never changes what is there: old states stay as they were', () => {
    const before = of(several(300));
    const seen = names(before.segments());
    let after = before.with(widgetEntry('w0100x'));
    for (let i = 0; i < 200; i++) after = after.without('default', named(i));
    expect(names(before.segments())).to.deep.equal(seen);
    expect(before.size).to.equal(300);
    expect(after.size).to.equal(101);
  });

  it('keeps all segments that a change does not touch', () => {
    const before = of([...several(500), ...several(3, 'other')]);
    const after = before.with(widgetEntry(named(200), { rv: 2 }));
    const kept = new Set(before.segments());
    expect(after.segments().filter((segment) => !kept.has(segment))).to.have.length(1);
    expect(before.without('default', 'none')).to.equal(before);
  });

  it('fills its segments when a list comes in order', () => {
    expect(
      of(several(512))
        .segments()
        .map(({ entries }) => entries.length),
    ).to.deep.equal([128, 128, 128, 128]);
  });

  it('has few segments when few entries are left, wherever they are', () => {
    for (const kept of [7, 16, 300]) {
      let all = of(several(1_024));
      for (let i = 0; i < 1_024; i++) if (i % kept !== 0) all = all.without('default', named(i));
      expectSound(all);
      expect(all.size).to.equal(Math.ceil(1_024 / kept));
      expect(all.segments().length).to.be.at.most(1 + (2 * all.size) / 65);
    }
  });

  it('has no segments of a namespace that is empty or unknown', () => {
    const all = of([widgetEntry('a', { namespace: 'one' })]).without('one', 'a');
    expect([all.size, all.segments(), all.segments('one'), all.segments('two')]).to.deep.equal([
      0,
      [],
      [],
      [],
    ]);
  });

  it('orders namespaces before names, by their characters', () => {
    const all = of([
      widgetEntry('b', { namespace: 'a-b' }),
      widgetEntry('a', { namespace: 'b' }),
      widgetEntry('z', { namespace: 'a' }),
      widgetEntry('a.b', { namespace: 'a' }),
      widgetEntry('a-b', { namespace: 'a' }),
    ]);
    expect(names(all.segments())).to.deep.equal(['a/a-b', 'a/a.b', 'a/z', 'a-b/b', 'b/a']);
  });
});
