import { expect } from 'chai';
import fc from 'fast-check';
import { humanDuration } from '../../../../src/apiserver/view/duration.ts';

const DAY = 24 * 3_600_000;

describe('humanDuration', () => {
  // As apimachinery 0.36 says them.
  const known: readonly [ms: number, text: string][] = [
    [-5000, '<invalid>'],
    [-2000, '<invalid>'],
    [-1999, '0s'],
    [-1000, '0s'],
    [0, '0s'],
    [999, '0s'],
    [1000, '1s'],
    [70_000, '70s'],
    [119_000, '119s'],
    [120_000, '2m'],
    [121_000, '2m1s'],
    [190_000, '3m10s'],
    [599_000, '9m59s'],
    [600_000, '10m'],
    [630_000, '10m'],
    [10_799_999, '179m'],
    [10_800_000, '3h'],
    [10_860_000, '3h1m'],
    [28_799_000, '7h59m'],
    [28_800_000, '8h'],
    [32_340_000, '8h'],
    [172_799_000, '47h'],
    [172_800_000, '2d'],
    [176_400_000, '2d1h'],
    [261_000_000, '3d'],
    [691_199_000, '7d23h'],
    [691_200_000, '8d'],
    [795_600_000, '9d'],
    [63_071_999_000, '729d'],
    [63_072_000_000, '2y'],
    [63_158_400_000, '2y1d'],
    [94_698_000_000, '3y1d'],
    [252_287_999_000, '7y364d'],
    [252_288_000_000, '8y'],
    [278_208_000_000, '8y'],
    [1_576_800_000_000, '50y'],
  ];
  for (const [ms, text] of known) {
    it(`says ${text} for ${ms} ms`, () => {
      expect(humanDuration(ms)).to.equal(text);
    });
  }

  it('never says more than is so, and leaves out less than an eighth', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4000 * DAY }), (ms) => {
        const told = lengthOf(humanDuration(ms));
        expect(told).to.be.at.most(ms);
        expect(ms - told).to.be.below(Math.max(1000, ms / 8));
      }),
    );
  });
});

/** Milliseconds of what was told. */
function lengthOf(text: string): number {
  const units: Readonly<Record<string, number>> = {
    s: 1000,
    m: 60_000,
    h: 3_600_000,
    d: DAY,
    y: 365 * DAY,
  };
  const parts = [...text.matchAll(/(\d+)([smhdy])/g)];
  expect(parts.map(([part]) => part).join('')).to.equal(text);
  return parts.reduce((sum, [, amount, unit]) => sum + Number(amount) * units[unit!]!, 0);
}
