import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Clock } from '../../base/clock.ts';
import { timedOut } from './errors.ts';
import { parseTarget } from './requestinfo.ts';
import { StatusError } from './status.ts';
import type { RequestInfo, UserInfo } from './types.ts';

/** An Audit-ID of others is taken over when it is fit to be printed. */
const PRINTABLE_ID = /^[\x21-\x7e]{1,128}$/;

/** One request on its way, and what becomes known of it. */
export class Exchange {
  readonly request: IncomingMessage;
  /** By which this request is found in the log of kube-apiserver and in ours. */
  readonly auditId: string;
  /** By the monotonic clock, in milliseconds. */
  readonly started: number;
  readonly info: RequestInfo;
  readonly query: URLSearchParams;
  /** Why the target of the request cannot be read. */
  readonly fault: StatusError | undefined;
  user: UserInfo | undefined;
  /** Asks how this process is: what it is told is no failure of the answer. */
  isProbe = false;
  /** Gives back what is held for as long as the request lasts. */
  release: (() => void) | undefined;
  readonly #clock: Clock;
  readonly #controller = new AbortController();
  #cancelDeadline: (() => void) | undefined;

  constructor(request: IncomingMessage, clock: Clock) {
    this.request = request;
    this.#clock = clock;
    this.started = clock.monotonic();
    const id = request.headers['audit-id'];
    this.auditId = typeof id === 'string' && PRINTABLE_ID.test(id) ? id : randomUUID();
    const method = request.method ?? '';
    try {
      ({ info: this.info, query: this.query } = parseTarget(method, request.url ?? ''));
    } catch (error) {
      if (!(error instanceof StatusError)) throw error;
      this.fault = error;
      ({ info: this.info, query: this.query } = parseTarget(method, '/'));
    }
  }

  /** Aborts when nobody waits for the answer any more; the reason is a StatusError when there still is one to send. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** May last for as long as its client wants. */
  get isLongRunning(): boolean {
    return this.info.isResourceRequest && this.info.verb === 'watch';
  }

  /** Aborts so many milliseconds after the request came, and calls. */
  startDeadline(ms: number, onExpired: () => void): void {
    const left = ms - (this.#clock.monotonic() - this.started);
    this.#cancelDeadline = this.#clock.after(left, () => {
      this.#controller.abort(timedOut());
      onExpired();
    });
  }

  abort(reason: Error): void {
    this.#controller.abort(reason);
  }

  /**
   * To be called when it is over.
   *
   * @param isWhole false: the client has gone before it had its answer.
   */
  finish(isWhole: boolean): void {
    this.#cancelDeadline?.();
    if (!isWhole) this.abort(new Error('the client has gone'));
    this.release?.();
  }
}
