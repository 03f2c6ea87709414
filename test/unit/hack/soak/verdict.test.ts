import { expect } from 'chai';
import { judge, slope, type SoakSample } from '../../../../hack/soak/verdict.ts';

/** Half an hour, a sample every ten seconds. */
function run(at: (minute: number) => Partial<SoakSample>): readonly SoakSample[] {
  return Array.from({ length: 181 }, (_, i) => ({
    seconds: 10 * i,
    rssMB: 150,
    heapMB: 60,
    sockets: 8,
    passes: 0,
    kubeWrites: 0,
    coderWrites: 0,
    ...at(i / 6),
  }));
}

describe('slope', () => {
  it('is that of the line through the points', () => {
    const line = [0, 1, 2, 3].map((x) => [x, 5 - 2 * x] as const);
    expect(slope(line)).to.be.closeTo(-2, 1e-9);
  });

  it('is none without a line', () => {
    expect(slope([])).to.equal(0);
    expect(slope([[1, 7]])).to.equal(0);
  });
});

describe('the verdict of a soak', () => {
  it('finds no fault in memory that moves and does not grow', () => {
    expect(judge(run((m) => ({ rssMB: 150 + 12 * Math.sin(m) }))).faults).to.deep.equal([]);
  });

  it('does not take the filling of caches for a leak', () => {
    expect(judge(run((m) => ({ rssMB: Math.min(180, 90 + 15 * m) }))).faults).to.deep.equal([]);
  });

  it('finds memory that grows slowly among much that moves', () => {
    const { faults, mbPerHour } = judge(run((m) => ({ rssMB: 150 + m + 12 * Math.sin(m) })));
    expect(faults)
      .to.have.lengthOf(1)
      .and.to.match(/memory grows/);
    expect(mbPerHour).to.be.closeTo(60, 10);
  });

  it('finds connections that are left open, not those that come and go', () => {
    expect(judge(run((m) => ({ sockets: 8 + (Math.floor(m) % 2) * 6 }))).faults).to.deep.equal([]);
    expect(judge(run((m) => ({ sockets: 8 + Math.floor(m) }))).faults[0]).to.match(
      /connections are left open/,
    );
  });

  it('does not praise a run that was too short', () => {
    expect(judge(run(() => ({})).slice(0, 6)).faults[0]).to.match(/too few samples/);
  });
});
