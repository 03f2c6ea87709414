import { expect } from 'chai';
import { systemClock } from '../../../src/base/clock.ts';

describe('systemClock', () => {
  it('never goes back', () => {
    const before = systemClock.monotonic();
    expect(systemClock.monotonic()).to.be.at.least(before);
    expect(Math.abs(systemClock.now() - Date.now())).to.be.below(1_000);
  });

  it('calls after the time, unless it is called off', async () => {
    const calls: string[] = [];
    const callOff = systemClock.after(1, () => calls.push('called off'));
    callOff();
    await new Promise<void>((resolve) => {
      systemClock.after(2, () => {
        calls.push('called');
        resolve();
      });
    });
    expect(calls).to.deep.equal(['called']);
  });

  it('does not take a delay that no timer can hold for none at all', async () => {
    let called = false;
    const callOff = systemClock.after(2 ** 40, () => (called = true));
    await systemClock.sleep(3);
    callOff();
    expect(called).to.equal(false);
  });

  it('sleeps until it is woken by the signal, with its reason', async () => {
    const stop = new AbortController();
    const reason = new Error('enough');
    const sleeping = systemClock.sleep(60_000, stop.signal).catch((error: unknown) => error);
    stop.abort(reason);
    expect(await sleeping).to.equal(reason);
    expect(await systemClock.sleep(1, stop.signal).catch((error: unknown) => error)).to.equal(reason);
    await systemClock.sleep(1);
  });
});
