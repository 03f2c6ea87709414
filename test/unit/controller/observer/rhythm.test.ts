import { expect } from 'chai';
import { listTimeoutMs, pauseAfter } from '../../../../src/controller/observer/rhythm.ts';

const MINUTE = 60_000;
const look = { tookMs: 100, failures: 0, pollIntervalMs: MINUTE, random: 0 };

describe('the rhythm of looks at everything', () => {
  it('is the interval, or a little less, so that observers fall out of step', () => {
    expect(pauseAfter(look)).to.equal(MINUTE);
    expect(pauseAfter({ ...look, random: 1 })).to.be.within(0.9 * MINUTE, MINUTE - 1);
  });

  it('is twenty times what the last look took, if that is longer', () => {
    for (const random of [0, 1]) expect(pauseAfter({ ...look, tookMs: 6_000, random })).to.equal(120_000);
  });

  it('is quicker after a failure, and slower with each, up to the interval', () => {
    const pauses = [1, 2, 3, 4, 5, 100].map((failures) => pauseAfter({ ...look, failures }));
    expect(pauses).to.deep.equal([5_000, 10_000, 20_000, 40_000, MINUTE, MINUTE]);
    for (const random of [0.3, 1]) {
      expect(pauseAfter({ ...look, failures: 1, random })).to.be.within(5_000, 7_500);
      expect(pauseAfter({ ...look, failures: 9, random })).to.equal(MINUTE);
    }
  });

  it('is no quicker than Coder bears, also after a failure that took long', () => {
    expect(pauseAfter({ ...look, failures: 1, tookMs: 1_500 })).to.equal(30_000);
    expect(pauseAfter({ ...look, failures: 1, tookMs: 120_000 })).to.equal(MINUTE);
  });

  it('gives a list that becomes slow more time, but not without end', () => {
    expect([0, 1_900, 30_000, 120_000, 10_000_000].map(listTimeoutMs)).to.deep.equal([
      120_000, 120_000, 300_000, 1_200_000, 1_200_000,
    ]);
  });
});
