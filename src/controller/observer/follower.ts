import type { Clock } from '../../base/clock.ts';
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
  /** When it was last asked for: an answer that was asked for before says nothing about the build that is meant. */
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

/** Follows builds under way, closely and at a cost that depends on their number only. */
export class Follower {
  readonly #options: FollowerOptions;
  readonly #followed = new Map<string, Followed>();
  #wake: (() => void) | undefined;

  constructor(options: FollowerOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#followed.size;
  }

  /** Follows a workspace until its build ends. Following it twice is following it once. */
  follow(id: string): void {
    const since = this.#options.clock.monotonic();
    const before = this.#followed.get(id);
    this.#followed.set(
      id,
      // One that failed for long is looked at soon again: whoever asks has reason to think that it works.
      before === undefined || before.intervalMs > SLOWEST_MS
        ? { intervalMs: FASTEST_MS, dueAt: since + FASTEST_MS, since }
        : { ...before, since },
    );
    this.#wake?.();
  }

  /** Runs until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (await this.#untilDue(signal)) {
      const now = this.#options.clock.monotonic();
      const due = [...this.#followed].filter(([, f]) => f.dueAt <= now).map(([id]) => id);
      // Nobody waits for a read: one that hangs must not keep the others from being looked at.
      for (const id of due) this.#followed.set(id, { ...this.#following(id), dueAt: Infinity });
      if (due.length <= MOST_SINGLE_READS) {
        for (const id of due) void this.#readOne(id, signal);
      } else {
        for (let i = 0; i < due.length; i += GROUP) void this.#readMany(due.slice(i, i + GROUP), signal);
      }
    }
  }

  /** Waits until something is due; false when the signal aborted first. */
  async #untilDue(signal: AbortSignal): Promise<boolean> {
    const { clock } = this.#options;
    while (!signal.aborted) {
      const dueAt = Math.min(...[...this.#followed.values()].map((f) => f.dueAt));
      const waitMs = dueAt - clock.monotonic();
      if (waitMs <= 0) return true;
      await new Promise<void>((resolve) => {
        const cancel = Number.isFinite(waitMs) ? clock.after(waitMs, () => done()) : (): void => undefined;
        const done = (): void => {
          cancel();
          signal.removeEventListener('abort', done);
          this.#wake = undefined;
          resolve();
        };
        this.#wake = done;
        signal.addEventListener('abort', done, { once: true });
      });
    }
    return false;
  }

  async #readOne(id: string, signal: AbortSignal): Promise<void> {
    const askedAt = this.#options.clock.monotonic();
    try {
      this.#took(id, await this.#options.readOne(id, signal), askedAt);
    } catch (error) {
      this.#failed([id], error);
    }
  }

  async #readMany(ids: readonly string[], signal: AbortSignal): Promise<void> {
    const askedAt = this.#options.clock.monotonic();
    try {
      const records = new Map((await this.#options.readMany(ids, signal)).map((r) => [r.id, r]));
      for (const id of ids) this.#took(id, records.get(id), askedAt);
    } catch (error) {
      this.#failed(ids, error);
    }
  }

  #took(id: string, record: WorkspaceRecord | undefined, askedAt: number): void {
    const isUnderWay = record !== undefined && this.#options.isUnderWay(record);
    if (isUnderWay || this.#following(id).since >= askedAt) this.#again(id);
    else this.#followed.delete(id);
    this.#options.onRead(id, record, askedAt);
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
    const intervalMs = Math.max(atLeastMs, Math.min(SLOWEST_MS, this.#following(id).intervalMs * GROWTH));
    const dueAt = this.#options.clock.monotonic() + intervalMs;
    this.#followed.set(id, { ...this.#following(id), intervalMs, dueAt });
    this.#wake?.();
  }

  #following(id: string): Followed {
    return this.#followed.get(id) ?? { intervalMs: FASTEST_MS, dueAt: Infinity, since: -Infinity };
  }
}
