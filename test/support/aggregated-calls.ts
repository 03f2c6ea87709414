import { readFileSync } from 'node:fs';
import { Agent, request, WebSocket, type Dispatcher } from 'undici';
import type { KeyFiles } from '../../hack/stack/certificates.ts';
import { systemClock } from '../../src/base/clock.ts';

/** With the front proxy's certificate: somebody whom nothing is refused. */
export const MASTERS = ['x-remote-user', 'admin', 'x-remote-group', 'system:masters'];

/** Names and values in turn, so that a name may come more than once. */
export type HeaderList = readonly string[];

export interface CallerOptions {
  /** `https://127.0.0.1:PORT` */
  readonly url: string;
  readonly caFile: string;
  readonly client: KeyFiles;
  /** The name that has to be in the server's certificate. Default: the address. */
  readonly servername?: string;
}

export interface RequestOptions {
  readonly method?: Dispatcher.HttpMethod;
  readonly headers?: HeaderList;
  readonly body?: string;
  readonly signal?: AbortSignal;
}

/** What came back for a request. */
export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

/** An object as the endpoint shows it, as far as tests look at it. */
export interface ViewJson {
  readonly kind: string;
  readonly apiVersion: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly uid: string;
    readonly resourceVersion: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec: Readonly<Record<string, unknown>>;
  readonly status: Readonly<Record<string, unknown>>;
}

export interface ListJson {
  readonly kind: string;
  readonly metadata: { readonly resourceVersion: string; readonly continue?: string };
  readonly items: readonly ViewJson[];
}

export interface StatusJson {
  readonly kind: string;
  readonly status: string;
  readonly reason: string;
  readonly code: number;
  readonly message: string;
  readonly details?: Readonly<Record<string, unknown>>;
}

export interface WatchEvent {
  readonly type: string;
  readonly object: ViewJson & Partial<StatusJson>;
}

/** For an event that has to come. */
const EVENT_WITHIN_MS = 15_000;

/** Sends requests with a client certificate, and shows all that comes back. */
export class Caller {
  readonly #url: string;
  readonly #agent: Agent;
  readonly #sockets = new Set<WebSocket>();

  constructor({ url, caFile, client, servername }: CallerOptions) {
    this.#url = url;
    this.#agent = new Agent({
      connections: 64,
      // A list waits as long as its server does.
      bodyTimeout: 0,
      connect: {
        ca: readFileSync(caFile),
        cert: readFileSync(client.certificate),
        key: readFileSync(client.key),
        ...(servername === undefined ? {} : { servername }),
      },
    });
  }

  async call(
    path: string,
    { method = 'GET', headers = [], body, signal }: RequestOptions = {},
  ): Promise<Reply> {
    const answer = await request(this.#url + path, {
      dispatcher: this.#agent,
      method,
      headers: [...headers],
      ...(body === undefined ? {} : { body }),
      ...(signal === undefined ? {} : { signal }),
    });
    return { status: answer.statusCode, headers: answer.headers, text: await answer.body.text() };
  }

  /** The JSON of an answer with 200. */
  async json<T>(path: string, headers: HeaderList = []): Promise<T> {
    const { status, text } = await this.call(path, { headers });
    if (status !== 200) throw new Error(`${path} was answered with ${status}: ${text}`);
    return JSON.parse(text) as T;
  }

  /** Opens a watch; resolves once its headers are there. */
  async watch(path: string, headers: HeaderList = []): Promise<LiveWatch> {
    const stop = new AbortController();
    const answer = await request(this.#url + path, {
      dispatcher: this.#agent,
      headers: [...headers],
      signal: stop.signal,
    });
    if (answer.statusCode !== 200)
      throw new Error(`${path} was answered with ${answer.statusCode}: ${await answer.body.text()}`);
    const watch = new LiveWatch(() => stop.abort());
    void watch.read(answer.body);
    return watch;
  }

  /** Opens a watch over a WebSocket; resolves once it is open. */
  async webSocket(
    path: string,
    protocols: string[] = [],
  ): Promise<{ readonly watch: LiveWatch; readonly protocol: string }> {
    const socket = new WebSocket(this.#url.replace('https:', 'wss:') + path, {
      dispatcher: this.#agent,
      protocols,
    });
    this.#sockets.add(socket);
    const watch = new LiveWatch(() => socket.close());
    socket.addEventListener('message', ({ data }) => watch.take(`${String(data)}\n`));
    socket.addEventListener('close', () => watch.end());
    await new Promise<void>((resolve, reject) => {
      socket.addEventListener('open', () => resolve());
      socket.addEventListener('error', ({ message }) => reject(new Error(message)));
    });
    return { watch, protocol: socket.protocol };
  }

  async close(): Promise<void> {
    // They have left the agent.
    for (const socket of this.#sockets) socket.close();
    await this.#agent.destroy();
  }
}

/** The events of a watch as they come. */
export class LiveWatch {
  readonly events: WatchEvent[] = [];
  readonly #stop: () => void;
  #rest = '';
  #ended = false;
  #waiting: (() => void)[] = [];

  constructor(stop: () => void) {
    this.#stop = stop;
  }

  get ended(): boolean {
    return this.#ended;
  }

  close(): void {
    this.#stop();
  }

  async read(body: AsyncIterable<Buffer>): Promise<void> {
    const decoder = new TextDecoder();
    try {
      for await (const bytes of body) this.take(decoder.decode(bytes, { stream: true }));
    } catch {
      // It was closed by us, or broke off: both are an end.
    }
    this.end();
  }

  take(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) if (line !== '') this.events.push(JSON.parse(line) as WatchEvent);
    this.#wake();
  }

  end(): void {
    this.#ended = true;
    this.#wake();
  }

  /** The first event that is as `isSo` says, of those that came and of those to come. */
  async until(
    isSo: (event: WatchEvent) => boolean,
    what: string,
    withinMs = EVENT_WITHIN_MS,
  ): Promise<WatchEvent> {
    let found: WatchEvent | undefined;
    await this.#untilTrue(() => (found = this.events.find(isSo)) !== undefined, what, withinMs);
    if (found === undefined) throw new Error(`${what} did not come before the watch ended: ${this.#said()}`);
    return found;
  }

  async untilEnded(withinMs = EVENT_WITHIN_MS): Promise<void> {
    await this.#untilTrue(() => this.#ended, 'the end', withinMs);
  }

  async #untilTrue(isSo: () => boolean, what: string, withinMs: number): Promise<void> {
    const end = systemClock.monotonic() + withinMs;
    while (!isSo() && !this.#ended) {
      const left = end - systemClock.monotonic();
      if (left <= 0) throw new Error(`${what} did not come within ${withinMs} ms: ${this.#said()}`);
      await new Promise<void>((resolve) => {
        const cancel = systemClock.after(left, resolve);
        this.#waiting.push(() => {
          cancel();
          resolve();
        });
      });
    }
  }

  #said(): string {
    return (
      this.events.map(({ type, object }) => `${type} ${object.metadata.name}`).join(', ') || 'nothing came'
    );
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }
}
