import { expect } from 'chai';
import fc from 'fast-check';
import { RecordCache } from '../../../../src/controller/observer/cache.ts';

interface Thing {
  readonly id: string;
  readonly state: number;
  readonly name?: string;
}
const thing = (id: string, state: number, name?: string): Thing => ({
  id,
  state,
  ...(name === undefined ? {} : { name }),
});
const list = (...things: Thing[]): ReadonlyMap<string, Thing> => new Map(things.map((t) => [t.id, t]));

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

  it('tells of what it takes in and what it forgets, and of nothing that is too old', async () => {
    const taken: [string, Thing | undefined][] = [];
    const telling = new RecordCache<Thing>({ onTaken: (id, record) => taken.push([id, record]) });
    telling.put(thing('a', 1), 10);
    telling.put(thing('a', 2), 5);
    await telling.putAll(list(thing('a', 3), thing('b', 1)), 20);
    await telling.putAll(list(thing('b', 1)), 30);
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

  it('tells what a whole list changed and what it lacks', async () => {
    await cache.putAll(list(thing('a', 1), thing('b', 1), thing('c', 1)), 10);
    const change = await cache.putAll(list(thing('a', 1), thing('b', 2), thing('d', 1)), 20);
    expect(change).to.deep.equal({ changed: ['b', 'd'], missing: ['c'] });
    expect(cache.get('c'), 'is read afresh by whoever asks').to.equal(undefined);
    expect(cache.size).to.equal(3);
  });

  it('does not miss what came after the list was asked for', async () => {
    cache.put(thing('new', 1), 15);
    expect(await cache.putAll(list(), 10)).to.deep.equal({ changed: [], missing: [] });
    expect(cache.get('new')).to.not.equal(undefined);
  });

  it('misses nothing in a list of which more is held back than before', async () => {
    await cache.putAll(list(thing('a', 1)), 10);
    expect((await cache.putAll(list(), 20, 'none')).missing).to.deep.equal([]);
    expect(cache.get('a')).to.not.equal(undefined);
    expect((await cache.putAll(list(), 30, 'listed')).missing, 'it was in a list once').to.deep.equal(['a']);
  });

  it('does not miss again what no list has, while something is held back', async () => {
    cache.put(thing('large', 1), 10);
    expect((await cache.putAll(list(), 20, 'listed')).missing).to.deep.equal([]);
    expect((await cache.putAll(list(), 30, 'all')).missing, 'nothing is held back any more').to.deep.equal([
      'large',
    ]);
    await cache.putAll(list(thing('large', 1)), 40, 'listed');
    expect((await cache.putAll(list(), 50, 'listed')).missing, 'the list before had it').to.deep.equal([
      'large',
    ]);
  });

  it('does not hold the event loop for as long as a large list takes', async () => {
    let turns = 0;
    const counting = setInterval(() => turns++, 0);
    const many = Array.from({ length: 10_000 }, (_, i) => thing(String(i), i));
    let others = false;
    setImmediate(() => (others = true));
    const breathe = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
    cache = new RecordCache({ clock: { breathe } });
    const taking = cache.putAll(list(...many), 10);
    expect(cache.size, 'not all in one go').to.be.lessThan(10_000);
    await new Promise((resolve) => setImmediate(resolve));
    expect(others).to.equal(true);
    expect(cache.size).to.be.lessThan(10_000);
    cache.put(thing('5', -1), 20);
    expect((await taking).changed).to.have.length(10_000);
    clearInterval(counting);
    expect(cache.get('5')?.state, 'what came meanwhile is newer').to.equal(-1);
  });

  it('takes in what follows for a record from elsewhere, and stays as old as it is', () => {
    cache.put(thing('a', 1), 10);
    cache.put(thing('b', 2), 10);
    expect(cache.amend((t) => (t.state === 1 ? { ...t, state: 7 } : t))).to.deep.equal(['a']);
    expect(cache.get('a')?.state).to.equal(7);
    expect(cache.put(thing('a', 3), 11), 'a later look counts').to.equal(true);
    expect(cache.put(thing('b', 3), 9), 'an earlier one does not').to.equal(false);
  });

  it('forgets, and takes in what comes again', () => {
    cache.put(thing('a', 1), 10);
    cache.forget('a');
    expect(cache.get('a')).to.equal(undefined);
    expect(cache.put(thing('a', 1), 5)).to.equal(true);
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

  describe('of what is gone for certain', () => {
    beforeEach(() => {
      cache.put(thing('a', 1), 10);
      cache.bury('a', 100);
    });

    it('forgets it', () => {
      expect(cache.get('a')).to.equal(undefined);
    });

    it('lets nothing that was asked for before bring it back', async () => {
      expect(cache.put(thing('a', 2), 100)).to.equal(false);
      expect(await cache.putAll(list(thing('a', 2), thing('b', 1)), 99)).to.deep.equal({
        changed: ['b'],
        missing: [],
      });
      expect([...cache.records()].map((t) => t.id)).to.deep.equal(['b']);
    });

    it('believes what was asked for later: a database may have been restored', async () => {
      expect((await cache.putAll(list(thing('a', 2)), 101)).changed).to.deep.equal(['a']);
      cache.forget('a');
      expect(cache.put(thing('a', 2), 90), 'and does not hold it against older answers').to.equal(true);
    });

    it('needs to know so only until no older answer is on its way', async () => {
      await cache.putAll(list(), 200);
      expect(cache.put(thing('a', 2), 100), 'a read may still be on its way').to.equal(false);
      await cache.putAll(list(), 100_000);
      expect(cache.put(thing('a', 2), 100)).to.equal(true);
    });

    it('knows it also of what was never seen', () => {
      cache.bury('b', 100);
      expect(cache.put(thing('b', 1), 50)).to.equal(false);
    });
  });

  describe('by name', () => {
    beforeEach(() => {
      cache = new RecordCache({ nameOf: (t) => t.name ?? '' });
    });

    it('finds what bears the name now', () => {
      cache.put(thing('a', 1, 'x'), 10);
      expect(cache.named('x')?.id).to.equal('a');
      cache.put(thing('a', 1, 'y'), 20);
      expect([cache.named('x'), cache.named('y')?.id]).to.deep.equal([undefined, 'a']);
      cache.amend((t) => ({ ...t, name: 'z' }));
      expect([cache.named('y'), cache.named('z')?.id]).to.deep.equal([undefined, 'a']);
      cache.forget('a');
      expect(cache.named('z')).to.equal(undefined);
    });

    it('finds the one that was seen last of several, and the other one when that goes', () => {
      cache.put(thing('old', 1, 'x'), 10);
      cache.put(thing('new', 1, 'x'), 20);
      expect(cache.named('x')?.id).to.equal('new');
      cache.put(thing('old', 1, 'x'), 30);
      expect(cache.named('x')?.id).to.equal('old');
      cache.bury('old', 40);
      expect(cache.named('x')?.id).to.equal('new');
    });

    it('finds each of two that swapped their names', async () => {
      await cache.putAll(list(thing('a', 1, 'x'), thing('b', 1, 'y')), 10);
      await cache.putAll(list(thing('a', 1, 'y'), thing('b', 1, 'x')), 20);
      expect([cache.named('x')?.id, cache.named('y')?.id]).to.deep.equal(['b', 'a']);
    });

    it('finds what is there, whatever has happened', () => {
      const ids = fc.constantFrom('a', 'b', 'c');
      const names = fc.constantFrom('x', 'y');
      const acts = fc.array(fc.tuple(ids, fc.option(names, { nil: undefined })), { maxLength: 20 });
      fc.assert(
        fc.property(acts, (history) => {
          const own = new RecordCache<Thing>({ nameOf: (t) => t.name ?? '' });
          history.forEach(([id, name], at) => {
            if (name === undefined) own.forget(id);
            else own.put(thing(id, 0, name), at);
          });
          for (const name of ['x', 'y']) {
            const bearers = [...own.records()].filter((t) => t.name === name);
            expect(own.named(name) === undefined).to.equal(bearers.length === 0);
            expect(own.named(name)?.name ?? name).to.equal(name);
          }
        }),
        { numRuns: 200 },
      );
    });
  });
});
