import { expect } from 'chai';
import fc from 'fast-check';
import type { Clock } from '../../../src/base/clock.ts';
import { UploadSlots } from '../../../src/controller/uploadslots.ts';

const MINUTE_MS = 60_000;
const LIMIT = 12;

/** A line of askers at times of the test's own. Nothing of it uses timers. */
class Bench {
  now = 0;
  /** When somebody was let through. */
  readonly granted: number[] = [];
  readonly #clock: Clock = {
    now: () => this.now,
    monotonic: () => this.now,
    after: () => () => undefined,
    sleep: () => Promise.resolve(),
    breathe: () => undefined,
  };
  readonly slots = new UploadSlots(this.#clock);

  /** Asks, and uploads at once when it may. */
  ask(key: string): number {
    const waitMs = this.slots.waitMs(key);
    if (waitMs === 0) {
      this.granted.push(this.now);
      this.slots.leave(key);
    }
    return waitMs;
  }
}

interface Asker {
  readonly at: number;
  /** How much later than told it comes, each time. */
  readonly lateMs: number;
  /** How often it asks in between, though it was told to wait. */
  readonly hurries: number;
}

/** Lets them ask, come when they were told to, and ask until they were let through. */
function play(bench: Bench, askers: readonly Asker[]): void {
  const visits = askers.map((asker, i) => ({ at: asker.at, key: `t${i}`, asker, hurried: 0 }));
  while (visits.length > 0) {
    visits.sort((a, b) => a.at - b.at);
    const visit = visits.shift();
    if (visit === undefined) return;
    bench.now = Math.max(bench.now, visit.at);
    const waitMs = bench.ask(visit.key);
    if (waitMs === 0) continue;
    const hurries = visit.hurried < visit.asker.hurries;
    const afterMs = hurries ? Math.ceil(waitMs / 2) : waitMs + visit.asker.lateMs;
    visits.push({ ...visit, at: bench.now + afterMs, hurried: visit.hurried + (hurries ? 1 : 0) });
  }
}

/**
 * The uploads that Coder would refuse, if its windows of a minute began at `start`: it adds to the uploads of the window
 * what is left of those in the window before, rounds, and refuses when one more would be too many. What it refuses it does
 * not count.
 */
function refused(uploads: readonly number[], start: number): readonly number[] {
  const counts = new Map<number, number>();
  return uploads.filter((at) => {
    const window = Math.floor((at - start) / MINUTE_MS);
    const elapsed = (at - start) / MINUTE_MS - window;
    const current = counts.get(window) ?? 0;
    const rate = Math.round((counts.get(window - 1) ?? 0) * (1 - elapsed) + current);
    if (rate + 1 > LIMIT) return true;
    counts.set(window, current + 1);
    return false;
  });
}

/** The worst beginnings of windows are those right before or after an upload. */
function expectAccepted(uploads: readonly number[]): void {
  const starts = new Set(uploads.flatMap((at) => [at % MINUTE_MS, (at + 0.001) % MINUTE_MS]));
  for (const start of starts) expect(refused(uploads, start), `windows from ${start} ms`).to.deep.equal([]);
}

