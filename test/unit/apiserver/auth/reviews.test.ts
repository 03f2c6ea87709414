import { setMaxListeners } from 'node:events';
import { expect } from 'chai';
import { Reviews } from '../../../../src/apiserver/auth/reviews.ts';
import { StatusError } from '../../../../src/apiserver/http/status.ts';
import { KubeError } from '../../../../src/kube/errors.ts';
import { FakeClock, settle } from '../../../support/clock.ts';

interface Asked {
  readonly deadlineMs: number;
  readonly at: number;
  readonly answer: (value: string) => void;
  readonly fail: (error: Error) => void;
}

const passing = new KubeError('KUBE_UNREACHABLE', 'no answer', { retryable: true });
const lasting = new KubeError('KUBE_REFUSED', 'no right', { status: 403 });

describe('Reviews', () => {
  let clock: FakeClock;
  let reviews: Reviews<string>;
  let asked: Asked[];
  const forever = new AbortController().signal;
  // Every question listens for its end.
  setMaxListeners(0, forever);

  const ask = (deadlineMs: number): Promise<string> =>
    new Promise((answer, fail) => asked.push({ deadlineMs, at: clock.monotonic(), answer, fail }));
  const answer = (key: string, signal = forever, keep = true): Promise<string> =>
    reviews.answer(key, ask, { signal, keep });
  /** The code that a question of somebody is refused with; undefined when it was asked. */
  const refusal = async (key: string, asker: string): Promise<number | undefined> => {
    const before = asked.length;
    const waiting = reviews.answer(key, ask, { signal: forever, asker }).catch((error: unknown) => error);
    if (asked.length > before) return undefined;
    const error = await waiting;
    return error instanceof StatusError ? error.httpCode : undefined;
  };

  beforeEach(() => {
    clock = new FakeClock();
    asked = [];
    reviews = new Reviews({ clock, ttlMs: 10_000, maxEntries: 3, maxInFlight: 2, random: () => 0 });
  });

  it('asks once for ten seconds', async () => {
    const first = answer('a');
    asked[0]!.answer('yes');
    expect(await first).to.equal('yes');
    await clock.advance(9_999);
    expect(await answer('a')).to.equal('yes');
    expect(asked).to.have.length(1);
    await clock.advance(1);
    const again = answer('a');
    asked[1]!.answer('no');
    expect(await again).to.equal('no');
  });

  it('asks once however many wait for the answer, and again where it was not to be kept', async () => {
    const all = [answer('a'), answer('a'), answer('a')];
    asked[0]!.answer('yes');
    expect(await Promise.all(all)).to.deep.equal(['yes', 'yes', 'yes']);
    expect(asked).to.have.length(1);
    const unkept = [answer('b', forever, false), answer('b', forever, false)];
    asked[1]!.answer('yes');
    await Promise.all(unkept);
    void answer('b', forever, false);
    expect(asked).to.have.length(3);
  });

  it('asks different questions apart', async () => {
    const both = [answer('a'), answer('b')];
    asked[0]!.answer('yes');
    asked[1]!.answer('no');
    expect(await Promise.all(both)).to.deep.equal(['yes', 'no']);
  });

  it('goes on asking when a caller has gone', async () => {
    const controller = new AbortController();
    const left = answer('a', controller.signal).catch((error: unknown) => error);
    const stays = answer('a');
    controller.abort(new Error('gone'));
    expect(await left).to.have.property('message', 'gone');
    asked[0]!.answer('yes');
    expect(await stays).to.equal('yes');
  });

  it('keeps the answer for which all callers were too late, and bears its failure', async () => {
    const controller = new AbortController();
    const left = answer('a', controller.signal).catch(() => 'left');
    const other = answer('b', controller.signal).catch(() => 'left');
    controller.abort();
    expect([await left, await other]).to.deep.equal(['left', 'left']);
    asked[0]!.answer('yes');
    asked[1]!.fail(lasting);
    await settle();
    expect(await answer('a')).to.equal('yes');
    expect(asked).to.have.length(2);
  });

  it('tries again what may pass, in a rhythm that slows down, five times', async () => {
    const result = answer('a').catch((error: unknown) => error);
    const pauses = [500, 750, 1125, 1687.5];
    for (const [i, pause] of pauses.entries()) {
      asked[i]!.fail(passing);
      await clock.advance(pause - 1);
      expect(asked).to.have.length(i + 1);
      await clock.advance(1);
      expect(asked).to.have.length(i + 2);
    }
    asked[4]!.fail(passing);
    expect(await result).to.equal(passing);
    await clock.advance(60_000);
    expect(asked).to.have.length(5);
  });

  it('answers when a later try works', async () => {
    const result = answer('a');
    asked[0]!.fail(passing);
    await clock.advance(500);
    asked[1]!.answer('yes');
    expect(await result).to.equal('yes');
  });

  it('does not try again what will not pass, and keeps no failure', async () => {
    const result = answer('a').catch((error: unknown) => error);
    asked[0]!.fail(lasting);
    expect(await result).to.equal(lasting);
    const again = answer('a');
    asked[1]!.answer('yes');
    expect(await again).to.equal('yes');
  });

  it('ends within ten seconds, and leaves none of them to one try', async () => {
    const result = answer('a').catch((error: unknown) => error);
    expect(asked[0]!.deadlineMs).to.equal(5_000);
    await clock.advance(5_000);
    asked[0]!.fail(passing);
    await clock.advance(500);
    expect(asked[1]!.deadlineMs).to.equal(4_500);
    await clock.advance(4_400);
    asked[1]!.fail(passing);
    expect(await result).to.equal(passing);
  });

  it('waits as long as the API server asks, if there is the time', async () => {
    const busy = (retryAfterMs: number): KubeError =>
      new KubeError('KUBE_REFUSED', 'busy', { status: 429, retryable: true, retryAfterMs });
    const result = answer('a').catch((error: unknown) => error);
    asked[0]!.fail(busy(3_000));
    await clock.advance(2_999);
    expect(asked).to.have.length(1);
    await clock.advance(1);
    expect(asked).to.have.length(2);
    const tooLong = busy(60_000);
    asked[1]!.fail(tooLong);
    expect(await result).to.equal(tooLong);
  });

  it('refuses more questions than it may have open, not those that are open or answered', async () => {
    const first = answer('a');
    asked[0]!.answer('yes');
    await first;
    const open = [answer('b'), answer('c'), answer('b')];
    const refused = await answer('d').catch((error: unknown) => error);
    expect(refused).to.be.instanceOf(StatusError);
    expect((refused as StatusError).toStatus()).to.deep.include({
      code: 429,
      reason: 'TooManyRequests',
      details: { retryAfterSeconds: 1 },
    });
    expect(await answer('a')).to.equal('yes');
    asked[1]!.answer('1');
    asked[2]!.answer('2');
    expect(await Promise.all(open)).to.deep.equal(['1', '2', '1']);
    const later = answer('d');
    asked[3]!.answer('3');
    expect(await later).to.equal('3');
  });

  describe('shares its places among those who ask', () => {
    beforeEach(() => {
      reviews = new Reviews({ clock, ttlMs: 10_000, maxEntries: 100, maxInFlight: 12, random: () => 0 });
    });

    /** Asks until it is refused; answers how many were asked. */
    async function flood(asker: string): Promise<number> {
      for (let i = 0; i < 100; i++) {
        const code = await refusal(`${asker} ${i}`, asker);
        if (code === undefined) continue;
        expect(code).to.equal(429);
        return i;
      }
      throw new Error('nothing was refused');
    }

    it('half of them for one alone, so that others find some', async () => {
      expect(await flood('anonymous')).to.equal(6);
      expect(await refusal('ann', 'ann')).to.equal(undefined);
      expect(await refusal('bob', 'bob')).to.equal(undefined);
    });

    it('less for each of several, until none is left', async () => {
      expect([await flood('a'), await flood('b'), await flood('c')]).to.deep.equal([6, 3, 2]);
      expect(await refusal('d', 'd')).to.equal(undefined);
      expect(await refusal('e', 'e')).to.equal(429);
    });

    it('and gives them back with the answers, good or bad', async () => {
      await flood('a');
      for (const { answer: give } of asked.slice(0, 3)) give('yes');
      for (const { fail } of asked.slice(3)) fail(lasting);
      await settle();
      expect(await refusal('again', 'a')).to.equal(undefined);
      await settle();
      expect(await flood('a')).to.equal(3 + 5);
    });
  });
});
