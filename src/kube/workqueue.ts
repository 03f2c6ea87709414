import type { Clock } from '../base/clock.ts';
import { Heap } from './heap.ts';

/** What a queue reports as it happens; the names are those of controller-runtime's `workqueue_*` series. */
export interface WorkQueueMetrics {
  /** Keys that are ready and not being worked on. */
  depth(keys: number): void;
  added(): void;
  retried(): void;
  /** From ready to taken. */
  queueDuration(seconds: number): void;
  /** From taken to done. */
  workDuration(seconds: number): void;
}

export interface WorkQueueOptions {
  readonly clock: Clock;
  readonly metrics?: WorkQueueMetrics;
  /** Delay after the first failure of a key, in milliseconds; doubles with each further one. Default 1000. */
  readonly baseMs?: number;
  /** Longest delay after a failure, in milliseconds. Default 300,000. */
  readonly maxMs?: number;
  /**
   * Waiting so long, in milliseconds, counts as one point of priority, so that nothing waits for ever. Default 3000:
   * after five minutes a key of priority −100 goes before a new one of priority 0.
   */
  readonly msPerPoint?: number;
  /** Between 0 and 1; default Math.random. */
  readonly random?: () => number;
  /**
   * Whose key it is. Groups share the workers: of keys of one priority the group comes first that has the fewest being
   * worked on, and of equal groups the one whose last turn is longest ago. Left out: all keys are of one group.
   */
  readonly groupOf?: (key: string) => string;
  /**
   * Most keys of one group that are worked on at a time; default no limit. Below the number of workers, so that a
   * group whose work hangs cannot hold them all.
   */
  readonly maxPerGroup?: number;
}

export interface AddOptions {
  /** Higher comes first; default 0. */
  readonly priority?: number;
}

/** Common priorities. What a person waits for goes before a mirror, of which there may be thousands at once. */
export const priorities = { change: 0, mirror: -20, requeue: -50, resync: -100 } as const;

interface Ready {
  readonly key: string;
  readonly priority: number;
  /** When the key became ready, on the monotonic clock. */
  readonly since: number;
  readonly order: number;
}

interface Delayed {
  readonly key: string;
  readonly priority: number;
  readonly due: number;
  readonly order: number;
}

/** The keys of one owner that are ready or being worked on. */
interface Group {
  readonly name: string;
  /** How many are being worked on. */
  working: number;
  /** When its last turn was, as a number that grows. A group that appears has just had one: it waits for the others. */
  turn: number;
  /** By priority. */
  readonly lanes: Map<number, Lane>;
}

/** The ready keys of one group and one priority, the longest waiting first. */
interface Lane {
  readonly group: Group;
  readonly priority: number;
  readonly ready: Heap<Ready>;
}

/**
 * A set of keys that need work, with the semantics of client-go's work queue: a key is in it once however often it is
 * added, never with two workers at a time, and once more after its worker when it is added meanwhile.
 *
 * What comes next is decided in two steps. Priority and waiting decide which priority has its turn: that of the key
 * that ranks highest of all. Among the groups that have keys of this priority, fairness decides. So a thousand keys of
 * one group delay a key of another by a few at most, and within a group nothing overtakes but by priority.
 */
export class WorkQueue {
  readonly #clock: Clock;
  readonly #metrics: WorkQueueMetrics | undefined;
  readonly #baseMs: number;
  readonly #maxMs: number;
  readonly #random: () => number;
  readonly #groupOf: (key: string) => string;
  readonly #maxPerGroup: number;
  readonly #msPerPoint: number;
  readonly #groups = new Map<string, Group>();
  /** The valid entry of each ready key; entries of a lane that are not in here are leftovers of a raise. */
  readonly #current = new Map<string, Ready>();
  /** When work on each key began. */
  readonly #processing = new Map<string, number>();
  /** Added while being worked on, with the priority to come back with. */
  readonly #dirty = new Map<string, number>();
  readonly #delayed = new Heap<Delayed>((a, b) => a.due < b.due || (a.due === b.due && a.order < b.order));
  readonly #nextDue = new Map<string, Delayed>();
  readonly #failures = new Map<string, number>();
  readonly #waiters = new Set<(key: string | undefined) => void>();
  #timer: { readonly due: number; readonly cancel: () => void } | undefined;
  #order = 0;
  #closed = false;

