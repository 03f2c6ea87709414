import { expect } from 'chai';
import fc from 'fast-check';
import { RecordCache } from '../../../../src/controller/observer/cache.ts';

interface Thing {
  readonly id: string;
  readonly state: number;
}
const thing = (id: string, state: number): Thing => ({ id, state });

describe('RecordCache', () => {
  let cache: RecordCache<Thing>;
  beforeEach(() => {
    cache = new RecordCache();
  });

  it('says whether a record is news', () => {
    expect(cache.put(thing('a', 1), 10)).to.equal(true);
    expect(cache.put(thing('a', 1), 20)).to.equal(false);
    expect(cache.put(thing('a', 2), 30)).to.equal(true);
  });

  it('tells of what it takes in and what it forgets, and of nothing that is too old', () => {
    const taken: [string, Thing | undefined][] = [];
    const telling = new RecordCache<Thing>((id, record) => taken.push([id, record]));
    telling.put(thing('a', 1), 10);
    telling.put(thing('a', 2), 5);
    telling.putAll([thing('a', 3), thing('b', 1)], 20);
    telling.putAll([thing('b', 1)], 30);
    telling.forget('b');
    telling.forget('never seen');
    expect(taken).to.deep.equal([
      ['a', thing('a', 1)],
      ['a', thing('a', 3)],
      ['b', thing('b', 1)],
      ['b', thing('b', 1)],
      ['a', undefined],
      ['b', undefined],
    ]);
    expect([...telling.records()]).to.deep.equal([]);
  });

  it('lets no older answer replace a newer one', () => {
    cache.put(thing('a', 2), 20);
    expect(cache.put(thing('a', 1), 10)).to.equal(false);
    expect(cache.get('a')).to.deep.equal(thing('a', 2));
    cache.put(thing('a', 2), 30);
    expect(cache.put(thing('a', 1), 25), 'nor one that is older than the same once more').to.equal(false);
  });

  it('tells what a whole list changed and what it lacks', () => {
    cache.putAll([thing('a', 1), thing('b', 1), thing('c', 1)], 10);
    const change = cache.putAll([thing('a', 1), thing('b', 2), thing('d', 1)], 20);
    expect(change).to.deep.equal({ changed: ['b', 'd'], missing: ['c'] });
    expect(cache.get('c'), 'is read afresh by whoever asks').to.equal(undefined);
    expect(cache.size).to.equal(3);
  });

  it('does not miss what came after the list was asked for', () => {
    cache.put(thing('new', 1), 15);
    expect(cache.putAll([], 10)).to.deep.equal({ changed: [], missing: [] });
    expect(cache.get('new')).to.not.equal(undefined);
  });

  it('takes in what follows for a record from elsewhere, and stays as old as it is', () => {
    cache.put(thing('a', 1), 10);
    cache.put(thing('b', 2), 10);
    expect(cache.amend((t) => (t.state === 1 ? { ...t, state: 7 } : t))).to.deep.equal(['a']);
    expect(cache.get('a')?.state).to.equal(7);
    expect(cache.put(thing('a', 3), 11), 'a later look counts').to.equal(true);
    expect(cache.put(thing('b', 3), 9), 'an earlier one does not').to.equal(false);
  });

  it('forgets', () => {
    cache.put(thing('a', 1), 10);
    cache.forget('a');
    expect(cache.get('a')).to.equal(undefined);
  });

  it('ends with what was asked for last, in whatever order answers come', () => {
    const answers = fc.uniqueArray(fc.nat(100), { minLength: 1, maxLength: 10 });
    fc.assert(
      fc.property(answers, (times) => {
        const own = new RecordCache<Thing>();
        for (const time of times) own.put(thing('a', time), time);
        expect(own.get('a')?.state).to.equal(Math.max(...times));
      }),
      { numRuns: 100 },
    );
  });
});
