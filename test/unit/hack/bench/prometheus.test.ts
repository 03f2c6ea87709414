import { expect } from 'chai';
import { Counter, Registry } from 'prom-client';
import { growth, parseSeries, sum } from '../../../../hack/bench/prometheus.ts';

describe("Prometheus' text format", () => {
  it('is read with and without labels, comments and times left out', () => {
    const text =
      '# HELP a text\n# TYPE a counter\na 3\nb{x="1",y="2"} 4.5 1700000000\n\nnonsense\nc{x="1"} +Inf\n';
    expect(parseSeries(text)).to.deep.equal([
      { name: 'a', labels: {}, value: 3 },
      { name: 'b', labels: { x: '1', y: '2' }, value: 4.5 },
      { name: 'c', labels: { x: '1' }, value: NaN },
    ]);
  });

  it('is read back as our own library writes it', async () => {
    const registry = new Registry();
    const requests = new Counter({ name: 'n', help: 'h', labelNames: ['route'], registers: [registry] });
    requests.inc({ route: '/a/{id}, "b"\\c\nd' }, 7);
    const [series] = parseSeries(await registry.metrics());
    expect(series).to.deep.equal({ name: 'n', labels: { route: '/a/{id}, "b"\\c\nd' }, value: 7 });
  });

  it('is summed by name and labels', () => {
    const series = parseSeries('n{a="1"} 1\nn{a="2"} 2\nm{a="1"} 4\n');
    expect(sum(series, 'n')).to.equal(3);
    expect(sum(series, 'n', ({ a }) => a === '2')).to.equal(2);
    expect(sum(series, 'other')).to.equal(0);
  });

  it('tells what has grown, by what the labels say together', () => {
    const before = parseSeries('n{a="1",b="x"} 1\nn{a="2",b="x"} 5\n');
    const after = parseSeries('n{a="1",b="x"} 4\nn{a="1",b="y"} 2\nn{a="2",b="x"} 5\n');
    expect([...growth(before, after, 'n', ({ a = '' }) => a)]).to.deep.equal([['1', 5]]);
  });
});
