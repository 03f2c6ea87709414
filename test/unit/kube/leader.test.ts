import { expect } from 'chai';
import { silentLogger } from '../../../src/base/logger.ts';
import { KubeError } from '../../../src/kube/errors.ts';
import {
  LeaderElector,
  LeadershipLostError,
  NotLeadingError,
  type LeadershipState,
} from '../../../src/kube/leader.ts';
import { FakeClock, settle } from '../../support/clock.ts';
import { LeaseServer } from '../../support/kube-lease.ts';

interface Candidate {
  readonly elector: LeaderElector;
  readonly stop: () => void;
  readonly running: Promise<unknown>;
  readonly epochs: string[];
  readonly states: LeadershipState[];
  /** Ends what the leader does. */
  readonly finish: (error?: Error) => void;
  leaderSignal: AbortSignal | undefined;
}

const down = new KubeError('KUBE_UNREACHABLE', 'down', { retryable: true });

describe('LeaderElector', () => {
  let clock: FakeClock;
  let server: LeaseServer;

  beforeEach(() => {
    clock = new FakeClock();
    server = new LeaseServer();
  });

  function candidate(identity: string): Candidate {
    const states: LeadershipState[] = [];
    const elector = new LeaderElector({
      client: server,
      namespace: 'coder-operator',
      name: 'coder-operator',
      identity,
      clock,
      logger: silentLogger,
      random: () => 0,
      onTransition: (state) => states.push(state),
    });
    const controller = new AbortController();
    const epochs: string[] = [];
    let finish: (error?: Error) => void = () => undefined;
    const running = elector
      .run(controller.signal, (leaderSignal, epoch) => {
        epochs.push(epoch);
        self.leaderSignal = leaderSignal;
        return new Promise<void>((resolve, reject) => {
          finish = (error) => (error === undefined ? resolve() : reject(error));
        });
      })
      .then(
        () => 'ended',
        (error: unknown) => error,
      );
    const self: Candidate = {
      elector,
      stop: () => controller.abort(),
      running,
      epochs,
      states,
      finish: (error) => finish(error),
      leaderSignal: undefined,
    };
    return self;
  }

  async function end(...candidates: readonly Candidate[]): Promise<void> {
    for (const each of candidates) {
      each.stop();
      each.finish();
    }
    await clock.advance(20_000);
  }

  it('creates the lease, leads, and writes times the API server takes', async () => {
    const a = candidate('a');
    await settle();
    expect(a.epochs).to.deep.equal(['0-a']);
    expect(a.elector.isLeading()).to.equal(true);
    expect(server.lease?.spec).to.deep.equal({
      holderIdentity: 'a',
      leaseDurationSeconds: 15,
      leaseTransitions: 0,
      acquireTime: '2026-01-01T00:00:00.000000Z',
      renewTime: '2026-01-01T00:00:00.000000Z',
    });
    await clock.advance(2_500);
    expect(server.lease?.spec?.renewTime).to.equal('2026-01-01T00:00:02.000000Z');
    expect(server.lease?.spec?.acquireTime).to.equal('2026-01-01T00:00:00.000000Z');
    await end(a);
  });

  it('has one leader at any time, and the other one follows at once after a calm end', async () => {
    const a = candidate('a');
    await settle();
    const b = candidate('b');
    await clock.advance(60_000);
    expect([a.elector.isLeading(), b.elector.isLeading()]).to.deep.equal([true, false]);
    a.stop();
    a.finish();
    await clock.advance(2_000);
    expect(await a.running).to.equal('ended');
    expect([a.elector.isLeading(), b.elector.isLeading()]).to.deep.equal([false, true]);
    expect(b.epochs).to.deep.equal(['1-b']);
    await end(b);
  });

  it('goes on renewing after the abort until the work has ended, and releases only then', async () => {
    const a = candidate('a');
    await settle();
    a.stop();
    await clock.advance(8_000);
    expect(a.leaderSignal?.aborted).to.equal(true);
    expect(server.lease?.spec?.holderIdentity).to.equal('a');
    expect(server.lease?.spec?.renewTime).to.equal('2026-01-01T00:00:08.000000Z');
    expect(a.elector.isLeading()).to.equal(true);
    a.finish();
    await settle();
    expect(await a.running).to.equal('ended');
    expect(server.lease?.spec?.holderIdentity).to.equal('');
    expect(server.lease?.spec?.leaseDurationSeconds).to.equal(1);
    expect(a.elector.isLeading()).to.equal(false);
  });

  it('F20. takes over from a dead holder after its lease duration, on our own clock', async () => {
    server.hold('dead', 4);
    const b = candidate('b');
    await clock.advance(14_000);
    expect(b.epochs).to.deep.equal([]);
    await clock.advance(2_000);
    expect(b.epochs).to.deep.equal(['5-b']);
    await end(b);
  });

  it('F22. leaves a living holder alone, however wrong its clock is', async () => {
    const b = candidate('b');
    server.hold('alive', 4);
    for (let i = 0; i < 20; i++) {
      await clock.advance(5_000);
      server.hold('alive', 4);
    }
    expect(b.epochs).to.deep.equal([]);
    b.stop();
    await clock.advance(0);
    expect(await b.running).to.equal('ended');
  });

  it('F3, F4. gives up when it cannot renew in time, and fences itself before others may lead', async () => {
    const a = candidate('a');
    await settle();
    await clock.advance(2_000);
    server.fault = down;
    await clock.advance(9_900);
    expect(a.leaderSignal?.aborted).to.equal(false);
    await clock.advance(2_100);
    expect(a.leaderSignal?.aborted).to.equal(true);
    expect(() => a.elector.assertLeading()).to.throw(NotLeadingError);
    a.finish();
    expect(await a.running).to.be.instanceOf(LeadershipLostError);
    expect(server.lease?.spec?.holderIdentity).to.equal('a');
  });

  it('rides out an API server that is away for less than the deadline', async () => {
    const a = candidate('a');
    await settle();
    server.fault = down;
    await clock.advance(7_000);
    server.fault = undefined;
    await clock.advance(30_000);
    expect(a.elector.isLeading()).to.equal(true);
    await end(a);
  });

  it('is fenced when the process was frozen, before it has noticed anything', async () => {
    const frozen = new (class extends FakeClock {
      asleep = 0;
      override monotonic(): number {
        return super.monotonic() + this.asleep;
      }
    })();
    clock = frozen;
    const a = candidate('a');
    await settle();
    a.elector.assertLeading();
    frozen.asleep = 14_500;
    expect(() => a.elector.assertLeading()).to.throw(NotLeadingError);
    await clock.advance(2_000);
    expect(a.leaderSignal?.aborted).to.equal(true);
    a.finish();
    expect(await a.running).to.be.instanceOf(LeadershipLostError);
  });

  it('counts from the start of a renewal, not from its answer', async () => {
    const slow = new FakeClock();
    clock = slow;
    const create = server.create.bind(server);
    server.create = async <T>(...args: Parameters<typeof create>): Promise<T> => {
      await slow.sleep(4_000);
      return (await create(...args)) as T;
    };
    const a = candidate('a');
    await clock.advance(4_000);
    server.fault = down;
    await clock.advance(9_999);
    expect(a.elector.isLeading()).to.equal(false);
    await end(a);
  });

  it('notices at once when another process has taken the lease', async () => {
    const a = candidate('a');
    await settle();
    server.hold('thief', 7);
    await clock.advance(2_000);
    expect(a.leaderSignal?.aborted).to.equal(true);
    a.finish();
    const error = await a.running;
    expect(error).to.be.instanceOf(LeadershipLostError).with.property('message').that.includes('thief');
    expect(server.lease?.spec?.holderIdentity).to.equal('thief');
  });

  it('knows its own write when the answer was lost, at acquiring and renewing', async () => {
    server.loseNextAnswer = true;
    const a = candidate('a');
    await clock.advance(2_000);
    expect(a.epochs).to.deep.equal(['0-a']);
    server.loseNextAnswer = true;
    await clock.advance(30_000);
    expect(a.elector.isLeading()).to.equal(true);
    expect(server.lease?.spec?.leaseTransitions).to.equal(0);
    await end(a);
  });

  it('releases the lease although an earlier answer was lost, or the release itself fails at first', async () => {
    const a = candidate('a');
    await settle();
    server.loseNextAnswer = true;
    await clock.advance(2_000);
    a.stop();
    a.finish();
    await clock.advance(200);
    expect(await a.running).to.equal('ended');
    expect(server.lease?.spec?.holderIdentity).to.equal('');

    const b = candidate('b');
    await settle();
    server.fault = down;
    b.stop();
    b.finish();
    await clock.advance(1_000);
    expect(server.lease?.spec?.holderIdentity).to.equal('b');
    server.fault = undefined;
    server.loseNextAnswer = true;
    await clock.advance(400);
    expect(await b.running).to.equal('ended');
    expect(server.lease?.spec?.holderIdentity).to.equal('');
  });

  it('leaves a lease alone that a successor has taken during the release, and gives up in the end', async () => {
    const a = candidate('a');
    await settle();
    server.hold('b', 1);
    a.stop();
    a.finish();
    expect(await a.running).to.equal('ended');
    expect(server.lease?.spec?.holderIdentity).to.equal('b');

    server.lease = undefined;
    const c = candidate('c');
    await settle();
    server.fault = down;
    c.stop();
    c.finish();
    await clock.advance(3_000);
    expect(await c.running).to.equal('ended');
    expect(server.lease).to.have.nested.property('spec.holderIdentity', 'c');
  });

  it('does not wait for a renewal that hangs before it releases', async () => {
    const replace = server.replace.bind(server);
    const a = candidate('a');
    await settle();
    const hanging = (...args: unknown[]): Promise<never> =>
      new Promise((_resolve, reject) => {
        const { signal } = args[2] as { readonly signal: AbortSignal };
        signal.addEventListener('abort', () => reject(new Error('aborted')));
      });
    server.replace = hanging;
    await clock.advance(2_000);
    server.replace = replace;
    a.stop();
    a.finish();
    await settle();
    expect(await a.running).to.equal('ended');
    expect(server.lease?.spec?.holderIdentity).to.equal('');
  });

  it('does not wait for ever for work that ignores the loss', async () => {
    const a = candidate('a');
    await settle();
    server.hold('thief', 7);
    await clock.advance(7_000);
    expect(await a.running).to.be.instanceOf(LeadershipLostError);
  });

  it('releases the lease when the work fails, and hands the failure on', async () => {
    const a = candidate('a');
    await settle();
    const failure = new Error('work failed');
    a.finish(failure);
    await settle();
    expect(await a.running).to.equal(failure);
    expect(server.lease?.spec?.holderIdentity).to.equal('');
  });

  it('reports who holds the lease', async () => {
    const a = candidate('a');
    await settle();
    const b = candidate('b');
    await settle();
    expect(a.states.at(-1)).to.deep.equal({ leading: true, holder: 'a' });
    expect(b.states.at(-1)).to.deep.equal({ leading: false, holder: 'a' });
    await end(a, b);
  });

  it('refuses periods that cannot work', () => {
    const options = { client: server, namespace: 'n', name: 'l', identity: 'i', clock, logger: silentLogger };
    expect(() => new LeaderElector({ ...options, renewDeadlineMs: 15_000 })).to.throw(RangeError);
    expect(() => new LeaderElector({ ...options, retryPeriodMs: 10_000 })).to.throw(RangeError);
  });
});
