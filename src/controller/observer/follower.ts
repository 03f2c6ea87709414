import type { Clock } from '../../base/clock.ts';
import { Alarm } from './alarm.ts';
import type { WorkspaceRecord } from './record.ts';

export interface FollowerOptions {
  readonly clock: Clock;
  /** Reads one workspace; undefined when it is not there any more. */
  readonly readOne: (id: string, signal: AbortSignal) => Promise<WorkspaceRecord | undefined>;
  /** Reads several at once; those that are not there any more are left out. */
  readonly readMany: (ids: readonly string[], signal: AbortSignal) => Promise<readonly WorkspaceRecord[]>;
  /** Whether the build of this record is still to be followed. */
  readonly isUnderWay: (record: WorkspaceRecord) => boolean;
  /** Told of each workspace that was read, and of those that are not there any more. */
  readonly onRead: (id: string, record: WorkspaceRecord | undefined, askedAt: number) => void;
  /** Told when a read failed; the workspace is followed on. */
  readonly onError: (error: unknown) => void;
}

interface Followed {
  readonly intervalMs: number;
  readonly dueAt: number;
  /** At which step it was last asked for: a read of an earlier one says nothing about the build that is meant. */
  readonly since: number;
}

/** A build is looked at after this long at first, then more and more seldom, up to `SLOWEST_MS`. */
const FASTEST_MS = 250;
const SLOWEST_MS = 1_000;
const GROWTH = 1.25;
/** While reads fail, they become as seldom as this. */
const SLOWEST_FAILING_MS = 30_000;
/** Up to so many are read one by one, which Coder answers soonest; more are read together. */
const MOST_SINGLE_READS = 8;
/** Ids in one query: the URL must stay well below what proxies accept. */
const GROUP = 100;
/** Among many, what is due within this time is read along with what is due now: a query costs the same for one as for all. */
const TOGETHER_MS = 250;
/**
 * With thousands of builds under way the rhythm becomes slower, so that there are no more queries than this allows:
 * Coder takes 512 a minute from one address.
 */
const BETWEEN_GROUPS_MS = 200;

/** Follows builds under way, closely and at a cost that depends on their number only. */
export class Follower {
  readonly #options: FollowerOptions;
  readonly #followed = new Map<string, Followed>();
  readonly #alarm: Alarm;
  /** Counts what is asked of us and of Coder, one after the other. */
  #step = 0;

  constructor(options: FollowerOptions) {
    this.#options = options;
    this.#alarm = new Alarm(options.clock);
  }

  get size(): number {
    return this.#followed.size;
  }

  /**
   * Follows a workspace until its build ends. Following it twice is following it once.
   *
   * @param firstAfterMs until it is looked at for the first time, if it is not followed yet.
   */
  follow(id: string, firstAfterMs = FASTEST_MS): void {
    const dueAt = this.#options.clock.monotonic() + firstAfterMs;
    const since = ++this.#step;
    const before = this.#followed.get(id);
    this.#followed.set(
      id,
      // One that failed for long is looked at soon again: whoever asks has reason to think that it works.
      before === undefined || before.intervalMs > this.#slowestMs
        ? { intervalMs: FASTEST_MS, dueAt, since }
        : { ...before, since },
    );
    this.#alarm.ring();
  }

  /** Runs until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const now = this.#options.clock.monotonic();
      let next = Infinity;
      for (const { dueAt } of this.#followed.values()) next = Math.min(next, dueAt);
      if (next <= now) this.#readDue(now, signal);
      else await this.#alarm.until(next, signal);
    }
  }

  /** Nobody waits for a read: one that hangs must not keep the others from being looked at. */
  #readDue(now: number, signal: AbortSignal): void {
    const areFew = this.#followed.size <= MOST_SINGLE_READS;
    const until = areFew ? now : now + TOGETHER_MS;
    const due: string[] = [];
    for (const [id, followed] of this.#followed) {
      if (followed.dueAt > until) continue;
      due.push(id);
      this.#followed.set(id, { ...followed, dueAt: Infinity });
    }
    if (areFew) {
      for (const id of due) void this.#readOne(id, signal);
    } else {
      for (let i = 0; i < due.length; i += GROUP) void this.#readMany(due.slice(i, i + GROUP), signal);
    }
  }

  get #slowestMs(): number {
    return Math.max(SLOWEST_MS, Math.ceil(this.#followed.size / GROUP) * BETWEEN_GROUPS_MS);
  }

  async #readOne(id: string, signal: AbortSignal): Promise<void> {
    const [step, askedAt] = [++this.#step, this.#options.clock.monotonic()];
    try {
      const record = await this.#options.readOne(id, signal);
      this.#took(id, record, step);
      this.#options.onRead(id, record, askedAt);
    } catch (error) {
      this.#failed([id], error);
    }
  }

  async #readMany(ids: readonly string[], signal: AbortSignal): Promise<void> {
    const [step, askedAt] = [++this.#step, this.#options.clock.monotonic()];
    try {
      const records = new Map((await this.#options.readMany(ids, signal)).map((r) => [r.id, r]));
      for (const id of ids) {
        this.#took(id, records.get(id), step);
        this.#options.onRead(id, records.get(id), askedAt);
      }
    } catch (error) {
      this.#failed(ids, error);
    }
  }

  #took(id: string, record: WorkspaceRecord | undefined, step: number): void {
    const isUnderWay = record !== undefined && this.#options.isUnderWay(record);
    if (isUnderWay || this.#following(id).since > step) this.#again(id);
    else this.#followed.delete(id);
  }

  #failed(ids: readonly string[], error: unknown): void {
    for (const id of ids) {
      const doubled = 2 * this.#following(id).intervalMs;
      this.#again(id, Math.min(SLOWEST_FAILING_MS, Math.max(SLOWEST_MS, doubled)));
    }
    this.#options.onError(error);
  }

  #again(id: string, atLeastMs = 0): void {
    if (!this.#followed.has(id)) return;
    const intervalMs = Math.max(
      atLeastMs,
      Math.min(this.#slowestMs, this.#following(id).intervalMs * GROWTH),
    );
    const dueAt = this.#options.clock.monotonic() + intervalMs;
    this.#followed.set(id, { ...this.#following(id), intervalMs, dueAt });
    this.#alarm.ring();
  }

  #following(id: string): Followed {
    return this.#followed.get(id) ?? { intervalMs: FASTEST_MS, dueAt: Infinity, since: -Infinity };
  }
}
