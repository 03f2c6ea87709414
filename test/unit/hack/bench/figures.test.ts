import { expect } from 'chai';
import fc from 'fast-check';
import { compare, quantile, type Measurement } from '../../../../hack/bench/figures.ts';

describe('quantile', () => {
  it('is a sample at or below which the part lies', () => {
    const samples = [5, 1, 4, 2, 3];
    expect(quantile(samples, 0.5)).to.equal(3);
    expect(quantile(samples, 0.99)).to.equal(5);
    expect(quantile(samples, 1)).to.equal(5);
    expect(quantile(samples, 0)).to.equal(1);
    expect(samples).to.deep.equal([5, 1, 4, 2, 3]);
  });

  it('is no number without samples', () => expect(quantile([], 0.5)).to.be.NaN);

  it('leaves no more than the rest above it', () => {
    const samples = fc.array(fc.integer(), { minLength: 1 });
    fc.assert(
      fc.property(samples, fc.double({ min: 0.01, max: 1, noNaN: true }), (all, q) => {
        const found = quantile(all, q);
        expect(all).to.include(found);
        expect(all.filter((s) => s > found).length).to.be.at.most((1 - q) * all.length + 1e-6);
      }),
    );
  });
});

describe('compare', () => {
  const figure = (value: number, more: Partial<Measurement> = {}): Measurement => ({
    row: 'restart',
    title: 'to settled',
    unit: 's',
    aim: 15,
    value,
    ...more,
  });

  it('puts sizes beside each other and tells how much larger the last is', () => {
    const [result] = compare([[figure(2)], [figure(8, { note: '3 passes' })]]);
    expect(result).to.deep.equal({
      row: 'restart',
      title: 'to settled',
      unit: 's',
      aim: 15,
      values: [{ value: 2 }, { value: 8, note: '3 passes' }],
      growth: 4,
      met: true,
    });
  });

  it('asks for the aim at the largest size only', () => {
    expect(compare([[figure(99)], [figure(15)]])[0]).to.include({ met: true });
    expect(compare([[figure(1)], [figure(15.1)]])[0]).to.include({ met: false });
  });

  it('does not take for met what was not measured', () => {
    expect(compare([[figure(1)], []])[0]).to.include({ met: false, growth: undefined });
    expect(compare([[figure(NaN)]])[0]).to.include({ met: false });
  });

  it('has no opinion on figures without an aim', () => {
    const explaining = { row: 'restart', title: 'to settled', unit: 's', value: 3 } as const;
    expect(compare([[explaining]])[0]).to.include({ met: undefined, growth: undefined });
  });

  it('tells figures of one row apart, in the order of measuring', () => {
    const titles = compare([[figure(1), figure(2, { title: 'writes' })]]).map((r) => r.title);
    expect(titles).to.deep.equal(['to settled', 'writes']);
  });

  it('tells no growth from nothing', () =>
    expect(compare([[figure(0)], [figure(3)]])[0]?.growth).to.equal(undefined));
});
