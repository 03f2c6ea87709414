import { expect } from 'chai';
import { silentLogger, type Logger } from '../../../../src/base/logger.ts';
import { CoderError } from '../../../../src/coder/errors.ts';
import { Absences, isMassive, type Absence } from '../../../../src/controller/mirror/absences.ts';
import { FakeClock, settle } from '../../../support/clock.ts';

/** So many are mirrored, unless a test says otherwise. */
const MIRRORED = 1_000;

class Bench {
  readonly clock = new FakeClock();
  readonly stop = new AbortController();
  /** Ids in the order in which they were looked at, and at what time. */
  readonly checked: [string, number][] = [];
  /** What those are told who wait for an answer. */
  readonly told: [string, string][] = [];
  readonly warnings: string[] = [];
  /** What a look at an id shows; `unseen` when nothing is said. */
  readonly answers = new Map<string, Absence | CoderError>();
  readonly absences: Absences;

  constructor() {
    const logger: Logger = { ...silentLogger, warn: (message) => void this.warnings.push(message) };
    this.absences = new Absences({
      clock: this.clock,
      logger,
      check: (id) => {
        this.checked.push([id, this.clock.monotonic()]);
        const answer = this.answers.get(id) ?? 'unseen';
        return answer instanceof CoderError ? Promise.reject(answer) : Promise.resolve(answer);
      },
      onChecked: (id) => this.told.push([id, this.absences.answer(id)]),
      signal: this.stop.signal,
    });
  }

  /** One look at everything, and what comes of it at once. */
  async look(missing: readonly string[], mirrored = MIRRORED): Promise<string[]> {
    this.checked.length = 0;
    this.absences.looked(missing, mirrored);
    await settle();
    return this.ids;
  }

  get ids(): string[] {
    return this.checked.map(([id]) => id);
  }
}

const ids = (count: number): string[] => Array.from({ length: count }, (_, i) => `w${i}`);

describe('isMassive', () => {
  const cases: [number, number, boolean][] = [
    [10, 10, false],
    [11, 10, true],
    [11, 50, true],
    [11, 55, false],
    [200, 1_000, false],
    [201, 1_000, true],
    [0, 0, false],
  ];
  for (const [missing, mirrored, isSo] of cases) {
    it(`is ${isSo ? '' : 'not '}so of ${missing} of ${mirrored}`, () => {
      expect(isMassive(missing, mirrored)).to.equal(isSo);
    });
  }
});

