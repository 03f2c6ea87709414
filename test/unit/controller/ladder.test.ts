import { expect } from 'chai';
import { nextRung } from '../../../src/controller/ladder.ts';

const NOW = new Date('2026-01-02T03:00:00Z');
const MINUTE = 60_000;
const at = (msAgo: number): string => new Date(NOW.getTime() - msAgo).toISOString();
const rung = (count: number, msAgo: number): unknown => nextRung({ count, at: at(msAgo) }, MINUTE, 5, NOW);

describe('nextRung', () => {
  it('climbs at once without a failure', () => {
    expect(nextRung(undefined, MINUTE, 5, NOW)).to.deep.equal({ climb: 'now' });
  });

  [1, 2, 4, 8, 16].forEach((minutes, i) => {
    it(`after ${i + 1} failures waits ${minutes} min`, () => {
      expect(rung(i + 1, 0)).to.deep.equal({ climb: 'later', afterMs: minutes * MINUTE });
      expect(rung(i + 1, minutes * MINUTE - 1)).to.deep.equal({ climb: 'later', afterMs: 1 });
      expect(rung(i + 1, minutes * MINUTE)).to.deep.equal({ climb: 'now' });
    });
  });

  it('gives up after one failure more', () => {
    expect(rung(6, 24 * 60 * MINUTE)).to.deep.equal({ climb: 'never' });
  });

  it('waits one rung and not for hours when the wall clock was set back', () => {
    expect(rung(1, -MINUTE)).to.deep.equal({ climb: 'later', afterMs: MINUTE });
    expect(rung(1, -MINUTE - 1)).to.deep.equal({ climb: 'now' });
    expect(rung(1, -5 * 60 * MINUTE)).to.deep.equal({ climb: 'now' });
  });
});
