import { expect } from 'chai';
import fc from 'fast-check';
import { systemClock } from '../../../src/base/clock.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import { Reflector, type ReflectorOptions } from '../../../src/kube/reflector.ts';
import { Store, type StoreEvent } from '../../../src/kube/store.ts';
import { apiserver, type ApiServer } from '../../support/apiserver.ts';
import { eventually } from '../../support/eventually.ts';
import {
  answer,
  cutInHalf,
  FaultProxy,
  garble,
  refusal,
  reset,
  withQuery,
  type Fault,
  type ProxiedRequest,
  type ProxiedWatch,
  type Rule,
} from '../../support/fault-proxy.ts';
import { gadgets, installGadgets, type Gadget } from '../../support/gadgets.ts';
import { clientOf, statusBody } from '../../support/kube-server.ts';

const isList = (request: ProxiedRequest): boolean => request.isList;
const isWatch = (request: ProxiedRequest): boolean => request.isWatch;
/** A timer may be early by a millisecond. */
const ONE_SECOND_MS = 990;

describe('Reflector on a real API server behind a faulty network', function () {
  this.timeout(60_000);
  const namespace = 'reflector-faults';
  let server: ApiServer;
  let proxy: FaultProxy;
  let store: Store<Gadget>;
  let reflector: Reflector<Gadget>;
  let events: StoreEvent<Gadget>[];
  let bookmarks: number;
  let attempts: number;
  let stop: () => Promise<void>;
  let written = 0;

  before(async () => {
    server = await apiserver();
    await installGadgets(server, namespace);
  });

  beforeEach(async () => {
    proxy = await FaultProxy.open(server.kubeconfig);
    store = new Store<Gadget>();
    events = [];
    bookmarks = 0;
    attempts = 0;
    stop = () => Promise.resolve();
    for (let i = 0; i < 7; i++) await write(`cm-${i}`);
  });

  afterEach(async () => {
    await stop();
    await proxy.close();
  });

  /** Creates it or changes it, past the proxy, to a value that was never there before. */
  async function write(name: string): Promise<Gadget> {
    const object = { metadata: { name, namespace }, spec: { value: `${name}: ${++written}` } };
    const client = server.client;
    return (await truth()).has(name)
      ? client.mergePatch<Gadget>(gadgets, namespace, name, object)
      : client.create<Gadget>(gadgets, object);
  }

  async function remove(name: string): Promise<void> {
    await server.client.delete(gadgets, namespace, name);
  }

  async function truth(): Promise<Map<string, string | undefined>> {
    const { items } = await server.client.list<Gadget>(gadgets, namespace);
    return new Map(items.map(({ metadata, spec }) => [metadata.name, spec?.value]));
  }

  const kept = (): Map<string, string | undefined> =>
    new Map(store.list().map(({ metadata, spec }) => [metadata.name, spec?.value]));

  /** Waits until the store is as the API server is now. */
  async function equal(): Promise<void> {
    const expected = await truth();
    const is = (): boolean => {
      const found = kept();
      return found.size === expected.size && [...expected].every(([name, v]) => found.get(name) === v);
    };
    await eventually(is, 20_000);
  }

  async function follow(options: Partial<ReflectorOptions<Gadget>> = {}): Promise<void> {
    const connection = await proxy.connect();
    reflector = new Reflector<Gadget>({
      client: clientOf(connection, { onRequest: () => attempts++ }),
      resource: gadgets,
      namespace,
      store,
      clock: systemClock,
      logger: silentLogger,
      pageSize: 3,
      // The shortest pauses that it may make.
      random: () => 0,
      metrics: { eventReceived: (type) => (bookmarks += type === 'BOOKMARK' ? 1 : 0) },
      ...options,
    });
    store.subscribe((event) => events.push(event));
    const controller = new AbortController();
    const running = reflector.run(controller.signal);
    stop = async () => {
      controller.abort();
      await running;
    };
  }

  async function watching(): Promise<void> {
    await eventually(() => reflector.state === 'watching' && proxy.watches.length === 1);
    events = [];
  }

  const seen = (): string[] => events.map(({ type, object }) => `${type} ${object.metadata.name}`);
  const lists = (): ProxiedRequest[] => proxy.requests.filter(isList);
  const watches = (): ProxiedRequest[] => proxy.requests.filter(isWatch);

  /** Everything that can happen to an object while nobody looks. */
  async function changeEverything(): Promise<Gadget> {
    const last = store.get(`${namespace}/cm-2`)!;
    await write('cm-1');
    await remove('cm-2');
    await remove('cm-3');
    await write('cm-3');
    await write(`new-${written}`);
    return last;
  }

  function expectEverythingSeen(last: Gadget): void {
    expect(seen()).to.have.members([
      'modified cm-1',
      'deleted cm-2',
      'deleted cm-3',
      'added cm-3',
      `added new-${written - 1}`,
    ]);
    const deleted = events.find(({ object }) => object.metadata.name === 'cm-2')?.object;
    expect(deleted?.spec, 'the last state is told').to.deep.equal(last.spec);
  }

  it('takes a list in pages', async () => {
    const size = (await truth()).size;
    await follow();
    await watching();
    await equal();
    expect(lists().map(({ query }) => query.get('limit'))).to.deep.equal(
      Array.from({ length: Math.ceil(size / 3) }, () => '3'),
    );
    expect(reflector.stats()).to.include({ lists: 1, watches: 1, errors: 0 });
  });

  it('begins the pages anew when a token expires among them, and takes one answer when it does again', async () => {
    const expired = (request: ProxiedRequest): boolean => request.query.has('continue');
    const once = proxy.break(expired, refusal(410, 'Expired'), 1);
    await follow();
    await watching();
    await equal();
    expect(once.hits).to.equal(1);
    expect(lists().every(({ query }) => query.get('limit') === '3')).to.equal(true);
    expect(reflector.stats()).to.include({ lists: 1, errors: 0 });

    proxy.break(expired, refusal(410, 'Expired'));
    const before = lists().length;
    proxy.watches[0]?.inject(`${JSON.stringify({ type: 'ERROR', object: statusBody(410, 'Expired') })}\n`);
    await write('cm-0');
    await equal();
    const limits = lists()
      .slice(before)
      .map(({ query }) => query.get('limit'));
    expect(limits).to.deep.equal(['3', '3', '3', '3', null]);
    expect(reflector.stats()).to.include({ lists: 2, errors: 0 });
  });

  it('resumes from a bookmark when the watch breaks', async () => {
    // The API server sends one two seconds before the end of a watch.
    proxy.break(
      isWatch,
      withQuery((query) => query.set('timeoutSeconds', '4')),
    );
    await follow();
    await watching();
    const elsewhere = await server.client.create<Gadget>(gadgets, {
      metadata: { name: 'reflector-faults', namespace: 'default' },
    });
    await eventually(() => bookmarks > 0);
    proxy.watches[0]?.cut();
    await eventually(() => watches().length === 2);
    const resumed = BigInt(watches()[1]?.query.get('resourceVersion') ?? '');
    expect(resumed >= BigInt(elsewhere.metadata.resourceVersion ?? ''), `from ${resumed}`).to.equal(true);
    await write('cm-0');
    await equal();
    expect(reflector.stats()).to.include({ lists: 1 });
    await server.client.delete(gadgets, 'default', 'reflector-faults');
  });

  it('goes on when the API server ends a watch for its age', async () => {
    proxy.break(
      isWatch,
      withQuery((query) => query.set('timeoutSeconds', '1')),
    );
    await follow();
    await watching();
    await write('cm-0');
    await eventually(() => watches().length >= 3);
    await write('cm-1');
    await equal();
    expect(reflector.stats()).to.include({ lists: 1, errors: 0 });
  });

  it('F5. notices a watch that has fallen silent, and misses nothing', async () => {
    await follow({ inactivityMs: 1000 });
    await watching();
    proxy.watches[0]?.stall();
    const last = await changeEverything();
    expect(seen()).to.deep.equal([]);
    await equal();
    expectEverythingSeen(last);
    expect(reflector.stats()).to.include({ lists: 1 });
  });

  it('F3. lists again when the API server has forgotten the version, and tells what happened meanwhile', async () => {
    await follow();
    await watching();
    const outage = proxy.break(() => true, reset);
    proxy.watches[0]?.cut();
    const last = await changeEverything();
    await eventually(() => outage.hits > 1);
    // The API server's own word for it: no cache reaches back so far.
    const tooOld = proxy.break(
      isWatch,
      withQuery((query) => query.set('resourceVersion', '1')),
      1,
    );
    outage.end();
    await equal();
    expect(tooOld.hits).to.equal(1);
    expectEverythingSeen(last);
    expect(reflector.stats()).to.include({ lists: 2 });
    await write('cm-1');
    await equal();
  });

  it('F4. waits as long as a busy API server asks', async () => {
    const busy = refusal(429, 'TooManyRequests', { 'retry-after': '1' });
    proxy.break(isList, busy, 1);
    proxy.break(isWatch, busy, 1);
    await follow();
    await watching();
    await equal();
    const [refused, again] = lists();
    expect(again!.at - refused!.at).to.be.at.least(ONE_SECOND_MS);
    const [refusedWatch, secondWatch] = watches();
    expect(secondWatch!.at - refusedWatch!.at).to.be.at.least(ONE_SECOND_MS);
  });

  it('F3. pauses between its attempts while nobody answers, and recovers by itself', async () => {
    await follow();
    await watching();
    const before = attempts;
    const started = performance.now();
    await proxy.refuse();
    const last = await changeEverything();
    await eventually(() => attempts - before >= 5);
    // The shortest pause is 100 ms; the watch's own end and the first attempt need none.
    expect(attempts - before).to.be.at.most(2 + (performance.now() - started) / 99);
    await proxy.accept();
    await equal();
    expectEverythingSeen(last);
    expect(reflector.stats()).to.include({ lists: 1 });
  });

  it('drops what nobody reads', async () => {
    const annotations = { 'kubectl.kubernetes.io/last-applied-configuration': '{}', mine: 'kept' };
    await server.client.mergePatch(gadgets, namespace, 'cm-4', { metadata: { annotations } });
    await follow();
    await watching();
    await server.client.mergePatch(gadgets, namespace, 'cm-5', { metadata: { annotations } });
    await eventually(() => events.length === 1);
    for (const name of ['cm-4', 'cm-5']) {
      const { metadata } = store.get(`${namespace}/${name}`)!;
      expect(metadata).to.not.have.property('managedFields');
      expect(metadata.annotations).to.deep.equal({ mine: 'kept' });
    }
  });

  const page = '<html><body>The service is being updated</body></html>';
  const broken: readonly Fault[] = [
    reset,
    cutInHalf,
    garble,
    answer(200, page, { 'content-type': 'text/html' }),
    answer(200, '{"message":"hello"}', { 'content-type': 'application/json' }),
    answer(200, '{"metadata":{},"items":[]}', { 'content-type': 'application/json' }),
    answer(200, '{"type":"MODIFIED","object":{"kind":"Secret","metadata":{"name":"x"}}}\n'),
    answer(503, page, { 'content-type': 'text/html' }),
    refusal(500, 'InternalError'),
    refusal(410, 'Expired'),
    refusal(403, 'Forbidden'),
    answer(404, '404 page not found'),
    answer(204, ''),
  ];
  const onWatch: readonly ((watch: ProxiedWatch) => void)[] = [
    (watch) => watch.cut(),
    (watch) => watch.end(),
    (watch) => watch.end('{"type":"MODIFIED","object":{"kind":"Gad'),
    (watch) => watch.inject('{"type":"MODI\n'),
    (watch) => watch.inject('{"type":"DELETED","object":{"metadata":{"name":"cm-1"}}}\n'),
    (watch) => watch.inject(`${JSON.stringify({ type: 'ERROR', object: statusBody(410, 'Expired') })}\n`),
    () => proxy.resetAll(),
  ];

  it('ends where the API server is, whatever was broken, and never shows what was never there', async () => {
    const anyRound = fc.record({
      list: fc.option(fc.constantFrom(...broken)),
      watch: fc.option(fc.constantFrom(...broken)),
      stream: fc.option(fc.constantFrom(...onWatch)),
      changed: fc.constantFrom('cm-0', 'cm-1', 'cm-2'),
      removed: fc.constantFrom(undefined, 'cm-3', 'cm-4'),
    });
    const everWritten = new Set((await truth()).values());
    const replica = new Map<string, string | undefined>();
    store.subscribe(({ type, object }) => {
      if (type === 'deleted') replica.delete(object.metadata.name);
      else replica.set(object.metadata.name, object.spec?.value);
    });
    await follow();
    await watching();
    const rules: Rule[] = [];
    for (const { list, watch, stream, changed, removed } of fc.sample(anyRound, { numRuns: 25 })) {
      if (list !== null) rules.push(proxy.break(isList, list, 1));
      if (watch !== null) rules.push(proxy.break(isWatch, watch, 1));
      const before = attempts;
      const [open] = proxy.watches;
      if (stream !== null && open !== undefined) stream(open);
      everWritten.add((await write(changed)).spec?.value);
      if (removed !== undefined && (await truth()).has(removed)) await remove(removed);
      else if (removed !== undefined) everWritten.add((await write(removed)).spec?.value);
      if (stream !== null) await eventually(() => attempts > before);
    }
    expect(rules.filter(({ hits }) => hits > 0)).to.have.length.above(15);
    proxy.mend();
    await equal();
    expect([...replica]).to.have.deep.members([...(await truth())]);
    for (const { object } of events) expect(everWritten).to.include(object.spec?.value);
  });
});
