import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Agent } from 'undici';
import { systemClock } from '../../src/base/clock.ts';
import { KubeClient, type KubeClientOptions } from '../../src/kube/client.ts';
import type { KubeConnection } from '../../src/kube/connection.ts';

export interface ReceivedRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

export type Answerer = (response: ServerResponse, request: ReceivedRequest) => void;

/** A real HTTP server that plays the API server line by line: each request takes the next answer of the script. */
export class ScriptedKube {
  readonly requests: ReceivedRequest[] = [];
  readonly #answers: Answerer[] = [];
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      // A client that goes away in the middle of its request is part of some tests.
      this.#handle(request, response).catch(() => response.destroy());
    });
  }

  static async start(): Promise<ScriptedKube> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new ScriptedKube(server);
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Adds to the script. A request beyond its end gets no answer at all. */
  script(...answers: readonly Answerer[]): this {
    this.#answers.push(...answers);
    return this;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const received: ReceivedRequest = {
      method: request.method ?? '',
      url: new URL(request.url ?? '/', this.url),
      headers: request.headers,
      body: Buffer.concat(chunks).toString('utf8'),
    };
    this.requests.push(received);
    this.#answers.shift()?.(response, received);
  }
}

/** An answer with a JSON body. */
export function json(
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): Answerer {
  return (response) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
  };
}

/** An error as the API server words it. */
export function failure(status: number, reason: string, more: object = {}, headers = {}): Answerer {
  return json(status, statusBody(status, reason, more), headers);
}

export function statusBody(code: number, reason: string, more: object = {}): object {
  const message = `scripted ${reason}`;
  return { kind: 'Status', apiVersion: 'v1', status: 'Failure', reason, code, message, ...more };
}

/** A page of a list. */
export function page(items: readonly unknown[], resourceVersion: string, token?: string): Answerer {
  return json(200, { metadata: { resourceVersion, continue: token }, items });
}

/** A watch that stays open; `write` sends lines or anything else, `end` ends it. */
export class OpenWatch {
  #response: ServerResponse | undefined;
  readonly answer: Answerer = (response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    this.#response = response;
  };

  get open(): boolean {
    return this.#response !== undefined;
  }

  event(type: string, object: object): void {
    this.write(`${JSON.stringify({ type, object })}\n`);
  }

  write(bytes: string | Uint8Array): void {
    this.#response?.write(bytes);
  }

  end(last = ''): void {
    this.#response?.end(last);
  }

  /** Cuts the connection without a proper end. */
  cut(): void {
    this.#response?.destroy();
  }
}

/** A connection without credentials; `closeConnections` ends all that this file opened. */
export function plainConnection(url: string): KubeConnection {
  const dispatcher = new Agent({ connections: 8 });
  const watchDispatcher = new Agent({ bodyTimeout: 110_000 });
  return {
    baseUrl: url,
    dispatcher,
    watchDispatcher,
    headers: () => Promise.resolve({}),
    refresh: () => undefined,
    suspect: () => undefined,
    close: async () => {
      await Promise.all([dispatcher.destroy(), watchDispatcher.destroy()]);
    },
  };
}

export function clientOf(connection: KubeConnection, more: Partial<KubeClientOptions> = {}): KubeClient {
  return new KubeClient({ connection, clock: systemClock, userAgent: 'coder-operator/test', ...more });
}
