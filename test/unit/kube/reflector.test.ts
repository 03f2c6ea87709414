import { expect } from 'chai';
import type { Clock } from '../../../src/base/clock.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import type { KubeConnection } from '../../../src/kube/connection.ts';
import { isUnknownKind } from '../../../src/kube/errors.ts';
import { Reflector, type ReflectorOptions, type ReflectorSink } from '../../../src/kube/reflector.ts';
import { Store } from '../../../src/kube/store.ts';
import { FakeClock } from '../../support/clock.ts';
import { widget, widgets, type Widget } from '../../support/kube-objects.ts';
import { eventually } from '../../support/eventually.ts';
import {
  clientOf,
  type Answerer,
  failure,
  json,
  OpenWatch,
  page,
  plainConnection,
  ScriptedKube,
  statusBody,
} from '../../support/kube-server.ts';

describe('Reflector', () => {
  let server: ScriptedKube;
  let connection: KubeConnection;
  let clock: FakeClock;
  let store: Store<Widget>;
  let reflector: Reflector<Widget>;
  let stop: () => Promise<void>;
  let states: string[];

  beforeEach(async () => {
    server = await ScriptedKube.start();
    connection = plainConnection(server.url);
    clock = new FakeClock();
    store = new Store<Widget>();
    states = [];
    stop = () => Promise.resolve();
  });

  afterEach(async () => {
    await stop();
    await connection.close();
    await server.close();
  });

  /** The reflector lives on a clock that stands still; the transport below it on the real one. */
  function start(options: Partial<ReflectorOptions<Widget>> = {}): void {
    reflector = new Reflector<Widget>({
      client: clientOf(connection),
      resource: widgets,
      store,
      clock,
      logger: silentLogger,
      random: () => 1,
      metrics: { stateChanged: (state) => states.push(state) },
      ...options,
    });
    const controller = new AbortController();
    const running = reflector.run(controller.signal);
    stop = async () => {
      controller.abort();
      await running;
    };
  }

  const names = (): string[] => store.list().map(({ metadata }) => metadata.name);
  const query = (index: number): Record<string, string> =>
    Object.fromEntries(server.requests[index]!.url.searchParams);
  const requested = (count: number): Promise<void> => eventually(() => server.requests.length === count);
  const watching = (watch: OpenWatch): Promise<void> =>
    eventually(() => watch.open && reflector.state === 'watching');
  const accepted = (watches: number): Promise<void> =>
    eventually(() => reflector.stats().watches === watches);
  const pausing = (): Promise<void> => eventually(() => reflector.state === 'backoff' && clock.pending > 0);

  /** Lists `items` at version 10 and opens a watch. */
  async function follow(items: readonly Widget[], ...rest: readonly Answerer[]): Promise<OpenWatch> {
    const watch = new OpenWatch();
    server.script(page(items, '10'), watch.answer, ...rest);
    start();
    await watching(watch);
    return watch;
  }

  it('lists page by page, then watches from the version of the list', async () => {
    const watch = new OpenWatch();
    server.script(page([widget('a')], '10', 'next'), page([widget('b')], '10'), watch.answer);
    start({ labelSelector: 'x=y', namespace: 'default' });
    await store.hasSynced;
    await watching(watch);
    expect(names()).to.deep.equal(['a', 'b']);
    expect(query(0)).to.deep.equal({ limit: '500', labelSelector: 'x=y' });
    expect(query(1)).to.deep.equal({ limit: '500', continue: 'next', labelSelector: 'x=y' });
    expect(query(2)).to.deep.equal({
      watch: 'true',
      allowWatchBookmarks: 'true',
      resourceVersion: '10',
      timeoutSeconds: '600',
      labelSelector: 'x=y',
    });
    expect(server.requests[2]?.url.pathname).to.equal('/apis/test.coder.com/v1/namespaces/default/widgets');
    expect(states).to.deep.equal(['listing', 'watching']);
  });

  it('is not synced before the last page', async () => {
    server.script(page([widget('a')], '10', 'next'));
    start();
    await requested(2);
    expect([store.synced, store.size]).to.deep.equal([false, 0]);
  });

  it('gives listed objects the apiVersion and kind that the server leaves out', async () => {
    const { metadata, spec } = widget('a');
    await follow([{ metadata, spec: spec ?? {} }]);
    expect(store.get('default/a')).to.deep.equal(widget('a'));
  });

  it('follows the watch', async () => {
    const watch = await follow([widget('a'), widget('b')]);
    watch.event('ADDED', widget('c', { rv: 11 }));
    watch.event('MODIFIED', widget('a', { rv: 12, colour: 'red' }));
    watch.event('DELETED', widget('b', { rv: 13 }));
    await eventually(() => reflector.stats().events === 3);
    expect(names()).to.have.members(['a', 'c']);
    expect(store.get('default/a')?.spec?.colour).to.equal('red');
    expect(reflector.stats()).to.include({
      state: 'watching',
      lists: 1,
      watches: 1,
      errors: 0,
      lastEventAgeMs: 0,
    });
  });

  it('begins anew when a continue token has expired, and asks for everything at once the second time', async () => {
    const watch = new OpenWatch();
    const expired = failure(410, 'Expired', { metadata: { continue: 'inconsistent' } });
    server.script(
      ...[page([widget('a')], '10', 'old'), expired],
      ...[page([widget('a')], '15', 'new'), expired],
      page([widget('a'), widget('b')], '20'),
      watch.answer,
    );
    start();
    await watching(watch);
    expect([1, 2, 3, 4].map(query)).to.deep.equal([
      { limit: '500', continue: 'old' },
      { limit: '500' },
      { limit: '500', continue: 'new' },
      {},
    ]);
    expect(query(5)['resourceVersion']).to.equal('20');
    expect(names()).to.deep.equal(['a', 'b']);
  });

  for (const [what, body] of [
    ['no list', { message: 'hello' }],
    ['a list without a version', { metadata: {}, items: [] }],
    ['a list without items', { metadata: { resourceVersion: '11' } }],
    [
      'a list of something else',
      { metadata: { resourceVersion: '11' }, items: [{ ...widget('x'), kind: 'Pod' }] },
    ],
    ['a list of things without a name', { metadata: { resourceVersion: '11' }, items: [{ metadata: {} }] }],
  ] as const) {
    it(`keeps what it has when the answer is ${what}`, async () => {
      const second = new OpenWatch();
      const first = await follow([widget('a')], json(200, body), page([], '60'), second.answer);
      await clock.advance(10_000);
      first.event('ERROR', statusBody(410, 'Expired'));
      await pausing();
      expect(names()).to.deep.equal(['a']);
      await clock.advance(800);
      await watching(second);
      expect(names()).to.deep.equal([]);
    });
  }

  it('asks for smaller pages when one is too large', async () => {
    const watch = new OpenWatch();
    server.script(page([widget('x'.repeat(3000))], '10'), page([widget('a')], '10'), watch.answer);
    const client = clientOf(connection);
    const list: typeof client.list = (resource, namespace, options) =>
      client.list(resource, namespace, { ...options, maxBytes: 2000 });
    start({ client: { list, watch: client.watch.bind(client) } });
    await watching(watch);
    expect([query(0)['limit'], query(1)['limit']]).to.deep.equal(['500', '250']);
  });

  it('resumes a watch that the server ended after a while at once, from the last event or bookmark', async () => {
    const second = new OpenWatch();
    const third = new OpenWatch();
    const first = await follow([], second.answer, third.answer);
    await clock.advance(300_000);
    first.event('ADDED', widget('a', { rv: 11 }));
    first.event('BOOKMARK', { metadata: { resourceVersion: '15' } });
    first.end();
    await accepted(2);
    expect(query(2)['resourceVersion']).to.equal('15');
    expect(store.resourceVersion).to.equal('15');
    await clock.advance(300_000);
    second.event('MODIFIED', widget('a', { rv: 17 }));
    second.end();
    await accepted(3);
    expect(query(3)['resourceVersion']).to.equal('17');
    expect(reflector.stats()).to.include({ lists: 1, watches: 3, events: 2, errors: 0 });
  });

  it('pauses after a watch that ended as soon as it began, longer each time', async () => {
    const watches = [new OpenWatch(), new OpenWatch(), new OpenWatch()];
    const first = await follow([], ...watches.map(({ answer }) => answer));
    first.end();
    for (const [i, watch] of watches.entries()) {
      await pausing();
      await clock.advance(800 * 2 ** i - 1);
      expect(server.requests).to.have.length(2 + i);
      await clock.advance(1);
      await watching(watch);
      watch.end();
    }
    expect(reflector.stats().lists).to.equal(1);
  });

  it('lists again and emits the differences when the history is gone, in the stream or in the answer', async () => {
    const second = new OpenWatch();
    const first = await follow(
      [widget('a'), widget('b')],
      page([widget('b'), widget('c', { rv: 30 })], '40'),
      failure(410, 'Gone'),
      page([widget('c', { rv: 30 })], '50'),
      second.answer,
    );
    const seen: string[] = [];
    store.subscribe(({ type, key }) => seen.push(`${type} ${key}`));
    await clock.advance(10_000);
    first.event('ERROR', statusBody(410, 'Expired'));
    await requested(4);
    await pausing();
    await clock.advance(800);
    await watching(second);
    expect(seen).to.deep.equal(['deleted default/a', 'added default/c', 'deleted default/b']);
    expect(query(5)['resourceVersion']).to.equal('50');
    expect(reflector.stats()).to.include({ lists: 3, errors: 0 });
  });

  it('lists again when the server knows less than we do, as after a restored backup', async () => {
    const second = new OpenWatch();
    const first = await follow([widget('a', { rv: 9 })], page([widget('a', { rv: 2 })], '4'), second.answer);
    await clock.advance(10_000);
    first.event(
      'ERROR',
      statusBody(504, 'Timeout', { details: { causes: [{ reason: 'ResourceVersionTooLarge' }] } }),
    );
    await watching(second);
    expect(store.get('default/a')?.metadata.resourceVersion).to.equal('2');
    expect(query(3)['resourceVersion']).to.equal('4');
  });

  const faults: readonly (readonly [string, (watch: OpenWatch) => void])[] = [
    ['ends within a line', (watch) => watch.end('{"type":"MODI')],
    ['is cut', (watch) => watch.cut()],
    ['holds a line that is not JSON', (watch) => watch.write('nonsense\n')],
    ['holds an event of an unknown kind', (watch) => watch.event('EXPLODED', widget('x'))],
    ['holds an event without an object', (watch) => watch.write('{"type":"ADDED","object":{}}\n')],
    [
      'holds an event of an object without a version',
      (watch) => watch.event('ADDED', widget('x', { rv: '' })),
    ],
    [
      'holds an object of another kind',
      (watch) => watch.event('ADDED', { ...widget('x', { rv: 12 }), kind: 'Pod' }),
    ],
    ['holds a bookmark without a version', (watch) => watch.event('BOOKMARK', { metadata: {} })],
    ['reports an error', (watch) => watch.event('ERROR', statusBody(500, 'InternalError'))],
  ];
  for (const [what, fault] of faults) {
    it(`resumes from the last event, without a new list, when the stream ${what}`, async () => {
      const second = new OpenWatch();
      const first = await follow([], second.answer);
      first.event('ADDED', widget('a', { rv: 11 }));
      await eventually(() => store.size === 1);
      fault(first);
      await pausing();
      expect(reflector.stats().errors).to.equal(1);
      expect(reflector.stats().lastError).to.be.a('string');
      await clock.advance(800);
      await watching(second);
      expect(query(2)['resourceVersion']).to.equal('11');
      expect(reflector.stats()).to.include({ lists: 1, lastError: undefined });
    });
  }

  it('resumes a silent watch', async () => {
    const first = new OpenWatch();
    const second = new OpenWatch();
    server.script(page([], '10'), first.answer, second.answer);
    start({ inactivityMs: 30 });
    await pausing();
    await clock.advance(800);
    await eventually(() => second.open);
    expect(query(2)['resourceVersion']).to.equal('10');
  });

  it('reads characters that are cut in two and lines of any length', async () => {
    const watch = await follow([]);
    const colour = `grün${'x'.repeat(300_000)}\u2028日本`;
    const bytes = Buffer.from(
      `${JSON.stringify({ type: 'ADDED', object: widget('a', { rv: 11, colour }) })}\n`,
    );
    const cut = bytes.indexOf(Buffer.from('ü')) + 1;
    watch.write(bytes.subarray(0, cut));
    await new Promise((resolve) => setTimeout(resolve, 5));
    watch.write(bytes.subarray(cut));
    await eventually(() => store.size === 1);
    expect(store.get('default/a')?.spec?.colour).to.equal(colour);
  });

  it('waits as long as the API server asks, for a list and for a watch', async () => {
    const watch = new OpenWatch();
    const busy = failure(429, 'TooManyRequests', {}, { 'retry-after': '5' });
    server.script(busy, page([], '10'), busy, watch.answer);
    start();
    for (const count of [1, 3]) {
      await requested(count);
      await pausing();
      await clock.advance(4_999);
      expect(server.requests).to.have.length(count);
      await clock.advance(1);
    }
    await watching(watch);
  });

  for (const [status, reason] of [
    [404, ''],
    [403, 'Forbidden'],
  ] as const) {
    it(`keeps what it has when a new list is answered ${status}`, async () => {
      const refused = failure(status, reason);
      const first = await follow([widget('a')], refused, refused, page([], '60'));
      await clock.advance(10_000);
      first.event('ERROR', statusBody(410, 'Expired'));
      await requested(3);
      await pausing();
      await clock.advance(800);
      await requested(4);
      await pausing();
      expect(names()).to.deep.equal(['a']);
      expect(reflector.stats()).to.include({ state: 'backoff', errors: 2 });
      expect(reflector.stats().lastError).to.include(String(status));
      await clock.advance(1_600);
      await eventually(() => store.size === 0);
    });
  }

  it('backs off up to 30 s, and starts anew after two minutes of peace', async () => {
    const watch = new OpenWatch();
    const second = new OpenWatch();
    const down = failure(500, 'InternalError');
    server.script(...Array.from({ length: 8 }, () => down), page([], '10'), watch.answer, second.answer);
    start();
    const pauses = [800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000];
    for (const [i, pause] of pauses.entries()) {
      await requested(i + 1);
      await pausing();
      await clock.advance(pause - 1);
      expect(reflector.state).to.equal('backoff');
      await clock.advance(1);
    }
    await watching(watch);
    await clock.advance(121_000);
    watch.cut();
    await pausing();
    await clock.advance(800);
    await watching(second);
  });

  it('backs off no longer than it may', async () => {
    server.script(...Array.from({ length: 4 }, () => failure(404, '')));
    start({ maxBackoffMs: 2_000 });
    for (const [i, pause] of [800, 1600, 2000, 2000].entries()) {
      await requested(i + 1);
      await pausing();
      await clock.advance(pause - 1);
      expect(reflector.state).to.equal('backoff');
      await clock.advance(1);
    }
  });

  it('lists again when the kind became unknown while it was watched', async () => {
    const first = new OpenWatch();
    const second = new OpenWatch();
    server.script(page([widget('a')], '10'), first.answer, failure(404, ''), page([], '60'), second.answer);
    start();
    await watching(first);
    await clock.advance(10_000);
    first.end();
    await pausing();
    expect(names(), 'a 404 proves nothing about objects').to.deep.equal(['a']);
    await clock.advance(800);
    await watching(second);
    expect(names()).to.deep.equal([]);
    expect(query(4)['resourceVersion']).to.equal('60');
  });

  it('warns of a failed list, unless its owner expects that', async () => {
    const logged: string[] = [];
    const logger = {
      ...silentLogger,
      warn: () => logged.push('warn'),
      debug: () => logged.push('debug'),
    };
    server.script(failure(404, ''), failure(500, 'InternalError'));
    start({ logger, isExpected: isUnknownKind });
    await pausing();
    expect(logged).to.deep.equal(['debug']);
    await clock.advance(800);
    await requested(2);
    await pausing();
    expect(logged).to.deep.equal(['debug', 'warn']);
  });

  it('spreads its pauses and its watches at random', async () => {
    const watch = new OpenWatch();
    server.script(failure(500, 'InternalError'), page([], '10'), watch.answer);
    start({ random: () => 0.25 });
    await pausing();
    await clock.advance(199);
    expect(server.requests).to.have.length(1);
    await clock.advance(1);
    await watching(watch);
    expect(query(2)['timeoutSeconds']).to.equal('375');
  });

  describe('with something else than a store', () => {
    /** Keeps names only, and writes down what it was asked to do. */
    class Names implements ReflectorSink<Widget, string> {
      readonly asked: string[] = [];
      readonly refused = new Set<string>();
      /** What handling one object takes, in milliseconds. */
      cost = 0;
      onWork: (ms: number) => void = () => undefined;

      prepare({ metadata: { name } }: Widget): string {
        this.#note(`prepare ${name}`, name);
        return name;
      }

      *replaceInSteps(items: readonly string[], resourceVersion: string): Generator<void, void> {
        yield;
        this.asked.push(`replace ${items.join(',')} @${resourceVersion}`);
      }

      apply({ type, object }: { type: string; object: Widget }): void {
        this.#note(`${type} ${object.metadata.name}`, object.metadata.name);
      }

      advance(resourceVersion: string): void {
        this.asked.push(`advance ${resourceVersion}`);
      }

      #note(what: string, name: string): void {
        this.onWork(this.cost);
        this.asked.push(what);
        if (this.refused.delete(name)) throw new Error('no such thing can be kept');
      }
    }

    let names: Names;
    let sinkReflector: Reflector<Widget, string>;

    beforeEach(() => (names = new Names()));

    function startSink(options: Partial<ReflectorOptions<Widget, string>> = {}): void {
      sinkReflector = new Reflector<Widget, string>({
        client: clientOf(connection),
        resource: widgets,
        store: names,
        clock,
        logger: silentLogger,
        random: () => 1,
        ...options,
      });
      const controller = new AbortController();
      const running = sinkReflector.run(controller.signal);
      stop = async () => {
        controller.abort();
        await running;
      };
    }

    /** A clock that stands still but for the work that is done. */
    function workingClock(): Clock {
      let worked = 0;
      let turnBegan = 0;
      names.onWork = (ms) => (worked += ms);
      return {
        breathe() {
          if (worked - turnBegan < 8) return undefined;
          turnBegan = worked;
          return new Promise((resolve) => setImmediate(resolve));
        },
        now: () => clock.now(),
        monotonic: () => clock.monotonic(),
        after: (ms, fn) => clock.after(ms, fn),
        sleep: (ms, signal) => clock.sleep(ms, signal),
      };
    }

    it('makes of a page what is kept of it before it asks for the next', async () => {
      const watch = new OpenWatch();
      const recorded =
        (what: string, answer: Answerer): Answerer =>
        (...args) => {
          names.asked.push(what);
          answer(...args);
        };
      server.script(
        recorded('page 1', page([widget('a'), widget('b')], '10', 'next')),
        recorded('page 2', page([widget('c')], '10')),
        watch.answer,
      );
      startSink();
      await eventually(() => watch.open);
      watch.event('DELETED', widget('b', { rv: 12 }));
      watch.event('BOOKMARK', { metadata: { resourceVersion: '15' } });
      await eventually(() => names.asked.length === 8);
      expect(names.asked).to.deep.equal([
        ...['page 1', 'prepare a', 'prepare b', 'page 2', 'prepare c', 'replace a,b,c @10'],
        ...['DELETED b', 'advance 15'],
      ]);
    });

    it('lists again when an object of the list is refused, and resumes before an event that is', async () => {
      const first = new OpenWatch();
      const second = new OpenWatch();
      const list = page([widget('a')], '10');
      server.script(list, list, first.answer, second.answer);
      names.refused.add('a').add('c');
      startSink();
      await eventually(() => sinkReflector.stats().errors === 1 && clock.pending > 0);
      expect(names.asked).to.deep.equal(['prepare a']);
      await clock.advance(800);
      await eventually(() => first.open);
      first.event('ADDED', widget('b', { rv: 11 }));
      first.event('ADDED', widget('c', { rv: 12 }));
      await eventually(() => sinkReflector.stats().errors === 2 && clock.pending > 0);
      await clock.advance(1_600);
      await eventually(() => second.open);
      expect(query(3)['resourceVersion']).to.equal('11');
      expect(sinkReflector.stats()).to.include({ lists: 1, errors: 2 });
    });

    it('lets others have their turn when a page, or events that come together, take long', async () => {
      const watch = new OpenWatch();
      const objects = ['a', 'b', 'c', 'd', 'e'].map((name, i) => widget(name, { rv: 11 + i }));
      server.script(page(objects, '20'), watch.answer);
      names.cost = 5;
      const working = workingClock();
      const work = names.onWork;
      let turn = 0;
      const turns: number[] = [];
      names.onWork = (ms) => {
        work(ms);
        if (turns.length === 0) countTurns();
        turns.push(turn);
      };
      const countTurns = (): void => {
        setImmediate(() => {
          turn++;
          if (turns.length < objects.length) countTurns();
        });
      };
      startSink({ clock: working });
      await eventually(() => watch.open);
      expect(turns).to.deep.equal([0, 0, 1, 1, 2]);
      turns.length = 0;
      turn = 0;
      watch.write(objects.map((object) => `${JSON.stringify({ type: 'MODIFIED', object })}\n`).join(''));
      await eventually(() => turns.length === objects.length);
      expect(turns).to.deep.equal([0, 1, 1, 2, 2]);
    });
  });

  it('stops calmly in every state', async () => {
    start();
    await requested(1);
    await stop();
    expect(reflector.state).to.equal('stopped');
    server.script(failure(500, 'InternalError'));
    start();
    await pausing();
    await stop();
    expect(reflector.state).to.equal('stopped');
    await follow([]);
    await stop();
    expect(reflector.stats()).to.include({ state: 'stopped', errors: 0 });
  });
});
