import { Agent, request as httpsRequest, type RequestOptions } from 'node:https';
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { Registry } from 'prom-client';
import type { Clock } from '../../src/base/clock.ts';
import { systemClock } from '../../src/base/clock.ts';
import type { Authenticator } from '../../src/apiserver/auth/authenticate.ts';
import type { Authorizer } from '../../src/apiserver/auth/authorize.ts';
import { jsonBody } from '../../src/apiserver/http/body.ts';
import type { ServingPair } from '../../src/apiserver/certificates.ts';
import type { ServerLimits } from '../../src/apiserver/http/limits.ts';
import { createHttpMetrics, type HttpMetrics } from '../../src/apiserver/http/metrics.ts';
import { ApiServer } from '../../src/apiserver/http/server.ts';
import { StatusError } from '../../src/apiserver/http/status.ts';
import type { Answer, ApiRequest, Handler, WatchAnswer, WatchSink } from '../../src/apiserver/http/types.ts';
import type { ReadinessCheck } from '../../src/telemetry/health.ts';
import { createAuthority, type TestAuthority } from './coder-pki.ts';
import { LogBook } from './log-book.ts';

export const GROUP_PATH = '/apis/aggregation.coder.com/v1alpha1';
export const WORKSPACES = `${GROUP_PATH}/coderworkspaces`;

/** Who asks says so in a header: authentication has tests of its own. */
export const GROUPS_HEADER = 'x-test-groups';

let authority: Promise<TestAuthority> | undefined;

/** The one authority of all tests of the server. */
export function testAuthority(): Promise<TestAuthority> {
  authority ??= createAuthority();
  return authority;
}

/** A certificate of that authority for a server on loopback. */
export async function testPair(dns?: string): Promise<TestPair> {
  return (await testAuthority()).issue({ ip: '127.0.0.1', ...(dns === undefined ? {} : { dns }) });
}

export type TestPair = Pick<ServingPair, 'cert' | 'key'>;

/** A serving certificate that a test replaces. */
export class TestCertificates {
  #current: ServingPair | undefined;
  readonly #listeners = new Set<(pair: ServingPair) => void>();

  constructor(pair: TestPair | undefined) {
    if (pair !== undefined) this.#current = { ...pair, notBefore: 0, notAfter: 0 };
  }

  current(): ServingPair | undefined {
    return this.#current;
  }