  constructor(options: WorkQueueOptions) {
    this.#clock = options.clock;
    this.#metrics = options.metrics;
    this.#baseMs = options.baseMs ?? 1000;
    this.#maxMs = options.maxMs ?? 300_000;
    this.#random = options.random ?? Math.random;
    this.#groupOf = options.groupOf ?? (() => '');
    this.#maxPerGroup = options.maxPerGroup ?? Number.POSITIVE_INFINITY;
    this.#msPerPoint = options.msPerPoint ?? 3000;
    if (!(this.#maxPerGroup >= 1)) throw new RangeError('a group must be allowed one key at a time at least');
  }

  /** Keys that are ready and not being worked on. */
  get length(): number {
    return this.#current.size;
  }

  /** Keys that wait for their time. */
  get delayed(): number {
    return this.#nextDue.size;
  }

  /** How long each key that is being worked on has been so, in milliseconds. */
  workInProgress(): Map<string, number> {
    const now = this.#clock.monotonic();
    return new Map(Array.from(this.#processing, ([key, since]) => [key, now - since]));
  }

  /** The key needs work now. A key that is ready already can only rise in priority. */
  add(key: string, options: AddOptions = {}): void {
    if (this.#closed) return;
    const priority = options.priority ?? 0;
    if (this.#processing.has(key)) {
      const before = this.#dirty.get(key);
      if (before === undefined) this.#metrics?.added();
      this.#dirty.set(key, Math.max(before ?? Number.NEGATIVE_INFINITY, priority));
      return;
    }
    const ready = this.#current.get(key);
    if (ready !== undefined && ready.priority >= priority) return;
    if (ready === undefined) this.#metrics?.added();
    this.#enqueue(key, priority, ready?.since);
  }

  /** The key needs work in `ms` milliseconds. Of several such wishes the earliest wins; the others are dropped. */
  addAfter(key: string, ms: number, options: AddOptions = {}): void {
    if (this.#closed) return;
    if (ms <= 0) {
      this.add(key, options);
      return;
    }
    const due = this.#clock.monotonic() + ms;
    const before = this.#nextDue.get(key);
    if (before !== undefined && before.due <= due) return;
    const delayed: Delayed = { key, due, priority: options.priority ?? 0, order: this.#order++ };
    this.#nextDue.set(key, delayed);
    this.#delayed.push(delayed);
    this.#armTimer();
  }

  /**
   * The key failed: it comes back after a delay that doubles with each failure, between half of it and all of it at
   * random, and after `atLeastMs` at the earliest.
   */
  addRateLimited(key: string, options: AddOptions & { readonly atLeastMs?: number } = {}): void {
    if (this.#closed) return;
    const failures = this.failures(key);
    this.#failures.set(key, failures + 1);
    this.#metrics?.retried();
    const delay = Math.min(this.#maxMs, this.#baseMs * 2 ** Math.min(failures, 30));
    this.addAfter(key, Math.max(options.atLeastMs ?? 0, delay * (0.5 + this.#random() / 2)), options);
  }

  /** The key is well: its next failure is a first one. A time it waits for stays. */
  forget(key: string): void {
    this.#failures.delete(key);
  }

  /** Failures since the last `forget`. */
  failures(key: string): number {
    return this.#failures.get(key) ?? 0;
  }

  /** The key to work on next; waits for one. Undefined once the signal aborts or the queue is shut down. */
  next(signal: AbortSignal): Promise<string | undefined> {
    if (this.#closed || signal.aborted) return Promise.resolve(undefined);
    const key = this.#take();
    if (key !== undefined) return Promise.resolve(key);
    return new Promise((resolve) => {
      const waiter = (found: string | undefined): void => {
        signal.removeEventListener('abort', onAbort);
        resolve(found);
      };
      const onAbort = (): void => {
        this.#waiters.delete(waiter);
        resolve(undefined);
      };
      this.#waiters.add(waiter);
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }

  /** The worker that took the key has finished. Must be called exactly once for every key taken. */
  done(key: string): void {
    const since = this.#processing.get(key);
    if (since === undefined) return;
    this.#processing.delete(key);
    this.#metrics?.workDuration((this.#clock.monotonic() - since) / 1000);
    const group = this.#group(key);
    group.working--;
    const priority = this.#dirty.get(key);
    this.#dirty.delete(key);
    if (priority !== undefined && !this.#closed) this.#enqueue(key, priority, undefined);
    // Keys of this group may have waited for the end of one.
    else this.#serve();
    this.#forgetIfIdle(group);
  }

  /** Takes and gives nothing any more. Keys being worked on are unaffected; those that wait are dropped. */
  shutDown(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#nextDue.clear();
    this.#current.clear();
    for (const waiter of this.#waiters) waiter(undefined);
    this.#waiters.clear();
  }

  #enqueue(key: string, priority: number, since: number | undefined): void {
    const entry = { key, priority, since: since ?? this.#clock.monotonic(), order: this.#order++ };
    this.#current.set(key, entry);
    const group = this.#group(key);
    let lane = group.lanes.get(priority);
    if (lane === undefined) {
      lane = { group, priority, ready: new Heap(isBefore) };
      group.lanes.set(priority, lane);
    }
    lane.ready.push(entry);
    if (!this.#serve()) this.#metrics?.depth(this.length);
  }

  #group(key: string): Group {
    const name = this.#groupOf(key);
    let group = this.#groups.get(name);
    if (group === undefined) {
      group = { name, working: 0, turn: this.#order++, lanes: new Map() };
      this.#groups.set(name, group);
    }
    return group;
  }

  #forgetIfIdle(group: Group): void {
    for (const lane of group.lanes.values()) this.#first(lane);
    if (group.working === 0 && group.lanes.size === 0) this.#groups.delete(group.name);
  }

  /** Gives keys to workers that wait. Answers whether one got one. */
  #serve(): boolean {
    let served = false;
    for (const waiter of this.#waiters) {
      const key = this.#take();
      if (key === undefined) break;
      this.#waiters.delete(waiter);
      waiter(key);
      served = true;
    }
    return served;
  }

  #take(): string | undefined {
    const lane = this.#nextLane();
    const entry = lane?.ready.pop();
    if (lane === undefined || entry === undefined) return undefined;
    const { group } = lane;
    if (lane.ready.size === 0) group.lanes.delete(lane.priority);
    group.working++;
    group.turn = this.#order++;
    const now = this.#clock.monotonic();
    this.#current.delete(entry.key);
    this.#processing.set(entry.key, now);
    this.#metrics?.depth(this.length);
    this.#metrics?.queueDuration((now - entry.since) / 1000);
    return entry.key;
  }

  /** Looks at each group that has keys ready, of which there are few, and never at the keys behind the first. */
  #nextLane(): Lane | undefined {
    let highest: { readonly lane: Lane; readonly first: Ready } | undefined;
    const open: Lane[] = [];
    for (const group of this.#groups.values()) {
      if (group.working >= this.#maxPerGroup) continue;
      for (const lane of group.lanes.values()) {
        const first = this.#first(lane);
        if (first === undefined) continue;
        open.push(lane);
        if (highest === undefined || this.#ranksAbove(first, highest.first)) highest = { lane, first };
      }
    }
    let fairest = highest?.lane;
    for (const lane of open) {
      if (fairest?.priority === lane.priority && isFairer(lane.group, fairest.group)) fairest = lane;
    }
    return fairest;
  }

  /** The first valid entry of a lane; a lane without any is dropped. */
  #first(lane: Lane): Ready | undefined {
    for (let first = lane.ready.peek(); first !== undefined; first = lane.ready.peek()) {
      if (this.#current.get(first.key) === first) return first;
      lane.ready.pop();
    }
    lane.group.lanes.delete(lane.priority);
    return undefined;
  }

  #ranksAbove(a: Ready, b: Ready): boolean {
    const difference = a.priority - b.priority - (a.since - b.since) / this.#msPerPoint;
    return difference > 0 || (difference === 0 && a.order < b.order);
  }

  /** One timer, for the earliest key; an entry that an earlier one has replaced is skipped when it comes up. */
  #armTimer(): void {
    const first = this.#delayed.peek();
    if (first === undefined || (this.#timer !== undefined && this.#timer.due <= first.due)) return;
    this.#timer?.cancel();
    const ms = Math.max(0, first.due - this.#clock.monotonic());
    this.#timer = { due: first.due, cancel: this.#clock.after(ms, () => this.#release()) };
  }

  #release(): void {
    this.#timer = undefined;
    const now = this.#clock.monotonic();
    for (
      let first = this.#delayed.peek();
      first !== undefined && first.due <= now;
      first = this.#delayed.peek()
    ) {
      this.#delayed.pop();
      if (this.#nextDue.get(first.key) !== first) continue;
      this.#nextDue.delete(first.key);
      this.add(first.key, { priority: first.priority });
    }
    this.#armTimer();
  }
}

function isBefore(a: Ready, b: Ready): boolean {
  return a.since < b.since || (a.since === b.since && a.order < b.order);
}

function isFairer(a: Group, b: Group): boolean {
  return a.working < b.working || (a.working === b.working && a.turn < b.turn);
}
