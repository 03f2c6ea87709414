import { expect } from 'chai';
import {
  RequestBudget,
  TurnTimeoutError,
  type RequestBudgetOptions,
  type RequestTurn,
} from '../../../src/coder/ratelimit.ts';
import { FakeClock, settle } from '../../support/clock.ts';

describe('RequestBudget', () => {
  let clock: FakeClock;
  /** Name and time of every task that was started. */
  let started: [string, number][];
  let finish: Map<string, () => void>;

  beforeEach(() => {
    clock = new FakeClock();
    started = [];
    finish = new Map();
  });

  function budgetOf(options: Partial<RequestBudgetOptions> = {}): RequestBudget {
    return new RequestBudget({ clock, requestsPerMinute: 60, burst: 2, concurrency: 10, ...options });
  }

  /** A task that ends at once, or with `lasting` only when `finish` is called. */
  function add(
    budget: RequestBudget,
    name: string,
    turn: Partial<RequestTurn> = {},
    lasting = false,
  ): Promise<void> {
    return budget.run({ lane: '/a', ...turn }, async () => {
      started.push([name, clock.monotonic()]);
      if (lasting) await new Promise<void>((resolve) => finish.set(name, resolve));
    });
  }

  const names = (): string[] => started.map(([name]) => name);

  it('lets a burst through, then keeps to the rate', async () => {
    const budget = budgetOf();
    const all = ['a', 'b', 'c', 'd'].map((name) => add(budget, name));
    await clock.advance(0);
    expect(names()).to.deep.equal(['a', 'b']);
    await clock.advance(2000);
    await Promise.all(all);
    expect(started.slice(2)).to.deep.equal([
      ['c', 1000],
      ['d', 2000],
    ]);
  });

  it('gives a turn up that does not come in time, and sends nothing of it', async () => {
    const budget = budgetOf({ concurrency: 1 });
    const long = add(budget, 'long', {}, true);
    const given = add(budget, 'given up', { maxWaitMs: 5_000 }).catch((error: unknown) => error);
    await clock.advance(5_000);
    expect(await given).to.be.instanceOf(TurnTimeoutError);
    finish.get('long')?.();
    await long;
    await settle();
    expect(names()).to.deep.equal(['long']);
  });

  it('does not even wait in a lane that is held for longer, and says for how long', async () => {
    const budget = budgetOf();
    budget.hold('/a', 60_000);
    const error = await add(budget, 'a', { maxWaitMs: 5_000 }).catch((e: unknown) => e);
    expect(error).to.be.instanceOf(TurnTimeoutError).and.to.have.property('retryAfterMs', 60_000);
    await add(budget, 'b', { lane: '/b', maxWaitMs: 5_000 });
    expect(names()).to.deep.equal(['b']);
  });

  it('F13. never exceeds burst plus rate over any time, and uses the rate fully', async () => {
    const budget = budgetOf({ requestsPerMinute: 240, burst: 60 });
    const all = Array.from({ length: 1000 }, (_, i) => add(budget, String(i)));
    await clock.advance(120_000);
    expect(started.length).to.equal(60 + 2 * 240);
    for (let from = 0; from < 120_000; from += 5000) {
      const within = started.filter(([, at]) => at > from && at <= from + 60_000).length;
      expect(within).to.be.at.most(240);
    }
    await clock.advance(1_000_000);
    await Promise.all(all);
  });

  it('fills up again while nothing is asked, but not beyond the burst', async () => {
    const budget = budgetOf();
    await Promise.all([add(budget, 'a'), add(budget, 'b')]);
    await clock.advance(3_600_000);
    const more = ['c', 'd', 'e'].map((name) => add(budget, name));
    await clock.advance(0);
    expect(names()).to.deep.equal(['a', 'b', 'c', 'd']);
    await clock.advance(1000);
    await Promise.all(more);
  });

  it('runs no more at once than allowed', async () => {
    const budget = budgetOf({ burst: 10, concurrency: 2 });
    const all = ['a', 'b', 'c'].map((name) => add(budget, name, {}, true));
    await settle();
    expect(names()).to.deep.equal(['a', 'b']);
    finish.get('a')?.();
    await settle();
    expect(names()).to.deep.equal(['a', 'b', 'c']);
    finish.get('b')?.();
    finish.get('c')?.();
    await Promise.all(all);
  });

  it('F13. lets the more urgent go first, then the older', async () => {
    const budget = budgetOf({ burst: 1 });
    const all = [
      add(budget, 'first'),
      add(budget, 'low', { priority: 'low' }),
      add(budget, 'normal 1'),
      add(budget, 'normal 2'),
      add(budget, 'high', { priority: 'high' }),
    ];
    await clock.advance(10_000);
    await Promise.all(all);
    expect(names()).to.deep.equal(['first', 'high', 'normal 1', 'normal 2', 'low']);
  });

  it('neither counts nor holds up what is not to be counted', async () => {
    const budget = budgetOf();
    const waiting = ['a', 'b', 'c'].map((name) => add(budget, name));
    await settle();
    for (let i = 0; i < 100; i++) await add(budget, 'rhythm', { counted: false });
    expect(names().filter((name) => name === 'rhythm')).to.have.length(100);
    expect(names()).not.to.include('c');
    await clock.advance(1000);
    await Promise.all(waiting);
    expect(names()).to.include('c');
  });

  it('holds a lane as long as asked, also what waits already and what is not counted', async () => {
    const budget = budgetOf();
    const all = ['a', 'b', 'c'].map((name) => add(budget, name));
    await settle();
    budget.hold('/a', 30_000);
    all.push(add(budget, 'rhythm', { counted: false }));
    await clock.advance(29_999);
    expect(names()).to.deep.equal(['a', 'b']);
    await clock.advance(1001);
    await Promise.all(all);
    expect(names().sort()).to.deep.equal(['a', 'b', 'c', 'rhythm']);
  });

  it('leaves other lanes alone while one is held', async () => {
    const budget = budgetOf({ concurrency: 1, burst: 10 });
    budget.hold('/files', 60_000);
    const held = add(budget, 'upload', { lane: '/files', priority: 'high' });
    await add(budget, 'start');
    expect(names()).to.deep.equal(['start']);
    await clock.advance(60_000);
    await held;
  });

  it('does not shorten a hold by a later, shorter one', async () => {
    const budget = budgetOf();
    budget.hold('/a', 60_000);
    budget.hold('/a', 1000);
    const held = add(budget, 'a');
    await clock.advance(59_999);
    expect(names()).to.deep.equal([]);
    await clock.advance(1);
    await held;
  });

  it('gives up waiting for a turn when the signal aborts, and loses no turn by it', async () => {
    const budget = budgetOf({ burst: 1 });
    const controller = new AbortController();
    const reason = new Error('stop');
    await add(budget, 'a');
    const given = add(budget, 'b', { signal: controller.signal });
    const kept = add(budget, 'c');
    await settle();
    expect(budget.waiting).to.equal(2);
    controller.abort(reason);
    expect(await given.catch((error: unknown) => error)).to.equal(reason);
    expect(budget.waiting).to.equal(1);
    await clock.advance(1000);
    await kept;
    expect(names()).to.deep.equal(['a', 'c']);
  });

  it('gives up waiting for the end of a hold when the signal aborts', async () => {
    const budget = budgetOf();
    const controller = new AbortController();
    budget.hold('/a', 60_000);
    const given = add(budget, 'a', { signal: controller.signal });
    await settle();
    controller.abort(new Error('stop'));
    expect(await given.catch((error: unknown) => (error as Error).message)).to.equal('stop');
    expect(clock.pending).to.equal(0);
  });

  it('leaves a request that has begun to see the signal itself', async () => {
    const budget = budgetOf();
    const controller = new AbortController();
    const running = add(budget, 'a', { signal: controller.signal }, true);
    await settle();
    controller.abort(new Error('stop'));
    finish.get('a')?.();
    await running;
  });

  it('goes on after a task that fails', async () => {
    const budget = budgetOf({ concurrency: 1 });
    const failed = budget.run({ lane: '/a' }, () => Promise.reject(new Error('no')));
    expect(await failed.catch((error: unknown) => (error as Error).message)).to.equal('no');
    await add(budget, 'a');
    expect(names()).to.deep.equal(['a']);
  });

  for (const option of ['requestsPerMinute', 'burst', 'concurrency', 'uncountedConcurrency'] as const) {
    it(`refuses ${option} below 1 by name`, () => {
      expect(() => budgetOf({ [option]: 0 })).to.throw(RangeError, option);
      expect(() => budgetOf({ [option]: NaN })).to.throw(RangeError, option);
    });
  }
});
