import { expect } from 'chai';
import { PendingTimes } from '../../../src/controller/pending.ts';
import { FakeClock } from '../../support/clock.ts';
import { pendingOperation } from '../../support/controller-records.ts';

describe('PendingTimes', () => {
  it('counts from when this process first saw the operation, whatever the status says', async () => {
    const clock = new FakeClock();
    const times = new PendingTimes(clock);
    const operation = pendingOperation({ at: '2020-01-01T00:00:00Z' });
    expect(times.waitedMs('a', operation)).to.equal(0);
    await clock.advance(7_000);
    expect(times.waitedMs('a', operation)).to.equal(7_000);
    expect(times.waitedMs('b', operation), 'for each object').to.equal(0);
    expect(times.waitedMs('a', pendingOperation({ id: 'another' })), 'for each operation').to.equal(0);
  });

  it('begins anew after the operation was settled or the object went', async () => {
    const clock = new FakeClock();
    const times = new PendingTimes(clock);
    const operation = pendingOperation();
    for (const end of [() => times.waitedMs('a', undefined), () => times.forget('a')]) {
      times.waitedMs('a', operation);
      await clock.advance(1_000);
      end();
      expect(times.waitedMs('a', operation)).to.equal(0);
    }
  });
});
