import { expect } from 'chai';
import { gunzipSync } from 'node:zlib';
import { gzipOf } from '../../../../src/apiserver/store/gzip.ts';
import type { ObjectStore } from '../../../../src/apiserver/store/store.ts';
import { OperatorError } from '../../../../src/base/errors.ts';
import { silentLogger } from '../../../../src/base/logger.ts';
import { FakeClock } from '../../../support/clock.ts';
import type { Widget } from '../../../support/kube-objects.ts';
import { followed, held, listInto, widgetIn, widgetStore } from '../../../support/view-store.ts';

const takesDifferences = true;
const never = new AbortController().signal;

function listed(version: number, ...objects: readonly Widget[]): ObjectStore<Widget> {
  const store = widgetStore();
  listInto(store, objects, version);
  return store;
}

const put = (store: ObjectStore<Widget>, name: string, rv: number, uid = `uid-${name}`): void =>
  store.apply({ type: 'MODIFIED', object: widgetIn(name, { rv, uid }) });
const remove = (store: ObjectStore<Widget>, name: string, rv: number): void =>
  store.apply({ type: 'DELETED', object: widgetIn(name, { rv }) });
const steps = (
  store: ObjectStore<Widget>,
  objects: readonly Widget[],
  version: number,
): Generator<void, void> =>
  store.replaceInSteps(
    objects.map((object) => store.prepare(object)),
    String(version),
    0,
  );
const many = (count: number, rv: (i: number) => number): Widget[] =>
  Array.from({ length: count }, (_, i) => widgetIn(`w${String(i).padStart(5, '0')}`, { rv: rv(i) }));

