import { Writable } from 'node:stream';
import { expect } from 'chai';
import fc from 'fast-check';
import { FrameQueue } from '../../../../src/apiserver/http/framequeue.ts';
import { Outbox } from '../../../../src/apiserver/http/outbox.ts';
import { Outlet } from '../../../../src/apiserver/http/outlet.ts';
import { turn } from '../../../support/clock.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

/** Time that goes on only while work is done. */
class WorkingClock {
  now = 0;
  monotonic = (): number => this.now;
}

/** A socket that keeps what is written to it, and says that it was sent when the test does. */
class Kept extends Writable {
  readonly writes: string[][] = [];
  isSlow = false;
  /** Bytes that it was given and has not sent. */
  held = 0;
  readonly #onWrite: () => void;
  #done: (() => void) | undefined;

  constructor(onWrite: () => void = () => undefined) {
    super();
    this.#onWrite = onWrite;
  }

  override _write(chunk: Buffer, _encoding: unknown, done: () => void): void {
    this.#take([chunk], done);
  }

  override _writev(chunks: { chunk: Buffer }[], done: () => void): void {
    this.#take(
      chunks.map(({ chunk }) => chunk),
      done,
    );
  }

  /** Sends what it has. */
  async send(): Promise<void> {
    this.held = 0;
    this.#done?.();
    await turn();
  }

  get text(): string {
    return this.writes.flat().join('');
  }

  #take(chunks: readonly Buffer[], done: () => void): void {
    this.writes.push(chunks.map(String));
    this.#onWrite();
    if (!this.isSlow) {
      done();
      return;
    }
    this.held += chunks.reduce((bytes, { byteLength }) => bytes + byteLength, 0);
    this.#done = done;
  }
}

function slow(): Kept {
  const socket = new Kept();
  socket.isSlow = true;
  return socket;
}

describe('Outbox', () => {
  it('writes what came in one turn in one go for each stream', async () => {
    const outbox = new Outbox(new WorkingClock());
    const [one, other] = [new Kept(), new Kept()];
    const [first, second] = [new Outlet(one, outbox), new Outlet(other, outbox)];
    for (const text of ['a', 'b']) for (const outlet of [first, second]) outlet.write(Buffer.from(text));
    second.write(Buffer.from('c'));
    expect(one.writes).to.deep.equal([]);
    await turn();
    expect(one.writes).to.deep.equal([['a', 'b']]);
    expect(other.writes).to.deep.equal([['a', 'b', 'c']]);
    first.write(Buffer.from('d'));
    await turn();
    expect(one.writes).to.deep.equal([['a', 'b'], ['d']]);
  });

  it('lets the loop turn between very many streams', async () => {
    const clock = new WorkingClock();
    const outbox = new Outbox(clock);
    const sockets = Array.from({ length: 100 }, () => new Kept(() => (clock.now += 1)));
    const outlets = sockets.map((socket) => new Outlet(socket, outbox));
    const written = (): number => sockets.filter(({ writes }) => writes.length > 0).length;
    for (const outlet of outlets) outlet.write(Buffer.from('a'));
    await Promise.resolve();
    await new Promise((resolve) => process.nextTick(resolve));
    expect(written()).to.equal(16);
    outlets[0]?.write(Buffer.from('b'));
    outlets[99]?.write(Buffer.from('b'));
    for (let i = 0; i < 20; i++) await turn();
    expect(written()).to.equal(100);
    expect(sockets[0]?.text).to.equal('ab');
    expect(sockets[99]?.writes).to.deep.equal([['a', 'b']]);
  });

  it('bounds what the sockets of 1,000 slow streams hold together, and stops no quick one', async () => {
    const outbox = new Outbox(new WorkingClock());
    const sockets = Array.from({ length: 1_000 }, slow);
    const outlets = sockets.map((socket) => new Outlet(socket, outbox));
    const frames = Array.from({ length: 1_000 }, () => Buffer.alloc(3 * KIB, 'x'));
    for (const frame of frames) for (const outlet of outlets) outlet.write(frame);
    const held = (): number => sockets.reduce((bytes, socket) => bytes + socket.held, 0);
    for (let i = 0; i < 5; i++) await turn();
    expect(held()).to.be.within(1_000 * 16 * KIB, 33 * MIB);
    const quick = new Kept();
    const outlet = new Outlet(quick, outbox);
    for (const frame of frames) outlet.write(frame);
    // Some records of TLS at a time.
    for (let i = 0; i < 400 && outlet.unsent > 0; i++) await turn();
    expect(quick.text.length).to.equal(frames.length * 3 * KIB);
    for (const one of outlets) one.close();
    expect(held(), 'nothing more was written to those').to.be.at.most(33 * MIB);
    const after = slow();
    const fresh = new Outlet(after, outbox);
    for (const frame of frames) fresh.write(frame);
    await turn();
    expect(after.held, 'what was held has been given back').to.equal(128 * KIB);
  });
});

