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

  describe('with groups', () => {
    const groupOf = (key: string): string => key.slice(0, 1);

    /** Takes so many keys without finishing any. */
    async function take(queue: WorkQueue, count: number): Promise<string[]> {
      const keys: string[] = [];
      for (let i = 0; i < count; i++) keys.push((await queue.next(forever)) ?? '');
      return keys;
    }

    it('lets ten thousand keys of one group delay that of another by one at most', async () => {
      const { clock, queue } = setUp({ groupOf });
      for (let i = 0; i < 10_000; i++) queue.add(`a${i}`);
      await clock.advance(60_000);
      queue.add('b');
      queue.done((await take(queue, 1))[0] ?? '');
      expect(await take(queue, 1)).to.deep.equal(['b']);
    });

    it('gives each group its turn, and within a group keeps the order', async () => {
      const { queue } = setUp({ groupOf });
      for (const key of ['a1', 'a2', 'a3', 'b1', 'b2', 'b3', 'c1']) queue.add(key);
      expect(await drain(queue)).to.deep.equal(['a1', 'b1', 'c1', 'a2', 'b2', 'a3', 'b3']);
    });

    it('lets no group come first again and again by adding one key at a time', async () => {
      const { queue } = setUp({ groupOf });
      for (const key of ['a1', 'a2', 'a3', 'a4']) queue.add(key);
      const order: string[] = [];
      for (let i = 0; i < 6; i++) {
        queue.add(`b${i}`);
        const [key = ''] = await take(queue, 1);
        order.push(key.slice(0, 1));
        queue.done(key);
      }
      expect(order.join('')).to.equal('ababab');
    });

    it('prefers the group with the fewest keys being worked on, whose work may be slow', async () => {
      const { queue } = setUp({ groupOf });
      for (let i = 0; i < 5; i++) queue.add(`a${i}`);
      expect(await take(queue, 3)).to.deep.equal(['a0', 'a1', 'a2']);
      for (let i = 0; i < 5; i++) queue.add(`b${i}`);
      expect(await take(queue, 4)).to.deep.equal(['b0', 'b1', 'b2', 'a3']);
    });

    it('leaves it to priority and waiting which priority comes first', async () => {
      const { clock, queue } = setUp({ groupOf });
      queue.add('a1', { priority: -100 });
      await clock.advance(299_000);
      for (const key of ['b1', 'b2']) queue.add(key);
      await clock.advance(2_000);
      for (const key of ['b3', 'c1']) queue.add(key);
      // b2 is of a higher rank than a1, and shares its turn with c1; b3 is not.
      expect(await drain(queue)).to.deep.equal(['b1', 'c1', 'b2', 'a1', 'b3']);
    });

    it('lets one group hold only so many workers, and others go on', async () => {
      const { queue } = setUp({ groupOf, maxPerGroup: 2 });
      for (let i = 0; i < 4; i++) queue.add(`a${i}`, { priority: 10 });
      expect(await take(queue, 2)).to.deep.equal(['a0', 'a1']);
      const waiting = [queue.next(forever), queue.next(forever)];
      expect(queue.length).to.equal(2);
      queue.add('b', { priority: -100 });
      expect(await waiting[0]).to.equal('b');
      queue.done('a1');
      expect(await waiting[1]).to.equal('a2');
    });

    it('gives a key that was added during its work back to a worker that waits', async () => {
      const { queue } = setUp({ groupOf, maxPerGroup: 1 });
      queue.add('a1');
      await take(queue, 1);
      queue.add('a1');
      const waiting = queue.next(forever);
      queue.done('a1');
      expect(await waiting).to.equal('a1');
    });

    it('refuses a limit under which nothing would be done', () => {
      expect(() => setUp({ maxPerGroup: 0 })).to.throw(RangeError);
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

  it('shares the workers among groups, whatever is added and however long it takes', async () => {
    const anyMember = fc.constantFrom('a1', 'a2', 'a3', 'a4', 'b1', 'b2', 'b3', 'c1');
    const anyMove = fc.oneof(
      fc.record({ add: anyMember, priority: fc.constantFrom(0, 0, -50) }),
      fc.record({ finish: fc.nat(10) }),
      fc.record({ take: fc.constant(true) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(anyMove, { maxLength: 80 }), async (moves) => {
        const groupOf = (key: string): string => key.slice(0, 1);
        const { queue } = setUp({ groupOf, maxPerGroup: 2 });
        const ready = new Map<string, number>();
        const working = new Set<string>();
        const dirty = new Map<string, number>();
        const held = (group: string): number => [...working].filter((key) => groupOf(key) === group).length;
        const take = async (): Promise<void> => {
          const open = [...ready].filter(([key]) => held(groupOf(key)) < 2);
          if (open.length === 0) return;
          const key = (await queue.next(forever)) ?? '';
          const highest = Math.max(...open.map(([, priority]) => priority));
          expect(ready.get(key), `${key} is ready, of the highest priority`).to.equal(highest);
          const rivals = open.filter(([, priority]) => priority === highest);
          expect(held(groupOf(key)), 'the fewest workers, two at most').to.equal(
            Math.min(...rivals.map(([rival]) => held(groupOf(rival)))),
          );
          ready.delete(key);
          working.add(key);
        };
        const finish = (key: string): void => {
          queue.done(key);
          working.delete(key);
          const priority = dirty.get(key);
          dirty.delete(key);
          if (priority !== undefined) ready.set(key, priority);
        };
        for (const move of moves) {
          if ('add' in move) {
            const set = working.has(move.add) ? dirty : ready;
            set.set(move.add, Math.max(move.priority, set.get(move.add) ?? move.priority));
            queue.add(move.add, { priority: move.priority });
          } else if ('finish' in move) {
            const key = [...working][move.finish];
            if (key !== undefined) finish(key);
          } else {
            await take();
          }
          expect(queue.length).to.equal(ready.size);
        }
        while (ready.size + working.size > 0) {
          for (const key of [...working]) finish(key);
          await take();
        }
        expect(queue.length).to.equal(0);
      }),
    );
  });
});
