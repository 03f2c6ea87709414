import PQueue from 'p-queue';
import type { Clock } from '../base/clock.ts';
import { OperatorError } from '../base/errors.ts';

/** What goes first while requests wait: `high` for what a person waits for, `low` for what nobody does. */
export type RequestPriority = 'high' | 'normal' | 'low';

const PRIORITIES: Readonly<Record<RequestPriority, number>> = { high: 2, normal: 1, low: 0 };

export interface RequestBudgetOptions {
  readonly clock: Clock;
  /** Requests a minute in the long run, 1 or more. Default 240. */
  readonly requestsPerMinute?: number;
  /** Requests that may be sent at once after a quiet time, on top of the rate. Default a quarter of a minute's. */
  readonly burst?: number;
  /** Counted requests under way at the same time, 1 or more. Default 8. */
  readonly concurrency?: number;
  /** The same for those that are not counted. Default 4. */
  readonly uncountedConcurrency?: number;
}

export interface RequestTurn {
  /**
   * What a hold applies to. Coder limits every path by itself, so a full `/files` must not stop the starts of
   * workspaces.
   */
  readonly lane: string;
  /** Default `normal`. */
  readonly priority?: RequestPriority | undefined;
  /** False for requests of a fixed rhythm, which take nothing from the budget and do not queue behind it. */
  readonly counted?: boolean | undefined;
  /** Waiting longer than this, in milliseconds, is given up with a `TurnTimeoutError`. Default: no limit. */
  readonly maxWaitMs?: number | undefined;
  /** Ends the waiting; the request itself must look at the signal on its own. */
  readonly signal?: AbortSignal | undefined;
}

/** The turn did not come in time. Nothing was sent. */
export class TurnTimeoutError extends OperatorError {
  /** When it is worth asking again. */
  readonly retryAfterMs: number;

  constructor(retryAfterMs: number) {
    super('TURN_TIMEOUT', 'there are more requests to Coder waiting than it takes', { retryable: true });
    this.retryAfterMs = retryAfterMs;
  }
}

/**
 * Keeps the requests to one Coder within its means: a bounded number at once, a token bucket for the rate, and a
 * pause for a lane in which Coder has asked for one. What waits is let through by priority, then by age.
 */
export class RequestBudget {
  readonly #clock: Clock;
  readonly #counted: PQueue;
  readonly #uncounted: PQueue;
  readonly #capacity: number;
  readonly #msPerToken: number;
  /** Lane to the monotonic time at which it may go on. */
  readonly #holds = new Map<string, number>();
  #tokens: number;
  #refilledAt: number;
  #refill: (() => void) | undefined;

  /** @throws {RangeError} when an option is out of its range. */
  constructor(options: RequestBudgetOptions) {
    const perMinute = atLeastOne('requestsPerMinute', options.requestsPerMinute ?? 240);
    this.#clock = options.clock;
    this.#counted = new PQueue({ concurrency: atLeastOne('concurrency', options.concurrency ?? 8) });
    this.#uncounted = new PQueue({
      concurrency: atLeastOne('uncountedConcurrency', options.uncountedConcurrency ?? 4),
    });
    this.#capacity = atLeastOne('burst', options.burst ?? Math.max(1, Math.floor(perMinute / 4)));
    this.#msPerToken = 60_000 / perMinute;
    this.#tokens = this.#capacity;
    this.#refilledAt = this.#clock.monotonic();
  }

  /**
   * Runs `task` when its turn comes.
   *
   * @throws the signal's reason when it aborts before the turn; TurnTimeoutError; what the task throws.
   */
  async run<T>(turn: RequestTurn, task: () => Promise<T>): Promise<T> {
    const giveUpAt = this.#clock.monotonic() + (turn.maxWaitMs ?? Infinity);
    for (;;) {
      const held = this.#holdLeft(turn.lane);
      if (this.#clock.monotonic() + held > giveUpAt) throw new TurnTimeoutError(held);
      // Outside the queue: a lane that is held must not take the place of one that is not.
      await this.#untilReleased(turn);
      const result = await this.#inTurn(
        turn,
        giveUpAt,
        async (): Promise<{ readonly value: T } | undefined> => {
          // Held while this one was waiting for its turn.
          if (this.#holdLeft(turn.lane) > 0) return undefined;
          if (turn.counted !== false) this.#takeToken();
          return { value: await task() };
        },
      );
      if (result !== undefined) return result.value;
    }
  }

  /** Lets nothing more into the lane for `ms` milliseconds, counted or not. */
  hold(lane: string, ms: number): void {
    this.#holds.set(lane, Math.max(this.#holds.get(lane) ?? 0, this.#clock.monotonic() + ms));
  }

  /** How many requests wait for their turn. */
  get waiting(): number {
    return this.#counted.size + this.#uncounted.size;
  }

  async #inTurn<T>(turn: RequestTurn, giveUpAt: number, task: () => Promise<T>): Promise<T> {
    const { signal } = turn;
    // The queue would also reject a task that has begun, before its outcome is known; only the waiting may be cut.
    const waiting = new AbortController();
    const stopWaiting = (): void => waiting.abort(signal?.reason);
    if (signal?.aborted === true) stopWaiting();
    else signal?.addEventListener('abort', stopWaiting, { once: true });
    const queue = turn.counted === false ? this.#uncounted : this.#counted;
    const leftMs = giveUpAt - this.#clock.monotonic();
    const tooLong = Number.isFinite(leftMs)
      ? this.#clock.after(leftMs, () => waiting.abort(new TurnTimeoutError(turn.maxWaitMs ?? 0)))
      : undefined;
    try {
      return await queue.add(
        () => {
          tooLong?.();
          signal?.removeEventListener('abort', stopWaiting);
          return task();
        },
        { priority: PRIORITIES[turn.priority ?? 'normal'], signal: waiting.signal },
      );
    } finally {
      tooLong?.();
      signal?.removeEventListener('abort', stopWaiting);
    }
  }

  /** Called at the start of a task, which the pause guarantees to find a token. */
  #takeToken(): void {
    this.#addTokens();
    this.#tokens -= 1;
    if (this.#tokens >= 1 || this.#refill !== undefined) return;
    this.#counted.pause();
    this.#refill = this.#clock.after((1 - this.#tokens) * this.#msPerToken, () => {
      this.#refill = undefined;
      this.#addTokens();
      // A timer may fire a moment early; a rounding error must not starve the queue either.
      this.#tokens = Math.max(this.#tokens, 1);
      this.#counted.start();
    });
  }

  #addTokens(): void {
    const now = this.#clock.monotonic();
    this.#tokens = Math.min(this.#capacity, this.#tokens + (now - this.#refilledAt) / this.#msPerToken);
    this.#refilledAt = now;
  }

  #holdLeft(lane: string): number {
    const until = this.#holds.get(lane);
    if (until === undefined) return 0;
    const left = until - this.#clock.monotonic();
    if (left <= 0) this.#holds.delete(lane);
    return Math.max(0, left);
  }

  async #untilReleased(turn: RequestTurn): Promise<void> {
    turn.signal?.throwIfAborted();
    for (let left = this.#holdLeft(turn.lane); left > 0; left = this.#holdLeft(turn.lane)) {
      await this.#clock.sleep(left, turn.signal);
    }
  }
}

function atLeastOne(option: string, value: number): number {
  if (!(value >= 1)) throw new RangeError(`${option} must be 1 or more, not ${value}`);
  return value;
}
