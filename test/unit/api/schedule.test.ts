import { expect } from 'chai';
import fc from 'fast-check';
import { scheduleProblem } from '../../../src/api/schedule.ts';

describe('scheduleProblem', () => {
  const good = [
    '',
    '30 9 * * 1-5',
    'CRON_TZ=Europe/Berlin 30 9 * * 1-5',
    'CRON_TZ=US/Central 0 0 * * *',
    'CRON_TZ=UTC 0 0 * * *',
    'CRON_TZ=Etc/GMT+5 0 0 * * *',
    '*/15 8-18/2 * * mon,WED,Fri-Sat',
    '0,30 0,12,23 * * sun-sat',
    '5/10 9 * * 0',
    '0 9 * * ?',
    '0, 9 * * 1,,2',
    '00 09 * * 06',
    '  0   9 * *   1  ',
    // Coder reads all of these in the same generous way.
    '*-5 9 * * 1',
    '0/90 9 * * 1',
  ];
  for (const text of good) {
    it(`finds nothing wrong with ${JSON.stringify(text)}`, () => {
      expect(scheduleProblem(text)).to.equal(undefined);
    });
  }

  const bad: readonly (readonly [string, string])[] = [
    ['0 25 * * 1', 'the hour 25 is not between 0 and 23'],
    ['60 9 * * 1', 'the minute 60 is not between 0 and 59'],
    ['0 9 * * 7', 'the day of the week 7 is not between 0 and 6'],
    ['0 9 * * 1-7', 'the day of the week 7 is not between 0 and 6'],
    ['0 9 * * monday', 'the day of the week "monday" is not a number or a name such as mon'],
    ['0 mon * * 1', 'the hour "mon" is not a number'],
    ['-5 9 * * 1', 'the minute "-5" is not a number'],
    ['0 9 * * fri-mon', 'the day of the week "fri-mon" begins after it ends'],
    ['0 18-9 * * 1', 'the hour "18-9" begins after it ends'],
    ['0 1-2-3 * * 1', 'the hour "1-2-3" has more than one -'],
    ['*/5/2 9 * * 1', 'the minute "*/5/2" has more than one /'],
    ['*/0 9 * * 1', 'the step "0" of the minute "*/0" is not a number above 0'],
    ['*/ 9 * * 1', 'the step "" of the minute "*/" is not a number above 0'],
    [', 9 * * 1', 'the minute "," names no time'],
    ['0 9 1 * 1', 'the day of the month and the month must be *'],
    ['0 9 * 6 1', 'the day of the month and the month must be *'],
    ['0 9 ? * 1', 'the day of the month and the month must be *'],
    ['0 9 * *', 'it must be'],
    ['0 9 * * 1 2', 'it must be'],
    ['0 0 9 * * 1', 'it must be'],
    ['   ', 'it must be'],
    ['@daily', 'it must be'],
    ['TZ=Europe/Berlin 0 9 * * 1', 'it must be'],
    ['cron_tz=Europe/Berlin 0 9 * * 1', 'it must be'],
    ['CRON_TZ=Europe/Berlin', 'it must be'],
    ['CRON_TZ=Europe/Atlantis 0 9 * * 1', 'the time zone "Europe/Atlantis" is not known'],
    ['CRON_TZ=Local 0 9 * * 1', 'the time zone "Local" is not known'],
    ['CRON_TZ= 0 9 * * 1', 'the time zone "" is not known'],
    // Newer versions of JavaScript know offsets, Go never does.
    ['CRON_TZ=+01:00 0 9 * * 1', 'the time zone "+01:00" is not known'],
    ['CRON_TZ=europe/berlin 0 9 * * 1', 'the time zone "europe/berlin" is spelt Europe/Berlin'],
  ];
  for (const [text, problem] of bad) {
    it(`says of ${JSON.stringify(text)}: ${problem}`, () => {
      expect(scheduleProblem(text)).to.match(new RegExp(`^${problem.replace(/[*+?"]/g, String.raw`\$&`)}`));
    });
  }

  it('takes every list of ranges within the bounds, and none with a bound outside of them', () => {
    const range = (most: number): fc.Arbitrary<string> =>
      fc
        .tuple(fc.nat(most), fc.nat(most), fc.option(fc.integer({ min: 1, max: 70 })))
        .map(([a, b, step]) => `${Math.min(a, b)}-${Math.max(a, b)}${step === null ? '' : `/${step}`}`);
    const list = (most: number): fc.Arbitrary<string> =>
      fc.array(range(most), { minLength: 1, maxLength: 4 }).map((ranges) => ranges.join(','));
    fc.assert(
      fc.property(list(59), list(23), list(6), fc.integer({ min: 7, max: 99 }), (m, h, d, beyond) => {
        expect(scheduleProblem(`${m} ${h} * * ${d}`)).to.equal(undefined);
        expect(scheduleProblem(`${m} ${h} * * ${d},${beyond}`)).to.include(`day of the week ${beyond}`);
      }),
      { numRuns: 100 },
    );
  });

  it('answers whatever it is given', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        scheduleProblem(text);
        scheduleProblem(`CRON_TZ=${text} 0 9 * * 1`);
      }),
      { numRuns: 200 },
    );
  });
});
