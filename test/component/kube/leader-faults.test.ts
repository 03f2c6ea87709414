import { expect } from 'chai';
import fc from 'fast-check';
import { systemClock } from '../../../src/base/clock.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import { LeaderElector, LeadershipLostError } from '../../../src/kube/leader.ts';
import { leases, type Lease } from '../../../src/kube/lease.ts';
import { apiserver, type ApiServer } from '../../support/apiserver.ts';
import { eventually } from '../../support/eventually.ts';
import {
  answer,
  cutInHalf,
  delayed,
  FaultProxy,
  garble,
  loseAnswer,
  refusal,
  reset,
  silence,
  swallowAnswer,
  type Fault,
  type ProxiedRequest,
  type Rule,
} from '../../support/fault-proxy.ts';
import { clientOf } from '../../support/kube-server.ts';

const isWrite = (request: ProxiedRequest): boolean => request.method === 'PUT';
const isRelease = (request: ProxiedRequest): boolean =>
  isWrite(request) && request.body.includes('"holderIdentity":""');
const anything = (): boolean => true;

describe('LeaderElector on a real API server behind a faulty network', function () {
  this.timeout(60_000);
  const namespace = 'leader-faults';
  let server: ApiServer;
  let opened: FaultProxy[];
  let candidates: Candidate[];

  interface Candidate {
    readonly proxy: FaultProxy;
    readonly elector: LeaderElector;
    readonly epochs: string[];
    readonly stop: () => void;
    readonly ended: Promise<unknown>;
    readonly hasEnded: () => boolean;
    /** It does nothing until `thaw`, while the clock goes on. */
    readonly freeze: () => void;
    readonly thaw: () => void;
    /** Other calls over the same connections. */
    readonly client: ReturnType<typeof clientOf>;
  }

  before(async () => {
    server = await apiserver();
    await server.kubectl(['create', 'namespace', namespace]);
  });

  beforeEach(() => {
    opened = [];
    candidates = [];
  });

  afterEach(async () => {
    for (const proxy of opened) proxy.mend();
    for (const candidate of candidates) {
      candidate.thaw();
      candidate.stop();
    }
    await Promise.all(candidates.map(({ ended }) => ended));
    await Promise.all(opened.map((proxy) => proxy.close()));
  });

  async function open(): Promise<FaultProxy> {
    const proxy = await FaultProxy.open(server.kubeconfig);
    opened.push(proxy);
    return proxy;
  }

  /** Another process, with its own connections. */
  async function candidate(name: string, identity: string, proxy: FaultProxy): Promise<Candidate> {
    const client = clientOf(await proxy.connect());
    let frozen: Promise<void> = Promise.resolve();
    let thaw = (): void => undefined;
    const freeze = (): void => {
      frozen = new Promise((resolve) => (thaw = resolve));
    };
    const sleep: typeof systemClock.sleep = async (ms, signal) => {
      await systemClock.sleep(ms, signal);
      await frozen;
    };
    const clock = { ...systemClock, sleep };
    const elector = new LeaderElector({
      ...{ client, namespace, name, identity, clock, logger: silentLogger },
      leaseDurationMs: 4000,
      renewDeadlineMs: 3000,
      retryPeriodMs: 100,
    });
    const controller = new AbortController();
    const epochs: string[] = [];
    let over = false;
    const ended = elector
      .run(controller.signal, (leaderSignal, epoch) => {
        epochs.push(epoch);
        return new Promise((resolve) => leaderSignal.addEventListener('abort', () => resolve()));
      })
      .catch((error: unknown) => error)
      .finally(() => (over = true));
    const stop = (): void => controller.abort();
    const hasEnded = (): boolean => over;
    const made = { proxy, elector, epochs, stop, ended, hasEnded, freeze, thaw: () => thaw(), client };
    candidates.push(made);
    return made;
  }

  async function leader(name: string): Promise<Candidate> {
    const made = await candidate(name, 'a', await open());
    await eventually(() => made.elector.isLeading());
    return made;
  }

  const read = (name: string): Promise<Lease> => server.client.get<Lease>(leases, namespace, name);

  const passing: readonly (readonly [string, Fault])[] = [
    ['is lost', loseAnswer],
    ['is cut in half', cutInHalf],
    ['is garbled', garble],
    ['is late', delayed(500)],
    ['is a conflict that is none', refusal(409, 'Conflict')],
    ['says that the API server is busy', refusal(429, 'TooManyRequests', { 'retry-after': '60' })],
    ['is an error', refusal(500, 'InternalError')],
    ['is the page of a gateway', answer(503, '<html></html>')],
    ['does not come because the connection breaks', reset],
  ];

  it('stays the leader whatever becomes of the answer to one renewal', async () => {
    const a = await leader('stays');
    for (const [what, fault] of passing) {
      const rule = a.proxy.break(isWrite, fault, 1);
      await eventually(() => rule.hits === 1);
      const before = (await read('stays')).metadata.resourceVersion;
      const writes = a.proxy.requests.filter(isWrite).length;
      await eventually(() => a.proxy.requests.filter(isWrite).length > writes + 1);
      expect([a.elector.isLeading(), a.hasEnded()], `an answer that ${what}`).to.deep.equal([true, false]);
      expect((await read('stays')).metadata.resourceVersion, what).to.not.equal(before);
    }
    expect(a.epochs).to.have.length(1);
    expect((await read('stays')).spec).to.include({ holderIdentity: 'a', leaseTransitions: 0 });
  });

  it('takes the lease although the answer to that was lost', async () => {
    const proxy = await open();
    const create = proxy.break(({ method }) => method === 'POST', loseAnswer, 1);
    const a = await candidate('taken', 'a', proxy);
    await eventually(() => a.elector.isLeading());
    expect(create.hits).to.equal(1);
    expect(a.epochs).to.deep.equal(['0-a']);
  });

  it('F4, F21. is fenced before another one leads, whether its renewals fail or the process is frozen', async () => {
    const faults: Readonly<Record<string, (a: Candidate) => unknown>> = {
      silenced: ({ proxy }) => proxy.break(isWrite, silence),
      swallowed: ({ proxy }) => proxy.break(isWrite, swallowAnswer),
      refused: ({ proxy }) => proxy.break(isWrite, refusal(500, 'InternalError')),
      frozen: ({ freeze }) => freeze(),
    };
    const making = Object.entries(faults).map(async ([name, fault]) => {
      const a = await leader(name);
      const b = await candidate(name, 'b', await open());
      fault(a);
      return { name, a, b };
    });
    const pairs = await Promise.all(making);
    const both = new Set<string>();
    await eventually(() => {
      for (const { name, a, b } of pairs) if (a.elector.isLeading() && b.elector.isLeading()) both.add(name);
      return pairs.every(({ b }) => b.elector.isLeading());
    }, 30_000);
    expect([...both]).to.deep.equal([]);
    for (const { name, a, b } of pairs) {
      a.thaw();
      expect(await a.ended, name).to.be.instanceOf(LeadershipLostError);
      expect(b.epochs, name).to.deep.equal(['1-b']);
    }
  });

  it('stays the leader when all of its connections fall silent at once', async () => {
    const a = await leader('silent');
    const calls = Array.from({ length: 8 }, () => a.client.get(leases, namespace, 'silent'));
    await Promise.all(calls);
    expect(a.proxy.sockets).to.be.above(4);
    a.proxy.silence();
    const writes = a.proxy.requests.filter(isWrite).length;
    await eventually(() => a.proxy.requests.filter(isWrite).length > writes + 2);
    expect([a.elector.isLeading(), a.hasEnded()]).to.deep.equal([true, false]);
  });

  const ends: readonly (readonly [string, (proxy: FaultProxy) => Rule | undefined])[] = [
    ['is answered at once', () => undefined],
    ['loses its answer', (proxy) => void proxy.break(isRelease, loseAnswer, 1)],
    ['is refused once', (proxy) => void proxy.break(isRelease, refusal(500, 'InternalError'), 1)],
    ['follows a renewal that lost its answer', (proxy) => proxy.break(isWrite, swallowAnswer, 1)],
    ['follows a renewal that hangs', (proxy) => proxy.break(isWrite, silence, 1)],
  ];
  for (const [what, fault] of ends) {
    it(`leaves the lease to a successor when the release ${what}`, async () => {
      const name = `release-${what.replaceAll(' ', '-')}`;
      const a = await leader(name);
      const before = fault(a.proxy);
      await eventually(() => before === undefined || before.hits === 1);
      a.stop();
      await a.ended;
      expect((await read(name)).spec?.holderIdentity).to.equal('');
      const b = await candidate(name, 'b', await open());
      await eventually(() => b.elector.isLeading());
      expect(b.epochs).to.deep.equal(['1-b']);
    });
  }

  it('never has two leaders at a time, however flaky their networks', async () => {
    const [RUN_MS, LONGEST_MS, CALM_END_MS] = [5_000, 30_000, 500];
    const faults = fc.sample(
      fc.option(
        fc.constantFrom(
          loseAnswer,
          swallowAnswer,
          silence,
          reset,
          garble,
          delayed(700),
          ...passing.map(([, f]) => f),
        ),
        { freq: 2 },
      ),
      { numRuns: 2000 },
    );
    const proxies = [await open(), await open()];
    for (const proxy of proxies) {
      proxy.break(anything, async (passage) => {
        const fault = faults.shift() ?? undefined;
        if (fault === undefined) await passage.hand(await passage.ask());
        else await fault(passage);
      });
    }
    let [both, processes] = [0, 0];
    const started = systemClock.monotonic();
    const ran = (): number => systemClock.monotonic() - started;
    const terms = (): number => candidates.reduce((sum, { epochs }) => sum + epochs.length, 0);
    const living: Candidate[] = [];
    let ledSince = 0;
    while (ran() < RUN_MS || (terms() < 3 && ran() < LONGEST_MS)) {
      for (const [i, proxy] of proxies.entries()) {
        if (living[i]?.hasEnded() === false) continue;
        // As a pod is started again that has lost the lease.
        living[i] = await candidate('flaky', `process-${++processes}`, proxy);
      }
      if (living.every(({ elector }) => elector.isLeading())) both++;
      const [reigning] = living.filter(({ elector }) => elector.isLeading());
      if (reigning === undefined) ledSince = systemClock.monotonic();
      // As a pod that is moved: the lease changes hands by release as well as by silence.
      else if (systemClock.monotonic() - ledSince > CALM_END_MS) reigning.stop();
      await systemClock.sleep(1);
    }
    expect(both).to.equal(0);
    expect(terms(), 'changes of the leader').to.be.at.least(3);
    const epochs = candidates.flatMap((each) => each.epochs);
    expect(epochs, 'no epoch twice').to.deep.equal([...new Set(epochs)]);
  });
});
