import { Agent as HttpAgent, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import got from 'got';
import type { Clock } from '../base/clock.ts';
import { OperatorError } from '../base/errors.ts';
import { checkedLookup, type HostPolicy } from './address.ts';
import { Attempt } from './attempt.ts';
import { CoderError, UnexpectedResponseError, errorFromAnswer } from './errors.ts';
import { failureOf } from './failure.ts';
import { isTooDeep, MAX_NESTING } from './nesting.ts';
import { RecordSplitter } from './records.ts';
import { urlOf, type Query, type RouteParams } from './route.ts';
import { secureContext } from './tls.ts';
import type { AnswerContext } from './validate.ts';

const TOKEN_HEADER = 'Coder-Session-Token';

const DEFAULT_TIMEOUT_MS = 30_000;
const DEFAULT_CONNECT_TIMEOUT_MS = 5_000;
const DEFAULT_MAX_BYTES = 8 * 1024 * 1024;
/** Of a long list that are taken in before others may have their turn: a few records. */
const PIECE_BYTES = 8 * 1024;
/** Largest that may stand beside the records of a long list, which is kept until its end. Coder writes a few dozen bytes. */
const MAX_REST_BYTES = 256 * 1024;
/** Idle connections go before a proxy is likely to drop them, or the next request could meet a dead one. */
const IDLE_TIMEOUT_MS = 30_000;

/** What became of one request, for metrics. */
export interface RequestReport {
  readonly method: string;
  /** The template, such as `/workspaces/{id}`; never a real path. */
  readonly route: string;
  /** The HTTP status, or the kind of the error when there was no answer. */
  readonly code: string;
  readonly durationMs: number;
}

export interface TransportOptions {
  /** From `checkBaseUrl`. */
  readonly baseUrl: URL;
  readonly policy: HostPolicy;
  /** Sent with every call but the anonymous ones. */
  readonly token?: string | undefined;
  /** PEM; trusted besides the system's roots. */
  readonly caCertificates?: string | undefined;
  readonly clock: Clock;
  /** Default `coder-operator`. */
  readonly userAgent?: string | undefined;
  /** From the first byte sent to the last one read, in milliseconds. Default 30,000. */
  readonly timeoutMs?: number | undefined;
  /** For each of: name resolution, connection, TLS handshake. In milliseconds, default 5,000. */
  readonly connectTimeoutMs?: number | undefined;
  readonly onRequest?: ((report: RequestReport) => void) | undefined;
}

/** One call of Coder's API. */
export interface Call {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE';
  /** Template of the path below `/api/v2`. */
  readonly route: string;
  readonly params?: RouteParams;
  readonly query?: Query;
  /** Sent as JSON, or as it is when it is a Buffer with its `contentType`. */
  readonly body?: object | undefined;
  readonly contentType?: string;
  /** True to send no token. Default false. */
  readonly anonymous?: boolean;
  /** True to take 304, that nothing had to be changed, for an answer without a value. Default false. */
  readonly mayChangeNothing?: boolean;
  /** Content type that is asked for. Default JSON, in which a refusal comes in any case. */
  readonly accept?: string;
}

/** What one call may cost. */
export interface CallLimits {
  readonly signal?: AbortSignal | undefined;
  /** Default: the transport's. */
  readonly timeoutMs?: number | undefined;
  /** Largest answer in bytes. Default 8 MiB. */
  readonly maxBytes?: number | undefined;
  /** Texts in the request that no error may quote, when Coder repeats them. The token is always one. */
  readonly secrets?: readonly string[] | undefined;
}

/** A parsed answer with what its errors should say. */
export interface Answer {
  readonly value: unknown;
  readonly context: AnswerContext;
}

/** A file, as it came. */
export interface FileAnswer extends Answer {
  readonly value: Buffer;
}

export interface RecordsCall {
  /** The field that holds the records. */
  readonly field: string;
  /** Largest record in bytes; larger ones are left out and counted. */
  readonly maxRecordBytes: number;
  readonly onRecord: (record: unknown, context: AnswerContext) => void;
}

/**
 * Sends single requests to one Coder over kept connections. It neither retries nor follows redirects nor reads the
 * environment's proxies; the addresses it connects to are checked at every connect.
 */
export class Transport {
  readonly #options: TransportOptions;
  readonly #agent: HttpAgent | HttpsAgent;

  /** @throws {OperatorError} `INVALID_TOKEN` or `INVALID_CA_CERTIFICATE`. */
  constructor(options: TransportOptions) {
    if (options.token !== undefined && !/^[\x21-\x7e]+$/.test(options.token)) {
      throw new OperatorError(
        'INVALID_TOKEN',
        'The token is empty or holds white space, a line break or letters that no token has',
      );
    }
    this.#options = options;
    this.#agent = agentOf(options);
  }

  /** Closes the connections. Requests under way fail. */
  close(): void {
    this.#agent.destroy();
  }

  /**
   * Carries out a call whose answer is JSON.
   *
   * @throws {CoderError}
   */
  async json(call: Call, limits: CallLimits = {}): Promise<Answer> {
    return this.#reported(call, async (attempt) => {
      const response = await this.#begin(attempt, call, limits);
      const context = attempt.context(response.statusCode);
      const maxBytes = limits.maxBytes ?? DEFAULT_MAX_BYTES;
      const body = await attempt.body(maxBytes);
      if (response.statusCode === 304 && call.mayChangeNothing === true) return { value: undefined, context };
      if (!isSuccess(response)) throw this.#refusal(response, body, context, limits);
      // Nothing was promised and nothing came. A call that needs an answer does not take this for one.
      if (response.statusCode === 204) return { value: undefined, context };
      checkContentType(response, context);
      if (isTooDeep(body)) throw tooDeep(context);
      return { value: parse(body, context), context };
    });
  }

  /**
   * Carries out a call whose answer is a file of the type that `accept` says.
   *
   * @throws {CoderError} `TooLarge` for more than `maxBytes`, as soon as that is known.
   */
  async bytes(call: Call & { readonly accept: string }, limits: CallLimits = {}): Promise<FileAnswer> {
    return this.#reported(call, async (attempt) => {
      const response = await this.#begin(attempt, call, limits);
      const context = attempt.context(response.statusCode);
      if (!isSuccess(response))
        throw this.#refusal(response, await attempt.body(DEFAULT_MAX_BYTES), context, limits);
      if (typeOf(response) !== call.accept) throw strangeType(context, call.accept);
      return { value: await attempt.body(limits.maxBytes ?? DEFAULT_MAX_BYTES), context };
    });
  }

  /**
   * Carries out a call whose answer is a long list: every record is parsed and handed over while the list arrives.
   * Answers what is left of the list without its records, and how many records were too large.
   *
   * @throws {CoderError} also after records were handed over: only a call that returns has seen the whole list.
   */
  async records(
    call: Call,
    list: RecordsCall,
    limits: CallLimits = {},
  ): Promise<Answer & { readonly skipped: number }> {
    return this.#reported(call, async (attempt) => {
      const response = await this.#begin(attempt, call, limits);
      const context = attempt.context(response.statusCode);
      if (!isSuccess(response))
        throw this.#refusal(response, await attempt.body(DEFAULT_MAX_BYTES), context, limits);
      checkContentType(response, context);
      const splitter = new RecordSplitter({
        field: list.field,
        maxRecordBytes: list.maxRecordBytes,
        onRecord: (json) => list.onRecord(parse(json, context), context),
      });
      for await (const chunk of attempt.chunks(limits.maxBytes ?? DEFAULT_MAX_BYTES)) {
        // Some thirty chunks may have come at once, and the records of one alone take several milliseconds.
        for (let start = 0; start < chunk.length; start += PIECE_BYTES) {
          splitter.write(chunk.subarray(start, start + PIECE_BYTES));
          if (splitter.restBytes > MAX_REST_BYTES) throw strangeList(context);
          if (splitter.deepest > MAX_NESTING) throw tooDeep(context);
          await this.#options.clock.breathe();
        }
      }
      const skeleton = parsed(() => splitter.end(), context);
      return { value: skeleton, context, skipped: splitter.skipped };
    });
  }

  /** Runs one request to its end, turns whatever it throws into a `CoderError`, and reports it. */
  async #reported<T>(call: Call, run: (attempt: Attempt) => Promise<T>): Promise<T> {
    const { clock, onRequest } = this.#options;
    const startedAt = clock.monotonic();
    const attempt = new Attempt(call.method, call.route);
    const report = (code: string): void =>
      onRequest?.({
        method: call.method,
        route: call.route,
        code,
        durationMs: clock.monotonic() - startedAt,
      });
    try {
      const result = await run(attempt);
      report(String(attempt.status));
      return result;
    } catch (error) {
      const failure = failureOf(error, attempt.failureContext(this.#secrets));
      report(codeOf(failure));
      throw failure;
    } finally {
      attempt.end();
    }
  }

  /** Sends the request; answers when the head of the answer is there. */
  async #begin(attempt: Attempt, call: Call, limits: CallLimits): Promise<IncomingMessage> {
    const { baseUrl, connectTimeoutMs = DEFAULT_CONNECT_TIMEOUT_MS } = this.#options;
    const stream = got.stream(urlOf(baseUrl, call.route, call.params, call.query), {
      method: call.method,
      headers: this.#headers(call),
      ...(call.body === undefined
        ? {}
        : { body: Buffer.isBuffer(call.body) ? call.body : JSON.stringify(call.body) }),
      agent: this.#agent instanceof HttpsAgent ? { https: this.#agent } : { http: this.#agent },
      timeout: {
        lookup: connectTimeoutMs,
        connect: connectTimeoutMs,
        secureConnect: connectTimeoutMs,
        request: limits.timeoutMs ?? this.#options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
      },
      ...(limits.signal === undefined ? {} : { signal: limits.signal }),
      retry: { limit: 0 },
      followRedirect: false,
      throwHttpErrors: false,
      decompress: false,
    });
    // Without a body, got would wait for one to be written, but for GET.
    if (call.body === undefined && call.method !== 'GET') stream.end();
    return attempt.begin(stream);
  }

  #headers(call: Call): Record<string, string> {
    const headers: Record<string, string> = {
      accept: call.accept ?? 'application/json',
      'user-agent': this.#options.userAgent ?? 'coder-operator',
    };
    if (call.body !== undefined) headers['content-type'] = call.contentType ?? 'application/json';
    if (call.anonymous !== true && this.#options.token !== undefined)
      headers[TOKEN_HEADER] = this.#options.token;
    return headers;
  }

  #refusal(
    response: IncomingMessage,
    body: Buffer,
    context: AnswerContext,
    { secrets = [] }: CallLimits,
  ): CoderError {
    let value: unknown;
    if (isJSON(response) && !isTooDeep(body)) {
      try {
        value = JSON.parse(body.toString());
      } catch {
        value = undefined;
      }
    }
    const answer = {
      ...context,
      body: value,
      retryAfter: response.headers['retry-after'],
      now: this.#options.clock.now(),
    };
    return errorFromAnswer(answer, [...this.#secrets, ...secrets]);
  }

  get #secrets(): readonly string[] {
    return this.#options.token === undefined ? [] : [this.#options.token];
  }
}

