import { expect } from 'chai';
import { compare } from '../../../../hack/bench/figures.ts';
import { columns, readable, resultTable } from '../../../../hack/bench/table.ts';

describe('readable', () => {
  it('shows three digits that count', () => {
    expect([0, 0.034, 1.234, 12.34, 123.4, 12_345.6].map((n) => readable(n, 's'))).to.deep.equal([
      '0 s',
      '0.03 s',
      '1.23 s',
      '12.3 s',
      '123 s',
      '12346 s',
    ]);
  });

  it('leaves out the unit of a mere number, and says where there is none', () => {
    expect([readable(7, ''), readable(2.5, '/min'), readable(NaN, 'ms')]).to.deep.equal([
      '7',
      '2.50/min',
      '-',
    ]);
  });
});

describe('columns', () => {
  it('are as wide as their widest cell, without blanks at the end', () => {
    expect(columns([['a', 'bbb'], ['aaaa', 'b', 'c'], ['a']])).to.deep.equal([
      'a     bbb',
      'aaaa  b    c',
      'a',
    ]);
  });
});

describe('resultTable', () => {
  const row = { row: 'mirrors', title: 'mirrors', unit: 's' } as const;

  it('shows sizes, growth, aim and whether it is met, with notes below', () => {
    const results = compare([
      [{ ...row, aim: 40, value: 4 }],
      [{ ...row, aim: 40, value: 48, note: 'beside other work' }],
    ]);
    expect(resultTable([1_000, 10_000], results).split('\n')).to.deep.equal([
      'FIGURE   1,000  10,000  GROWTH  AIM     MET',
      'mirrors  4 s    48 s    × 12    ≤ 40 s  NO',
      '    at 10,000: beside other work',
    ]);
  });

  it('shows no growth for a single size, and nothing where there is no aim', () => {
    expect(resultTable([20], compare([[{ ...row, value: 1.5 }]])).split('\n')).to.deep.equal([
      'FIGURE   20      AIM  MET',
      'mirrors  1.50 s',
    ]);
  });
});
