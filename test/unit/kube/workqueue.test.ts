import { expect } from 'chai';
import fc from 'fast-check';
import { WorkQueue, type WorkQueueOptions } from '../../../src/kube/workqueue.ts';
import { FakeClock } from '../../support/clock.ts';

const forever = new AbortController().signal;

function setUp(options: Partial<WorkQueueOptions> = {}): { clock: FakeClock; queue: WorkQueue } {
  const clock = new FakeClock();
  return { clock, queue: new WorkQueue({ clock, random: () => 1, ...options }) };
}

/** Takes and finishes every ready key. */
async function drain(queue: WorkQueue): Promise<string[]> {
  const keys: string[] = [];
  while (queue.length > 0) {
    const key = await queue.next(forever);
    keys.push(key ?? '');
    queue.done(key ?? '');
  }
  return keys;
}

describe('WorkQueue', () => {
  it('holds a key once, however often it is added, in the order of first adding', async () => {
    const { queue } = setUp();
    for (const key of ['a', 'b', 'a', 'a']) queue.add(key);
    expect(queue.length).to.equal(2);
    expect(await drain(queue)).to.deep.equal(['a', 'b']);
  });

  it('gives a key that was added during its work once more after it, and not before', async () => {
    const { queue } = setUp();
    queue.add('a');
    await queue.next(forever);
    queue.add('a');
    queue.add('a');
    expect(queue.length).to.equal(0);
    queue.done('a');
    expect(await drain(queue)).to.deep.equal(['a']);
  });

  it('hands a key to a worker that is already waiting', async () => {
    const { queue } = setUp();
    const waiting = [queue.next(forever), queue.next(forever)];
    queue.add('a');
    queue.add('b');
    expect(await Promise.all(waiting)).to.deep.equal(['a', 'b']);
  });

  it('goes by priority, and a later adding can only raise it', async () => {
    const { queue } = setUp();
    queue.add('low', { priority: -100 });
    queue.add('normal');
    queue.add('raised', { priority: -100 });
    queue.add('raised', { priority: 5 });
    queue.add('normal', { priority: -100 });
    expect(await drain(queue)).to.deep.equal(['raised', 'normal', 'low']);
  });

  it('brings a key added during its work back with the highest priority asked for', async () => {
    const { queue } = setUp();
    queue.add('a');
    await queue.next(forever);
    queue.add('a', { priority: -100 });
    queue.add('a', { priority: 7 });
    queue.add('b', { priority: 6 });
    queue.done('a');
    expect(await drain(queue)).to.deep.equal(['a', 'b']);
  });

  it('starves nobody: five minutes of waiting outweigh a hundred points', async () => {
    const { clock, queue } = setUp();
    queue.add('old', { priority: -100 });
    await clock.advance(299_000);
    queue.add('young');
    await clock.advance(2_000);
    queue.add('younger');
    expect(await drain(queue)).to.deep.equal(['young', 'old', 'younger']);
  });

  describe('addAfter', () => {
    it('gives the key when its time has come', async () => {
      const { clock, queue } = setUp();
      queue.addAfter('a', 1000);
      await clock.advance(999);
      expect(queue.length).to.equal(0);
      await clock.advance(1);
      expect(await drain(queue)).to.deep.equal(['a']);
    });

    it('lets the earlier of two times win, and drops the other', async () => {
      const { clock, queue } = setUp();
      queue.addAfter('a', 1000);
      queue.addAfter('a', 500);
      queue.addAfter('a', 2000);
      await clock.advance(500);
      expect(await drain(queue)).to.deep.equal(['a']);
      await clock.advance(10_000);
      expect(queue.length).to.equal(0);
    });

    it('needs one timer for any number of keys', () => {
      const { clock, queue } = setUp();
      for (let i = 0; i < 100; i++) queue.addAfter(`k${i}`, 1000 - i);
      expect(clock.pending).to.equal(1);
      expect(queue.delayed).to.equal(100);
    });

    it('keeps the priority for then', async () => {
      const { clock, queue } = setUp();
      queue.addAfter('low', 10, { priority: -50 });
      await clock.advance(10);
      queue.add('normal');
      expect(await drain(queue)).to.deep.equal(['normal', 'low']);
    });
  });

  describe('addRateLimited', () => {
    async function delayOf(queue: WorkQueue, clock: FakeClock): Promise<number> {
      const start = clock.monotonic();
      queue.addRateLimited('a');
      while (queue.length === 0) await clock.advance(100);
      await drain(queue);
      return clock.monotonic() - start;
    }

    it('doubles the delay with each failure up to the longest, and forgets', async () => {
      const { clock, queue } = setUp({ maxMs: 5000 });
      const delays: number[] = [];
      for (let i = 0; i < 5; i++) delays.push(await delayOf(queue, clock));
      expect(delays).to.deep.equal([1000, 2000, 4000, 5000, 5000]);
      expect(queue.failures('a')).to.equal(5);
      queue.forget('a');
      expect(queue.failures('a')).to.equal(0);
      expect(await delayOf(queue, clock)).to.equal(1000);
    });

    it('never shortens a delay by more than half', async () => {
      const { clock, queue } = setUp({ random: () => 0 });
      expect(await delayOf(queue, clock)).to.equal(500);
    });

    it('waits as long as the server asks', async () => {
      const { clock, queue } = setUp();
      queue.addRateLimited('a', { atLeastMs: 7000 });
      await clock.advance(6999);
      expect(queue.length).to.equal(0);
      await clock.advance(1);
      expect(queue.length).to.equal(1);
    });
  });

  it('lets a waiting worker go when its signal aborts, and loses no key by it', async () => {
    const { queue } = setUp();
    const leaving = new AbortController();
    const next = queue.next(leaving.signal);
    leaving.abort();
    expect(await next).to.equal(undefined);
    queue.add('a');
    expect(await drain(queue)).to.deep.equal(['a']);
  });

  it('gives and takes nothing after the shut-down', async () => {
    const { clock, queue } = setUp();
    const next = queue.next(forever);
    queue.addAfter('a', 10);
    queue.shutDown();
    queue.add('b');
    await clock.advance(100);
    expect(await next).to.equal(undefined);
    expect(await queue.next(forever)).to.equal(undefined);
    expect(clock.pending).to.equal(0);
  });

  it('reports depth, waiting and work', async () => {
    const seen: string[] = [];
    const { clock, queue } = setUp({
      metrics: {
        depth: (keys) => seen.push(`depth ${keys}`),
        added: () => seen.push('added'),
        retried: () => seen.push('retried'),
        queueDuration: (seconds) => seen.push(`waited ${seconds}`),
        workDuration: (seconds) => seen.push(`worked ${seconds}`),
      },
    });
    queue.add('a');
    await clock.advance(2000);
    await queue.next(forever);
    await clock.advance(3000);
    expect([...queue.workInProgress()]).to.deep.equal([['a', 3000]]);
    queue.done('a');
    queue.addRateLimited('a');
    expect(seen).to.deep.equal(['added', 'depth 1', 'depth 0', 'waited 2', 'worked 3', 'retried']);
  });

  interface Model {
    /** Ready keys with priority and time. */
    readonly ready: Map<string, { priority: number; since: number; order: number }>;
    readonly working: Set<string>;
    readonly dirty: Map<string, number>;
    order: number;
  }
  const anyKey = fc.constantFrom('a', 'b', 'c', 'd', 'e');
  const anyStep = fc.oneof(
    fc.record({
      kind: fc.constant('add' as const),
      key: anyKey,
      priority: fc.constantFrom(-100, -50, 0, 10),
    }),
    fc.record({ kind: fc.constant('later' as const), key: anyKey, ms: fc.integer({ min: 1, max: 5000 }) }),
    fc.record({ kind: fc.constant('take' as const) }),
    fc.record({ kind: fc.constant('finish' as const), which: fc.nat(10) }),
    fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 100_000 }) }),
  );

  /** What the next key must be: the highest priority, aged, and of equals the one that came first. */
  function expectedNext(model: Model): string | undefined {
    const rank = ({ priority, since }: { priority: number; since: number }): number =>
      priority - since / 3000;
    return [...model.ready].sort(([, a], [, b]) => rank(b) - rank(a) || a.order - b.order)[0]?.[0];
  }

  function modelAdd(model: Model, key: string, priority: number, now: number): void {
    if (model.working.has(key)) {
      model.dirty.set(key, Math.max(priority, model.dirty.get(key) ?? -Infinity));
      return;
    }
    const known = model.ready.get(key);
    if (known !== undefined && known.priority >= priority) return;
    model.ready.set(key, { priority, since: known?.since ?? now, order: model.order++ });
  }

  it('never has a key with two workers, loses none, and keeps the order', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyStep, { maxLength: 60 }), async (steps) => {
        const { clock, queue } = setUp();
        const model: Model = { ready: new Map(), working: new Set(), dirty: new Map(), order: 0 };
        const due = new Map<string, number>();
        const release = (until: number): void => {
          const late = [...due].filter(([, at]) => at <= until).sort(([, a], [, b]) => a - b);
          for (const [key, at] of late) {
            due.delete(key);
            modelAdd(model, key, 0, at);
          }
        };
        const take = async (): Promise<void> => {
          const expected = expectedNext(model);
          expect(queue.length).to.equal(model.ready.size);
          if (expected === undefined) return;
          expect(model.working.has(expected)).to.equal(false);
          expect(await queue.next(forever)).to.equal(expected);
          model.ready.delete(expected);
          model.working.add(expected);
        };
        const finish = (key: string): void => {
          queue.done(key);
          model.working.delete(key);
          const priority = model.dirty.get(key);
          model.dirty.delete(key);
          if (priority !== undefined) modelAdd(model, key, priority, clock.monotonic());
        };
        for (const step of steps) {
          const now = clock.monotonic();
          if (step.kind === 'add') {
            queue.add(step.key, { priority: step.priority });
            modelAdd(model, step.key, step.priority, now);
          } else if (step.kind === 'later') {
            queue.addAfter(step.key, step.ms);
            due.set(step.key, Math.min(due.get(step.key) ?? Infinity, now + step.ms));
          } else if (step.kind === 'take') {
            await take();
          } else if (step.kind === 'finish') {
            const key = [...model.working][step.which];
            if (key !== undefined) finish(key);
          } else {
            await clock.advance(step.ms);
            release(clock.monotonic());
          }
        }
        await clock.advance(10_000);
        release(clock.monotonic());
        while (model.ready.size + model.working.size > 0) {
          for (const key of [...model.working]) finish(key);
          await take();
        }
        expect(queue.length).to.equal(0);
        expect(queue.workInProgress().size).to.equal(0);
      }),
    );
  });
});