describe('Outlet', () => {
  const outbox = new Outbox(new WorkingClock());

  it('hands over little at a time, and the rest when that was sent', async () => {
    const socket = slow();
    const outlet = new Outlet(socket, outbox);
    const texts = Array.from({ length: 100 }, (_, i) => String(i % 10).repeat(10 * KIB));
    for (const text of texts) outlet.write(Buffer.from(text));
    await turn();
    expect([socket.held, outlet.unsent, outlet.waiting]).to.deep.equal([128 * KIB, 1_000 * KIB, 88]);
    await turn();
    expect(socket.held).to.equal(128 * KIB);
    for (let sends = 1; outlet.unsent > 0; sends++) {
      expect(sends).to.be.at.most(8);
      await socket.send();
    }
    expect(socket.text).to.equal(texts.join(''));
    expect(outlet.waiting).to.equal(0);
  });

  it('tells when little is left, or when there is nothing to wait for any more', async () => {
    for (const end of ['sent', 'finish', 'close'] as const) {
      const socket = slow();
      const outlet = new Outlet(socket, outbox);
      outlet.write(Buffer.alloc(200 * KIB));
      let isBelow = false;
      const below = outlet.below(100 * KIB).then(() => (isBelow = true));
      await turn();
      expect(isBelow).to.equal(false);
      if (end === 'sent') await socket.send();
      else if (end === 'finish') outlet.finish(() => undefined);
      else outlet.close();
      await below;
      await outlet.below(100 * KIB);
    }
  });

  it('finishes after all that was written, and writes nothing more', async () => {
    const socket = slow();
    const outlet = new Outlet(socket, outbox);
    const texts = ['a'.repeat(100 * KIB), 'b'.repeat(100 * KIB)];
    for (const text of texts) outlet.write(Buffer.from(text));
    outlet.finish(() => socket.end('the end'));
    outlet.write(Buffer.from('late'));
    await turn();
    expect(socket.writableEnded).to.equal(false);
    await socket.send();
    expect(socket.writableEnded).to.equal(true);
    await socket.send();
    expect(socket.text).to.equal(`${texts.join('')}the end`);
  });

  it('finishes at once when nothing waits', async () => {
    const socket = new Kept();
    const outlet = new Outlet(socket, outbox);
    outlet.write(Buffer.from('a'));
    await turn();
    outlet.finish(() => socket.end('b'));
    expect(socket.writableEnded).to.equal(true);
    expect(socket.text).to.equal('ab');
  });

  it('drops what waits for a socket that somebody else has ended', async () => {
    const socket = new Kept();
    let errors = 0;
    socket.on('error', () => errors++);
    const outlet = new Outlet(socket, outbox);
    outlet.write(Buffer.from('a'));
    socket.end();
    await turn();
    expect([socket.text, outlet.unsent, errors]).to.deep.equal(['', 0, 0]);
  });
});

describe('FrameQueue', () => {
  it('gives back every byte once, in order, whatever is taken when', () => {
    const act = fc.oneof(
      fc.record({ push: fc.integer({ min: 1, max: 40 }) }),
      fc.record({ take: fc.integer({ min: 1, max: 60 }) }),
    );
    fc.assert(
      fc.property(fc.array(act, { maxLength: 200 }), (acts) => {
        const queue = new FrameQueue();
        let pushed = '';
        let taken = '';
        for (const one of acts) {
          if ('push' in one) {
            const text = String.fromCharCode(97 + (pushed.length % 26)).repeat(one.push);
            queue.push(Buffer.from(text));
            pushed += text;
          } else {
            const pieces = queue.take(one.take);
            const text = Buffer.concat(pieces).toString();
            expect(text.length).to.equal(Math.min(one.take, pushed.length - taken.length));
            taken += text;
          }
          expect(queue.bytes).to.equal(pushed.length - taken.length);
          expect(queue.length > 0).to.equal(queue.bytes > 0);
        }
        expect(pushed.startsWith(taken)).to.equal(true);
      }),
    );
  });

  it('gives whole frames as they are, without a copy', () => {
    const queue = new FrameQueue();
    const frames = [Buffer.from('abc'), Buffer.from('defg')];
    for (const frame of frames) queue.push(frame);
    const [first, second] = queue.take(5);
    expect(first).to.equal(frames[0]);
    expect(second?.buffer).to.equal(frames[1]?.buffer);
  });

  it('goes on after its beginning was forgotten', () => {
    const queue = new FrameQueue();
    for (let i = 0; i < 5_000; i++) queue.push(Buffer.from('x'));
    for (let i = 0; i < 4_999; i++) queue.take(1);
    expect(queue.length).to.equal(1);
    queue.push(Buffer.from('y'));
    expect(Buffer.concat(queue.take(9)).toString()).to.equal('xy');
  });
});
