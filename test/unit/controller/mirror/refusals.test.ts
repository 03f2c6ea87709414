import { expect } from 'chai';
import { Refusals } from '../../../../src/controller/mirror/refusals.ts';
import { FakeClock } from '../../../support/clock.ts';

const MINUTE_MS = 60_000;

describe('Refusals', () => {
  let clock: FakeClock;
  let refusals: Refusals;
  beforeEach(() => {
    clock = new FakeClock();
    refusals = new Refusals(clock);
  });

  /** Minutes until a thing is tried again. */
  async function minutesOf(id: string): Promise<number> {
    let minutes = 0;
    for (; refusals.why('team', id) !== undefined; minutes++) await clock.advance(MINUTE_MS);
    return minutes;
  }

  it('keep why one is refused, for a time that doubles up to half an hour', async () => {
    const pauses: number[] = [];
    for (let i = 0; i < 6; i++) {
      refusals.refuse('team', 'a', 'its name is not nice');
      expect(refusals.why('team', 'a')).to.equal('its name is not nice');
      pauses.push(await minutesOf('a'));
    }
    expect(pauses).to.deep.equal([2, 4, 8, 16, 30, 30]);
  });

  it('keep none back for what one or two others are refused, however often', async () => {
    for (let i = 0; i < 5; i++) {
      refusals.refuse('team', 'a', 'no');
      refusals.refuse('team', 'b', 'no');
      expect(refusals.why('team', 'c')).to.equal(undefined);
      await clock.advance(60 * MINUTE_MS);
    }
  });

  it('keep all back when several were refused in a row, and let others have their turn before those', async () => {
    for (const id of ['a', 'b', 'c']) refusals.refuse('team', id, 'the quota is used up');
    expect(refusals.why('team', 'd')).to.equal('the quota is used up');
    expect(refusals.why('elsewhere', 'd')).to.equal(undefined);
    await clock.advance(MINUTE_MS);
    expect(refusals.why('team', 'd')).to.equal(undefined);
    expect(refusals.why('team', 'a')).to.equal('the quota is used up');
  });

  it('keep all back for longer and longer, as long as none is created', async () => {
    const pauses: number[] = [];
    for (let i = 0; i < 7; i++) {
      for (const n of [1, 2, 3]) refusals.refuse('team', `${i}/${n}`, 'no');
      pauses.push(await minutesOf('another'));
    }
    expect(pauses).to.deep.equal([1, 2, 4, 8, 16, 30, 30]);
  });

  it('open when one is created, and begin anew then', async () => {
    for (const id of ['a', 'b', 'c']) refusals.refuse('team', id, 'no');
    await clock.advance(MINUTE_MS);
    refusals.accept('team', 'd');
    for (const id of ['e', 'f']) refusals.refuse('team', id, 'no');
    expect(refusals.why('team', 'g')).to.equal(undefined);
    refusals.refuse('team', 'g', 'no');
    expect(await minutesOf('h'), 'as at first').to.equal(1);
  });

  it('forget a namespace', () => {
    refusals.refuse('team', 'a', 'no');
    refusals.forget('team');
    expect(refusals.why('team', 'a')).to.equal(undefined);
  });
});
