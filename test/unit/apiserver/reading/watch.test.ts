import { expect } from 'chai';
import { settle, type FakeClock } from '../../../support/clock.ts';
import { PARTIAL, ReadingWorld, RestingClock, TABLE, type ReadList } from '../../../support/reading.ts';
import { MemorySink } from '../../../support/watch-sink.ts';

const STREAMING = 'watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true';

function world(): ReadingWorld {
  const made = new ReadingWorld();
  made.widgets.put('b', { namespace: 'two', labels: { tier: 'web' } });
  made.widgets.put('a', { colour: 'green', labels: { tier: 'web' } });
  made.widgets.list(10);
  return made;
}

/** More objects than are sent in one go. */
function fullWorld(count = 1_000, clock?: FakeClock): ReadingWorld {
  const made = new ReadingWorld({}, clock);
  for (let i = 0; i < count; i++) {
    made.widgets.put(`w${String(i).padStart(4, '0')}`, { colour: 'x'.repeat(500) });
  }
  made.widgets.list(count + 10);
  return made;
}

describe('watches', () => {
  describe('begin', () => {
    for (const query of ['watch=1', 'watch=1&resourceVersion=0', 'watch=true&resourceVersion=']) {
      it(`40. with ${query}: all that is there, then what happens`, async () => {
        const made = world();
        const sink = await made.watch(`/widgets?${query}`);
        expect(sink.seen).to.deep.equal(['ADDED a@2', 'ADDED b@1']);
        made.widgets.put('a', { colour: 'red' }).put('c').remove('b', { namespace: 'two' });
        expect(sink.seen.slice(2)).to.deep.equal(['MODIFIED a@11', 'ADDED c@12', 'DELETED b@13']);
      });
    }

    it('40. with one object, whose first real change comes after it', async () => {
      const made = world();
      const sink = await made.watch('/namespaces/default/widgets?watch=1&fieldSelector=metadata.name%3Da');
      made.widgets.put('x').put('a', { namespace: 'two' }).put('a', { colour: 'red' });
      expect(sink.seen).to.deep.equal(['ADDED a@2', 'MODIFIED a@13']);
    });

    it('39. after a version: all that happened since and happens now, in order', async () => {
      const made = world();
      made.widgets.put('c').put('a', { colour: 'red' }).remove('c');
      const sink = await made.watch('/widgets?watch=1&resourceVersion=11');
      expect(sink.seen).to.deep.equal(['MODIFIED a@12', 'DELETED c@13']);
      made.widgets.put('c').put('c', { colour: 'red' }).remove('c');
      expect(sink.seen.slice(2)).to.deep.equal(['ADDED c@14', 'MODIFIED c@15', 'DELETED c@16']);
      expect(sink.events[1]?.object.metadata.resourceVersion).to.equal('13');
    });

    it('39. hold whole objects', async () => {
      const made = world();
      const sink = await made.watch('/widgets?watch=1&resourceVersion=10');
      made.widgets.put('a', { colour: 'red' });
      expect(sink.events[0]).to.deep.equal({
        type: 'MODIFIED',
        object: {
          kind: 'Widget',
          apiVersion: 'aggregation.test.coder.com/v1alpha1',
          metadata: { name: 'a', namespace: 'default', uid: 'uid-a', resourceVersion: '11' },
          spec: { colour: 'red' },
          status: {},
        },
      });
    });

    it('38. without a word when nothing happens', async () => {
      const sink = await world().watch('/widgets?watch=1&resourceVersion=10');
      expect([sink.lines, sink.signal.aborted]).to.deep.equal([[], false]);
    });

    it('44. after a version from the future without an error, and suppress what comes before it', async () => {
      const made = world();
      const sink = await made.watch('/widgets?watch=1&resourceVersion=12&allowWatchBookmarks=true');
      made.widgets.put('c').put('d');
      expect(sink.seen).to.deep.equal([]);
      // A bookmark would be older than what the client knows, or be true only by chance.
      made.widgets.put('e').put('f').put('g');
      await settle();
      made.widgets.put('h').put('i');
      expect(sink.seen).to.deep.equal(['ADDED e@13', 'ADDED f@14', 'ADDED g@15', 'ADDED h@16', 'ADDED i@17']);
      await made.clock.advance(61_000);
      expect(sink.seen.slice(5)).to.deep.equal(['BOOKMARK @17']);
    });

    it('44. send no bookmark before the version from the future has come', async () => {
      const made = world();
      const sink = await made.watch('/widgets?watch=1&resourceVersion=20&allowWatchBookmarks=true');
      await made.clock.advance(61_000);
      expect(sink.seen).to.deep.equal([]);
      made.widgets.bookmark(30);
      await made.clock.advance(61_000);
      expect(sink.seen).to.deep.equal(['BOOKMARK @30']);
      made.widgets.put('c');
      expect(sink.seen.slice(1)).to.deep.equal(['ADDED c@31']);
    });

    it('43. after a version that is too old with an ERROR event, and end', async () => {
      const made = world();
      const sink = await made.watch('/widgets?watch=1&resourceVersion=9');
      expect(sink.events).to.deep.equal([
        {
          type: 'ERROR',
          object: {
            kind: 'Status',
            apiVersion: 'v1',
            metadata: {},
            status: 'Failure',
            message: 'too old resource version: 9 (10)',
            reason: 'Expired',
            code: 410,
          },
        },
      ]);
      expect(sink.ended).to.equal(true);
      expect(made.clock.pending).to.equal(0);
    });

    for (const [query, causes] of [
      ['sendInitialEvents=true', ['resourceVersionMatch FieldValueForbidden']],
      [
        'sendInitialEvents=true&resourceVersionMatch=Exact&resourceVersion=1',
        ['resourceVersionMatch FieldValueForbidden', 'resourceVersionMatch FieldValueNotSupported'],
      ],
      ['sendInitialEvents=false&resourceVersion=5', ['resourceVersionMatch FieldValueForbidden']],
      ['resourceVersionMatch=NotOlderThan&resourceVersion=5', ['resourceVersionMatch FieldValueForbidden']],
      [
        'sendInitialEvents=true&resourceVersionMatch=NotOlderThan&continue=x',
        ['resourceVersionMatch FieldValueForbidden'],
      ],
    ] as const) {
      it(`41. not with ${query}`, async () => {
        const refused = await world().refusal(`/widgets?watch=1&${query}`);
        expect(refused).to.include({ code: 422, reason: 'Invalid' });
        expect(refused.details?.causes?.map(({ field, reason }) => `${field} ${reason}`)).to.deep.equal(
          causes,
        );
      });
    }

    it('41. not with a version that is none', async () => {
      expect(await world().refusal('/widgets?watch=1&resourceVersion=abc')).to.deep.include({
        code: 422,
        message:
          'widgets.aggregation.test.coder.com "" is invalid: ' +
          'resourceVersion: Invalid value: "abc": it is not a decimal number',
      });
    });
  });

  describe('that stream a list', () => {
    it('41. send all that is there, a bookmark that says so, and what happens', async () => {
      const made = world();
      made.widgets.bookmark(50);
      const sink = await made.watch(`/widgets?${STREAMING}`);
      expect(sink.seen).to.deep.equal(['ADDED a@2', 'ADDED b@1', 'BOOKMARK @50']);
      expect(sink.events[2]).to.deep.equal({
        type: 'BOOKMARK',
        object: {
          kind: 'Widget',
          apiVersion: 'aggregation.test.coder.com/v1alpha1',
          metadata: { resourceVersion: '50', annotations: { 'k8s.io/initial-events-end': 'true' } },
        },
      });
      made.widgets.put('c');
      expect(sink.seen.slice(3)).to.deep.equal(['ADDED c@51']);
      await made.clock.advance(61_000);
      expect(sink.events[4]?.object.metadata).to.deep.equal({ resourceVersion: '51' });
    });

    it('41. send the bookmark although nothing is there or selected', async () => {
      const empty = new ReadingWorld();
      empty.widgets.list(7);
      expect((await empty.watch(`/widgets?${STREAMING}`)).seen).to.deep.equal(['BOOKMARK @7']);
      const none = await world().watch(`/widgets?${STREAMING}&labelSelector=none`);
      expect(none.seen).to.deep.equal(['BOOKMARK @10']);
    });

    it('41. wait for their version, and say so when it does not come', async () => {
      const made = world();
      const sink = await made.watch(`/widgets?${STREAMING}&resourceVersion=11`);
      expect(sink.seen).to.deep.equal([]);
      made.widgets.put('c');
      await settle();
      expect(sink.seen).to.deep.equal(['ADDED a@2', 'ADDED c@11', 'ADDED b@1', 'BOOKMARK @11']);
      const late = await made.watch(`/widgets?${STREAMING}&resourceVersion=99`);
      await made.clock.advance(3_000);
      expect(late.events[0]?.object).to.deep.include({
        code: 504,
        reason: 'Timeout',
        message: 'Timeout: Too large resource version: 99, current: 11',
      });
      expect(late.ended).to.equal(true);
    });

    it('41. without sendInitialEvents send only what happens', async () => {
      const made = world();
      for (const version of ['&resourceVersion=0', '']) {
        const query = `watch=1&sendInitialEvents=false&resourceVersionMatch=NotOlderThan${version}`;
        const sink = await made.watch(`/widgets?${query}`);
        made.widgets.put('a', { colour: 'red' });
        expect(sink.seen).to.deep.equal([`MODIFIED a@${made.widgets.version}`]);
      }
    });

    it('45. send no bookmark to those who did not ask for any', async () => {
      const made = world();
      const sink = await made.watch(
        '/widgets?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan',
      );
      await made.clock.advance(10 * 60_000);
      expect(sink.seen).to.deep.equal(['ADDED a@2', 'ADDED b@1']);
    });

    it('send a long list in pieces that wait for the client and give way to others', async () => {
      const made = fullWorld();
      const sink = new MemorySink();
      sink.stop();
      await made.watch(`/widgets?${STREAMING}`, { sink });
      const first = sink.lines.length;
      expect(first).to.be.within(50, 200);
      await settle();
      expect(sink.lines.length).to.equal(first);
      sink.take();
      await settle();
      expect(sink.lines.length).to.be.within(first + 50, first + 200);
      for (let i = 0; i < 20; i++) {
        sink.take();
        await settle();
      }
      expect(sink.lines).to.have.length(1_001);
      expect(sink.seen.at(-1)).to.equal('BOOKMARK @1010');
    });

    it('lose nothing that happens meanwhile, and tell it after the list', async () => {
      const made = fullWorld();
      const sink = new MemorySink();
      sink.stop();
      await made.watch(`/widgets?${STREAMING}`, { sink });
      made.widgets
        .put('w0001', { colour: 'early' })
        .put('w0999', { colour: 'late' })
        .remove('w0500')
        .put('new');
      for (let i = 0; i < 20; i++) {
        sink.take();
        await settle();
        made.widgets.put('w0002');
      }
      made.widgets.put('w0003');
      await settle();
      const seen = sink.seen;
      const end = seen.indexOf('BOOKMARK @1010');
      expect(end).to.equal(1_000);
      expect(seen.slice(0, end).every((event) => event.startsWith('ADDED w'))).to.equal(true);
      expect(seen.slice(end + 1, end + 5)).to.deep.equal([
        'MODIFIED w0001@1011',
        'MODIFIED w0999@1012',
        'DELETED w0500@1013',
        'ADDED new@1014',
      ]);
      const rest = seen.slice(end + 5);
      expect(rest).to.deep.equal([
        ...rest.slice(0, -1).map((_, i) => `MODIFIED w0002@${1015 + i}`),
        `MODIFIED w0003@${made.widgets.version}`,
      ]);
      // From here on it shares its lines with others.
      const other = await made.watch(`/widgets?watch=1&resourceVersion=${made.widgets.version}`);
      made.widgets.put('w0004');
      expect(sink.lines.at(-1)).to.equal(other.lines[0]);
      await made.clock.advance(10 * 60_000);
      expect(sink.ended).to.equal(false);
    });

    it('send a long list in pieces also to a client that takes everything at once', async () => {
      const made = fullWorld(1_000, new RestingClock());
      const sink = new MemorySink();
      const answer = await made.answer(`/widgets?${STREAMING}`);
      if ('start' in answer) answer.start(sink);
      for (let i = 0; i < 1_000; i++) await Promise.resolve();
      expect(sink.lines.length).to.be.within(50, 200);
      await settle();
      await settle();
      expect(sink.lines).to.have.length(1_001);
    });

    it('look through what happened to others in pieces too', async () => {
      const made = fullWorld(1, new RestingClock());
      const from = made.widgets.version;
      for (let i = 0; i < 5_000; i++) made.widgets.put('w0000');
      made.widgets.put('own', { namespace: 'two' });
      const sink = new MemorySink();
      const answer = await made.answer(`/namespaces/two/widgets?watch=1&resourceVersion=${from}`);
      if ('start' in answer) answer.start(sink);
      for (let i = 0; i < 1_000; i++) await Promise.resolve();
      expect(sink.lines).to.have.length(0);
      for (let i = 0; i < 4; i++) await settle();
      expect(sink.lines).to.have.length(1);
    });

    it('48. end when the client takes nothing for a minute, and hold nothing of it any more', async () => {
      const made = fullWorld();
      const sink = new MemorySink();
      sink.stop();
      await made.watch('/widgets?watch=1', { sink });
      await made.clock.advance(30_000);
      sink.take();
      await made.clock.advance(59_000);
      expect(sink.ended).to.equal(false);
      await made.clock.advance(2_000);
      expect(sink.ended).to.equal(true);
      expect([made.widgets.store.stats().followers, made.clock.pending]).to.deep.equal([0, 0]);
    });

    it('48. end when too much happens before the client has taken the list', async () => {
      const made = fullWorld(300);
      const sink = new MemorySink();
      sink.stop();
      await made.watch(`/widgets?${STREAMING}`, { sink });
      for (let i = 0; i <= 20_000; i++) made.widgets.put('w0000');
      expect(sink.ended).to.equal(true);
      expect(made.widgets.store.stats().followers).to.equal(0);
    });

    it('stop where the client has gone', async () => {
      const made = fullWorld();
      const sink = new MemorySink();
      sink.stop();
      await made.watch(`/widgets?${STREAMING}`, { sink });
      const sent = sink.lines.length;
      sink.gone();
      await settle();
      expect(sink.lines).to.have.length(sent);
      expect([made.widgets.store.stats().followers, made.clock.pending]).to.deep.equal([0, 0]);
    });

    it('resume in pieces too, where much has happened', async () => {
      const made = fullWorld(300);
      const from = made.widgets.version;
      for (let i = 0; i < 300; i++)
        made.widgets.put(`w${String(i).padStart(4, '0')}`, { colour: 'y'.repeat(500) });
      const sink = new MemorySink();
      sink.stop();
      await made.watch(`/widgets?watch=1&resourceVersion=${from}`, { sink });
      expect(sink.lines.length).to.be.within(50, 200);
      made.widgets.put('w0000');
      while (sink.unsent > 0) {
        sink.take();
        await settle();
      }
      expect(sink.lines).to.have.length(301);
      expect(sink.seen.at(-1)).to.equal(`MODIFIED w0000@${made.widgets.version}`);
    });
  });

  describe('with selectors', () => {
    it('46. tell of a change of labels into the selection and out of it', async () => {
      const made = world();
      const sink = await made.watch('/widgets?watch=1&labelSelector=tier%3Dweb&resourceVersion=10');
      made.widgets
        .put('c')
        .put('c', { labels: { tier: 'web' }, colour: 'red' })
        .put('c', { labels: { tier: 'web' }, colour: 'blue' })
        .put('c', { labels: { tier: 'db' }, colour: 'black' })
        .put('c', { labels: { tier: 'db' } });
      expect(sink.seen).to.deep.equal(['ADDED c@12', 'MODIFIED c@13', 'DELETED c@14']);
      // It leaves as it was known, with the version of the change.
      expect(sink.events[2]?.object['spec']).to.deep.equal({ colour: 'blue' });
      made.widgets
        .remove('c')
        .put('a', { labels: { tier: 'web' } })
        .remove('a', { labels: { tier: 'web' } });
      expect(sink.seen.slice(3)).to.deep.equal(['MODIFIED a@17', 'DELETED a@18']);
    });

    it('46. do so also for what happened before they began', async () => {
      const made = world();
      made.widgets.put('a', { labels: {} }).put('b', { namespace: 'two', labels: { tier: 'web' } });
      const sink = await made.watch('/widgets?watch=1&labelSelector=tier&resourceVersion=10');
      expect(sink.seen).to.deep.equal(['DELETED a@11', 'MODIFIED b@12']);
    });

    it('46. tell a deletion by what was selected before it', async () => {
      const made = world();
      const [web, bare] = [
        await made.watch('/widgets?watch=1&labelSelector=tier&resourceVersion=10'),
        await made.watch('/widgets?watch=1&labelSelector=!tier&resourceVersion=10'),
      ];
      // The last state may have other labels than the one before.
      made.widgets.remove('a', { labels: {} });
      expect([web.seen, bare.seen]).to.deep.equal([['DELETED a@11'], []]);
    });

    it('keep to their namespace', async () => {
      const made = world();
      const sink = await made.watch('/namespaces/two/widgets?watch=1');
      made.widgets.put('a', { colour: 'red' }).put('c', { namespace: 'two' });
      expect(sink.seen).to.deep.equal(['ADDED b@1', 'ADDED c@12']);
    });
  });

  describe('with bookmarks', () => {
    it('45. send one a minute to those who ask, with the newest version', async () => {
      const made = world();
      const [asks, does] = [
        await made.watch('/widgets?watch=1&resourceVersion=10&allowWatchBookmarks=true&timeoutSeconds=600'),
        await made.watch('/widgets?watch=1&resourceVersion=10&timeoutSeconds=600'),
      ];
      await made.clock.advance(61_000);
      made.widgets.bookmark(77);
      await made.clock.advance(60_000);
      made.widgets.put('c');
      await made.clock.advance(60_000);
      expect(asks.seen).to.deep.equal(['BOOKMARK @10', 'BOOKMARK @77', 'ADDED c@78', 'BOOKMARK @78']);
      expect(does.seen).to.deep.equal(['ADDED c@78']);
      expect(asks.events[0]?.object).to.deep.equal({
        kind: 'Widget',
        apiVersion: 'aggregation.test.coder.com/v1alpha1',
        metadata: { resourceVersion: '10' },
      });
    });

    it('45. send one two seconds before the end', async () => {
      const made = world();
      const sink = await made.watch(
        '/widgets?watch=1&resourceVersion=10&allowWatchBookmarks=true&timeoutSeconds=30',
      );
      await made.clock.advance(27_900);
      expect(sink.seen).to.deep.equal([]);
      made.widgets.bookmark(20);
      await made.clock.advance(200);
      expect(sink.seen).to.deep.equal(['BOOKMARK @20']);
      await made.clock.advance(1_000);
      expect(sink.ended).to.equal(false);
      await made.clock.advance(1_000);
      expect([sink.ended, sink.lines.length]).to.deep.equal([true, 1]);
    });

    it('45. send none that is older than an event before it, while a new list is taken in', async () => {
      const made = fullWorld(1_200);
      const query = 'resourceVersion=1210&allowWatchBookmarks=true&timeoutSeconds=90';
      const sink = await made.watch(`/widgets?watch=1&${query}`);
      for (let i = 0; i < 1_200; i++) made.widgets.set(`w${String(i).padStart(4, '0')}`);
      const steps = made.widgets.listInSteps(6_000);
      while (sink.lines.length === 0) steps.next();
      await made.clock.advance(61_000);
      expect(sink.seen.filter((event) => event.startsWith('BOOKMARK'))).to.deep.equal([]);
      while (steps.next().done !== true);
      expect(sink.lines).to.have.length(1_200);
      await made.clock.advance(28_000);
      expect(sink.seen.at(-1)).to.equal('BOOKMARK @6000');
    });
  });

  describe('end', () => {
    it('38. cleanly after timeoutSeconds', async () => {
      const made = world();
      const sink = await made.watch('/widgets?watch=1&resourceVersion=10&timeoutSeconds=3');
      await made.clock.advance(2_900);
      expect(sink.ended).to.equal(false);
      await made.clock.advance(200);
      expect([sink.ended, sink.lines]).to.deep.equal([true, []]);
      made.widgets.put('c');
      expect(sink.lines).to.deep.equal([]);
      expect([made.widgets.store.stats().followers, made.clock.pending]).to.deep.equal([0, 0]);
    });

    it('38. after half an hour to an hour where nothing is said', async () => {
      const made = world();
      // The chance of the test is a half.
      for (const query of ['', '&timeoutSeconds=0']) {
        const sink = await made.watch(`/widgets?watch=1&resourceVersion=10${query}`);
        await made.clock.advance(45 * 60_000 - 1_000);
        expect(sink.ended).to.equal(false);
        await made.clock.advance(2_000);
        expect(sink.ended).to.equal(true);
      }
    });

    it('51. as soon as their client has gone, and leave nothing behind', async () => {
      const made = world();
      const sinks: MemorySink[] = [];
      for (let i = 0; i < 500; i++) {
        const query = `watch=1&allowWatchBookmarks=true${i % 2 === 0 ? '&resourceVersion=10' : ''}`;
        const selector = i % 3 === 0 ? '&labelSelector=tier' : `&fieldSelector=metadata.name%3Dn${i % 5}`;
        sinks.push(await made.watch(`/widgets?${query}${selector}`));
      }
      expect(made.widgets.store.stats().followers).to.equal(2);
      expect(made.clock.pending).to.equal(1);
      for (const sink of sinks) sink.gone();
      expect([made.widgets.store.stats().followers, made.clock.pending]).to.deep.equal([0, 0]);
      expect((await made.watch('/widgets?watch=1')).seen).to.have.length(2);
    });

    it('49. with a 410 when the history begins anew, as after the restore of a backup', async () => {
      const made = world();
      made.widgets.put('c');
      const sinks = [
        await made.watch('/widgets?watch=1&resourceVersion=10'),
        await made.watch('/widgets?watch=1&labelSelector=tier&resourceVersion=11'),
        await made.watch('/widgets?watch=1&resourceVersion=50'),
      ];
      made.widgets.unset('c');
      made.widgets.list(8);
      for (const sink of sinks) {
        expect(sink.events.at(-1)).to.deep.include({ type: 'ERROR' });
        expect(sink.events.at(-1)?.object).to.include({ code: 410, reason: 'Expired' });
        expect(sink.ended).to.equal(true);
      }
      const next = await made.watch('/widgets?watch=1&resourceVersion=8');
      made.widgets.put('d');
      expect(next.seen).to.deep.equal(['ADDED d@9']);
    });

    it('49. with a 410 for those who choose by labels when a new list was needed; others get the difference', async () => {
      const made = world();
      const byLabels = await made.watch('/widgets?watch=1&labelSelector=tier&resourceVersion=10');
      const all = await made.watch('/widgets?watch=1&resourceVersion=10');
      const ahead = await made.watch('/widgets?watch=1&resourceVersion=13');
      made.widgets.set('c');
      made.widgets.set('a', { labels: {} });
      made.widgets.unset('b', { namespace: 'two' });
      made.widgets.list(20);
      expect(byLabels.events.map(({ object }) => object['reason'])).to.deep.equal(['Expired']);
      expect(all.seen).to.deep.equal(['DELETED b@10', 'ADDED c@11', 'MODIFIED a@12']);
      // What it has to be told is not known: it may know a part of it.
      expect(ahead.events.map(({ object }) => object['reason'])).to.deep.equal(['Expired']);
      made.widgets.put('d');
      expect(all.seen.at(-1)).to.equal('ADDED d@21');
    });

    it('49. with a 410 for those who choose by labels also while they get what was there', async () => {
      const made = fullWorld(300);
      const [byLabels, all] = [new MemorySink(), new MemorySink()];
      byLabels.stop();
      all.stop();
      await made.watch('/widgets?watch=1&labelSelector=!tier', { sink: byLabels });
      await made.watch('/widgets?watch=1', { sink: all });
      made.widgets.set('w0001');
      made.widgets.list(1_000);
      expect(byLabels.events.at(-1)?.object).to.include({ reason: 'Expired' });
      for (let i = 0; i < 10; i++) {
        all.take();
        await settle();
      }
      expect(all.seen.slice(300)).to.deep.equal(['MODIFIED w0001@311']);
    });

    it('49. tell those who come while a new list is taken in each change once', async () => {
      const made = fullWorld(1_200);
      const early = await made.watch('/widgets?watch=1&resourceVersion=1210');
      for (let i = 0; i < 1_200; i++) made.widgets.set(`w${String(i).padStart(4, '0')}`);
      const steps = made.widgets.listInSteps(6_000);
      while (early.lines.length === 0) steps.next();
      const changes = Array.from(
        { length: 1_200 },
        (_, i) => `MODIFIED w${String(i).padStart(4, '0')}@${1211 + i}`,
      );
      expect(early.lines.length).to.be.below(1_200);
      const late = await made.watch('/widgets?watch=1&resourceVersion=1210');
      const fresh = await made.watch(`/widgets?${STREAMING}`);
      await settle();
      while (steps.next().done !== true);
      made.widgets.put('new');
      await settle();
      made.widgets.put('newer');
      const after = ['ADDED new@6001', 'ADDED newer@6002'];
      expect(early.seen).to.deep.equal([...changes, ...after]);
      expect(late.seen).to.deep.equal([...changes, ...after]);
      const listed = changes.map((change) => change.replace('MODIFIED', 'ADDED'));
      expect(fresh.seen).to.deep.equal([...listed, 'BOOKMARK @6000', ...after]);
      // In the end all share the same lines.
      expect(late.lines.at(-1)).to.equal(early.lines.at(-1));
      expect(made.widgets.store.stats().followers).to.equal(1);
    });
  });

  describe('in other shapes', () => {
    it('47. as tables bring the columns with the first event only', async () => {
      const made = world();
      const sink = await made.watch('/widgets?watch=1', { accept: TABLE });
      made.widgets.put('a', { colour: 'red' }).put('c');
      const tables = sink.events.map(({ object }) => object as unknown as ReadList);
      expect(tables.map(({ columnDefinitions }) => columnDefinitions.length)).to.deep.equal([3, 0, 0, 0]);
      for (const table of tables) {
        expect(table).to.include({ kind: 'Table', apiVersion: 'meta.k8s.io/v1' });
        expect(table.rows).to.have.length(1);
      }
      expect(tables[2]?.rows[0]?.cells).to.deep.equal(['a', 'red', '<unknown>']);
      expect(tables[2]?.metadata).to.deep.equal({ resourceVersion: '11' });
      expect(tables[2]?.rows[0]?.object?.kind).to.equal('PartialObjectMetadata');
    });

    it('47. as tables bring the columns with the first live event where nothing was there', async () => {
      const made = world();
      const watch = async (version: number): Promise<MemorySink> =>
        made.watch(`/widgets?watch=1&resourceVersion=${version}`, { accept: TABLE });
      const sinks = [await watch(10), await watch(10), await watch(12)];
      made.widgets.put('c');
      const late = await watch(11);
      made.widgets.put('d').put('e').put('f');
      const columns = (sink: MemorySink): number[] =>
        sink.events.map(({ object }) => (object as unknown as ReadList).columnDefinitions.length);
      expect([...sinks, late].map(columns)).to.deep.equal([
        [3, 0, 0, 0],
        [3, 0, 0, 0],
        [3, 0],
        [3, 0, 0],
      ]);
    });

    it('47. as tables bring the columns with a bookmark that comes first', async () => {
      const made = world();
      const query = 'watch=1&resourceVersion=10&allowWatchBookmarks=true';
      const sink = await made.watch(`/widgets?${query}`, { accept: TABLE });
      await made.clock.advance(61_000);
      made.widgets.put('c');
      await made.clock.advance(61_000);
      const tables = sink.events.map(({ object }) => object as unknown as ReadList);
      expect(tables.map(({ columnDefinitions }) => columnDefinitions.length)).to.deep.equal([3, 0, 0]);
      expect(tables[0]?.metadata).to.deep.equal({ resourceVersion: '10' });
      expect(tables[0]?.rows).to.deep.equal([
        {
          cells: ['', null, null],
          object: {
            kind: 'PartialObjectMetadata',
            apiVersion: 'meta.k8s.io/v1',
            metadata: { resourceVersion: '10' },
          },
        },
      ]);
    });

    for (const [include, kind] of [
      ['None', 'PartialObjectMetadata'],
      ['Metadata', 'PartialObjectMetadata'],
      ['Object', 'Widget'],
    ] as const) {
      it(`47. as tables say that the list is through, also with includeObject=${include}`, async () => {
        const sink = await world().watch(`/widgets?${STREAMING}&includeObject=${include}`, { accept: TABLE });
        const last = sink.events.at(-1)?.object as unknown as ReadList;
        expect(last.rows[0]?.object?.kind).to.equal(kind);
        expect(last.rows[0]?.object?.metadata).to.deep.include({
          annotations: { 'k8s.io/initial-events-end': 'true' },
        });
        const first = sink.events[0]?.object as unknown as ReadList;
        expect(first.rows[0]?.object?.kind).to.equal(include === 'None' ? undefined : kind);
      });
    }

    it('47. as tables leave the object of later bookmarks out where none is to be included', async () => {
      const made = world();
      const query = 'watch=1&resourceVersion=10&allowWatchBookmarks=true&includeObject=None';
      const sink = await made.watch(`/widgets?${query}`, { accept: TABLE });
      await made.clock.advance(61_000);
      expect((sink.events[0]?.object as unknown as ReadList).rows[0]?.object).to.equal(null);
    });

    it('47. as metadata alone', async () => {
      const made = world();
      const accept = PARTIAL.replace('v=v1', 'v=v1beta1');
      const sink = await made.watch(`/widgets?${STREAMING}`, { accept });
      made.widgets.put('a', { labels: { tier: 'web' } });
      made.widgets.remove('a', { labels: { tier: 'web' } });
      expect(sink.seen).to.deep.equal([
        'ADDED a@2',
        'ADDED b@1',
        'BOOKMARK @10',
        'MODIFIED a@11',
        'DELETED a@12',
      ]);
      for (const { object } of sink.events) {
        expect(object).to.include({ kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1beta1' });
        expect(object).to.not.have.property('spec');
      }
      expect(sink.events[2]?.object.metadata.annotations).to.deep.equal({
        'k8s.io/initial-events-end': 'true',
      });
    });

    it('47. as metadata or tables tell of what left the selection, with the version of the change', async () => {
      const made = world();
      const query = '/widgets?watch=1&labelSelector=tier&resourceVersion=10';
      const partial = await made.watch(query, { accept: PARTIAL });
      const table = await made.watch(query, { accept: TABLE });
      made.widgets.put('a', { colour: 'red' });
      expect(partial.events[0]?.object.metadata).to.deep.equal({
        name: 'a',
        namespace: 'default',
        uid: 'uid-a',
        resourceVersion: '11',
        labels: { tier: 'web' },
      });
      const [event] = table.events;
      expect(event?.type).to.equal('DELETED');
      expect((event?.object as unknown as ReadList).rows[0]?.cells).to.deep.equal([
        'a',
        'green',
        '<unknown>',
      ]);
    });

    it('47. keep errors what they are', async () => {
      for (const accept of [TABLE, PARTIAL]) {
        const sink = await world().watch('/widgets?watch=1&resourceVersion=1', { accept });
        expect(sink.events[0]?.object).to.include({ kind: 'Status', reason: 'Expired' });
      }
      expect(await world().refusal('/widgets?watch=1&includeObject=All', { accept: TABLE })).to.include({
        code: 400,
      });
    });
  });

  describe('together', () => {
    it('give a thousand clients of one kind the same bytes, made once', async () => {
      const made = world();
      const sinks: MemorySink[] = [];
      for (let i = 0; i < 1_000; i++) {
        const sink = new MemorySink();
        const answer = await made.answer('/widgets?watch=1&resourceVersion=10');
        if ('start' in answer) answer.start(sink);
        sinks.push(sink);
      }
      expect(made.widgets.store.stats().followers).to.equal(1);
      expect(made.clock.pending).to.equal(1);
      made.widgets.put('c').put('a', { colour: 'red' });
      for (const sink of sinks) {
        expect(sink.lines).to.have.length(2);
        expect(sink.lines[0]).to.equal(sinks[0]?.lines[0]);
        expect(sink.lines[1]).to.equal(sinks[0]?.lines[1]);
      }
      const { values } = await made.metrics.watchEvents.get();
      expect(values.map(({ value }) => value)).to.deep.equal([2_000]);
    });

    it('give those who selected differently the same bytes where they get the same', async () => {
      const made = world();
      const sinks = [
        await made.watch('/widgets?watch=1&resourceVersion=10'),
        await made.watch('/widgets?watch=1&resourceVersion=10&labelSelector=tier'),
        await made.watch('/widgets?watch=1&resourceVersion=10&fieldSelector=metadata.name%3Da'),
        await made.watch('/namespaces/default/widgets?watch=1&resourceVersion=10'),
      ];
      made.widgets.put('a', { labels: { tier: 'db' } });
      const resumed = await made.watch('/widgets?watch=1&resourceVersion=10');
      for (const sink of [...sinks, resumed]) expect(sink.lines[0]).to.equal(sinks[0]?.lines[0]);
    });

    it('measure how long a streamed list took', async () => {
      const made = world();
      await made.watch(`/widgets?${STREAMING}`);
      const { values } = await made.metrics.watchListDuration.get();
      expect(values.find(({ metricName }) => metricName?.endsWith('_count'))?.value).to.equal(1);
    });

    it('start nothing for a client that has gone already', async () => {
      const made = world();
      const sink = new MemorySink();
      sink.gone();
      await made.watch('/widgets?watch=1', { sink });
      expect(sink.lines).to.deep.equal([]);
      expect([made.widgets.store.stats().followers, made.clock.pending]).to.deep.equal([0, 0]);
    });

    it('do not disturb each other when one is cut off in the middle of a change', async () => {
      const made = world();
      class Broken extends MemorySink {
        override send(event: Uint8Array): void {
          super.send(event);
          this.gone();
        }
      }
      const query = '/widgets?watch=1&resourceVersion=10';
      const first = await made.watch(query);
      const broken = await made.watch(query, { sink: new Broken() });
      const last = await made.watch(query);
      made.widgets.put('c').put('d');
      expect([first, broken, last].map(({ lines }) => lines.length)).to.deep.equal([2, 1, 2]);
    });
  });
});