describe('Absences', () => {
  let bench: Bench;
  beforeEach(() => {
    bench = new Bench();
  });
  afterEach(() => {
    bench.stop.abort(new Error('the test is over'));
  });

  it('knows nothing of what was not looked at', () => {
    expect(bench.absences.answer('w1')).to.equal('unchecked');
    expect(bench.absences.held).to.equal(0);
  });

  it('looks at each that is missing by itself, and tells what it saw', async () => {
    bench.answers.set('w1', 'gone').set('w3', 'found');
    expect(await bench.look(['w1', 'w2', 'w3'])).to.deep.equal(['w1', 'w2', 'w3']);
    expect(bench.told).to.deep.equal([
      ['w1', 'gone'],
      ['w2', 'unseen'],
      ['w3', 'unchecked'],
    ]);
    expect(bench.warnings).to.deep.equal([]);
  });

  it('forgets what is listed again', async () => {
    bench.answers.set('w1', 'gone');
    await bench.look(['w1', 'w2']);
    await bench.look([]);
    expect(bench.absences.answer('w1')).to.equal('unchecked');
    expect(bench.absences.answer('w2')).to.equal('unchecked');
    expect(await bench.look(['w2']), 'and begins anew').to.deep.equal(['w2']);
  });

  it('has a proof once: what is gone is not asked for again', async () => {
    bench.answers.set('w1', 'gone');
    await bench.look(['w1']);
    expect(await bench.look(['w1'])).to.deep.equal([]);
    expect(bench.absences.answer('w1')).to.equal('gone');
  });

  it('looks at what stays unseen ever more seldom, but never gives up', async () => {
    const looks: number[] = [];
    for (let i = 0; i < 260; i++) if ((await bench.look(['w1'])).length > 0) looks.push(i);
    expect(looks).to.deep.equal([0, 1, 3, 7, 15, 31, 63, 127, 191, 255]);
    expect(bench.absences.answer('w1')).to.equal('unseen');
  });

  it('looks at the first ten at once and at the others at a slow pace', async () => {
    await bench.look(ids(13));
    expect(bench.ids).to.deep.equal(ids(10));
    await bench.clock.advance(249);
    expect(bench.ids).to.deep.equal(ids(10));
    await bench.clock.advance(501);
    expect(bench.ids).to.deep.equal(ids(13));
    expect(bench.checked.slice(9).map(([, at]) => at)).to.deep.equal([0, 250, 500, 750]);
  });

  it('goes on at the same pace when everything is looked at meanwhile', async () => {
    await bench.look(ids(12));
    bench.absences.looked([...ids(12), 'late'], MIRRORED);
    await bench.clock.advance(250);
    expect(bench.ids.slice(10), 'one at a time').to.have.length(1);
  });

  describe('when very many are missing at once', () => {
    it('looks at none before another list says the same', async () => {
      bench.answers.set('w0', 'gone');
      expect(await bench.look(ids(11), 20)).to.deep.equal([]);
      await bench.clock.advance(60_000);
      expect(bench.ids).to.deep.equal([]);
      expect(bench.absences.held).to.equal(11);
      await bench.look(ids(11), 20);
      await bench.clock.advance(60_000);
      expect(bench.ids).to.deep.equal(ids(11));
    });

    it('takes a proof for one, and nothing else', async () => {
      bench.answers.set('w0', 'gone');
      for (let i = 0; i < 2; i++) {
        await bench.look(ids(11), 20);
        await bench.clock.advance(60_000);
      }
      expect(bench.absences.answer('w0')).to.equal('gone');
      expect(bench.absences.answer('w1')).to.equal('unchecked');
      await bench.look(ids(4), 20);
      expect(bench.absences.held, 'not many are missing any more').to.equal(0);
      expect(bench.absences.answer('w1')).to.equal('unseen');
    });

    it('holds back what was known to be unseen before, too', async () => {
      await bench.look(['w0']);
      expect(bench.absences.answer('w0')).to.equal('unseen');
      await bench.look(ids(11), 20);
      expect(bench.absences.answer('w0')).to.equal('unchecked');
    });

    it('looks at none of those that the next list has again', async () => {
      await bench.look(ids(11), 20);
      expect(await bench.look(['w5'], 20)).to.deep.equal(['w5']);
    });

    it('says so once for as long as it is so', async () => {
      for (let i = 0; i < 3; i++) await bench.look(ids(11), 20);
      expect(bench.warnings).to.have.length(1);
      await bench.look([], 20);
      await bench.look(ids(11), 20);
      expect(bench.warnings).to.have.length(2);
    });
  });

  it('stops where Coder does not answer, and goes on with the next look', async () => {
    bench.answers.set('w1', new CoderError('Unreachable', 'no answer'));
    expect(await bench.look(['w0', 'w1', 'w2'])).to.deep.equal(['w0', 'w1']);
    expect(bench.warnings).to.have.length(1);
    expect(bench.absences.answer('w2')).to.equal('unchecked');
    bench.answers.delete('w1');
    await bench.look(['w0', 'w1', 'w2']);
    expect(bench.ids).to.include.members(['w1', 'w2']);
    expect(bench.absences.answer('w1')).to.equal('unseen');
  });

  it('lets one that can never be looked at keep no other one waiting', async () => {
    bench.answers.set('w0', new CoderError('ServerError', 'Coder fails at it')).set('w1', 'gone');
    await bench.look(['w0', 'w1']);
    await bench.look(['w0', 'w1']);
    expect(bench.absences.answer('w1')).to.equal('gone');
  });

  it('nor one that Coder began to fail at later', async () => {
    await bench.look(['w0', 'w1']);
    bench.answers.set('w0', new CoderError('ServerError', 'Coder fails at it')).set('w1', 'gone');
    for (let i = 0; i < 4; i++) await bench.look(['w0', 'w1']);
    expect(bench.absences.answer('w1')).to.equal('gone');
    expect(bench.absences.answer('w0'), 'what was known stays').to.equal('unseen');
  });

  it('takes one whose answer cannot be read for one that is not shown, and goes on', async () => {
    bench.answers.set('w0', new CoderError('TooLarge', 'too large')).set('w1', 'gone');
    await bench.look(['w0', 'w1']);
    expect(bench.absences.answer('w0')).to.equal('unseen');
    expect(bench.absences.answer('w1')).to.equal('gone');
    expect(bench.warnings).to.deep.equal([]);
  });

  for (const kind of ['RateLimited', 'Unauthorized', 'Timeout'] as const) {
    it(`asks for no other one in the same round after ${kind}`, async () => {
      bench.answers.set('w0', new CoderError(kind, 'no'));
      expect(await bench.look(['w0', 'w1'])).to.deep.equal(['w0']);
    });
  }

  it('looks first at those that it never looked at', async () => {
    await bench.look(['w0']);
    expect(await bench.look(['w0', 'w1', 'w2'])).to.deep.equal(['w1', 'w2', 'w0']);
  });

  it('looks at nothing any more when it is over, and says nothing of that', async () => {
    await bench.look(ids(12));
    bench.stop.abort(new Error('over'));
    await bench.clock.advance(60_000);
    expect(bench.ids).to.have.length(10);
    expect(bench.warnings).to.deep.equal([]);
    expect(await bench.look(['x'])).to.deep.equal([]);
  });
});
