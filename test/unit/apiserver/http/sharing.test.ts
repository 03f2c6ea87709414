import { Writable } from 'node:stream';
import { expect } from 'chai';
import { chunkFrame, Frames } from '../../../../src/apiserver/http/frames.ts';
import { InFlight } from '../../../../src/apiserver/http/inflight.ts';
import { Pacer } from '../../../../src/apiserver/http/pacer.ts';
import { PIECE_BYTES } from '../../../../src/apiserver/http/pieces.ts';
import { pump } from '../../../../src/apiserver/http/pump.ts';
import { turn } from '../../../support/clock.ts';

/** Time that goes on only while work is done; a turn of the loop is old after 8 ms of it. */
class WorkingClock {
  now = 0;
  #began = 0;
  #next: Promise<void> | undefined;

  monotonic = (): number => this.now;

  breathe = (): Promise<void> | undefined => {
    if (this.now - this.#began < 8) return this.#next;
    this.#next ??= new Promise((resolve) => {
      setImmediate(() => {
        this.#began = this.now;
        this.#next = undefined;
        resolve();
      });
    });
    return this.#next;
  };
}

describe('pump', () => {
  const { signal } = new AbortController();
  const piece = Buffer.alloc(PIECE_BYTES);

  /** An answer whose pieces take a while to make. */
  function* slow(clock: WorkingClock, onMade: () => void, count = 4): Generator<Uint8Array> {
    for (let i = 0; i < count; i++) {
      clock.now += 3;
      onMade();
      yield piece;
    }
  }

  it('lets the loop turn after a few milliseconds, however many answers are made', async () => {
    const clock = new WorkingClock();
    const made: number[] = [];
    let inTurn = 0;
    let most = 0;
    const pumping = { isOver: false };
    const turns = (async () => {
      while (!pumping.isOver) {
        most = Math.max(most, inTurn);
        inTurn = 0;
        await turn();
      }
    })();
    const pumps = Array.from({ length: 10 }, (_, i) => {
      const pieces = slow(clock, () => {
        inTurn++;
        made.push(i);
      });
      return pump(pieces, new Kept(), { pacer: new Pacer(clock), signal });
    });
    expect(await Promise.all(pumps)).to.deep.equal(pumps.map(() => 4 * PIECE_BYTES));
    pumping.isOver = true;
    await turns;
    expect(made).to.have.lengthOf(40);
    expect(most).to.be.at.most(4);
    // Nobody has the second piece long before everybody had the first.
    expect(new Set(made.slice(0, 20)).size).to.equal(10);
  });

  it('makes no more than is taken', async () => {
    const clock = new WorkingClock();
    let made = 0;
    const target = new Writable({ write: () => undefined });
    const aborted = new AbortController();
    const pumped = pump(
      slow(clock, () => made++),
      target,
      { pacer: new Pacer(clock), signal: aborted.signal },
    ).catch((error: unknown) => error);
    for (let i = 0; i < 5; i++) await turn();
    expect(made).to.be.at.most(2);
    aborted.abort(new Error('no more'));
    expect(await pumped).to.have.property('message', 'no more');
  });

  it('ends when the target is closed', async () => {
    const clock = new WorkingClock();
    const target = new Writable({ write: () => undefined });
    const pumped = pump(
      slow(clock, () => undefined),
      target,
      { pacer: new Pacer(clock), signal },
    ).catch((error: unknown) => error);
    await turn();
    target.destroy();
    expect(await pumped).to.have.property('message', 'the connection was closed');
  });
});

/** A stream that keeps what is written to it at once. */
class Kept extends Writable {
  override _write(_chunk: Buffer, _encoding: unknown, done: () => void): void {
    done();
  }
}

describe('Frames', () => {
  it('are made once for each event, also when several events alternate', () => {
    let made = 0;
    const frames = new Frames((event) => {
      made++;
      return chunkFrame(event);
    });
    const events = ['json', 'table', 'metadata'].map((text) => Buffer.from(text));
    for (let i = 0; i < 100; i++) {
      for (const event of events) expect(frames.of(event)).to.equal(frames.of(event));
    }
    expect(made).to.equal(3);
    expect(Buffer.from(frames.of(events[1]!)).toString()).to.equal('5\r\ntable\r\n');
  });

  it('of events that only look alike are not mixed up, and are forgotten at last', () => {
    let made = 0;
    const frames = new Frames((event) => {
      made++;
      return chunkFrame(event);
    });
    const first = Buffer.from('a');
    for (let i = 0; i < 50; i++) frames.of(i === 0 ? first : Buffer.from('a'));
    expect(made).to.equal(50);
    frames.of(first);
    expect(made).to.equal(51);
  });
});

describe('InFlight', () => {
  it('gives as many places as there are, each back once; who is exempt takes one too', () => {
    const inFlight = new InFlight(2);
    const first = inFlight.enter(false);
    expect(inFlight.enter(true)).to.not.equal(undefined);
    expect(inFlight.enter(false)).to.equal(undefined);
    const exempt = inFlight.enter(true);
    expect(inFlight.count).to.equal(3);
    exempt?.();
    exempt?.();
    expect(inFlight.count).to.equal(2);
    first?.();
    expect(inFlight.enter(false)).to.not.equal(undefined);
  });
});
