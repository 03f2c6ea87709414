import { expect } from 'chai';
import fc from 'fast-check';
import type { Entry, Snapshot, ViewStore } from '../../../../src/apiserver/store/types.ts';
import { FakeClock } from '../../../support/clock.ts';
import { WidgetStore } from '../../../support/widget-view.ts';

function entriesOf(listing: Snapshot | undefined, namespace?: string): Entry[] {
  return listing?.segments(namespace).flatMap(({ entries }) => entries) ?? [];
}

function namesOf(listing: Snapshot | undefined, namespace: string): string {
  return entriesOf(listing, namespace)
    .map(({ name }) => name)
    .join();
}

/** All steps at once. */
function snapshotAt(store: ViewStore, version: bigint): Snapshot | undefined {
  const steps = store.at(version);
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

function filled(count: number): WidgetStore {
  const widgets = new WidgetStore(new FakeClock());
  for (let i = 0; i < count; i++) widgets.put(`w${i}`, { namespace: `n${i % 2}` });
  return widgets.list(1_000);
}

describe('ObjectStore.at', () => {
  it('gives back the list of every version that the history reaches', () => {
    const act = fc.record({
      name: fc.integer({ min: 0, max: 310 }).map((i) => `w${i}`),
      namespace: fc.constantFrom('n0', 'n1', 'n2'),
      isPut: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(act, { maxLength: 25 }), (acts) => {
        const widgets = filled(300);
        const known: Snapshot[] = [widgets.store.snapshot()];
        for (const { name, namespace, isPut } of acts) {
          const isThere = widgets.store.snapshot().get(namespace, name) !== undefined;
          if (isPut) widgets.put(name, { namespace });
          else if (isThere) widgets.remove(name, { namespace });
          known.push(widgets.store.snapshot());
        }
        widgets.bookmark(5_000);
        for (const was of known) {
          const again = snapshotAt(widgets.store, was.resourceVersion);
          expect(again?.resourceVersion).to.equal(was.resourceVersion);
          expect(entriesOf(again).every((entry, i) => entry === entriesOf(was)[i])).to.equal(true);
          expect(entriesOf(again).length).to.equal(entriesOf(was).length);
          for (const namespace of ['n0', 'n1', 'n2', 'none']) {
            expect(namesOf(again, namespace)).to.equal(namesOf(was, namespace));
          }
          for (const { name, namespace } of acts) {
            expect(again?.get(namespace, name)).to.equal(was.get(namespace, name));
          }
          for (const { entries, bytes } of again?.segments() ?? []) {
            expect(entries.reduce((sum, { json }) => sum + json.length, entries.length - 1)).to.equal(bytes);
          }
        }
      }),
      { numRuns: 20 },
    );
  });

  it('gives back what was there before all of it was deleted', () => {
    const widgets = filled(3);
    const was = widgets.store.snapshot();
    widgets
      .remove('w0', { namespace: 'n0' })
      .remove('w2', { namespace: 'n0' })
      .remove('w1', { namespace: 'n1' });
    expect(entriesOf(widgets.store.snapshot())).to.deep.equal([]);
    expect(entriesOf(snapshotAt(widgets.store, 1_000n))).to.deep.equal(entriesOf(was));
  });

  it('shares the segments that did not change', () => {
    const widgets = filled(1_000);
    const before = new Set<unknown>(widgets.store.snapshot().segments());
    widgets.put('w500', { namespace: 'n0' });
    const again = snapshotAt(widgets.store, 1_000n)?.segments() ?? [];
    expect(again.length).to.be.above(5);
    expect(again.filter((segment) => !before.has(segment))).to.have.length(1);
  });

  it('is made in small steps, of what was there at the first one', () => {
    const widgets = filled(1_000);
    for (let i = 0; i < 1_000; i++) widgets.put(`w${i}`, { namespace: `n${i % 2}`, colour: 'new' });
    const steps = widgets.store.at(1_100n);
    let count = 1;
    let step = steps.next();
    widgets.put('w1', { namespace: 'n1', colour: 'newest' }).remove('w999', { namespace: 'n1' });
    for (; step.done !== true; step = steps.next()) count++;
    expect(count).to.be.within(4, 10);
    const entries = entriesOf(step.value);
    expect(entries).to.have.length(1_000);
    expect(entries.filter(({ resourceVersion }) => resourceVersion > 1_000n)).to.have.length(100);
    expect(entries.filter(({ resourceVersion }) => resourceVersion > 1_100n)).to.have.length(0);
  });

  it('knows nothing before the first list', () => {
    expect(snapshotAt(new WidgetStore(new FakeClock()).store, 1n)).to.equal(undefined);
  });

  it('knows no version between two lists, none to come, and none that the history has lost', () => {
    const widgets = filled(10);
    widgets.put('a').put('b');
    expect(snapshotAt(widgets.store, 999n)).to.equal(undefined);
    expect(snapshotAt(widgets.store, 1_003n)).to.equal(undefined);
    expect(snapshotAt(widgets.store, 1_001n)).to.not.equal(undefined);
    const was = widgets.store.snapshot();
    // What happened one by one on the way to a new list is not known; what was before it is.
    widgets.unset('w3', { namespace: 'n1' });
    widgets.set('c');
    widgets.list(2_000);
    expect(snapshotAt(widgets.store, 1_500n)).to.equal(undefined);
    expect(entriesOf(snapshotAt(widgets.store, 1_002n))).to.deep.equal(entriesOf(was));
    expect(snapshotAt(widgets.store, 1_001n)?.get('default', 'b')).to.equal(undefined);
    const short = new WidgetStore(new FakeClock(), { historyEvents: 1 });
    short.list(1).put('a').put('b').put('c');
    expect([2n, 3n, 4n].map((version) => snapshotAt(short.store, version) !== undefined)).to.deep.equal([
      false,
      true,
      true,
    ]);
  });
});
