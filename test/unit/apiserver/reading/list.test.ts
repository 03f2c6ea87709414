import { expect } from 'chai';
import fc from 'fast-check';
import { FakeClock, settle } from '../../../support/clock.ts';
import {
  namesOf,
  PARTIAL_LIST,
  ReadingWorld,
  RestingClock,
  TABLE,
  type ReadList,
} from '../../../support/reading.ts';

/** Three in two namespaces, and a list of version 10. */
function world(): ReadingWorld {
  const made = new ReadingWorld();
  made.widgets.put('b', { namespace: 'two', colour: 'red', labels: { tier: 'web' } });
  made.widgets.put('c', { colour: 'blue' });
  made.widgets.put('a', { colour: 'green', labels: { tier: 'web' }, created: '2025-12-31T23:00:00Z' });
  made.widgets.list(10);
  return made;
}

/** One with so many objects of some 300 bytes. */
function fullWorld(count: number, clock?: FakeClock): ReadingWorld {
  const made = new ReadingWorld({}, clock);
  for (let i = 0; i < count; i++) {
    made.widgets.put(`w${String(i).padStart(5, '0')}`, { colour: 'x'.repeat(200) });
  }
  made.widgets.list(count + 1);
  return made;
}

describe('lists', () => {
  describe('of whole objects', () => {
    it('34. are in the order of namespaces and names, and each item says what it is', async () => {
      const { json } = await world().read('/widgets');
      expect(json).to.include({ kind: 'WidgetList', apiVersion: 'aggregation.test.coder.com/v1alpha1' });
      expect(namesOf(json)).to.deep.equal(['a', 'c', 'b']);
      for (const item of json.items) {
        expect(item).to.include({ kind: 'Widget', apiVersion: 'aggregation.test.coder.com/v1alpha1' });
      }
      expect(json.items[0]?.spec).to.deep.equal({ colour: 'green' });
    });

    it('34. of nothing have items: [], in every shape', async () => {
      const empty = new ReadingWorld();
      empty.widgets.list(7);
      for (const accept of [undefined, PARTIAL_LIST]) {
        const { json } = await empty.read('/widgets', accept === undefined ? {} : { accept });
        expect(json.items).to.deep.equal([]);
        expect(json.metadata).to.deep.equal({ resourceVersion: '7' });
      }
      expect((await empty.read('/widgets', { accept: TABLE })).json.rows).to.deep.equal([]);
      expect((await world().read('/namespaces/none/widgets')).json.items).to.deep.equal([]);
    });

    it('hold one namespace where the path names it', async () => {
      expect(await world().names('/namespaces/default/widgets')).to.deep.equal(['a', 'c']);
      expect(await world().names('/namespaces/two/widgets')).to.deep.equal(['b']);
    });

    it('30. have the version of the store, which is none older than that of any item', async () => {
      const made = world();
      const version = async (): Promise<string> =>
        (await made.read('/widgets')).json.metadata.resourceVersion;
      expect(await version()).to.equal('10');
      made.widgets.put('d');
      expect(await version()).to.equal('11');
      made.widgets.bookmark(500);
      expect(await version()).to.equal('500');
      made.widgets.remove('d');
      expect(await version()).to.equal('501');
    });

    it('30. come to a watch of another replica with nothing lost and no error', async () => {
      const [here, there] = [world(), world()];
      const { json } = await here.read('/widgets');
      there.widgets.put('d').put('c', { colour: 'black' });
      const sink = await there.watch(`/widgets?watch=1&resourceVersion=${json.metadata.resourceVersion}`);
      expect(sink.seen).to.deep.equal(['ADDED d@11', 'MODIFIED c@12']);
    });

    it('29. come in pieces of a bounded size, and compressed from what is cached', async () => {
      const made = fullWorld(3_000);
      const { json, text, pieces, unpacked } = await made.read('/widgets');
      expect(json.items).to.have.length(3_000);
      expect(Math.max(...pieces)).to.be.at.most(128 * 1024);
      expect(pieces.length).to.be.below(20);
      expect(await unpacked?.()).to.equal(text);
      made.widgets.put('w00007', { colour: 'red' }).remove('w01000');
      const later = await made.read('/widgets');
      expect(later.json.items).to.have.length(2_999);
      expect(await later.unpacked?.()).to.equal(later.text);
    });

    it('29. that are short enough for one page come from there too', async () => {
      const { text, unpacked } = await world().read('/widgets?limit=500');
      expect(await unpacked?.()).to.equal(text);
      expect((await world().read('/widgets?limit=2')).unpacked).to.equal(undefined);
      expect((await world().read('/widgets?labelSelector=tier')).unpacked).to.equal(undefined);
    });

    it('hold an object that is longer than a piece', async () => {
      const made = new ReadingWorld();
      made.widgets
        .put('a')
        .put('b', { colour: 'é'.repeat(300_000) })
        .put('c');
      made.widgets.list(5);
      expect(await made.names('/widgets')).to.deep.equal(['a', 'b', 'c']);
      expect(await made.names('/widgets', { accept: TABLE })).to.deep.equal(['a', 'b', 'c']);
    });
  });

  describe('with selectors', () => {
    it('33. hold what the labels select', async () => {
      const made = world();
      const names = (selector: string): Promise<string[]> =>
        made.names(`/widgets?labelSelector=${encodeURIComponent(selector)}`);
      expect(await names('tier=web')).to.deep.equal(['a', 'b']);
      expect(await names('tier notin (web)')).to.deep.equal(['c']);
      expect(await names('!tier')).to.deep.equal(['c']);
      expect(await names('tier,tier!=web')).to.deep.equal([]);
    });

    it('33. hold what the fields select, together with the namespace of the path', async () => {
      const made = world();
      const names = (path: string, selector: string): Promise<string[]> =>
        made.names(`${path}?fieldSelector=${encodeURIComponent(selector)}`);
      expect(await names('/widgets', 'metadata.name=b')).to.deep.equal(['b']);
      expect(await names('/widgets', 'metadata.namespace=two')).to.deep.equal(['b']);
      expect(await names('/widgets', 'metadata.name!=b')).to.deep.equal(['a', 'c']);
      expect(await names('/widgets', 'metadata.name=none')).to.deep.equal([]);
      expect(await names('/namespaces/default/widgets', 'metadata.name=b')).to.deep.equal([]);
      expect(await names('/namespaces/default/widgets', 'metadata.namespace=two')).to.deep.equal([]);
      expect(await names('/namespaces/two/widgets', 'metadata.name=b,metadata.namespace=two')).to.deep.equal([
        'b',
      ]);
    });

    it('33. look up one name instead of looking at all objects', async () => {
      const made = fullWorld(500);
      const { store } = made.widgets;
      let looked = 0;
      const snapshot = store.snapshot();
      for (const { entries } of snapshot.segments()) {
        for (const entry of entries) {
          const { labels } = entry;
          Object.defineProperty(entry, 'labels', { get: () => (looked++, labels) });
        }
      }
      const selector = 'fieldSelector=metadata.name%3Dw00250&labelSelector=!x';
      expect(await made.names(`/widgets?${selector}`)).to.deep.equal(['w00250']);
      expect(looked).to.equal(1);
    });

    it('33. refuse what they cannot read', async () => {
      for (const query of ['labelSelector=a+in+b', 'fieldSelector=spec.colour%3Dred', 'fieldSelector=x']) {
        expect(await world().refusal(`/widgets?${query}`)).to.include({ code: 400, reason: 'BadRequest' });
      }
    });
  });

  describe('of a version', () => {
    it('31. with resourceVersion 0, the newest, or an older one answer the newest', async () => {
      for (const query of [
        'resourceVersion=0',
        'resourceVersion=10',
        'resourceVersion=3',
        'resourceVersion=3&resourceVersionMatch=NotOlderThan',
        'resourceVersion=0&resourceVersionMatch=NotOlderThan',
      ]) {
        const { json } = await world().read(`/widgets?${query}`);
        expect(json.metadata, query).to.deep.equal({ resourceVersion: '10' });
      }
    });

    it('31. from the future wait, and are answered when it comes', async () => {
      const made = world();
      const read = made.read('/widgets?resourceVersion=12');
      await made.clock.advance(2_000);
      made.widgets.put('d').put('e');
      expect((await read).json.metadata.resourceVersion).to.equal('12');
    });

    it('31. from the far future end after three seconds with a 504 that names the cause', async () => {
      const made = world();
      for (const match of ['', '&resourceVersionMatch=NotOlderThan', '&resourceVersionMatch=Exact']) {
        const refused = made.refusal(`/widgets?resourceVersion=1000010${match}`);
        await made.clock.advance(3_000);
        expect(await refused).to.deep.include({
          code: 504,
          reason: 'Timeout',
          message: 'Timeout: Too large resource version: 1000010, current: 10',
          details: {
            causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
            retryAfterSeconds: 1,
          },
        });
      }
    });

    it('31. exactly the current one is answered, and one from before all history is a 410', async () => {
      const made = world();
      const exact = (version: number): string =>
        `/widgets?resourceVersion=${version}&resourceVersionMatch=Exact`;
      expect((await made.read(exact(10))).json.items).to.have.length(3);
      expect(await made.refusal(exact(9))).to.deep.include({
        code: 410,
        reason: 'Expired',
        message: 'too old resource version: 9 (10)',
        metadata: {},
      });
    });

    it('31. exactly one that the history reaches is rebuilt', async () => {
      const made = world();
      made.widgets
        .put('d')
        .remove('a')
        .put('c', { colour: 'pink' })
        .put('c', { colour: 'black' })
        .bookmark(100);
      const at = async (version: number): Promise<ReadList> =>
        (await made.read(`/widgets?resourceVersion=${version}&resourceVersionMatch=Exact`)).json;
      expect(namesOf(await at(10))).to.deep.equal(['a', 'c', 'b']);
      expect((await at(10)).metadata.resourceVersion).to.equal('10');
      expect((await at(10)).items[1]?.spec).to.deep.equal({ colour: 'blue' });
      expect(namesOf(await at(11))).to.deep.equal(['a', 'c', 'd', 'b']);
      expect(namesOf(await at(12))).to.deep.equal(['c', 'd', 'b']);
      expect((await at(50)).items[0]?.spec).to.deep.equal({ colour: 'black' });
      expect((await at(100)).metadata.resourceVersion).to.equal('100');
    });

    it('31. with a limit mean exactly that version', async () => {
      const made = world();
      made.widgets.put('d');
      const { json } = await made.read('/widgets?resourceVersion=10&limit=5');
      expect(json.metadata.resourceVersion).to.equal('10');
      expect(namesOf(json)).to.deep.equal(['a', 'c', 'b']);
      expect(await made.refusal('/widgets?resourceVersion=2&limit=5')).to.include({ code: 410 });
    });

    it('31. are all there at once where any version will do, whatever the limit', async () => {
      expect((await world().read('/widgets?resourceVersion=0&limit=1')).json.items).to.have.length(3);
    });

    for (const [query, field, reason, message] of [
      [
        'resourceVersionMatch=Exact',
        'resourceVersionMatch',
        'FieldValueForbidden',
        'Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided',
      ],
      [
        'resourceVersionMatch=NotOlderThan&resourceVersion=1&continue=abc',
        'resourceVersionMatch',
        'FieldValueForbidden',
        'Forbidden: resourceVersionMatch is forbidden when continue is provided',
      ],
      [
        'resourceVersionMatch=Exact&resourceVersion=0',
        'resourceVersionMatch',
        'FieldValueForbidden',
        'Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"',
      ],
      [
        'resourceVersionMatch=Newest&resourceVersion=1',
        'resourceVersionMatch',
        'FieldValueNotSupported',
        'Unsupported value: "Newest": supported values: "Exact", "NotOlderThan", ""',
      ],
      [
        'sendInitialEvents=true',
        'sendInitialEvents',
        'FieldValueForbidden',
        'Forbidden: sendInitialEvents is forbidden for list',
      ],
    ] as const) {
      it(`31. refuse ${query} with its cause`, async () => {
        expect(await world().refusal(`/widgets?${query}`)).to.deep.include({
          code: 422,
          reason: 'Invalid',
          message: `ListOptions.meta.k8s.io "" is invalid: ${field}: ${message}`,
          details: {
            group: 'meta.k8s.io',
            kind: 'ListOptions',
            causes: [{ reason, message, field }],
          },
        });
      });
    }

    it('31. tell all that is wrong with the options', async () => {
      const refused = await world().refusal('/widgets?resourceVersionMatch=Odd&sendInitialEvents');
      expect(refused.details?.causes?.map(({ field }) => field)).to.deep.equal([
        'resourceVersionMatch',
        'resourceVersionMatch',
        'sendInitialEvents',
      ]);
      expect(refused.message).to.match(/^ListOptions\.meta\.k8s\.io "" is invalid: \[.*, .*, .*\]$/);
    });

    it('31. refuse numbers that are none', async () => {
      for (const query of [
        'resourceVersion=abc',
        'resourceVersion=-1',
        'resourceVersion=99999999999999999999',
        'limit=abc',
        'limit=',
        'limit=1.5',
        'timeoutSeconds=x',
      ]) {
        expect(await world().refusal(`/widgets?${query}`), query).to.include({ code: 400 });
      }
    });
  });

  describe('in pages', () => {
    async function pagesOf(worlds: readonly ReadingWorld[], query: string, between = (): void => undefined) {
      const pages: ReadList[] = [];
      let token = '';
      do {
        const next: ReadingWorld | undefined = worlds[pages.length % worlds.length];
        const { json } = await (next ?? world()).read(`/widgets?${query}${token}`);
        pages.push(json);
        token = json.metadata.continue === undefined ? '' : `&continue=${json.metadata.continue}`;
        between();
      } while (token !== '');
      return pages;
    }

    it('32. hold every object once, and say how many remain', async () => {
      const pages = await pagesOf([world()], 'limit=2');
      expect(pages.map(namesOf)).to.deep.equal([['a', 'c'], ['b']]);
      expect(pages.map(({ metadata }) => metadata.remainingItemCount)).to.deep.equal([1, undefined]);
      expect(pages.map(({ metadata }) => metadata.resourceVersion)).to.deep.equal(['10', '10']);
      const ones = await pagesOf([world()], 'limit=1');
      expect(ones.map(({ metadata }) => metadata.remainingItemCount)).to.deep.equal([2, 1, undefined]);
      expect((await pagesOf([world()], 'limit=3')).map(namesOf)).to.deep.equal([['a', 'c', 'b']]);
    });

    it('32. tell no number with a selector, and go on with the selection', async () => {
      const pages = await pagesOf([world()], 'limit=1&labelSelector=tier');
      expect(pages.map(namesOf)).to.deep.equal([['a'], ['b']]);
      expect(pages[0]?.metadata).to.not.have.property('remainingItemCount');
      const places = await pagesOf([world()], 'limit=1&fieldSelector=metadata.namespace%3Ddefault');
      expect(places.map(namesOf)).to.deep.equal([['a'], ['c']]);
    });

    it('32. come from one snapshot while objects change', async () => {
      const made = fullWorld(100);
      const before = await made.names('/widgets');
      let i = 0;
      const pages = await pagesOf([made], 'limit=7', () => {
        made.widgets
          .remove(`w000${i + 10}`)
          .put(`new-${i}`)
          .put('w00099', { colour: String(i++) });
      });
      expect(pages.flatMap(namesOf)).to.deep.equal(before);
      expect(new Set(pages.map(({ metadata }) => metadata.resourceVersion))).to.deep.equal(new Set(['101']));
      expect(pages.at(-1)?.items.at(-1)?.spec).to.deep.equal({ colour: 'x'.repeat(200) });
    });

    it('32. come from one snapshot also when every replica answers one, each some versions further', async () => {
      const worlds = [fullWorld(60), fullWorld(60), fullWorld(60)] as const;
      const before = await worlds[0].names('/widgets');
      worlds[1].widgets.bookmark(150);
      let i = 0;
      const pages = await pagesOf(worlds, 'limit=7', () => {
        i++;
        for (const { widgets } of worlds) {
          widgets.version = 200 + i;
          widgets.remove(`w000${i + 10}`).put('w00059', { colour: String(i) });
        }
      });
      expect(pages.flatMap(namesOf)).to.deep.equal(before);
      expect(new Set(pages.map(({ metadata }) => metadata.resourceVersion))).to.deep.equal(new Set(['61']));
    });

    it('32. wait for a replica that is behind', async () => {
      const [here, behind] = [world(), world()];
      here.widgets.put('d').bookmark(20);
      const { json } = await here.read('/widgets?limit=1');
      const rest = behind.names(`/widgets?limit=9&continue=${json.metadata.continue ?? ''}`);
      await settle();
      behind.widgets.put('d').bookmark(20);
      expect(await rest).to.deep.equal(['c', 'd', 'b']);
      const lost = (await here.read('/widgets?limit=1')).json.metadata.continue ?? '';
      const slow = world();
      const refused = slow.refusal(`/widgets?continue=${lost}`);
      await slow.clock.advance(3_000);
      expect(await refused).to.include({ code: 504, reason: 'Timeout' });
    });

    it('32. expire with a token for the rest of a later time', async () => {
      const here = world();
      const { json } = await here.read('/widgets?limit=1');
      // Another replica, which began after the list was read.
      const there = new ReadingWorld();
      there.widgets.put('a').put('d').put('b', { namespace: 'two' }).list(30);
      const refused = await there.refusal(`/widgets?limit=1&continue=${json.metadata.continue ?? ''}`);
      expect(refused).to.include({ code: 410, reason: 'Expired' });
      expect(refused.metadata.continue).to.be.a('string').that.is.not.empty;
      const rest = `/widgets?limit=1&continue=${refused.metadata.continue ?? ''}`;
      const { json: second } = await there.read(rest);
      expect(namesOf(second)).to.deep.equal(['d']);
      expect(second.metadata).to.include({ resourceVersion: '30', remainingItemCount: 1 });
      // From here on the rest is of one snapshot again.
      there.widgets.remove('b', { namespace: 'two' });
      const { json: third } = await there.read(`/widgets?limit=1&continue=${second.metadata.continue ?? ''}`);
      expect(namesOf(third)).to.deep.equal(['b']);
      expect(third.metadata).to.deep.equal({ resourceVersion: '30' });
    });

    it('32. go on at a replica that took its time for its first list, and has come further since', async () => {
      const clock = new FakeClock();
      const [here, there] = [fullWorld(3, clock), new ReadingWorld({}, clock)];
      for (let i = 0; i < 3; i++) there.widgets.put(`w0000${i}`);
      const steps = there.widgets.listInSteps(here.widgets.version);
      await clock.advance(1_000);
      here.widgets.put('new');
      const { json } = await here.read('/widgets?limit=2');
      await clock.advance(3_000);
      while (steps.next().done !== true);
      there.widgets.put('new').put('newer');
      const rest = await there.names(`/widgets?limit=9&continue=${json.metadata.continue ?? ''}`);
      expect([...namesOf(json), ...rest]).to.deep.equal(await here.names('/widgets'));
    });

    it('32. go on at the same replica when somebody has set its wall clock back', async () => {
      const clock = new FakeClock();
      const made = fullWorld(3, clock);
      const now = clock.now.bind(clock);
      clock.now = () => now() - 60_000;
      made.widgets.put('new');
      const { json } = await made.read('/widgets?limit=2');
      made.widgets.put('newer');
      expect(await made.names(`/widgets?limit=9&continue=${json.metadata.continue ?? ''}`)).to.have.length(2);
    });

    it('32. are kept for minutes, also when the history is shorter', async () => {
      const made = new ReadingWorld({ store: { historyEvents: 1 } });
      made.widgets.put('a').put('b').list(5);
      const { json } = await made.read('/widgets?limit=1');
      const rest = `/widgets?limit=1&continue=${json.metadata.continue ?? ''}`;
      made.widgets.put('c').put('d').remove('b');
      await made.clock.advance(4 * 60_000);
      expect(await made.names(rest)).to.deep.equal(['b']);
      await made.clock.advance(4 * 60_000);
      expect(await made.names(rest)).to.deep.equal(['b']);
      await made.clock.advance(6 * 60_000);
      expect(await made.refusal(rest)).to.include({ code: 410 });
      made.handler.close();
      expect(made.clock.pending).to.equal(0);
    });

    describe('when the data of the API server goes back in time', () => {
      const rest = (token: string | undefined, limit = 1): string =>
        `/widgets?limit=${limit}&continue=${token ?? ''}`;

      /** At version 900, with the first of three pages read; then a backup of version 800 is restored. */
      async function restored(): Promise<{
        readonly made: ReadingWorld;
        readonly token: string | undefined;
      }> {
        const made = new ReadingWorld();
        made.widgets.put('a').put('b').put('lost').list(900);
        await made.clock.advance(1_000);
        const { json } = await made.read('/widgets?limit=1');
        expect(await made.names(rest(json.metadata.continue))).to.deep.equal(['b']);
        await made.clock.advance(1_000);
        made.widgets.unset('lost');
        made.widgets.list(800);
        return { made, token: json.metadata.continue };
      }

      it('32. expire at once, whether the new data has come to their version or not', async () => {
        const { made, token } = await restored();
        expect(await made.refusal(rest(token))).to.include({ code: 410, reason: 'Expired' });
        made.widgets.put('new').bookmark(900).put('newer');
        const refused = await made.refusal(rest(token));
        expect(refused).to.include({ code: 410, reason: 'Expired' });
        // What is left of the new data comes with the token of the refusal.
        expect(await made.names(rest(refused.metadata.continue, 9))).to.deep.equal(['b', 'new', 'newer']);
      });

      it('32. expire on a replica that has not seen it happen', async () => {
        const { token } = await restored();
        const other = new ReadingWorld();
        await other.clock.advance(3_000);
        other.widgets.put('a').put('b').list(850);
        other.widgets.put('new').bookmark(950);
        expect(await other.refusal(rest(token))).to.include({ code: 410, reason: 'Expired' });
      });

      it('32. expire also when their first page was asked for on another replica than the second', async () => {
        const { made, token } = await restored();
        const lagging = new ReadingWorld();
        lagging.widgets.put('a').put('b').put('lost').list(900);
        await lagging.clock.advance(60_000);
        const { json } = await lagging.read(rest(token));
        expect(namesOf(json)).to.deep.equal(['b']);
        expect(await made.refusal(rest(json.metadata.continue))).to.include({ code: 410 });
      });

      it('31. a version means the list of the new data, once that is there', async () => {
        const { made } = await restored();
        made.widgets.put('new').bookmark(900);
        const { json } = await made.read('/widgets?resourceVersion=900&resourceVersionMatch=Exact');
        expect(namesOf(json)).to.deep.equal(['a', 'b', 'new']);
      });

      it('32. those of the new data are pages of one version again', async () => {
        const { made } = await restored();
        await made.clock.advance(1_000);
        const { json } = await made.read('/widgets?limit=1');
        made.widgets.remove('b').put('c');
        expect(await made.names(rest(json.metadata.continue))).to.deep.equal(['b']);
        const after = new ReadingWorld();
        after.widgets.put('a').put('b').list(800);
        after.widgets.put('c');
        expect(await after.names(rest(json.metadata.continue, 9))).to.deep.equal(['b']);
      });

      it('32. keep nothing of the lost data while it is being rebuilt', async () => {
        const made = fullWorld(3_000, new RestingClock());
        await made.clock.advance(1_000);
        for (let i = 0; i < 9_000; i++) made.widgets.put(`w${String(i % 3_000).padStart(5, '0')}`);
        let isRead = false;
        const read = made.read('/widgets?limit=1&resourceVersion=3001').finally(() => (isRead = true));
        await made.clock.advance(1_000);
        for (let i = 0; i < 3_000; i++) made.widgets.unset(`w${String(i).padStart(5, '0')}`);
        made.widgets.list(2_500);
        expect(isRead).to.equal(false);
        const { metadata } = (await read).json;
        expect(metadata.resourceVersion).to.equal('3001');
        made.widgets.bookmark(9_000);
        expect(await made.refusal(rest(metadata.continue))).to.include({ code: 410 });
        expect(await made.names('/widgets?resourceVersion=3001&resourceVersionMatch=Exact')).to.deep.equal(
          [],
        );
      });
    });

    it('32. are rebuilt with turns of the loop in between, and no longer than their client waits', async () => {
      const made = fullWorld(3_000, new RestingClock());
      const before = (await made.read('/widgets')).text;
      for (let i = 0; i < 3_000; i++) made.widgets.put(`w${String(i).padStart(5, '0')}`, { colour: 'new' });
      let turns = 0;
      let isRunning = true;
      const count = (): void => {
        turns++;
        if (isRunning) setImmediate(count);
      };
      count();
      const exact = '/widgets?resourceVersion=3001&resourceVersionMatch=Exact';
      expect((await made.read(exact)).text).to.equal(before);
      isRunning = false;
      expect(turns).to.be.at.least(10);
      const gone = new AbortController();
      const read = made.read(exact, { signal: gone.signal });
      gone.abort(new Error('the client has gone'));
      expect(await read.catch((error: unknown) => (error as Error).message)).to.equal('the client has gone');
    });

    it('32. refuse a token with a version, with other selectors, or that is none', async () => {
      const made = world();
      const token = (await made.read('/widgets?limit=1')).json.metadata.continue ?? '';
      expect(await made.refusal(`/widgets?continue=${token}&resourceVersion=10`)).to.include({
        code: 400,
        message: 'specifying resource version is not allowed when using continue',
      });
      for (const path of [
        `/widgets?labelSelector=tier&continue=${token}`,
        `/namespaces/default/widgets?continue=${token}`,
        '/widgets?continue=nonsense',
        ...[
          '[1,"x",0,"h","a","b"]',
          '[2,"1",0,"h","a","b"]',
          '[1,"1","0","h","a","b"]',
          '[1,"1",0,"h","a"]',
        ].map((parts) => `/widgets?continue=${Buffer.from(parts).toString('base64url')}`),
      ]) {
        expect(await made.refusal(path), path).to.include({ code: 400, reason: 'BadRequest' });
      }
      expect((await made.read(`/widgets?continue=${token}&resourceVersion=0`)).json.items).to.have.length(2);
    });

    it('32. hold together, whatever changes, whoever answers and however long they are', async () => {
      const name = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f');
      const namespace = fc.constantFrom('one', 'two', 'three');
      const act = fc.record({ name, namespace, isPut: fc.boolean() });
      await fc.assert(
        fc.asyncProperty(
          fc.array(act, { maxLength: 12 }),
          fc.array(fc.array(act, { maxLength: 4 }), { maxLength: 20 }),
          fc.integer({ min: 1, max: 5 }),
          async (before, during, limit) => {
            const worlds = [new ReadingWorld(), new ReadingWorld()] as const;
            const apply = (acts: typeof before): void => {
              for (const { name: of, namespace: place, isPut } of acts) {
                for (const { widgets } of worlds) {
                  const isThere =
                    widgets.store.synced && widgets.store.snapshot().get(place, of) !== undefined;
                  if (isPut) widgets.put(of, { namespace: place });
                  else if (isThere) widgets.remove(of, { namespace: place });
                }
              }
            };
            for (const { widgets } of worlds) widgets.list(1);
            apply(before);
            const all = (await worlds[0].read('/widgets')).json;
            let i = 0;
            const pages = await pagesOf(worlds, `limit=${limit}`, () => apply(during[i++] ?? []));
            expect(pages.flatMap(({ items }) => items)).to.deep.equal(all.items);
            for (const { handler } of worlds) handler.close();
          },
        ),
        { numRuns: 60 },
      );
    });
  });

  describe('as tables', () => {
    it('26. hold a row for each object, with its metadata', async () => {
      const { json } = await world().read('/widgets', { accept: TABLE });
      expect(json).to.include({ kind: 'Table', apiVersion: 'meta.k8s.io/v1' });
      expect(json.metadata).to.deep.equal({ resourceVersion: '10' });
      expect(json.columnDefinitions).to.deep.include({
        name: 'Name',
        type: 'string',
        format: 'name',
        description: 'its name',
        priority: 0,
      });
      expect(json.rows.map(({ cells }) => cells)).to.deep.equal([
        ['a', 'green', '60m'],
        ['c', 'blue', '<unknown>'],
        ['b', 'red', '<unknown>'],
      ]);
      expect(json.rows[2]?.object).to.deep.equal({
        kind: 'PartialObjectMetadata',
        apiVersion: 'meta.k8s.io/v1',
        metadata: {
          name: 'b',
          namespace: 'two',
          uid: 'uid-b',
          resourceVersion: '1',
          labels: { tier: 'web' },
        },
      });
    });

    it('26. tell ages by the clock of the moment', async () => {
      const made = world();
      await made.clock.advance(3 * 3_600_000);
      const { json } = await made.read('/widgets', { accept: TABLE });
      expect(json.rows[0]?.cells?.[2]).to.equal('4h');
    });

    it('26. hold the whole object or none, as asked', async () => {
      const rows = async (include: string): Promise<ReadList['rows']> =>
        (await world().read(`/widgets?includeObject=${include}`, { accept: TABLE })).json.rows;
      expect((await rows('Object'))[0]?.object).to.deep.include({
        kind: 'Widget',
        spec: { colour: 'green' },
      });
      expect((await rows('None'))[0]?.object).to.equal(null);
      expect((await rows('Metadata'))[0]?.object).to.include({ kind: 'PartialObjectMetadata' });
      expect((await rows(''))[0]?.object).to.include({ kind: 'PartialObjectMetadata' });
      expect(await world().refusal('/widgets?includeObject=All', { accept: TABLE })).to.include({
        code: 400,
        message:
          'Unable to convert to Table as requested: includeObject: Invalid value: "All": ' +
          "must be 'Metadata', 'Object', 'None', or empty",
      });
      // Of no meaning where no table is asked for.
      expect((await world().read('/widgets?includeObject=All')).json.items).to.have.length(3);
    });

    it('26. come in pages, and in the old version of the meta group', async () => {
      const made = world();
      const accept = TABLE.replace('v=v1', 'v=v1beta1');
      const { json } = await made.read('/widgets?limit=2', { accept });
      expect(json.apiVersion).to.equal('meta.k8s.io/v1beta1');
      expect(json.rows[0]?.object?.apiVersion).to.equal('meta.k8s.io/v1beta1');
      expect(json.metadata).to.include({ remainingItemCount: 1 });
      const token = json.metadata.continue ?? '';
      expect(await made.names(`/widgets?limit=2&continue=${token}`, { accept })).to.deep.equal(['b']);
    });

    it('come in bounded pieces, each made when it is asked for, whatever goes with the rows', async () => {
      const made = fullWorld(3_000);
      let rows = 0;
      for (const { entries } of made.widgets.store.snapshot().segments()) {
        for (const entry of entries) {
          const { cells } = entry;
          Object.defineProperty(entry, 'cells', { get: () => (rows++, cells) });
        }
      }
      for (const include of ['None', 'Metadata', 'Object']) {
        rows = 0;
        const answer = await made.answer(`/widgets?includeObject=${include}`, { accept: TABLE });
        if (!('body' in answer)) throw new Error('this is a watch');
        expect([answer.body.bytes, rows], include).to.deep.equal([undefined, 0]);
        let largest = 0;
        let rowsBefore = 0;
        for (const piece of answer.body.pieces) {
          largest = Math.max(largest, piece.byteLength);
          // At most what fits into the piece that is made, and the row that did not.
          expect(rows - rowsBefore, include).to.be.below(2_000);
          rowsBefore = rows;
        }
        expect(largest).to.be.at.most(128 * 1024);
        expect(rows).to.equal(3_000);
      }
    });

    it('26. tell all ages from one moment, however long the client takes', async () => {
      const made = new ReadingWorld();
      for (let i = 0; i < 1_000; i++) made.widgets.put(`w${i}`, { created: '2025-12-31T23:59:00Z' });
      made.widgets.list(1_001);
      const answer = await made.answer('/widgets', { accept: TABLE });
      if (!('body' in answer)) throw new Error('this is a watch');
      const pieces: Uint8Array[] = [];
      for (const piece of answer.body.pieces) {
        pieces.push(piece);
        await made.clock.advance(10_000);
      }
      expect(pieces.length).to.be.above(3);
      const { rows } = JSON.parse(Buffer.concat(pieces).toString()) as ReadList;
      expect(new Set(rows.map(({ cells }) => cells?.[2]))).to.deep.equal(new Set(['60s']));
    });

    it('escape what some readers take for the end of a line', async () => {
      const made = new ReadingWorld();
      made.widgets.put('a', { colour: 'a\u2028b\u2029' }).list(2);
      const { text, json } = await made.read('/widgets?includeObject=Object', { accept: TABLE });
      expect(text).to.not.match(/[\u2028\u2029]/);
      expect(json.rows[0]?.cells?.[1]).to.equal('a\u2028b\u2029');
    });
  });

  describe('of metadata', () => {
    it('28. hold the metadata of each object', async () => {
      const { json } = await world().read('/widgets?labelSelector=tier', { accept: PARTIAL_LIST });
      expect(json).to.include({ kind: 'PartialObjectMetadataList', apiVersion: 'meta.k8s.io/v1' });
      expect(json.metadata.resourceVersion).to.equal('10');
      expect(json.items[1]).to.deep.equal({
        kind: 'PartialObjectMetadata',
        apiVersion: 'meta.k8s.io/v1',
        metadata: {
          name: 'b',
          namespace: 'two',
          uid: 'uid-b',
          resourceVersion: '1',
          labels: { tier: 'web' },
        },
      });
    });

    it('28. come in pages, and in the old version of the meta group', async () => {
      const accept = PARTIAL_LIST.replace('v=v1', 'v=v1beta1');
      const { json } = await world().read('/widgets?limit=2', { accept });
      expect(json.apiVersion).to.equal('meta.k8s.io/v1beta1');
      expect(json.items.map(({ apiVersion }) => apiVersion)).to.deep.equal([
        'meta.k8s.io/v1beta1',
        'meta.k8s.io/v1beta1',
      ]);
      expect(json.metadata.continue).to.be.a('string');
    });
  });
});
