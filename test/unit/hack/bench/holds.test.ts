import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { Holds, longestOf } from '../../../../hack/bench/holds.ts';

describe('holds of the event loop', () => {
  const phases = [
    { name: 'start', from: 0 },
    { name: 'mirrors', from: 1_000 },
    { name: 'start', from: 5_000 },
  ];

  it('are those of the phase in which they began', () => {
    const holds = [
      { at: 900, heldMs: 20, waitedMs: 0 },
      { at: 1_010, heldMs: 30, waitedMs: 0 },
      { at: 1_200, heldMs: 25, waitedMs: 0 },
      { at: 5_100, heldMs: 40, waitedMs: 0 },
    ];
    expect(longestOf(holds, phases)).to.deep.equal([
      { phase: 'start', ms: 40, ownMs: 40 },
      { phase: 'mirrors', ms: 25, ownMs: 25 },
    ]);
  });

  it('leave out for how long others had the cores, which may make another one the longest', () => {
    const holds = [
      { at: 1_500, heldMs: 60, waitedMs: 55 },
      { at: 1_600, heldMs: 40, waitedMs: 10 },
    ];
    expect(longestOf(holds, phases)).to.deep.include({ phase: 'mirrors', ms: 60, ownMs: 30 });
  });

  it('are none of what came before the first phase', () => {
    expect(longestOf([{ at: 10, heldMs: 20, waitedMs: 0 }], phases)[0]).to.deep.equal({
      phase: 'start',
      ms: 0,
      ownMs: 0,
    });
  });

  it('are read from the file, but for a line that is still being written', () => {
    const folder = mkdtempSync(join(tmpdir(), 'holds-'));
    try {
      const file = join(folder, 'holds.jsonl');
      const holds = new Holds({ file, clock: { now: () => 0 } });
      holds.enter('start');
      expect(holds.longest(), 'before there is a file').to.deep.equal([{ phase: 'start', ms: 0, ownMs: 0 }]);
      writeFileSync(file, '{"at":50,"heldMs":12,"waitedMs":2}\n{"at":90,"heldM');
      expect(holds.longest()).to.deep.equal([{ phase: 'start', ms: 12, ownMs: 10 }]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
