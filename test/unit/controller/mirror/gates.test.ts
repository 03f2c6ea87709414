import { expect } from 'chai';
import { Gates } from '../../../../src/controller/mirror/gates.ts';
import { FakeClock } from '../../../support/clock.ts';

const MINUTE_MS = 60_000;

describe('Gates', () => {
  let clock: FakeClock;
  let gates: Gates;
  beforeEach(() => {
    clock = new FakeClock();
    gates = new Gates(clock);
  });

  it('know for how long a name has been free, and forget it after a while', async () => {
    expect(gates.freedForMs('team/a')).to.equal(undefined);
    gates.free('team/a');
    await clock.advance(2_000);
    expect(gates.freedForMs('team/a')).to.equal(2_000);
    expect(gates.freedForMs('team/b')).to.equal(undefined);
    gates.prune();
    expect(gates.freedForMs('team/a')).to.equal(2_000);
    gates.free('team/a');
    expect(gates.freedForMs('team/a'), 'it was left once more').to.equal(0);
    await clock.advance(MINUTE_MS + 1);
    gates.prune();
    expect(gates.freedForMs('team/a')).to.equal(undefined);
  });

  it('close a namespace that is being deleted for a minute', async () => {
    gates.close('team');
    await clock.advance(MINUTE_MS - 1);
    gates.prune();
    expect([gates.isClosed('team'), gates.isClosed('elsewhere')]).to.deep.equal([true, false]);
    await clock.advance(1);
    expect(gates.isClosed('team')).to.equal(false);
    gates.prune();
    expect(gates.isClosed('team')).to.equal(false);
  });

  it('know since when a namespace has no control plane', async () => {
    expect(gates.orphanedForMs('team')).to.equal(0);
    await clock.advance(7_000);
    expect(gates.orphanedForMs('team')).to.equal(7_000);
    expect(gates.orphanedForMs('elsewhere')).to.equal(0);
    gates.adopt('team');
    expect(gates.orphanedForMs('team')).to.equal(0);
  });
});