describe('UploadSlots', () => {
  let bench: Bench;
  beforeEach(() => {
    bench = new Bench();
  });

  it('lets nobody send what Coder refuses, whoever asks when, and lets all through', () => {
    const asker = fc.record<Asker>({
      // Many at once, or spread over an hour.
      at: fc.oneof(
        fc.integer({ min: 0, max: 60 * MINUTE_MS }),
        fc.integer({ min: 0, max: 5 }).map((n) => n * 10 * MINUTE_MS),
      ),
      lateMs: fc.oneof(
        fc.constant(0),
        fc.integer({ min: 0, max: 1_000 }),
        fc.integer({ min: 0, max: 5 * MINUTE_MS }),
      ),
      hurries: fc.integer({ min: 0, max: 2 }),
    });
    fc.assert(
      fc.property(fc.array(asker, { minLength: 1, maxLength: 120, size: 'max' }), (askers) => {
        const b = new Bench();
        play(b, askers);
        expect(b.granted).to.have.length(askers.length);
        expectAccepted(b.granted);
      }),
      { numRuns: 100 },
    );
  });

  it('holds for those that stay away and come back all at once', () => {
    const keys = Array.from({ length: 20 }, (_, i) => `t${i}`);
    for (const key of keys) bench.ask(key);
    bench.now = 100_000;
    for (let left = keys; left.length > 0; bench.now += 1_000)
      left = left.filter((key) => bench.ask(key) > 0);
    expectAccepted(bench.granted);
  });

  it('lets two hundred through in the order of asking within 25 minutes', () => {
    const done: string[] = [];
    const line = Array.from({ length: 200 }, (_, i) => ({ key: `t${i}`, at: 0 }));
    const order = line.map(({ key }) => key);
    while (line.length > 0) {
      line.sort((a, b) => a.at - b.at);
      const [next] = line;
      if (next === undefined) break;
      bench.now = next.at;
      const waitMs = bench.ask(next.key);
      if (waitMs > 0) {
        next.at = bench.now + waitMs;
        continue;
      }
      done.push(next.key);
      line.shift();
    }
    expect(done).to.deep.equal(order);
    expect(bench.now).to.be.below(25 * MINUTE_MS);
    expectAccepted(bench.granted);
  });

  it('lets three go at once after a quiet time, and then one each seven seconds', () => {
    const waits = (...keys: readonly string[]): readonly number[] => keys.map((key) => bench.ask(key));
    expect(waits('a', 'b', 'c', 'd', 'e')).to.deep.equal([0, 0, 0, 7_000, 14_000]);
    bench.now = 10 * MINUTE_MS;
    expect(waits('f', 'g', 'h', 'i')).to.deep.equal([0, 0, 0, 7_000]);
  });

  it('keeps the place of those that ask again, and leaves an open turn to who has it', () => {
    for (const key of ['a', 'b', 'c']) bench.slots.waitMs(key);
    expect(['d', 'e'].map((key) => bench.slots.waitMs(key))).to.deep.equal([7_000, 14_000]);
    bench.now = 2_000;
    expect(bench.slots.waitMs('e')).to.equal(12_000);
    expect(bench.slots.waitMs('d')).to.equal(5_000);
    expect(bench.slots.waitMs('a'), 'not used yet').to.equal(0);
    expect(bench.slots.waitMs('d'), 'and that took no other turn').to.equal(5_000);
    bench.slots.leave('a');
    expect(bench.slots.waitMs('a'), 'used; this is another').to.equal(19_000);
  });

  it('closes up when one in the line needs its turn no more', () => {
    for (const key of ['a', 'b', 'c']) bench.ask(key);
    expect(['d', 'e', 'f'].map((key) => bench.ask(key))).to.deep.equal([7_000, 14_000, 21_000]);
    bench.slots.leave('d');
    expect(bench.ask('f')).to.equal(14_000);
    expect(bench.ask('e')).to.equal(7_000);
  });

  it('keeps the place of one that comes late, and meanwhile holds up nobody for it', () => {
    for (const key of ['a', 'b', 'c']) bench.ask(key);
    expect(bench.ask('late')).to.equal(7_000);
    expect(bench.ask('d')).to.equal(14_000);
    bench.now = 10_000;
    expect(bench.ask('e'), 'the turn that was left').to.equal(4_000);
    bench.now = 14_000;
    expect(bench.ask('d')).to.equal(0);
    expect(['f', 'g'].map((key) => bench.ask(key))).to.deep.equal([7_000, 14_000]);
    expect(bench.ask('late'), 'before all that came after').to.equal(0);
  });

  it('forgets a place two minutes after its turn', () => {
    for (const key of ['a', 'b', 'c']) bench.ask(key);
    expect(['away', 'gone'].map((key) => bench.ask(key))).to.deep.equal([7_000, 14_000]);
    bench.now = 7_000 + 2 * MINUTE_MS + 1;
    for (const key of ['d', 'e', 'f']) bench.ask(key);
    expect(bench.ask('g')).to.equal(7_000);
    expect(bench.ask('gone'), 'not yet two minutes').to.equal(7_000);
    expect(bench.ask('away'), 'at the end of the line').to.equal(21_000);
  });
});
