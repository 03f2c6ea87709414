import { expect } from 'chai';
import { Progress } from '../../../src/export/progress.ts';
import { FakeClock } from '../../support/clock.ts';

function progress(options: { readonly columns?: number; readonly quiet?: boolean } = {}): {
  readonly clock: FakeClock;
  readonly progress: Progress;
  readonly written: () => string;
} {
  const clock = new FakeClock();
  let text = '';
  const { columns, quiet = false } = options;
  return {
    clock,
    progress: new Progress({ clock, columns, quiet, write: (more) => void (text += more) }),
    written: () => text,
  };
}

describe('progress', () => {
  it('rewrites one line of a terminal, not more often than anybody can read', async () => {
    const { clock, progress: it, written } = progress({ columns: 80 });
    it.tell('1 of 3');
    it.tell('2 of 3');
    await clock.advance(100);
    it.tell('3 of 3');
    it.end();
    expect(written()).to.equal('\r\x1b[K1 of 3\r\x1b[K3 of 3\r\x1b[K');
  });

  it('never fills more than the line', () => {
    const { progress: it, written } = progress({ columns: 10 });
    it.tell('x'.repeat(30));
    expect(written()).to.equal(`\r\x1b[K${'x'.repeat(9)}`);
  });

  it('writes a line every five seconds where there is no terminal', async () => {
    const { clock, progress: it, written } = progress();
    for (let i = 1; i <= 11; i++) {
      it.tell(`${i} of 11`);
      await clock.advance(1_000);
    }
    it.end();
    expect(written()).to.equal('6 of 11\n11 of 11\n');
  });

  it('makes room for a line that stays', () => {
    const { progress: it, written } = progress({ columns: 80 });
    it.tell('1 of 3');
    it.warn('Warning: one');
    it.say('done');
    expect(written()).to.equal('\r\x1b[K1 of 3\r\x1b[KWarning: one\ndone\n');
  });

  it('tells nothing but warnings when it is to be quiet', async () => {
    const { clock, progress: it, written } = progress({ quiet: true });
    await clock.advance(60_000);
    it.tell('1 of 3');
    it.say('done');
    it.warn('Warning: one');
    expect(written()).to.equal('Warning: one\n');
  });
});
