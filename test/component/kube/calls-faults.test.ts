import { expect } from 'chai';
import fc from 'fast-check';
import type { KubeObject, ResourceType } from '../../../src/api/meta.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import type { KubeClient } from '../../../src/kube/client.ts';
import type { KubeConnection } from '../../../src/kube/connection.ts';
import { KubeError } from '../../../src/kube/errors.ts';
import { EventRecorder } from '../../../src/kube/events.ts';
import { objectKey } from '../../../src/kube/objects.ts';
import { Reflector } from '../../../src/kube/reflector.ts';
import { StatusWriter } from '../../../src/kube/status.ts';
import { Store } from '../../../src/kube/store.ts';
import { runWorkers, type WorkResult } from '../../../src/kube/workers.ts';
import { WorkQueue } from '../../../src/kube/workqueue.ts';
import { apiserver, type ApiServer } from '../../support/apiserver.ts';
import { eventually } from '../../support/eventually.ts';
import {
  cutInHalf,
  FaultProxy,
  garble,
  loseAnswer,
  refusal,
  reset,
  silence,
  type Fault,
  type Matches,
} from '../../support/fault-proxy.ts';
import { gadgets, installGadgets, type Gadget } from '../../support/gadgets.ts';
import { clientOf } from '../../support/kube-server.ts';

const events: ResourceType = { group: '', version: 'v1', plural: 'events', kind: 'Event', namespaced: true };

interface SeenEvent extends KubeObject {
  readonly reason: string;
  readonly count: number;
}

/** Most that a connection to the API server makes for calls. */
const CONNECTIONS = 16;
/** A timer may be early by a millisecond. */
const ONE_SECOND_MS = 990;

