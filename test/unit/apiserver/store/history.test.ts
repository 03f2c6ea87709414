import { expect } from 'chai';
import { History, type HistoryOptions, type Step } from '../../../../src/apiserver/store/history.ts';
import { FakeClock } from '../../../support/clock.ts';
import { widgetEntry } from '../../../support/view-store.ts';

const clock = new FakeClock();

function history(options: Partial<HistoryOptions> = {}): History {
  return new History(10n, { clock, maxAgeMs: 60_000, maxEvents: 1_000, maxBytes: 1_000_000, ...options });
}

function live(version: number): Step {
  const entry = widgetEntry('a', { rv: version });
  const previous = widgetEntry('a', { rv: version - 1 });
  const change = { type: 'modified', resourceVersion: entry.resourceVersion, entry, previous } as const;
  return { from: BigInt(version) - 1n, to: BigInt(version), changes: [change], isDifference: false };
}

const difference = (from: number, to: number, ...versions: readonly number[]): Step => ({
  from: BigInt(from),
  to: BigInt(to),
  changes: versions.flatMap((version) => live(version).changes),
  isDifference: true,
});

/** The versions of what would be told, or undefined. */
const told = (kept: History, version: number, takesDifferences = true): number[] | undefined =>
  kept
    .since(BigInt(version), takesDifferences)
    ?.flatMap(({ changes }) => changes.map(({ resourceVersion }) => Number(resourceVersion)));

describe('History', () => {
  it('tells what came after a version', () => {
    const kept = history();
    for (const version of [12, 15, 16]) kept.append(live(version));
    expect(told(kept, 9)).to.equal(undefined);
    expect(told(kept, 10)).to.deep.equal([12, 15, 16]);
    expect(told(kept, 12)).to.deep.equal([15, 16]);
    expect(told(kept, 13)).to.deep.equal([15, 16]);
    expect(told(kept, 16)).to.deep.equal([]);
    expect(told(kept, 99)).to.deep.equal([]);
  });

  it('tells differences from before the list, not from within', () => {
    const kept = history();
    kept.append(live(12));
    kept.append(difference(15, 20, 15, 18));
    kept.append(live(23));
    expect(told(kept, 11)).to.deep.equal([12, 15, 18, 23]);
    expect(told(kept, 15)).to.deep.equal([15, 18, 23]);
    for (const version of [16, 18, 19]) expect(told(kept, version)).to.equal(undefined);
    expect(told(kept, 20)).to.deep.equal([23]);
  });

  it('tells no differences to those who choose by labels', () => {
    const kept = history();
    kept.append(difference(15, 20, 18));
    kept.append(difference(22, 30));
    for (const version of [10, 15, 18]) expect(told(kept, version, false)).to.equal(undefined);
    for (const version of [20, 22, 30]) expect(told(kept, version, false)).to.deep.equal([]);
    expect(told(kept, 25, false), 'an object may have come and gone').to.equal(undefined);
  });

  it('forgets what is too old, also when nothing new comes', async () => {
    const kept = history();
    kept.append(live(12));
    await clock.advance(40_000);
    kept.append(live(14));
    await clock.advance(30_000);
    kept.forget();
    expect([kept.floor, kept.events]).to.deep.equal([12n, 1]);
    expect([told(kept, 11), told(kept, 12)]).to.deep.equal([undefined, [14]]);
    await clock.advance(31_000);
    kept.forget();
    expect([kept.floor, kept.events, kept.bytes]).to.deep.equal([14n, 0, 0]);
    expect(told(kept, 14)).to.deep.equal([]);
  });

  it('forgets what is too much, whatever its age', () => {
    const kept = history({ maxEvents: 3 });
    for (let version = 11; version <= 5_000; version++) kept.append(live(version));
    expect([kept.floor, kept.events]).to.deep.equal([4_997n, 3]);
    expect(told(kept, 4_997)).to.deep.equal([4_998, 4_999, 5_000]);
  });

  it('counts the bytes that only it holds', () => {
    const one = live(1_001).changes[0]!;
    const size = one.previous!.json.length;
    const kept = history({ maxBytes: 2 * size + 10 });
    kept.append(live(1_001));
    expect(kept.bytes).to.equal(size);
    const deleted = { ...one, type: 'deleted' } as const;
    kept.append({ ...live(1_002), changes: [deleted] });
    expect(kept.bytes, 'the older one had to go').to.equal(size + one.entry.json.length);
    expect(kept.floor).to.equal(1_001n);
  });

  it('forgets the differences of a list as a whole', () => {
    const kept = history({ maxEvents: 4 });
    kept.append(difference(15, 20, 15, 17, 18));
    kept.append(live(22));
    expect(told(kept, 12)).to.deep.equal([15, 17, 18, 22]);
    kept.append(live(23));
    expect(kept.floor).to.equal(20n);
    expect(told(kept, 20)).to.deep.equal([22, 23]);
  });

  it('does not grow with lists that changed nothing', () => {
    const kept = history({ maxEvents: 100 });
    for (let i = 0; i < 1_000; i++) kept.append(difference(10 + i, 11 + i));
    expect(kept.events).to.equal(100);
    expect(kept.floor).to.equal(910n);
  });
});
