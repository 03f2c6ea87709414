import { expect } from 'chai';
import { systemClock } from '../../../src/base/clock.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import { LeaderElector, LeadershipLostError } from '../../../src/kube/leader.ts';
import { leases, type Lease } from '../../../src/kube/lease.ts';
import { apiserver, type ApiServer } from '../../support/apiserver.ts';
import { eventually } from '../../support/eventually.ts';

describe('LeaderElector on a real API server', function () {
  this.timeout(60_000);
  const namespace = 'leader';
  let server: ApiServer;

  before(async () => {
    server = await apiserver();
    await server.kubectl(['create', 'namespace', namespace]);
  });

  interface Candidate {
    readonly elector: LeaderElector;
    readonly epochs: string[];
    readonly stop: AbortController;
    readonly ended: Promise<unknown>;
  }

  function candidate(name: string, identity: string): Candidate {
    const elector = new LeaderElector({
      client: server.client,
      namespace,
      name,
      identity,
      clock: systemClock,
      logger: silentLogger,
      leaseDurationMs: 4000,
      renewDeadlineMs: 3000,
      retryPeriodMs: 200,
    });
    const stop = new AbortController();
    const epochs: string[] = [];
    const ended = elector
      .run(stop.signal, (leaderSignal, epoch) => {
        epochs.push(epoch);
        return new Promise((resolve) => leaderSignal.addEventListener('abort', () => resolve()));
      })
      .catch((error: unknown) => error);
    return { elector, epochs, stop, ended };
  }

  it('hands over from one to the other at once when the first ends calmly', async () => {
    const a = candidate('calm', 'a');
    await eventually(() => a.elector.isLeading(), 10_000);
    const b = candidate('calm', 'b');
    // Longer than the lease lasts: only renewals keep the other one waiting.
    await systemClock.sleep(4500);
    expect([a.elector.isLeading(), b.elector.isLeading()]).to.deep.equal([true, false]);
    a.stop.abort();
    await a.ended;
    expect(a.elector.isLeading()).to.equal(false);
    await eventually(() => b.elector.isLeading(), 6_000);
    expect([a.epochs, b.epochs]).to.deep.equal([['0-a'], ['1-b']]);
    b.stop.abort();
    await b.ended;
    const lease = await server.client.get<Lease>(leases, namespace, 'calm');
    expect(lease.spec).to.include({ holderIdentity: '', leaseDurationSeconds: 1, leaseTransitions: 1 });
    expect(lease.spec?.renewTime).to.match(/\.\d{6}Z$/);
  });

  it('ends the leader whose lease another one took', async () => {
    const a = candidate('stolen', 'a');
    await eventually(() => a.elector.isLeading(), 10_000);
    await server.client.mergePatch(leases, namespace, 'stolen', { spec: { holderIdentity: 'thief' } });
    expect(await a.ended).to.be.instanceOf(LeadershipLostError);
    expect(a.elector.isLeading()).to.equal(false);
  });
});