describe('calls to a real API server behind a faulty network', function () {
  this.timeout(60_000);
  const namespace = 'calls-faults';
  let server: ApiServer;
  let proxy: FaultProxy;
  let connection: KubeConnection;
  let client: KubeClient;

  before(async () => {
    server = await apiserver();
    await installGadgets(server, namespace);
  });

  beforeEach(async () => {
    proxy = await FaultProxy.open(server.kubeconfig);
    connection = await proxy.connect();
    client = clientOf(connection);
  });

  afterEach(() => proxy.close());

  const made = (name: string): Promise<Gadget> =>
    server.client.create<Gadget>(gadgets, { metadata: { name, namespace } });
  const read = (name: string): Promise<Gadget> => server.client.get<Gadget>(gadgets, namespace, name);
  const failure = async (call: Promise<unknown>): Promise<KubeError> => {
    const error = await call.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).to.be.instanceOf(KubeError);
    return error as KubeError;
  };
  const isPut: Matches = ({ method }) => method === 'PUT';
  const isPost: Matches = ({ method }) => method === 'POST';
  const puts = (): number[] => proxy.requests.filter(isPut).map(({ at }) => at);

  /** A small controller: every gadget is to have the status Ready. */
  async function reconciling(work: (results: readonly WorkResult[]) => Promise<void>): Promise<void> {
    const stop = new AbortController();
    const store = new Store<Gadget>();
    const options = { client, clock: systemClock, logger: silentLogger };
    const reflector = new Reflector<Gadget>({ ...options, resource: gadgets, namespace, store });
    const queue = new WorkQueue({ clock: systemClock, baseMs: 50 });
    store.subscribe(({ key }) => queue.add(key));
    const assume = (_resource: ResourceType, object: KubeObject): void => store.assume(object);
    const writer = new StatusWriter({ client, assume, fieldManager: 'coder-operator' });
    const results: WorkResult[] = [];
    const running = [
      reflector.run(stop.signal),
      runWorkers({
        ...options,
        queue,
        workers: 2,
        signal: stop.signal,
        handler: async (key) => {
          const object = store.get(key);
          if (object !== undefined) await writer.write(gadgets, object, { phase: 'Ready' });
        },
        onResult: (result) => results.push(result),
      }),
    ];
    try {
      await work(results);
    } finally {
      stop.abort();
      await Promise.all(running);
    }
  }

  it('has the status written by the next pass when the answer to the write was lost', async () => {
    let carriedOut: Gadget | undefined;
    const loseAfterReading: Fault = async ({ ask, response }) => {
      carriedOut = (await (await ask()).body.json()) as Gadget;
      response.socket?.resetAndDestroy();
    };
    proxy.break(isPut, loseAfterReading, 1);
    await reconciling(async (results) => {
      const key = objectKey(await made('lost'));
      const ended = (): WorkResult[] => results.filter((result) => result.key === key);
      await eventually(() => ended().some(({ outcome }) => outcome === 'error'));
      await eventually(() => ended().at(-1)?.outcome === 'success');
      expect(ended()[0]?.error).to.include({ unclear: true, retryable: true });
    });
    expect(carriedOut?.status).to.deep.equal({ phase: 'Ready' });
    expect(await read('lost'), 'nothing is written twice').to.deep.equal(carriedOut);
  });

  it('F4. waits with the next write as long as a busy API server asks', async () => {
    proxy.break(isPut, refusal(429, 'TooManyRequests', { 'retry-after': '1' }), 1);
    await reconciling(async (results) => {
      const key = objectKey(await made('busy'));
      await eventually(() => results.some((result) => result.key === key && result.outcome === 'success'));
    });
    expect((await read('busy')).status).to.deep.equal({ phase: 'Ready' });
    const [refused, again] = puts();
    expect(again! - refused!).to.be.at.least(ONE_SECOND_MS);
  });

  it('records an event once, although its answer was lost, and a busy API server gets its time', async () => {
    const recorder = new EventRecorder({
      ...{ client, component: 'coder-operator', instance: 'test', clock: systemClock, logger: silentLogger },
    });
    const object = await made('eventful');
    const lost = proxy.break(isPost, loseAnswer, 1);
    recorder.record(object, 'Normal', 'Started', 'started');
    await recorder.flush(20_000);
    expect(lost.hits).to.equal(1);
    const busy = proxy.break(isPost, refusal(429, 'TooManyRequests', { 'retry-after': '1' }), 1);
    recorder.record(object, 'Normal', 'Stopped', 'stopped');
    await recorder.flush(20_000);
    expect(busy.hits).to.equal(1);
    const posts = proxy.requests.filter(isPost);
    expect(posts.at(-1)!.at - posts.at(-2)!.at).to.be.at.least(ONE_SECOND_MS);
    const fieldSelector = `involvedObject.uid=${object.metadata.uid!}`;
    const { items } = await server.client.list<SeenEvent>(events, namespace, { fieldSelector });
    expect(items.map(({ reason, count }) => `${reason} ${count}`)).to.have.members([
      'Started 1',
      'Stopped 1',
    ]);
  });

  it('shares few connections among many calls and watches', async () => {
    const watching = new AbortController();
    const { metadata } = await client.list(gadgets, namespace);
    const streams = Array.from({ length: 3 }, async () => {
      const { resourceVersion } = metadata;
      const stream = await client.watch(gadgets, namespace, {
        ...{ resourceVersion, timeoutSeconds: 300, signal: watching.signal },
      });
      try {
        const chunks = stream[Symbol.asyncIterator]();
        while ((await chunks.next()).done !== true);
      } catch (error) {
        if (!watching.signal.aborted) throw error;
      }
    });
    await eventually(() => proxy.watches.length === 3);
    let left = 1000;
    const workers = Array.from({ length: 10 }, async () => {
      while (left-- > 0) await client.get(gadgets, namespace, 'lost').catch(ignoreRefusal);
    });
    await Promise.all(workers);
    expect(proxy.accepted).to.be.at.most(CONNECTIONS + 3);
    watching.abort();
    await Promise.all(streams);
    await eventually(() => proxy.watches.length === 0 && proxy.sockets <= CONNECTIONS);
  });

  it('leaks no connection, whatever ends its calls', async () => {
    const anyFault = fc.option(fc.constantFrom(reset, cutInHalf, garble, silence, loseAnswer));
    const faults = fc.sample(anyFault, { numRuns: 120 });
    proxy.break(
      () => true,
      async (passage) => {
        const fault = faults.shift() ?? undefined;
        if (fault === undefined) await passage.hand(await passage.ask());
        else await fault(passage);
      },
    );
    const workers = Array.from({ length: 10 }, async () => {
      while (faults.length > 0) {
        await client.get(gadgets, namespace, 'lost', { deadlineMs: 300 }).catch(ignoreRefusal);
      }
    });
    await Promise.all(workers);
    proxy.mend();
    expect((await failure(client.get(gadgets, namespace, 'none'))).status).to.equal(404);
    await eventually(() => proxy.sockets <= CONNECTIONS);
    await connection.close();
    await eventually(() => proxy.sockets === 0);
  });

  it('reads once more when a connection breaks under it, and never writes once more', async () => {
    const object = await made('once');
    proxy.break(() => true, reset, 1);
    await client.get(gadgets, namespace, 'once');
    expect(proxy.requests).to.have.length(2);
    proxy.break(isPut, reset, 1);
    const error = await failure(client.putStatus(gadgets, object, { phase: 'Ready' }));
    expect(error).to.include({ code: 'KUBE_UNREACHABLE', retryable: true, unclear: true });
    expect(puts()).to.have.length(1);
    expect(await read('once')).to.not.have.property('status');
  });

  it('goes on over new connections once the old ones have been closed, or lead nowhere', async () => {
    await made('again');
    const get = (deadlineMs = 10_000): Promise<unknown> =>
      client.get(gadgets, namespace, 'again', { deadlineMs });
    const many = (): Promise<unknown> => Promise.all(Array.from({ length: 8 }, () => get()));
    await many();
    proxy.resetAll();
    await many();
    proxy.silence();
    expect((await failure(get(300))).code).to.equal('KUBE_TIMEOUT');
    // One call has paid for all.
    await many();
    await eventually(() => proxy.sockets <= CONNECTIONS);
  });
});

/** What the test itself has broken. */
function ignoreRefusal(error: unknown): void {
  if (!(error instanceof KubeError)) throw error;
}
