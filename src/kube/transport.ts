import { request, type Dispatcher } from 'undici';
import type { Clock } from '../base/clock.ts';
import { OperatorError } from '../base/errors.ts';
import type { KubeConnection } from './connection.ts';
import { abortable, abortReason, startDeadline, type Deadline } from './deadline.ts';
import {
  changes,
  deadlineError,
  errorFromAnswer,
  errorFromNetwork,
  isReset,
  KubeError,
  type KubeCall,
  type KubeVerb,
} from './errors.ts';

/** One finished exchange, for metrics. */
export interface KubeRequestRecord {
  readonly verb: KubeVerb;
  /** Plural name, with the subresource if any: `coderworkspaces/status`. */
  readonly resource: string;
  /** HTTP status; 0 when there was no answer. */
  readonly code: number;
  /** Until the headers of the answer. */
  readonly durationMs: number;
}

export interface TransportOptions {
  readonly connection: KubeConnection;
  readonly clock: Clock;
  /** Program and version, such as `coder-operator/1.2.3`. */
  readonly userAgent: string;
  /** Called once for every exchange, also those that are made again. */
  readonly onRequest?: ((record: KubeRequestRecord) => void) | undefined;
}

export interface Exchange {
  readonly call: KubeCall;
  /** For metrics. */
  readonly resource: string;
  readonly method: Dispatcher.HttpMethod;
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly body?: unknown;
  readonly contentType?: string;
}

export interface Limits {
  readonly signal?: AbortSignal | undefined;
  /** For credentials, request and answer together, in milliseconds. */
  readonly deadlineMs: number;
}

const MAX_ERROR_BYTES = 1024 * 1024;

/**
 * HTTP exchanges with the API server, bounded in time and size. Throws KubeErrors for what the server or the network
 * did, and the signal's reason when the caller aborts.
 *
 * Nothing is tried again except where it cannot matter: a read once when a kept-alive connection was reset under it,
 * and any call once with fresh credentials after a 401.
 */
export class KubeTransport {
  readonly #options: TransportOptions;

  constructor(options: TransportOptions) {
    this.#options = options;
  }

  /** The parsed answer. */
  async send<T>(what: Exchange, limits: Limits & { readonly maxBytes: number }): Promise<T> {
    const { clock, connection } = this.#options;
    const started = clock.monotonic();
    const deadline = startDeadline(clock, limits.deadlineMs, limits.signal);
    const attempt = async (): Promise<T> => {
      // The deadline covers what the transport's own time-outs would.
      const answer = await this.#exchange(what, deadline, { headersTimeout: 0, bodyTimeout: 0 });
      return parseAnswer(await readText(answer.body, what.call, limits.maxBytes), what.call) as T;
    };
    try {
      return await attempt().catch((error: unknown) => {
        if (isReset(error)) connection.suspect(started);
        if (what.method !== 'GET' || !isReset(error) || deadline.signal.aborted) throw error;
        return attempt();
      });
    } catch (error) {
      if (deadline.expired) connection.suspect(started);
      throw explained(error, what.call, deadline, limits);
    } finally {
      deadline.dispose();
    }
  }

  /**
   * The raw bytes of a long answer. Resolves once the server has accepted the request.
   *
   * @param inactivityMs silence that ends the stream with an error; default that of the connection.
   */
  async stream(
    what: Exchange,
    limits: Limits & { readonly inactivityMs?: number | undefined },
  ): Promise<AsyncIterable<Uint8Array>> {
    const deadline = startDeadline(this.#options.clock, limits.deadlineMs, limits.signal);
    try {
      const timeouts = limits.inactivityMs === undefined ? {} : { bodyTimeout: limits.inactivityMs };
      const answer = await this.#exchange(what, deadline, timeouts);
      return streamed(answer.body, what.call, deadline, limits);
    } catch (error) {
      deadline.dispose();
      throw explained(error, what.call, deadline, limits);
    }
  }

  /** An answer of success whose body has not been read. */
  async #exchange(what: Exchange, deadline: Deadline, timeouts: Timeouts): Promise<Dispatcher.ResponseData> {
    let answer = await this.#dispatch(what, deadline, timeouts);
    if (answer.statusCode === 401) {
      await answer.body.dump();
      this.#options.connection.refresh();
      answer = await this.#dispatch(what, deadline, timeouts);
    }
    if (answer.statusCode >= 200 && answer.statusCode < 300) return answer;
    const text = await readText(answer.body, what.call, MAX_ERROR_BYTES);
    const retryAfter = answer.headers['retry-after'];
    throw errorFromAnswer(
      what.call,
      answer.statusCode,
      parseJson(text),
      typeof retryAfter === 'string' ? retryAfter : undefined,
      this.#options.clock.now(),
    );
  }

  async #dispatch(what: Exchange, deadline: Deadline, timeouts: Timeouts): Promise<Dispatcher.ResponseData> {
    const { connection, clock, userAgent, onRequest } = this.#options;
    const started = clock.monotonic();
    let code = 0;
    try {
      const credentials = await abortable(connection.headers(), deadline.signal);
      const answering = request(connection.baseUrl + what.path + queryString(what.query), {
        ...timeouts,
        method: what.method,
        dispatcher: what.call.verb === 'watch' ? connection.watchDispatcher : connection.dispatcher,
        signal: deadline.signal,
        headers: {
          ...credentials,
          accept: 'application/json',
          'user-agent': userAgent,
          ...(what.body === undefined ? {} : { 'content-type': what.contentType ?? 'application/json' }),
        },
        body: what.body === undefined ? null : JSON.stringify(what.body),
      });
      // undici heeds the signal only once it is connected.
      const answer = await abortable(answering, deadline.signal);
      code = answer.statusCode;
      return answer;
    } finally {
      const durationMs = clock.monotonic() - started;
      onRequest?.({ verb: what.call.verb, resource: what.resource, code, durationMs });
    }
  }
}

interface Timeouts {
  readonly headersTimeout?: number;
  readonly bodyTimeout?: number;
}

function queryString(query: Exchange['query'] = {}): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) parameters.set(name, String(value));
  }
  return parameters.size === 0 ? '' : `?${parameters.toString()}`;
}

async function readText(body: AsyncIterable<Uint8Array>, call: KubeCall, max: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > max) {
      const message = `The answer to ${call.verb} ${call.target} is larger than ${max} bytes`;
      throw new KubeError('KUBE_ANSWER_TOO_LARGE', message, { unclear: changes(call) });
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, bytes).toString('utf8');
}

function parseAnswer(text: string, call: KubeCall): object {
  const parsed = parseJson(text);
  if (typeof parsed === 'object' && parsed !== null) return parsed;
  const message = `The answer to ${call.verb} ${call.target} is not a JSON object`;
  throw new KubeError('KUBE_BAD_ANSWER', message, { retryable: true, unclear: changes(call) });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function* streamed(
  body: Dispatcher.ResponseData['body'],
  call: KubeCall,
  deadline: Deadline,
  limits: Limits,
): AsyncGenerator<Uint8Array> {
  try {
    yield* body as AsyncIterable<Uint8Array>;
  } catch (error) {
    throw explained(error, call, deadline, limits);
  } finally {
    deadline.dispose();
    body.destroy();
  }
}

/** What a caller should see: its own abort, our deadline, an error that already says it all, or the network's fault. */
function explained(error: unknown, call: KubeCall, deadline: Deadline, limits: Limits): Error {
  if (limits.signal?.aborted) return abortReason(limits.signal);
  if (deadline.expired) return deadlineError(call, limits.deadlineMs);
  return error instanceof OperatorError ? error : errorFromNetwork(call, error);
}
