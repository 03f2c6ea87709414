import { expect } from 'chai';
import { deletionOf, parseDuration, pollIntervalOf } from '../../../src/api/effective.ts';

describe('parseDuration', () => {
  const durations: [string, number | undefined][] = [
    ['0s', 0],
    ['60s', 60_000],
    ['1m30s', 90_000],
    ['1h', 3_600_000],
    ['1h2m3s4ms', 3_723_004],
    ['100ms', 100],
    ['1.5s', 1_500],
    ['0.5h', 1_800_000],
    ['90', undefined],
    ['', undefined],
    ['s', undefined],
    ['-1s', undefined],
    ['1d', undefined],
    ['1 s', undefined],
    ['.5s', undefined],
    ['1s\n', undefined],
  ];
  for (const [text, ms] of durations) {
    it(`${JSON.stringify(text)} is ${ms === undefined ? 'none' : `${ms} ms`}`, () => {
      expect(parseDuration(text)).to.equal(ms);
    });
  }
});

describe('pollIntervalOf', () => {
  const intervals: [string | undefined, number][] = [
    [undefined, 60_000],
    ['10s', 10_000],
    ['5m', 300_000],
    ['1h', 3_600_000],
    ['1s', 10_000],
    ['24h', 3_600_000],
    ['nonsense', 60_000],
  ];
  for (const [pollInterval, ms] of intervals) {
    it(`${pollInterval ?? 'nothing'} means ${ms / 1000} s`, () => {
      expect(pollIntervalOf({ credentialsSecretRef: { name: 'x' }, pollInterval })).to.equal(ms);
    });
  }
});

describe('deletionOf', () => {
  const table: [
    'Created' | 'Adopted' | undefined,
    'Delete' | 'Retain' | undefined,
    'Delete' | 'Retain',
    boolean,
  ][] = [
    ['Created', undefined, 'Delete', false],
    ['Created', 'Delete', 'Delete', false],
    ['Created', 'Retain', 'Retain', false],
    ['Adopted', undefined, 'Retain', false],
    ['Adopted', 'Retain', 'Retain', false],
    ['Adopted', 'Delete', 'Retain', true],
    [undefined, undefined, 'Retain', false],
    [undefined, 'Delete', 'Retain', true],
  ];
  for (const [origin, wished, policy, overruled] of table) {
    it(`${origin ?? 'unknown'}, wished ${wished ?? 'nothing'}: ${policy}${overruled ? ', overruled' : ''}`, () => {
      expect(deletionOf(wished, origin, false)).to.deep.equal({ policy, overruled });
    });
  }
});