describe('ObjectStore', () => {
  it('answers nothing before the first list is complete', () => {
    const store = widgetStore();
    const all = steps(
      store,
      many(600, () => 3),
      10,
    );
    all.next();
    expect(store.synced).to.equal(false);
    expect(() => store.snapshot())
      .to.throw(OperatorError)
      .with.property('code', 'NOT_SYNCED');
    expect(followed(store, 10).stop).to.equal(undefined);
    while (all.next().done !== true);
    expect(store.synced).to.equal(true);
    expect(held(store)).to.have.length(600);
  });

  it('30. has a version that is never 0 once synced, and at least that of every object', () => {
    const empty = listed(7);
    expect([empty.synced, empty.resourceVersion, empty.snapshot().resourceVersion]).to.deep.equal([
      true,
      7n,
      7n,
    ]);
    expect(held(empty)).to.deep.equal([]);
    const store = listed(10, widgetIn('a', { rv: 9 }));
    put(store, 'b', 12);
    store.advance('15');
    remove(store, 'a', 20);
    expect([store.resourceVersion, store.snapshot().resourceVersion]).to.deep.equal([20n, 20n]);
    expect(() => listInto(widgetStore(), [], 0))
      .to.throw(OperatorError)
      .with.property('code', 'BROKEN_VERSION');
  });

  it('30. means the same by a version on every replica: list here, follow there', () => {
    const here = listed(10, widgetIn('a'));
    const there = listed(5, widgetIn('a'));
    for (const store of [here, there]) {
      if (store === there) put(store, 'b', 8);
      else listInto(store, [widgetIn('a'), widgetIn('b', { rv: 8 })], 10);
      put(store, 'a', 12);
    }
    const { resourceVersion } = here.snapshot();
    put(there, 'c', 14);
    expect(followed(there, resourceVersion).told).to.deep.equal(['added c@14']);
  });

  it('finds one object, and those of a namespace', () => {
    const store = listed(10, widgetIn('a'), widgetIn('a', { namespace: 'other', rv: 3 }));
    expect(store.snapshot().get('other', 'a')?.resourceVersion).to.equal(3n);
    expect(store.snapshot().get('other', 'b')).to.equal(undefined);
    expect(held(store, 'other')).to.deep.equal(['other/a@3']);
    expect(held(store, 'none')).to.deep.equal([]);
  });

  it('39. tells of creation, change and deletion in order, each with its own version and what was before', () => {
    const store = listed(10, widgetIn('a', { rv: 9 }));
    const live = followed(store, 10);
    store.apply({ type: 'ADDED', object: widgetIn('b', { rv: 11 }) });
    store.apply({ type: 'MODIFIED', object: widgetIn('a', { rv: 12, colour: 'red' }) });
    store.apply({ type: 'DELETED', object: widgetIn('a', { rv: 15, colour: 'red' }) });
    const expected = ['added b@11', 'modified a@12', 'deleted a@15'];
    expect(live.told).to.deep.equal(expected);
    expect(live.changes.map(({ previous }) => previous?.resourceVersion)).to.deep.equal([undefined, 9n, 12n]);
    const deleted = JSON.parse(String(live.changes[2]?.entry.json)) as Widget;
    expect([deleted.metadata.resourceVersion, deleted.spec?.colour]).to.deep.equal(['15', 'red']);
    expect(followed(store, 10).told, 'the same from the history').to.deep.equal(expected);
    expect(followed(store, 12).told).to.deep.equal(['deleted a@15']);
    expect(held(store)).to.deep.equal(['default/b@11']);
  });

  it('tells the past at once and then what happens, until that is ended', () => {
    const store = listed(10);
    put(store, 'a', 11);
    const live = followed(store, 10);
    put(store, 'a', 12);
    live.stop?.();
    put(store, 'a', 13);
    expect(live.told).to.deep.equal(['added a@11', 'modified a@12']);
    expect(store.stats().followers).to.equal(0);
  });

  it('43. does not follow from before its history', async () => {
    const clock = new FakeClock();
    const store = widgetStore({ clock, historyMs: 60_000 });
    listInto(store, [], 10);
    expect(followed(store, 9).stop).to.equal(undefined);
    put(store, 'a', 11);
    await clock.advance(50_000);
    expect(followed(store, 10).stop).to.not.equal(undefined);
    await clock.advance(20_000);
    expect(followed(store, 10).stop, 'forgotten after a minute').to.equal(undefined);
    expect(followed(store, 11).stop).to.not.equal(undefined);
    expect(store.stats().floor).to.equal(11n);
  });

  it('43. keeps no more changes nor bytes than it may', () => {
    const few = widgetStore({ historyEvents: 2 });
    const small = widgetStore({ historyBytes: 400 });
    for (const store of [few, small]) {
      listInto(store, [], 10);
      for (let rv = 11; rv < 31; rv++) put(store, 'a', rv);
      expect(followed(store, 27).stop).to.equal(undefined);
      expect(followed(store, 28).told).to.deep.equal(['modified a@29', 'modified a@30']);
    }
    expect(small.stats().historyBytes).to.be.within(1, 400);
  });

  it('44. lets a future version wait, and tells nothing up to it', () => {
    const store = listed(10);
    const live = followed(store, 13);
    for (const rv of [11, 13, 14]) put(store, 'a', rv);
    expect(live.told).to.deep.equal(['modified a@14']);
  });

  it('45. moves its version with bookmarks, and only forwards', () => {
    const store = listed(10, widgetIn('a'));
    const live = followed(store, 10);
    store.advance('25');
    store.advance('20');
    expect([store.resourceVersion, store.snapshot().resourceVersion]).to.deep.equal([25n, 25n]);
    expect(live.told).to.deep.equal([]);
    expect(() => store.advance('soon'))
      .to.throw(OperatorError)
      .with.property('code', 'BROKEN_VERSION');
  });

  it('tells nothing twice when a watch repeats it, and nothing of what it never knew', () => {
    const store = listed(10, widgetIn('a', { rv: 9 }));
    const live = followed(store, 10);
    put(store, 'a', 9);
    remove(store, 'a', 10);
    remove(store, 'unknown', 12);
    expect(live.told).to.deep.equal([]);
    expect([held(store), store.resourceVersion]).to.deep.equal([['default/a@9'], 12n]);
  });

  it('shows another object of the same name as both, although no deletion was told', () => {
    const store = listed(10, widgetIn('a', { rv: 9, uid: 'one' }));
    const live = followed(store, 10, { takesDifferences });
    const byLabels = followed(store, 10);
    put(store, 'a', 15, 'two');
    expect(live.told).to.deep.equal(['deleted a@10', 'added a@15']);
    expect(live.changes.map(({ entry }) => entry.uid)).to.deep.equal(['one', 'two']);
    expect(byLabels.told).to.deep.equal(['lost']);
  });

  it('leaves a snapshot as it was, whatever happens', async () => {
    const store = listed(10, widgetIn('a'), widgetIn('b'));
    const before = store.snapshot();
    expect(store.snapshot()).to.equal(before);
    put(store, 'a', 11);
    remove(store, 'b', 12);
    listInto(store, [], 20);
    expect(before.resourceVersion).to.equal(10n);
    expect(before.get('default', 'a')?.resourceVersion).to.equal(1n);
    const plain = gunzipSync(Buffer.concat(await gzipOf(before.segments()))).toString();
    expect((JSON.parse(`[${plain}]`) as Widget[]).map(({ metadata }) => metadata.name)).to.deep.equal([
      'a',
      'b',
    ]);
  });

  it('refuses a broken object and stays as it was', () => {
    const store = listed(10, widgetIn('a'));
    const broken = widgetIn('a', { rv: '12x' });
    expect(() => store.apply({ type: 'MODIFIED', object: broken })).to.throw(
      OperatorError,
      'resourceVersion',
    );
    expect(() => store.prepare(broken)).to.throw(OperatorError, 'resourceVersion');
    expect(() => listInto(store, [widgetIn('b', { rv: 30 })], 20)).to.throw(
      OperatorError,
      'older than an object',
    );
    expect([held(store), store.resourceVersion]).to.deep.equal([['default/a@1'], 10n]);
  });

  describe('at a new list', () => {
    const before = (): ObjectStore<Widget> =>
      listed(10, ...['a', 'b', 'c', 'd', 'e'].map((name) => widgetIn(name, { rv: 5 })));
    /** b changed, c gone, d replaced, f and g new. */
    const after = [
      widgetIn('a', { rv: 5 }),
      widgetIn('b', { rv: 17 }),
      widgetIn('d', { rv: 13, uid: 'other' }),
      widgetIn('e', { rv: 5 }),
      widgetIn('f', { rv: 12 }),
      widgetIn('g', { rv: 19 }),
    ];
    const told = ['deleted c@10', 'deleted d@10', 'added f@12', 'added d@13', 'modified b@17', 'added g@19'];

    it('49. tells the differences, deletions first, in an order in which no version goes back', () => {
      const store = before();
      const live = followed(store, 10, { takesDifferences });
      listInto(store, after, 20);
      expect(live.told).to.deep.equal(told);
      const deleted = JSON.parse(String(live.changes[0]?.entry.json)) as Widget;
      expect(deleted.metadata).to.include({ name: 'c', resourceVersion: '10' });
      expect(live.changes[0]?.previous?.resourceVersion).to.equal(5n);
      put(store, 'a', 22);
      expect(live.told.at(-1)).to.equal('modified a@22');
    });

    it('49. follows from before it, though not from within, where not all is known', () => {
      const store = before();
      store.advance('11');
      listInto(store, after, 20);
      for (const version of [10, 11])
        expect(followed(store, version, { takesDifferences }).told).to.deep.equal(
          told.map((line) => line.replace('@10', '@11')),
        );
      for (const version of [12, 17, 19])
        expect(followed(store, version, { takesDifferences }).stop).to.equal(undefined);
      expect(followed(store, 20).told).to.deep.equal([]);
    });

    it('49. ends those who choose by labels, and those who know a part of the differences already', () => {
      const store = before();
      const byLabels = followed(store, 10);
      const ahead = followed(store, 15, { takesDifferences });
      const farAhead = followed(store, 21);
      listInto(store, after, 20);
      put(store, 'a', 22);
      expect([byLabels.told, ahead.told]).to.deep.equal([['lost'], ['lost']]);
      expect(farAhead.told, 'it knows all of the list').to.deep.equal(['modified a@22']);
      expect(followed(store, 10).stop, 'by labels from before the list').to.equal(undefined);
    });

    it('goes on for everybody when nothing changed', () => {
      const store = before();
      const live = followed(store, 10);
      const ahead = followed(store, 15);
      const { entries } = store.snapshot().segments()[0]!;
      listInto(
        store,
        ['a', 'b', 'c', 'd', 'e'].map((name) => widgetIn(name, { rv: 5 })),
        20,
      );
      put(store, 'a', 22);
      expect(live.told).to.deep.equal(['modified a@22']);
      expect(ahead.told, 'an object may have come and gone since').to.deep.equal(['lost']);
      expect(followed(store, 10).told).to.deep.equal(['modified a@22']);
      expect(store.snapshot().get('default', 'b'), 'what is the same is not made again').to.equal(entries[1]);
      expect(store.prepare(widgetIn('b', { rv: 5 }))).to.equal(entries[1]);
      expect(store.prepare(widgetIn('b', { rv: 5, uid: 'other' }))).to.not.equal(entries[1]);
    });

    it('gives the last of all changes the version of the list when it is a deletion', () => {
      const store = listed(10, widgetIn('a'), widgetIn('b'));
      const live = followed(store, 10, { takesDifferences });
      listInto(store, [], 20);
      expect(live.told).to.deep.equal(['deleted a@10', 'deleted b@20']);
      expect(followed(store, 20, { takesDifferences }).told).to.deep.equal([]);
    });

    it('shows the old state or the new one, never a mixture', () => {
      const store = widgetStore();
      listInto(
        store,
        many(1_200, () => 1),
        10,
      );
      const old = held(store);
      const all = steps(
        store,
        many(1_500, (i) => (i % 2 === 0 ? 1 : 11 + i)),
        5_000,
      );
      let pauses = 0;
      for (; all.next().done !== true; pauses++) {
        expect(store.snapshot().resourceVersion).to.equal(10n);
        expect(held(store)).to.deep.equal(old);
      }
      expect(pauses).to.be.above(5);
      expect([held(store).length, store.snapshot().resourceVersion]).to.deep.equal([1_500, 5_000n]);
    });

    it('has turns of some hundred objects', () => {
      const store = widgetStore();
      const count = (all: Generator<void, void>): number => {
        let pauses = 0;
        for (; all.next().done !== true; pauses++);
        return pauses;
      };
      expect(
        count(
          steps(
            store,
            many(3_000, () => 1),
            10,
          ),
        ),
      ).to.be.at.least(12);
      expect(
        count(
          steps(
            store,
            many(3_000, (i) => 11 + i),
            5_000,
          ),
        ),
      ).to.be.at.least(12);
      expect(count(steps(store, [], 6_000))).to.be.at.least(24);
    });

    it('tells many followers in turns; until all know, no bookmark says so', () => {
      const store = listed(10);
      const followers = Array.from({ length: 400 }, () => followed(store, 10, { takesDifferences }));
      const all = steps(
        store,
        [10, 11, 12, 13].map((i) => widgetIn(`w${i}`, { rv: i + 1 })),
        20,
      );
      all.next();
      expect(followers[0]?.told).to.deep.equal(['added w10@11', 'added w11@12', 'added w12@13']);
      expect([store.resourceVersion, store.snapshot().resourceVersion]).to.deep.equal([10n, 20n]);
      const late = followed(store, 10, { takesDifferences });
      const listedNow = followed(store, store.snapshot().resourceVersion);
      followers[1]?.stop?.();
      while (all.next().done !== true);
      expect(store.resourceVersion).to.equal(20n);
      expect(late.told, 'all of it once').to.have.length(4);
      expect(listedNow.told).to.deep.equal([]);
      expect(followers.map((follower) => follower.told.length)).to.deep.equal([
        4,
        3,
        ...Array.from({ length: 398 }, () => 4),
      ]);
    });

    for (const [what, objects, version] of [
      ['an older version', [widgetIn('a', { rv: 5 })], 7],
      ['the same version and other objects', [], 10],
      ['objects that changed to something older', [widgetIn('a', { rv: 3 })], 500],
    ] as const) {
      it(`begins anew when the data went back in time: a list with ${what}`, async () => {
        const warned: string[] = [];
        const clock = new FakeClock();
        const logger = { ...silentLogger, warn: (message: string) => warned.push(message) };
        const store = widgetStore({ clock, logger });
        listInto(store, [widgetIn('a', { rv: 5 })], 10);
        expect(store.began).to.deep.equal({ version: 10n, at: clock.now() });
        await clock.advance(500);
        const followers = [10, 12, 10_000].map((from) => followed(store, from, { takesDifferences }));
        const waiting = store.reached(BigInt(version) + 1n, 1_000, never);
        if (version > 10) put(store, 'b', 12);
        listInto(store, objects, version, 300);
        expect(followers.map(({ told: seen }) => seen.at(-1))).to.deep.equal(['lost', 'lost', 'lost']);
        expect([store.resourceVersion, store.snapshot().resourceVersion]).to.deep.equal([
          BigInt(version),
          BigInt(version),
        ]);
        expect(followed(store, version - 1, { takesDifferences }).stop).to.equal(undefined);
        expect(warned).to.have.length(1);
        const { began } = store;
        expect(began, 'when the list was asked for').to.deep.equal({
          version: BigInt(version),
          at: clock.now() - 200,
        });
        put(store, 'c', version + 1);
        expect(followed(store, version).told).to.deep.equal([`added c@${version + 1}`]);
        expect(await waiting).to.equal(true);
        listInto(store, objects, version + 5);
        expect(store.began, 'a list that goes on begins nothing').to.equal(began);
      });
    }
  });

  describe('listeners', () => {
    it('that fail are logged and end, and do no harm to others', () => {
      const logged: string[] = [];
      const store = widgetStore({ logger: { ...silentLogger, error: (message) => logged.push(message) } });
      listInto(store, [], 10);
      let calls = 0;
      let losses = 0;
      store.follow(10n, {
        changed() {
          calls++;
          throw new Error('no');
        },
        lost() {
          losses++;
          throw new Error('no again');
        },
      });
      const other = followed(store, 10);
      put(store, 'a', 11);
      put(store, 'a', 12);
      expect(other.told).to.deep.equal(['added a@11', 'modified a@12']);
      expect([calls, losses, logged.length], 'it missed one, so it is told no more').to.deep.equal([1, 1, 2]);
    });

    it('may leave, come and come back while they are told', () => {
      const store = listed(10);
      const told: string[] = [];
      const stops: ((() => void) | undefined)[] = [];
      for (const name of ['one', 'two']) {
        const stop = store.follow(10n, {
          changed(change) {
            told.push(`${name} ${change.resourceVersion}`);
            stops.forEach((end) => end?.());
            if (change.resourceVersion === 11n)
              store.follow(10n, {
                changed: (again) => told.push(`${name} anew ${again.resourceVersion}`),
                lost: () => undefined,
              });
          },
          lost: () => undefined,
        });
        stops.push(stop);
      }
      put(store, 'a', 11);
      put(store, 'a', 12);
      expect(told).to.deep.equal(['one 11', 'one anew 11', 'one anew 12']);
    });

    it('that are lost may follow anew at once', () => {
      const store = listed(10, widgetIn('a', { rv: 5 }));
      const told: string[] = [];
      store.follow(10n, {
        changed: () => undefined,
        lost() {
          const { resourceVersion } = store.snapshot();
          store.follow(resourceVersion, {
            changed: (c) => told.push(`changed ${c.resourceVersion}`),
            lost: () => told.push('lost'),
          });
        },
      });
      listInto(store, [], 20);
      put(store, 'b', 21);
      expect(told).to.deep.equal(['changed 21']);
    });
  });

  describe('reached', () => {
    it('resolves at once, with an event, a bookmark or a list', async () => {
      const store = widgetStore();
      const synced = store.reached(1n, 5_000, never);
      listInto(store, [], 10);
      expect(await synced).to.equal(true);
      expect(await store.reached(10n, 5_000, never)).to.equal(true);
      const waiting = [12n, 15n, 20n].map((version) => store.reached(version, 5_000, never));
      put(store, 'a', 13);
      store.advance('15');
      listInto(store, [widgetIn('a', { rv: 13 })], 20);
      expect(await Promise.all(waiting)).to.deep.equal([true, true, true]);
    });

    it('gives up when the time is over or the caller has gone, and leaves nothing behind', async () => {
      const clock = new FakeClock();
      const store = widgetStore({ clock });
      listInto(store, [], 10);
      const caller = new AbortController();
      const late = store.reached(11n, 3_000, never);
      const left = store.reached(11n, 3_000, caller.signal);
      const inTime = store.reached(12n, 3_001, never);
      caller.abort();
      expect(await left).to.equal(false);
      expect(await store.reached(11n, 3_000, caller.signal)).to.equal(false);
      await clock.advance(3_000);
      expect(await late).to.equal(false);
      put(store, 'a', 12);
      expect(await inTime).to.equal(true);
      expect(clock.pending).to.equal(0);
    });
  });
});
