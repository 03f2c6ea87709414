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

  it('lets several that work at length share one turn of the event loop', async () => {
    const busy = (ms: number): void => {
      for (const end = performance.now() + ms; performance.now() < end;);
    };
    let turns = 0;
    let goesOn = true;
    const turn = (): void => {
      turns++;
      if (goesOn) setImmediate(turn);
    };
    setImmediate(turn);
    const work = async (): Promise<void> => {
      for (let i = 0; i < 10; i++) {
        busy(2);
        await systemClock.breathe();
      }
    };
    await Promise.all([work(), work(), work(), work(), work()]);
    goesOn = false;
    // A hundred milliseconds of work were spread over many turns, though each of the five alone took twenty.
    expect(turns).to.be.at.least(6);
  });
});
