import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Agent, request, type Dispatcher } from 'undici';
import { stringify } from 'yaml';
import { systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/logger.ts';
import { openConnection, type ConnectionOptions, type KubeConnection } from '../../src/kube/connection.ts';
import { statusBody } from './kube-server.ts';

/** A request as a fault sees it. */
export interface ProxiedRequest {
  readonly method: string;
  /** Path and query, as they came. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly isWatch: boolean;
  readonly isList: boolean;
  readonly body: Buffer;
  /** On the monotonic clock. */
  readonly at: number;
}

/** One request on its way through the proxy. */
export interface Passage {
  readonly request: ProxiedRequest;
  readonly response: ServerResponse;
  /** Asks the API server, for another path if one is given. */
  readonly ask: (path?: string) => Promise<Dispatcher.ResponseData>;
  /** Hands the answer on as it comes, or what `alter` makes of its bytes. */
  readonly hand: (answer: Dispatcher.ResponseData, alter?: (bytes: Buffer) => Buffer) => Promise<void>;
}

/** What happens to a request instead of being passed on. */
export type Fault = (passage: Passage) => Promise<void> | void;

export type Matches = (request: ProxiedRequest) => boolean;

/** A fault that waits for its requests. */
export interface Rule {
  /** How many requests it has met. */
  readonly hits: number;
  /** It meets no more. */
  end(): void;
}

/** A watch that goes through the proxy. */
export interface ProxiedWatch {
  readonly request: ProxiedRequest;
  readonly open: boolean;
  /** What the server sends is lost from now on, and nobody is told. */
  stall(): void;
  /** A proper end, perhaps after some last bytes. */
  end(last?: string | Uint8Array): void;
  /** The connection breaks. */
  cut(): void;
  /** Bytes that the server never sent. */
  inject(bytes: string | Uint8Array): void;
}

/** The server behind the proxy. */
type Upstream = Pick<KubeConnection, 'baseUrl' | 'dispatcher' | 'watchDispatcher' | 'close'> & {
  /** What a request is sent on with, of what it came with. */
  readonly headers: (came: IncomingHttpHeaders) => Promise<Readonly<Record<string, string>>>;
};

/** They belong to one connection, or say what the proxy says itself. */
const OF_ONE_HOP = new Set([
  'connection',
  'keep-alive',
  'transfer-encoding',
  'content-length',
  'host',
  'expect',
]);

interface MutableRule {
  readonly matches: Matches;
  readonly fault: Fault;
  left: number;
  hits: number;
}

/** A server that listens at whatever port is free may have got ours for a moment. */
const ACCEPT_TRIES = 50;
const ACCEPT_PAUSE_MS = 100;

/**
 * Stands between our client and the real API server, or a Coder, and breaks what it is told to: single requests by rules,
 * open watches, or all connections. Plain HTTP on the client's side; the program's own connection to the API server on
 * the other.
 */
export class FaultProxy {
  readonly #server: Server;
  readonly #upstream: Upstream;
  readonly #folder: string | undefined;
  readonly #port: number;
  readonly #sockets = new Set<Socket>();
  /** They lead nowhere. */
  readonly #silent = new WeakSet<Socket>();
  readonly #watches = new Set<ProxiedWatch>();
  readonly #opened: KubeConnection[] = [];
  #rules: MutableRule[] = [];
  #accepted = 0;
  /** All requests, in the order of their arrival. */
  readonly requests: ProxiedRequest[] = [];

  private constructor(server: Server, upstream: Upstream, folder: string | undefined) {
    this.#server = server;
    this.#upstream = upstream;
    this.#folder = folder;
    this.#port = (server.address() as AddressInfo).port;
    server.on('connection', (socket: Socket) => {
      this.#accepted++;
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
      // A client that goes away is part of most tests.
      socket.on('error', () => undefined);
    });
    server.on('request', (incoming: IncomingMessage, response: ServerResponse) => {
      this.#handle(incoming, response).catch(() => response.destroy());
    });
  }

  /** @param kubeconfig of the API server behind it, and of the user that all requests are made as. */
  static async open(kubeconfig: string): Promise<FaultProxy> {
    const connection = await openConnection({
      ...{ kubeconfig, connections: 64, clock: systemClock, logger: silentLogger },
    });
    return FaultProxy.#over(connection, () => connection.close());
  }

  /** Before an API server, on a connection that others use too and that stays open. */
  static over(connection: KubeConnection): Promise<FaultProxy> {
    return FaultProxy.#over(connection, () => Promise.resolve());
  }

  static async #over(connection: KubeConnection, close: () => Promise<void>): Promise<FaultProxy> {
    const { baseUrl, dispatcher, watchDispatcher } = connection;
    const upstream: Upstream = {
      ...{ baseUrl, dispatcher, watchDispatcher, close },
      headers: async ({ 'content-type': type }) => ({
        ...(await connection.headers()),
        accept: 'application/json',
        ...(type === undefined ? {} : { 'content-type': type }),
      }),
    };
    return new FaultProxy(await listening(), upstream, await mkdtemp(join(tmpdir(), 'fault-proxy-')));
  }

  /** Before any server that speaks plain HTTP, such as a scripted Coder. Requests keep their headers. */
  static async before(url: string): Promise<FaultProxy> {
    const dispatcher = new Agent({ connections: 64 });
    const upstream: Upstream = {
      ...{ baseUrl: url, dispatcher, watchDispatcher: dispatcher, close: () => dispatcher.destroy() },
      headers: (came) => Promise.resolve(passedOn(came)),
    };
    return new FaultProxy(await listening(), upstream, undefined);
  }

  /** Where it listens, also while it refuses. */
  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** The program's own connection to the API server, through the proxy. Closed with it. */
  async connect(more: Partial<ConnectionOptions> = {}): Promise<KubeConnection> {
    if (this.#folder === undefined) throw new Error('there is no API server behind this proxy');
    const kubeconfig = join(this.#folder, 'kubeconfig');
    await writeFile(kubeconfig, stringify(kubeconfigOf(this.url)));
    const connection = await openConnection({
      ...{ kubeconfig, clock: systemClock, logger: silentLogger },
      ...more,
    });
    this.#opened.push(connection);
    return connection;
  }

  /** Connections that are open now. */
  get sockets(): number {
    return this.#sockets.size;
  }

  /** Connections that were ever made. */
  get accepted(): number {
    return this.#accepted;
  }

  /** The open watches, the oldest first. */
  get watches(): ProxiedWatch[] {
    return [...this.#watches];
  }

  /** Breaks the next `times` requests that match; default all, until `end`. A later rule goes before an earlier one. */
  break(matches: Matches, fault: Fault, times = Number.POSITIVE_INFINITY): Rule {
    const rule: MutableRule = { matches, fault, left: times, hits: 0 };
    this.#rules.unshift(rule);
    return {
      get hits() {
        return rule.hits;
      },
      end: () => void (rule.left = 0),
    };
  }

  /** Ends all rules. */
  mend(): void {
    this.#rules = [];
  }

  /** Breaks all connections and refuses new ones. */
  async refuse(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.resetAll();
    await closed;
  }

  /**
   * Takes connections again, at the same address.
   *
   * @throws when another server has taken that for longer than a moment.
   */
  async accept(): Promise<void> {
    for (let left = ACCEPT_TRIES; ; left--) {
      try {
        this.#server.listen(this.#port, '127.0.0.1');
        await once(this.#server, 'listening');
        return;
      } catch (error) {
        if (left <= 1) throw error;
        await systemClock.sleep(ACCEPT_PAUSE_MS);
      }
    }
  }

  /** Breaks all connections. */
  resetAll(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  /** The present connections lead nowhere any more, and nobody is told. New ones work. */
  silence(): void {
    for (const socket of this.#sockets) this.#silent.add(socket);
    for (const watch of this.#watches) watch.stall();
  }

  async close(): Promise<void> {
    await Promise.all(this.#opened.map((connection) => connection.close()));
    if (this.#server.listening) await this.refuse();
    await this.#upstream.close();
    if (this.#folder !== undefined) await rm(this.#folder, { recursive: true });
  }

  async #handle(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    if (this.#silent.has(incoming.socket)) return;
    const { method = 'GET', url: path = '/' } = incoming;
    const query = new URL(path, 'http://proxy').searchParams;
    const isWatch = query.get('watch') === 'true';
    // The path of one object has a name after the plural; those of our kinds and of the core group alike.
    const isList = method === 'GET' && !isWatch && isCollection(path);
    const body = Buffer.concat(chunks);
    const seen: ProxiedRequest = { method, path, query, isWatch, isList, body, at: systemClock.monotonic() };
    this.requests.push(seen);
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    const passage: Passage = {
      request: seen,
      response,
      ask: (other = path) => this.#ask(incoming, seen, other, gone.signal),
      hand: (answer, alter) => this.#hand(answer, passage, alter),
    };
    const rule = this.#rules.find((each) => each.left > 0 && each.matches(seen));
    if (rule === undefined) {
      await passage.hand(await passage.ask());
      return;
    }
    rule.left--;
    rule.hits++;
    await rule.fault(passage);
  }

  async #ask(
    incoming: IncomingMessage,
    { method, isWatch, body }: ProxiedRequest,
    path: string,
    signal: AbortSignal,
  ): Promise<Dispatcher.ResponseData> {
    return request(this.#upstream.baseUrl + path, {
      method: method,
      headers: await this.#upstream.headers(incoming.headers),
      body: body.length === 0 ? null : body,
      dispatcher: isWatch ? this.#upstream.watchDispatcher : this.#upstream.dispatcher,
      // A write that has come this far is carried out, whatever becomes of the client.
      ...(method === 'GET' ? { signal } : {}),
    });
  }

  async #hand(
    answer: Dispatcher.ResponseData,
    { request: seen, response }: Passage,
    alter: (bytes: Buffer) => Buffer = (bytes) => bytes,
  ): Promise<void> {
    const headers = passedOn(answer.headers);
    if (!seen.isWatch || answer.statusCode !== 200) {
      const body = alter(Buffer.from(await answer.body.arrayBuffer()));
      const hasBody = answer.statusCode !== 204 && answer.statusCode !== 304;
      response.writeHead(answer.statusCode, {
        ...headers,
        ...(hasBody ? { 'content-length': String(body.length) } : {}),
      });
      response.end(body);
      return;
    }
    response.writeHead(200, headers);
    response.flushHeaders();
    const watch = new Watch(seen, response);
    this.#watches.add(watch);
    response.once('close', () => this.#watches.delete(watch));
    for await (const bytes of answer.body as AsyncIterable<Buffer>) watch.pass(alter(bytes));
    watch.pass(undefined);
  }
}

class Watch implements ProxiedWatch {
  readonly request: ProxiedRequest;
  readonly #response: ServerResponse;
  #stalled = false;

  constructor(seen: ProxiedRequest, response: ServerResponse) {
    this.request = seen;
    this.#response = response;
  }

  get open(): boolean {
    return !this.#response.closed;
  }

  /** What the server sent; undefined for its end. */
  pass(bytes: Buffer | undefined): void {
    if (this.#stalled) return;
    if (bytes === undefined) this.#response.end();
    else this.#response.write(bytes);
  }

  stall(): void {
    this.#stalled = true;
  }

  end(last: string | Uint8Array = ''): void {
    this.#stalled = true;
    this.#response.end(last);
  }

  cut(): void {
    this.#stalled = true;
    this.#response.socket?.resetAndDestroy();
  }

  inject(bytes: string | Uint8Array): void {
    this.#response.write(bytes);
  }
}

/** The connection breaks before the API server has heard anything. */
export const reset: Fault = ({ response }) => void response.socket?.resetAndDestroy();

/** No answer, ever, and the API server hears nothing. */
export const silence: Fault = () => undefined;

/** The API server acts, and its answer is lost with the connection. Not for watches, whose answers have no end. */
export const loseAnswer: Fault = async ({ ask, response }) => {
  await (await ask()).body.dump();
  response.socket?.resetAndDestroy();
};

/** The API server acts, and its answer never comes. Not for watches either. */
export const swallowAnswer: Fault = async ({ ask }) => {
  await (await ask()).body.dump();
};

/** The connection breaks within the answer, or within the first event of a watch. */
export const cutInHalf: Fault = async ({ request: { isWatch }, response, ask, hand }) => {
  const answer = await ask();
  const cut = (): unknown => response.socket?.resetAndDestroy();
  if (isWatch) {
    await hand(answer, (bytes) => {
      setImmediate(cut);
      return bytes.subarray(0, bytes.length / 2);
    });
    return;
  }
  const body = Buffer.from(await answer.body.arrayBuffer());
  const headers = { 'content-type': 'application/json', 'content-length': body.length };
  response.writeHead(answer.statusCode, headers).write(body.subarray(0, body.length / 2), cut);
};

/** The answer, or each piece of a watch, with something else in its middle. */
export const garble: Fault = async ({ ask, hand }) => {
  await hand(await ask(), (bytes) => {
    const middle = bytes.length >> 1;
    return Buffer.concat([bytes.subarray(0, middle), Buffer.from('\0{"'), bytes.subarray(middle + 3)]);
  });
};

/** Asks the API server for something else, as `change` makes it of the query. */
export function withQuery(change: (query: URLSearchParams) => void): Fault {
  return async ({ request: { path }, ask, hand }) => {
    const url = new URL(path, 'http://proxy');
    change(url.searchParams);
    await hand(await ask(url.pathname + url.search));
  };
}

/** Passed on after so many milliseconds. */
export function delayed(ms: number): Fault {
  return async ({ ask, hand }) => {
    await systemClock.sleep(ms);
    await hand(await ask());
  };
}

/** An error as the API server words it, without asking it. */
export function refusal(status: number, reason: string, headers: Record<string, string> = {}): Fault {
  return answer(status, JSON.stringify(statusBody(status, reason)), {
    'content-type': 'application/json',
    ...headers,
  });
}

/** Any answer, such as the page that a gateway shows. */
export function answer(status: number, body: string, headers: Record<string, string> = {}): Fault {
  return ({ response }) => void response.writeHead(status, headers).end(body);
}

/** The page of a gateway in place of an answer. */
export function page(status: number, text = 'a gateway'): Fault {
  return answer(status, `<!doctype html><html><body>${text}</body></html>`, { 'content-type': 'text/html' });
}

/** Sends the client elsewhere. */
export function redirect(location: string, status = 302): Fault {
  return answer(status, '', { location });
}

/** An error as Coder words it, without asking it. */
export function coderRefusal(status: number, message: string, headers: Record<string, string> = {}): Fault {
  return answer(status, JSON.stringify({ message }), { 'content-type': 'application/json', ...headers });
}

/**
 * Shows a state that is over: the first read of each address is passed on, and whoever reads it again gets that answer
 * once more. Begun before a write, it hides the write. For a watch, `ProxiedWatch.stall` does it.
 */
export function stale(): Fault {
  const before = new Map<
    string,
    { readonly code: number; readonly headers: object; readonly body: Buffer }
  >();
  return async ({ request: { path }, response, ask }) => {
    const known = before.get(path);
    if (known === undefined) {
      const { statusCode: code, headers, body } = await ask();
      before.set(path, { code, headers: passedOn(headers), body: Buffer.from(await body.arrayBuffer()) });
    }
    const { code, headers, body } = known ??
      before.get(path) ?? { code: 502, headers: {}, body: Buffer.of() };
    response.writeHead(code, { ...headers, 'content-length': String(body.length) }).end(body);
  };
}

async function listening(): Promise<Server> {
  const server = createServer({ keepAliveTimeout: 60_000 });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

/** Headers as they are sent on by whoever stands in between. */
export function passedOn(headers: IncomingHttpHeaders): Record<string, string> {
  const kept = Object.entries(headers).filter(([name]) => !OF_ONE_HOP.has(name));
  return Object.fromEntries(
    kept.map(([name, value = '']) => [name, Array.isArray(value) ? value.join(', ') : value]),
  );
}

function isCollection(path: string): boolean {
  const [, root, ...rest] = new URL(path, 'http://proxy').pathname.split('/');
  const parts = root === 'apis' ? rest.slice(2) : rest.slice(1);
  return parts[0] === 'namespaces' && parts.length > 2 ? parts.length === 3 : parts.length === 1;
}

/** A kubeconfig without credentials. */
export function kubeconfigOf(server: string): object {
  const name = 'proxy';
  return {
    apiVersion: 'v1',
    kind: 'Config',
    // The library wants to be told that plain HTTP is meant.
    clusters: [{ name, cluster: { server, 'insecure-skip-tls-verify': true } }],
    users: [{ name, user: {} }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    'current-context': name,
  };
}
