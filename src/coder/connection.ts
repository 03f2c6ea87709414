import { OperatorError } from '../base/errors.ts';
import { CoderError, isRateLimited } from './errors.ts';
import { TurnTimeoutError, type RequestBudget, type RequestPriority } from './ratelimit.ts';
import type { Transport } from './transport.ts';
import { type Answer, type Call, type RecordsCall } from './transport.ts';
import { readAnswer, type Reader } from './validate.ts';

/** What every call to Coder takes. */
export interface CallOptions {
  /** Gives the call up, while it waits for its turn as well as while it is under way. */
  readonly signal?: AbortSignal | undefined;
  /** Who goes first when calls have to wait. Default `normal`. */
  readonly priority?: RequestPriority | undefined;
  /** False for the fixed rhythms of the observer, which take nothing from the request budget. Default true. */
  readonly counted?: boolean | undefined;
  /**
   * Called right before the request is sent, after all waiting. What it throws is thrown, and nothing is sent: the place
   * for a last look whether the caller may still act.
   */
  readonly beforeSend?: (() => void) | undefined;
  /** From the first byte sent to the last one read, in milliseconds. Default: the connection's. */
  readonly timeoutMs?: number | undefined;
  /** Largest answer in bytes. Default 8 MiB. */
  readonly maxBytes?: number | undefined;
  /** Texts in the request that no error may quote, when Coder repeats them. */
  readonly secrets?: readonly string[] | undefined;
}

/**
 * Longest wait for a turn of a counted call, in milliseconds. Whoever calls has others to serve, and comes again.
 * Together with the request's own time-out it bounds how late a call may still reach Coder.
 */
const LONGEST_WAIT_MS = 5_000;

/** Calls to one Coder: within the request budget, checked, and holding back where Coder asks for it. */
export class Connection {
  readonly #transport: Transport;
  readonly #budget: RequestBudget;

  constructor(transport: Transport, budget: RequestBudget) {
    this.#transport = transport;
    this.#budget = budget;
  }

  /** @throws {CoderError} */
  async call<T>(call: Call, read: Reader<T>, options: CallOptions = {}): Promise<T> {
    const { value, context } = await this.#inTurn(call, options, () => this.#transport.json(call, options));
    return readAnswer(value, read, context);
  }

  /** As `call`, for a list whose records are read one by one while they arrive. @throws {CoderError} */
  async records<T>(
    call: Call,
    list: RecordsCall,
    read: Reader<T>,
    options: CallOptions = {},
  ): Promise<{ readonly skeleton: T; readonly skipped: number }> {
    const answer = await this.#inTurn(call, options, () => this.#transport.records(call, list, options));
    return { skeleton: readAnswer(answer.value, read, answer.context), skipped: answer.skipped };
  }

  /** As `call`, for a file of the type that `accept` says. @throws {CoderError} */
  async bytes(call: Call & { readonly accept: string }, options: CallOptions = {}): Promise<Buffer> {
    const { value } = await this.#inTurn(call, options, () => this.#transport.bytes(call, options));
    return value;
  }

  close(): void {
    this.#transport.close();
  }

  async #inTurn<A extends Answer>(call: Call, options: CallOptions, send: () => Promise<A>): Promise<A> {
    const lane = call.route;
    try {
      const maxWaitMs = options.counted === false ? undefined : LONGEST_WAIT_MS;
      return await this.#budget.run({ ...options, lane, maxWaitMs }, () => {
        options.beforeSend?.();
        return send();
      });
    } catch (error) {
      if (error instanceof TurnTimeoutError) {
        const message = `${call.method} ${call.route}: ${error.message}`;
        throw new CoderError('RateLimited', message, { retryAfterMs: Math.max(1_000, error.retryAfterMs) });
      }
      if (isRateLimited(error)) this.#budget.hold(lane, error.retryAfterMs);
      if (options.signal?.aborted === true && !(error instanceof OperatorError)) {
        throw new CoderError('Aborted', `${call.method} ${call.route}: the request was given up`, {
          cause: error,
        });
      }
      throw error;
    }
  }
}
