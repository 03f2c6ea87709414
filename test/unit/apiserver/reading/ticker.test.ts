import { expect } from 'chai';
import { Ticker, type Ticking } from '../../../../src/apiserver/reading/ticker.ts';
import { FakeClock } from '../../../support/clock.ts';

class Alarm implements Ticking {
  due: number;
  readonly ticks: number[] = [];
  readonly #next: number[];

  constructor(due: number, ...next: number[]) {
    this.due = due;
    this.#next = next;
  }

  tick(now: number): void {
    this.ticks.push(now);
    this.due = this.#next.shift() ?? Infinity;
  }
}

describe('Ticker', () => {
  it('calls each when it is due, on one timer', async () => {
    const clock = new FakeClock();
    const ticker = new Ticker(clock);
    const alarms = [new Alarm(5_000, 9_000), new Alarm(1_000), new Alarm(7_000)];
    for (const alarm of alarms) ticker.add(alarm);
    expect(clock.pending).to.equal(1);
    await clock.advance(10_000);
    expect(alarms.map(({ ticks }) => ticks)).to.deep.equal([[5_000, 9_000], [1_000], [7_000]]);
    expect(clock.pending).to.equal(0);
  });

  it('makes at most ten rounds a second', async () => {
    const clock = new FakeClock();
    const ticker = new Ticker(clock);
    const alarms = Array.from({ length: 100 }, (_, i) => new Alarm(1_000 + i));
    for (const alarm of alarms) ticker.add(alarm);
    await clock.advance(1_000);
    expect(alarms.filter(({ ticks }) => ticks.length > 0)).to.have.length(1);
    await clock.advance(100);
    expect(new Set(alarms.flatMap(({ ticks }) => ticks))).to.deep.equal(new Set([1_000, 1_100]));
    expect(alarms.every(({ ticks }) => ticks.length === 1)).to.equal(true);
  });

  it('hears of times that move forward, forgets who is taken out, and ends', async () => {
    const clock = new FakeClock();
    const ticker = new Ticker(clock);
    const [moved, removed, left] = [new Alarm(9_000), new Alarm(2_000), new Alarm(3_000)];
    for (const alarm of [moved, removed, left]) ticker.add(alarm);
    moved.due = 1_000;
    ticker.sooner(1_000);
    ticker.delete(removed);
    await clock.advance(1_500);
    expect(moved.ticks).to.deep.equal([1_000]);
    ticker.close();
    await clock.advance(5_000);
    expect([removed.ticks, left.ticks]).to.deep.equal([[], []]);
    expect(clock.pending).to.equal(0);
  });
});
