import { expect } from 'chai';
import { parseDuration } from '../../../../src/apiserver/http/duration.ts';

describe('parseDuration', () => {
  const table: readonly (readonly [string, number])[] = [
    ['0', 0],
    ['+0', 0],
    ['1s', 1000],
    ['1.5s', 1500],
    ['.5s', 500],
    ['1.s', 1000],
    ['1h2m3s', 3_723_000],
    ['250ms', 250],
    ['10us', 0.01],
    ['10µs', 0.01],
    ['10μs', 0.01],
    ['1000000ns', 1],
    ['-1m', -60_000],
    ['+2s', 2000],
    ['1m1m', 120_000],
  ];
  for (const [text, ms] of table) {
    it(`reads ${text}`, () => expect(parseDuration(text)).to.be.closeTo(ms, 1e-9));
  }

  for (const text of ['', '1', 's', '1 s', '1d', '-', '1s2', '1e3s', 'x', '1,5s', '..5s', '1s\n', '--1s']) {
    it(`refuses ${JSON.stringify(text)}`, () => expect(parseDuration(text)).to.equal(undefined));
  }
});
