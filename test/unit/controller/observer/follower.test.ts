import { expect } from 'chai';
import { Follower } from '../../../../src/controller/observer/follower.ts';
import type { WorkspaceRecord } from '../../../../src/controller/observer/record.ts';
import { FakeClock, settle } from '../../../support/clock.ts';
import { build, workspaceRecord } from '../../../support/controller-records.ts';

const under = (id: string): WorkspaceRecord =>
  workspaceRecord({ id, build: build({ jobStatus: 'running' }) });
const ended = (id: string): WorkspaceRecord => workspaceRecord({ id });

class Bench {
  readonly clock = new FakeClock();
  readonly asked: { readonly ids: readonly string[]; readonly at: number }[] = [];
  readonly told: [string, string | undefined][] = [];
  readonly errors: unknown[] = [];
  readonly stop = new AbortController();
  /** What Coder has; those that are not in here are gone. */
  readonly coder = new Map<string, WorkspaceRecord>();
  /** Reads of these hang until they are let go. */
  readonly hanging = new Map<string, () => void>();
  fails: Error | undefined;
  readonly follower: Follower;
  readonly running: Promise<void>;

  constructor() {
    this.follower = new Follower({
      clock: this.clock,
      isUnderWay: (record) => record.build.jobStatus === 'running',
      readOne: async (id) => (await this.#read([id]))[0],
      readMany: (ids) => this.#read(ids),
      onRead: (id, record) => this.told.push([id, record?.build.jobStatus]),
      onError: (error) => this.errors.push(error),
    });
    this.running = this.follower.run(this.stop.signal);
  }

  async #read(ids: readonly string[]): Promise<readonly WorkspaceRecord[]> {
    this.asked.push({ ids, at: this.clock.monotonic() });
    const answer = ids.map((id) => this.coder.get(id)).filter((r) => r !== undefined);
    if (this.fails !== undefined) throw this.fails;
    const [first = ''] = ids;
    if (this.hanging.has(first)) await new Promise<void>((resolve) => this.hanging.set(first, resolve));
    return answer;
  }

  follow(id: string): void {
    this.coder.set(id, under(id));
    this.follower.follow(id);
  }

  get times(): readonly number[] {
    return this.asked.map((a) => Math.round(a.at));
  }

  async end(): Promise<void> {
    this.stop.abort();
    await this.running;
  }
}

