import { expect } from 'chai';
import { isRateLimited } from '../../../src/coder/errors.ts';
import { MinuteLimit } from '../../support/coder/limit.ts';
import { FakeClock } from '../../support/clock.ts';

/** What a real Coder 2.30 answered to uploads at these times, which takes too long to ask every time. */
describe("the scripted Coder's limit", () => {
  const MOST = 12;
  let clock: FakeClock;
  let limit: MinuteLimit;

  beforeEach(() => {
    clock = new FakeClock(new Date('2026-01-01T00:00:00Z'));
    limit = new MinuteLimit(clock, MOST);
  });

  const isAdmitted = (key = 'a'): boolean => {
    try {
      limit.admit(key);
      return true;
    } catch (error) {
      expect(isRateLimited(error)).to.equal(true);
      return false;
    }
  };

  /** Numbers of the requests that are refused, of so many in an even rhythm. */
  const refused = async (count: number, everyMs: number): Promise<readonly number[]> => {
    const numbers: number[] = [];
    for (let i = 0; i < count; i++) {
      if (!isAdmitted()) numbers.push(i);
      await clock.advance(everyMs);
    }
    return numbers;
  };

  it('refuses one at the turn of the minute, of one every five seconds from its beginning on', async () => {
    await clock.advance(500);
    expect(await refused(30, 5_000)).to.deep.equal([12]);
  });

  it('admits one every six seconds for ever', async () => {
    await clock.advance(59_999);
    expect(await refused(600, 6_000)).to.deep.equal([]);
  });

  it('refuses the thirteenth at once, and does not count what it refuses', async () => {
    await clock.advance(50_000);
    expect(await refused(14, 0)).to.deep.equal([12, 13]);
    await clock.advance(10_012);
    const every = await refused(20, 2_500);
    expect(every).to.deep.equal([0, 2, 4, 6, 8, 10, 12, 14, 16, 18]);
  });

  it('forgets what is two minutes old, and tells one key from another', async () => {
    await refused(MOST, 0);
    expect([isAdmitted(), isAdmitted('b')]).to.deep.equal([false, true]);
    await clock.advance(120_000);
    expect(await refused(MOST + 1, 0)).to.deep.equal([MOST]);
  });
});