  onChange(listener: (pair: ServingPair) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  replace(pair: TestPair): void {
    this.#current = { ...pair, notBefore: 0, notAfter: 0 };
    for (const listener of this.#listeners) listener(this.#current);
  }
}

export interface TestApiOptions {
  readonly authenticator?: Authenticator;
  readonly authorizer?: Authorizer;
  readonly resources?: (request: ApiRequest) => Answer | Promise<Answer>;
  readonly discovery?: (request: ApiRequest) => Answer | Promise<Answer>;
  readonly checks?: readonly ReadinessCheck[];
  readonly clock?: Clock;
  readonly limits?: Partial<ServerLimits>;
  /** True: the server begins without one. */
  readonly withoutCertificate?: boolean;
}

export interface TestApi {
  readonly server: ApiServer;
  readonly port: number;
  readonly metrics: HttpMetrics;
  readonly log: LogBook;
  readonly certificates: TestCertificates;
}

const running: { close(): Promise<void> }[] = [];

/** Ends all servers and connections of a test; call it in `afterEach`. */
export async function stopTestApis(): Promise<void> {
  await Promise.all(running.splice(0).map((one) => one.close()));
}

/** A server on a free port of loopback, with everything behind it replaced. */
export async function startTestApi(options: TestApiOptions = {}): Promise<TestApi> {
  const log = new LogBook();
  const metrics = createHttpMetrics(new Registry());
  const pair = options.withoutCertificate === true ? undefined : await testPair();
  const certificates = new TestCertificates(pair);
  const server = new ApiServer({
    authenticator: options.authenticator ?? byHeader,
    authorizer: options.authorizer ?? { authorize: () => Promise.resolve() },
    resources: handlerOf(options.resources ?? (() => notFound())),
    discovery: handlerOf(options.discovery ?? (() => notFound())),
    checks: options.checks ?? [],
    certificates,
    clock: options.clock ?? systemClock,
    logger: log,
    metrics,
    ...(options.limits === undefined ? {} : { limits: options.limits }),
  });
  running.push(server);
  return { server, port: await server.listen('127.0.0.1', 0), metrics, log, certificates };
}

const byHeader: Authenticator = {
  authenticate(_connection, rawHeaders) {
    const at = rawHeaders.findIndex((name, i) => i % 2 === 0 && name.toLowerCase() === GROUPS_HEADER);
    const groups = at === -1 ? [] : (rawHeaders[at + 1] ?? '').split(',');
    return Promise.resolve({ name: 'ann', groups, extra: {} });
  },
};

function handlerOf(answer: (request: ApiRequest) => Answer | Promise<Answer>): Handler {
  return {
    async handle(request) {
      return answer(request);
    },
  };
}

export function notFound(): never {
  throw new StatusError('NotFound', 'the server could not find the requested resource');
}

export function json(value: unknown): Answer {
  return { code: 200, body: jsonBody(value) };
}

/** A watch that is only opened; the sink is what the test writes to. */
export class TestWatch implements WatchAnswer {
  readonly sinks: WatchSink[] = [];
  readonly #waiters: ((sink: WatchSink) => void)[] = [];

  start(sink: WatchSink): void {
    this.sinks.push(sink);
    this.#waiters.shift()?.(sink);
  }

  /** The sink of the next watch that begins. */
  next(): Promise<WatchSink> {
    return new Promise((resolve) => this.#waiters.push(resolve));
  }
}

export interface TestAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: Buffer;
  readonly text: string;
  readonly json: () => unknown;
}

export type TestRequest = Pick<
  RequestOptions,
  'method' | 'headers' | 'agent' | 'cert' | 'key' | 'maxVersion'
> & {
  readonly body?: string | Buffer;
};

/** One request; each on a connection of its own unless an agent is given. */
export async function ask(
  api: { readonly port: number },
  path: string,
  options: TestRequest = {},
): Promise<TestAnswer> {
  const { caCertificate: ca } = await testAuthority();
  const { body, ...rest } = options;
  return new Promise((resolve, reject) => {
    const request = httpsRequest(
      { host: '127.0.0.1', port: api.port, path, ca, agent: false, ...rest },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.once('error', reject);
        response.once('end', () => {
          const whole = Buffer.concat(chunks);
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: whole,
            text: whole.toString(),
            json: () => JSON.parse(whole.toString()) as unknown,
          });
        });
      },
    );
    request.once('error', reject);
    request.end(body);
  });
}

/** An agent that keeps connections, closed after the test. */
export function keepingAgent(maxSockets = Infinity): Agent {
  const agent = new Agent({ keepAlive: true, maxSockets });
  running.push({
    close() {
      agent.destroy();
      return Promise.resolve();
    },
  });
  return agent;
}

/** A bare TLS connection that keeps what it receives. */
export class RawClient {
  readonly socket: TLSSocket;
  received = '';
  isClosed = false;
  readonly #waiters = new Set<() => void>();

  constructor(socket: TLSSocket) {
    this.socket = socket;
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => {
      this.received += text;
      this.#changed();
    });
    socket.on('error', () => undefined);
    socket.once('close', () => {
      this.isClosed = true;
      this.#changed();
    });
  }

  /** Resolves when what was received fits, or the connection is closed. */
  async until(condition: RegExp | ((received: string) => boolean)): Promise<string> {
    const holds = (): boolean =>
      typeof condition === 'function' ? condition(this.received) : condition.test(this.received);
    while (!holds() && !this.isClosed) {
      await new Promise<void>((resolve) => this.#waiters.add(resolve));
    }
    return this.received;
  }

  async closed(): Promise<string> {
    return this.until(() => false);
  }

  #changed(): void {
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const resolve of waiters) resolve();
  }
}

/** Connects, without sending anything. */
export async function connectRaw(
  api: { readonly port: number },
  options: ConnectionOptions = {},
): Promise<RawClient> {
  const { caCertificate: ca } = await testAuthority();
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port: api.port, ca, ...options });
    running.push({
      close() {
        socket.destroy();
        return Promise.resolve();
      },
    });
    socket.once('error', reject);
    socket.once('secureConnect', () => {
      socket.off('error', reject);
      resolve(new RawClient(socket));
    });
  });
}
