import { expect } from 'chai';
import { silentLogger } from '../../../src/base/logger.ts';
import { KubeError } from '../../../src/kube/errors.ts';
import { runWorkers, type WorkersOptions, type WorkResult } from '../../../src/kube/workers.ts';
import { WorkQueue } from '../../../src/kube/workqueue.ts';
import { FakeClock, settle } from '../../support/clock.ts';

/** A clock on which work in memory takes time. */
class BusyClock extends FakeClock {
  #held = 0;
  #heldBefore = 0;
  #turn: Promise<void> | undefined;

  hold(ms: number): void {
    this.#held += ms;
  }

  override monotonic(): number {
    return super.monotonic() + this.#held;
  }

  /** As the machine's clock: a turn is a long one after 8 ms. */
  override breathe(): Promise<void> | undefined {
    if (this.#held - this.#heldBefore < 8) return undefined;
    this.#turn ??= new Promise((resolve) => {
      setImmediate(() => {
        this.#heldBefore = this.#held;
        this.#turn = undefined;
        resolve();
      });
    });
    return this.#turn;
  }
}

interface Bench {
  readonly clock: BusyClock;
  readonly queue: WorkQueue;
  readonly results: WorkResult[];
  readonly stop: () => Promise<void>;
}

function start(handler: WorkersOptions['handler'], workers = 1): Bench {
  const clock = new BusyClock();
  const queue = new WorkQueue({ clock, random: () => 1 });
  const controller = new AbortController();
  const results: WorkResult[] = [];
  const { signal } = controller;
  const onResult = (result: WorkResult): unknown => results.push(result);
  const running = runWorkers({ queue, workers, handler, logger: silentLogger, clock, signal, onResult });
  const stop = (): Promise<void> => {
    controller.abort();
    return running;
  };
  return { clock, queue, results, stop };
}

/** A handler that never succeeds. */
function failing(error: Error): () => Promise<void> {
  return () => Promise.reject(error);
}

describe('runWorkers', () => {
  it('works on as many keys at a time as it may', async () => {
    let atOnce = 0;
    let most = 0;
    const { clock, queue, results, stop } = start(async () => {
      most = Math.max(most, ++atOnce);
      await clock.sleep(10);
      atOnce--;
    }, 3);
    for (let i = 0; i < 7; i++) queue.add(`k${i}`);
    await clock.advance(100);
    expect(most).to.equal(3);
    expect(results).to.have.length(7);
    await stop();
  });

  it('lives on after a handler that throws, and tries the key again with growing delays', async () => {
    let failures = 2;
    const { clock, queue, results, stop } = start(async () => {
      await settle();
      if (failures-- > 0) throw new Error('boom');
    });
    queue.add('a');
    await clock.advance(0);
    expect(queue.failures('a')).to.equal(1);
    await clock.advance(1000);
    expect(queue.failures('a')).to.equal(2);
    await clock.advance(2000);
    expect(results.map(({ outcome }) => outcome)).to.deep.equal(['error', 'error', 'success']);
    expect(queue.failures('a')).to.equal(0);
    await stop();
  });

  it('comes back when the handler asks for it', async () => {
    const { clock, queue, results, stop } = start(() => Promise.resolve({ requeueAfterMs: 5000 }));
    queue.add('a');
    await clock.advance(4999);
    expect(results).to.have.length(1);
    await clock.advance(1);
    expect(results.map(({ outcome }) => outcome)).to.deep.equal(['requeue_after', 'requeue_after']);
    await stop();
  });

  it('F1, F2. does not call a conflict an error', async () => {
    const conflict = new KubeError('KUBE_REFUSED', 'stale', { status: 409, reason: 'Conflict' });
    const { clock, queue, results, stop } = start(failing(conflict));
    queue.add('a');
    await clock.advance(0);
    expect(results.map(({ outcome }) => outcome)).to.deep.equal(['conflict']);
    expect(queue.delayed).to.equal(1);
    await stop();
  });

  it('waits as long as the API server asks', async () => {
    const busy = new KubeError('KUBE_REFUSED', 'busy', { status: 429, retryAfterMs: 30_000 });
    const { clock, queue, results, stop } = start(failing(busy));
    queue.add('a');
    await clock.advance(29_999);
    expect(results).to.have.length(1);
    await clock.advance(1);
    expect(results).to.have.length(2);
    await stop();
  });

  it('takes no key after the abort, and ends when the running handlers have', async () => {
    const { clock, queue, results, stop } = start(() => clock.sleep(1000));
    queue.add('a');
    queue.add('b');
    await settle();
    let ended = false;
    const stopped = stop().then(() => (ended = true));
    await clock.advance(999);
    expect(ended).to.equal(false);
    await clock.advance(1);
    await stopped;
    expect(results.map(({ key }) => key)).to.deep.equal(['a']);
    expect(queue.length).to.equal(1);
  });

  it('lets the event loop turn however much work is only in memory', async () => {
    let turned = false;
    const seenAt: boolean[] = [];
    const { clock, queue, stop } = start(() => {
      clock.hold(6);
      seenAt.push(turned);
      return Promise.resolve();
    });
    for (let i = 0; i < 5; i++) queue.add(`k${i}`);
    setImmediate(() => (turned = true));
    await settle();
    expect(seenAt.slice(0, 2)).to.deep.equal([false, false]);
    expect(seenAt.at(-1)).to.equal(true);
    await stop();
  });
});
