import { expect } from 'chai';
import { limit } from '../../../../hack/bench/limit.ts';
import { FakeClock } from '../../../support/clock.ts';

describe('limit', () => {
  it('aborts when the time is over', async () => {
    const clock = new FakeClock();
    const { signal, isOver } = limit(new AbortController().signal, 1_000, clock);
    await clock.advance(999);
    expect(signal.aborted).to.equal(false);
    await clock.advance(1);
    expect(signal.aborted).to.equal(true);
    expect(isOver()).to.equal(true);
  });

  it('aborts with the other signal and for its reason', () => {
    const other = new AbortController();
    const { signal, isOver } = limit(other.signal, 1_000, new FakeClock());
    other.abort(new Error('stopped'));
    expect(signal.reason).to.have.property('message', 'stopped');
    expect(isOver()).to.equal(false);
  });

  it('is aborted from the beginning when the other signal is', () => {
    expect(limit(AbortSignal.abort(), 1_000, new FakeClock()).signal.aborted).to.equal(true);
  });

  it('does nothing any more once it was released', async () => {
    const clock = new FakeClock();
    const other = new AbortController();
    const { signal, release } = limit(other.signal, 1_000, clock);
    release();
    await clock.advance(2_000);
    other.abort();
    expect(signal.aborted).to.equal(false);
  });
});
