import { randomUUID } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { CoderError } from '../../../src/coder/errors.ts';
import type { SimulatedCoder } from './coder.ts';
import { GENERAL_LIMIT, MinuteLimit } from './limit.ts';
import { isUUID } from './people.ts';
import { invalid, notFound, Refusal, unauthorized } from './refusals.ts';
import { Answered, ROUTES, Streamed, type Handler, type Pieces } from './routes.ts';

/** The one token that this Coder knows. */
export const SCRIPTED_TOKEN = 'scriptedab-0123456789abcdefghijkl';

const API = '/api/v2';
const JSON_TYPE = 'application/json; charset=utf-8';
const TAR = 'application/x-tar';

/** A request, however it came. */
export interface ApiRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly bytes: Buffer;
}

/** What goes back, but for how it gets there. */
export interface ApiAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | Buffer | Pieces;
}

interface Route {
  readonly method: string;
  readonly pattern: RegExp;
  readonly params: readonly string[];
  readonly handler: Handler;
}

const COMPILED: readonly Route[] = Object.entries(ROUTES).map(([route, handler]) => {
  const [method = '', path = ''] = route.split(' ');
  const params = [...path.matchAll(/\{(\w+)\}/g)].map(([, kind = '']) => kind);
  return { method, pattern: new RegExp(`^${path.replaceAll(/\{\w+\}/g, '([^/]+)')}$`), params, handler };
});

/**
 * Coder's REST API in front of a scripted Coder: who may ask, what there is to ask for, in which form, how often, and
 * what an answer looks like. It adds no rule of its own: what is answered is what the scripted one says.
 */
export class ScriptedApi {
  readonly #coder: SimulatedCoder;
  readonly #limit: MinuteLimit | undefined;

  /** @param isLimited whether the general limit of requests holds, as in a Coder that nobody has told otherwise */
  constructor(coder: SimulatedCoder, isLimited: boolean) {
    this.#coder = coder;
    this.#limit = isLimited ? new MinuteLimit(coder.time, GENERAL_LIMIT) : undefined;
  }

  /** Undefined when the request or its answer gets lost. @throws CoderError when nobody is there */
  async answer(request: ApiRequest): Promise<ApiAnswer | undefined> {
    // The limit is held before anybody asks who it is: it counts those of one address, for each path.
    const key = request.path;
    const answer = await this.#admitted(request, key);
    if (answer === undefined) return undefined;
    const { version } = this.#coder;
    return {
      ...answer,
      headers: {
        date: new Date(this.#coder.time.now()).toUTCString(),
        'x-coder-build-version': version,
        'x-coder-request-id': randomUUID(),
        ...this.#allowance(key),
        ...answer.headers,
      },
    };
  }

  async #admitted(request: ApiRequest, key: string): Promise<ApiAnswer | undefined> {
    try {
      if (request.path.startsWith(`${API}/`)) this.#limit?.admit(key);
      return formed(await this.#handled(request), request.method);
    } catch (error) {
      return refused(error);
    }
  }

  #allowance(key: string): Readonly<Record<string, string>> {
    if (this.#limit === undefined || !key.startsWith(`${API}/`)) return {};
    const { limit, remaining, resetAt } = this.#limit.allowance(key);
    return {
      'x-ratelimit-limit': String(limit),
      'x-ratelimit-remaining': String(remaining),
      'x-ratelimit-reset': String(resetAt / 1000),
    };
  }

  #handled(request: ApiRequest): unknown {
    const path = request.path.startsWith(API) ? request.path.slice(API.length) : '';
    if (path === '/buildinfo') return this.#coder.buildInfo();
    const there = COMPILED.filter(({ pattern }) => pattern.test(path));
    const route = there.find(({ method }) => method === request.method);
    if (route === undefined) {
      if (there.length > 0) return new Answered(405);
      throw notFound('Route not found.', `The scripted Coder has no ${request.method} ${path}`);
    }
    admitToken(request.headers);
    const params = (route.pattern.exec(path) ?? []).slice(1).map(decodeURIComponent);
    for (const [i, kind] of route.params.entries()) {
      if (kind === 'id' && !isUUID(params[i] ?? '')) throw invalid(`Invalid UUID "${params[i]}".`);
    }
    const { query, headers, bytes } = request;
    return route.handler(this.#coder, {
      params,
      query,
      headers,
      bytes,
      // Read by those alone that ask for one.
      get body() {
        return bodyOf(request);
      },
    });
  }
}

/** @throws CoderError 401 */
function admitToken(headers: IncomingHttpHeaders): void {
  const token = headers['coder-session-token'] ?? /^Bearer (.+)$/.exec(headers.authorization ?? '')?.[1];
  if (token === SCRIPTED_TOKEN) return;
  if (token === undefined)
    throw unauthorized('Cookie "coder_session_token" or query parameter must be provided.');
  throw unauthorized('API key is invalid.');
}

/** @throws CoderError 400 */
function bodyOf({ body }: ApiRequest): unknown {
  try {
    return JSON.parse(body);
  } catch {
    throw invalid('Request body must be valid JSON.');
  }
}

function formed(said: unknown, method: string): ApiAnswer {
  if (said instanceof Answered) {
    return said.value === undefined ? { status: said.status, headers: {} } : sent(said.status, said.value);
  }
  if (said instanceof Streamed) {
    return { status: 200, headers: { 'content-type': said.type }, body: said.pieces };
  }
  if (said === undefined) return { status: 204, headers: {} };
  if (Buffer.isBuffer(said)) return { status: 200, headers: { 'content-type': TAR }, body: said };
  return sent(method === 'POST' ? 201 : 200, said);
}

/** Undefined for a request that was lost, or whose answer was: nobody ever hears of it. */
function refused(error: unknown): ApiAnswer | undefined {
  if (!(error instanceof CoderError)) {
    return sent(500, { message: error instanceof Error ? error.message : String(error) });
  }
  if (error.status === undefined) {
    if (error.kind === 'Unreachable') throw error;
    return undefined;
  }
  const { coderMessage: message = error.message, validations, retryAfterMs } = error;
  const answer = sent(error.status, {
    message,
    ...(error instanceof Refusal && error.detail !== undefined ? { detail: error.detail } : {}),
    ...(validations.length === 0 ? {} : { validations }),
  });
  if (retryAfterMs === undefined) return answer;
  return { ...answer, headers: { ...answer.headers, 'retry-after': String(retryAfterMs / 1000) } };
}

function sent(status: number, value: unknown): ApiAnswer {
  return { status, headers: { 'content-type': JSON_TYPE }, body: `${JSON.stringify(value)}\n` };
}
