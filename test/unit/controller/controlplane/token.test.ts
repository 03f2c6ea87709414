import { expect } from 'chai';
import { isEnding, writtenExpiry } from '../../../../src/controller/controlplane/token.ts';

const NOW = new Date('2026-01-01T00:00:00Z');
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const inMs = (ms: number): string => new Date(NOW.getTime() + ms).toISOString();

describe('writtenExpiry', () => {
  const before = '2026-01-10T00:00:00Z';

  it('is written in whole seconds when it was not there', () => {
    expect(writtenExpiry(undefined, { at: '2026-01-10T00:00:00.123456Z' })).to.equal(before);
  });

  const cases: [string, string, string][] = [
    ['an hour later', '2026-01-10T01:00:00Z', before],
    ['a day later', '2026-01-11T00:00:00Z', before],
    ['more than a day later', '2026-01-11T00:00:01Z', '2026-01-11T00:00:01Z'],
    ['more than a day earlier', '2026-01-08T23:59:59Z', '2026-01-08T23:59:59Z'],
  ];
  for (const [name, at, written] of cases) {
    it(`${name}: ${written === before ? 'stays' : 'is written'}`, () => {
      expect(writtenExpiry(before, { at })).to.equal(written);
    });
  }

  it('goes when Coder does not say it', () => {
    expect(writtenExpiry(before, undefined)).to.equal(undefined);
    expect(writtenExpiry(before, { at: 'never' })).to.equal(undefined);
  });
});

describe('isEnding', () => {
  const cases: [string, number, number | undefined, boolean][] = [
    ['eight days are left', 8 * DAY, 90 * DAY, false],
    ['seven days are left', 7 * DAY - 1, 90 * DAY, true],
    ['an hour is left', HOUR, 90 * DAY, true],
    ['six days are left, and Coder does not say how it moves', 6 * DAY, undefined, true],
    ['a short one was moved on within the last hour', 7 * DAY - HOUR, 7 * DAY, false],
    ['a short one has not been moved on for hours', 7 * DAY - 3 * HOUR, 7 * DAY, true],
    ["a session's was moved on", DAY - HOUR, DAY, false],
  ];
  for (const [name, leftMs, lifetimeMs, ending] of cases) {
    it(`${name}: ${ending ? 'it ends' : 'it does not end'}`, () => {
      const token = { at: inMs(leftMs), ...(lifetimeMs === undefined ? {} : { lifetimeMs }) };
      expect(isEnding(token, NOW)).to.equal(ending);
    });
  }

  it('is nothing to say of a token of which nothing is known', () => {
    expect(isEnding(undefined, NOW)).to.equal(false);
  });
});