function agentOf(options: TransportOptions): HttpAgent | HttpsAgent {
  const lookup = checkedLookup(options.policy);
  const common = { keepAlive: true, timeout: IDLE_TIMEOUT_MS, lookup };
  if (options.baseUrl.protocol === 'http:') return new HttpAgent(common);
  return new HttpsAgent({
    ...common,
    minVersion: 'TLSv1.2',
    ...(options.caCertificates === undefined ? {} : { secureContext: secureContext(options.caCertificates) }),
  });
}

function isSuccess(response: IncomingMessage): boolean {
  const status = response.statusCode ?? 0;
  return status >= 200 && status < 300;
}

function isJSON(response: IncomingMessage): boolean {
  return /^application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i.test(response.headers['content-type'] ?? '');
}

function typeOf(response: IncomingMessage): string {
  return (response.headers['content-type'] ?? '').split(';', 1).join('').trim().toLowerCase();
}

function checkContentType(response: IncomingMessage, context: AnswerContext): void {
  if (!isJSON(response)) throw strangeType(context, 'JSON');
}

function strangeType(context: AnswerContext, expected: string): UnexpectedResponseError {
  return unexpected(
    context,
    `the answer is not ${expected}; something in between answered, or the URL is not Coder's`,
  );
}

function strangeList(context: AnswerContext): UnexpectedResponseError {
  return unexpected(context, 'the answer holds more beside its records than any list of Coder');
}

function tooDeep(context: AnswerContext): UnexpectedResponseError {
  return unexpected(context, `the answer is nested deeper than ${MAX_NESTING} levels`);
}

function parse(body: Buffer | string, context: AnswerContext): unknown {
  return parsed(() => JSON.parse(body.toString()), context);
}

function parsed(parseBody: () => unknown, context: AnswerContext): unknown {
  try {
    return parseBody();
  } catch {
    // The parser's own message quotes the body.
    throw unexpected(context, 'the answer is not complete JSON');
  }
}

function unexpected(context: AnswerContext, fault: string): UnexpectedResponseError {
  return new UnexpectedResponseError(`${context.call}: ${fault}`, {
    status: context.status,
    requestID: context.requestID,
    mayHaveChanged: context.mutation,
  });
}

/** A refusal counts under its status; a broken, late or strange answer under its kind, whatever its status. */
function codeOf(failure: unknown): string {
  if (!(failure instanceof CoderError)) return 'Error';
  const { status, kind } = failure;
  return status !== undefined && status >= 300 ? String(status) : kind;
}