describe('Follower', () => {
  let bench: Bench;
  beforeEach(() => {
    bench = new Bench();
  });
  afterEach(() => bench.end());

  it('looks after 250 ms, then more and more seldom, at least every second', async () => {
    bench.follow('a');
    await bench.clock.advance(6_000);
    const gaps = bench.times.map((t, i) => t - (bench.times[i - 1] ?? 0));
    expect(gaps[0]).to.equal(250);
    gaps.slice(1).forEach((gap, i) => expect(gap).to.be.at.least(gaps[i] ?? 0));
    expect(gaps.at(-1)).to.equal(1_000);
    expect(gaps.filter((gap) => gap > 1_000)).to.deep.equal([]);
  });

  it('asks for nothing when there is nothing to follow', async () => {
    await bench.clock.advance(600_000);
    expect(bench.asked).to.deep.equal([]);
  });

  it('stops when the build has ended, and tells so', async () => {
    bench.follow('a');
    await bench.clock.advance(250);
    bench.coder.set('a', ended('a'));
    await bench.clock.advance(10_000);
    expect(bench.told.at(-1)).to.deep.equal(['a', 'succeeded']);
    expect(bench.follower.size).to.equal(0);
    expect(bench.asked).to.have.length(2);
  });

  it('stops when the workspace is gone, and tells so', async () => {
    bench.follow('a');
    bench.coder.delete('a');
    await bench.clock.advance(10_000);
    expect(bench.told).to.deep.equal([['a', undefined]]);
    expect(bench.follower.size).to.equal(0);
  });

  it('follows once what it is told twice', async () => {
    bench.follow('a');
    await bench.clock.advance(100);
    bench.follower.follow('a');
    await bench.clock.advance(150);
    expect(bench.asked).to.have.length(1);
    expect(bench.follower.size).to.equal(1);
  });

  it('follows a new build although an answer about the one before is still on its way', async () => {
    bench.follow('a');
    bench.coder.set('a', ended('a'));
    bench.hanging.set('a', () => undefined);
    await bench.clock.advance(250);
    bench.follow('a');
    bench.hanging.get('a')?.();
    bench.hanging.delete('a');
    await bench.clock.advance(1_000);
    expect(bench.follower.size).to.equal(1);
    expect(bench.told.at(-1)).to.deep.equal(['a', 'running']);
  });

  it('does not let one hanging read hold up the others', async () => {
    bench.hanging.set('a', () => undefined);
    bench.follow('a');
    bench.follow('b');
    await bench.clock.advance(3_000);
    expect(bench.asked.filter((a) => a.ids.includes('a'))).to.have.length(1);
    expect(bench.asked.filter((a) => a.ids.includes('b')).length).to.be.at.least(3);
  });

  it('reads up to eight one by one, and more together', async () => {
    for (let i = 0; i < 8; i++) bench.follow(`few-${i}`);
    await bench.clock.advance(250);
    expect(bench.asked.map((a) => a.ids.length)).to.deep.equal([1, 1, 1, 1, 1, 1, 1, 1]);
  });

  it('reads more than eight in groups of at most a hundred', async () => {
    for (let i = 0; i < 250; i++) bench.follow(`many-${i}`);
    bench.coder.delete('many-7');
    await bench.clock.advance(250);
    expect(bench.asked.map((a) => a.ids.length)).to.deep.equal([100, 100, 50]);
    expect(bench.told).to.have.length(250);
    expect(bench.told[7]).to.deep.equal(['many-7', undefined]);
    expect(bench.follower.size).to.equal(249);
  });

  it('looks at once when that is asked for', async () => {
    bench.coder.set('a', under('a'));
    bench.follower.follow('a', 0);
    await settle();
    expect(bench.times).to.deep.equal([0]);
  });

  it('takes an answer to what was asked for after it was told to follow, also at the same moment', async () => {
    bench.coder.set('a', ended('a'));
    bench.follower.follow('a', 0);
    await bench.clock.advance(10_000);
    expect(bench.asked).to.have.length(1);
    expect(bench.follower.size).to.equal(0);
  });

  it('reads many together also when they were not begun together', async () => {
    for (let i = 0; i < 100; i++) {
      bench.follow(`w-${i}`);
      await bench.clock.advance(10);
    }
    await bench.clock.advance(3_000);
    bench.asked.length = 0;
    await bench.clock.advance(10_000);
    expect(bench.asked.length).to.be.at.most(45);
    const reads = bench.asked.reduce((sum, a) => sum + a.ids.length, 0);
    expect(reads, 'each about once a second').to.be.within(900, 1_500);
  });

  it('asks no more than Coder takes, however many are under way', async () => {
    for (let i = 0; i < 5_000; i++) bench.follow(`w-${i}`);
    await bench.clock.advance(60_000);
    bench.asked.length = 0;
    await bench.clock.advance(60_000);
    expect(bench.asked.length).to.be.within(250, 350);
    expect(new Set(bench.asked.flatMap((a) => a.ids)).size, 'and leaves none out').to.equal(5_000);
  });

  it('takes a hundred and fifty thousand at once', async () => {
    for (let i = 0; i < 150_000; i++) bench.follower.follow(`w-${i}`);
    await bench.clock.advance(250);
    expect(bench.asked).to.have.length(1_500);
    expect(bench.follower.size, 'none of them is there').to.equal(0);
  });

  it('goes on after failures, more and more seldom', async () => {
    bench.follow('a');
    bench.fails = new Error('no answer');
    await bench.clock.advance(7_250);
    expect(bench.times).to.deep.equal([250, 1_250, 3_250, 7_250]);
    expect(bench.errors).to.have.length(4);
    bench.fails = undefined;
    // Whoever asks again has reason to think that it works.
    bench.follow('a');
    await bench.clock.advance(250);
    expect(bench.told).to.deep.equal([['a', 'running']]);
  });

  it('ends with the signal', async () => {
    bench.follow('a');
    await settle();
    await bench.end();
    expect(bench.clock.pending).to.equal(0);
  });
});
