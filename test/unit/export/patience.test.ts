import { expect } from 'chai';
import { CoderError } from '../../../src/coder/errors.ts';
import { forEach, patiently } from '../../../src/export/patience.ts';
import { FakeClock, settle } from '../../support/clock.ts';

describe('patiently', () => {
  const setup = (
    errors: readonly CoderError[],
  ): { clock: FakeClock; stop: AbortController; calls: () => number; answer: Promise<unknown> } => {
    const clock = new FakeClock();
    const stop = new AbortController();
    let calls = 0;
    const read = (): Promise<string> => {
      const error = errors[calls++];
      return error === undefined ? Promise.resolve('answer') : Promise.reject(error);
    };
    const answer = patiently(read, { clock, signal: stop.signal }).catch((error: unknown) => error);
    return { clock, stop, calls: () => calls, answer };
  };
  const limited = new CoderError('RateLimited', 'slowly', { retryAfterMs: 60_000 });
  const down = new CoderError('Unreachable', 'nobody there');

  it('waits for as long as Coder asks, however often', async () => {
    const { clock, calls, answer } = setup(Array.from({ length: 10 }, () => limited));
    await clock.advance(59_999);
    expect(calls()).to.equal(1);
    await clock.advance(540_001);
    expect(await answer).to.equal('answer');
  });

  it('asks again where there is no answer, after 1, 2 and 4 seconds, and then gives up', async () => {
    const { clock, calls, answer } = setup([down, down, down, down]);
    await clock.advance(6_999);
    expect(calls()).to.equal(3);
    await clock.advance(1);
    expect(calls()).to.equal(4);
    expect(await answer).to.equal(down);
  });

  it('does not ask again for what is refused', async () => {
    const refused = new CoderError('Forbidden', 'no');
    const { calls, answer } = setup([refused]);
    expect(await answer).to.equal(refused);
    expect(calls()).to.equal(1);
  });

  it('stops waiting when it is stopped', async () => {
    const { stop, answer } = setup([limited]);
    await settle();
    stop.abort(new Error('stopped'));
    expect(await answer).to.have.property('message', 'stopped');
  });
});

describe('forEach', () => {
  it('does everything once, a few at a time', async () => {
    const done: number[] = [];
    let [now, most] = [0, 0];
    await forEach([1, 2, 3, 4, 5, 6, 7], 3, async (item) => {
      most = Math.max(most, ++now);
      await settle();
      now--;
      done.push(item);
    });
    expect([...done].sort()).to.deep.equal([1, 2, 3, 4, 5, 6, 7]);
    expect(most).to.equal(3);
  });

  it('begins nothing new after a failure', async () => {
    const begun: number[] = [];
    const failure = new Error('no');
    const end = await forEach([1, 2, 3, 4, 5, 6], 2, async (item) => {
      begun.push(item);
      await settle();
      if (item === 2) throw failure;
    }).catch((error: unknown) => error);
    await settle();
    expect(end).to.equal(failure);
    expect(begun.length).to.be.lessThan(5);
  });
});
