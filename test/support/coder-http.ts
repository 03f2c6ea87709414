import {
  createServer as createHttpServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { buffer } from 'node:stream/consumers';

/** A request as it arrived at a test's own server. */
export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
  /** The body as it came. */
  readonly bytes: Buffer;
  /** Which of the server's connections it came on, counted from 1. */
  readonly connection: number;
}

export type Respond = (request: SeenRequest, response: ServerResponse) => void;

export interface HttpServerOptions {
  /** PEM; with it the server speaks https. */
  readonly tls?: { readonly key: string; readonly cert: string };
  /** The address to listen on. Default 127.0.0.1. */
  readonly host?: string;
}

/** A real HTTP server of one test on a free port of the loopback address, which remembers what it was asked. */
export class HttpTestServer {
  readonly seen: SeenRequest[] = [];
  readonly #server: Server;
  readonly #scheme: string;
  #connections = 0;
  respond: Respond;

  private constructor(respond: Respond, options: HttpServerOptions) {
    this.respond = respond;
    const sockets = new WeakMap<Socket, number>();
    const listener = (request: IncomingMessage, response: ServerResponse): void => {
      const connection = sockets.get(request.socket) ?? ++this.#connections;
      sockets.set(request.socket, connection);
      void this.#handle(request, response, connection);
    };
    this.#server =
      options.tls === undefined ? createHttpServer(listener) : createHttpsServer(options.tls, listener);
    this.#scheme = options.tls === undefined ? 'http' : 'https';
  }

  static async start(respond: Respond, options: HttpServerOptions = {}): Promise<HttpTestServer> {
    const server = new HttpTestServer(respond, options);
    await new Promise<void>((resolve, reject) => {
      server.#server.once('error', reject);
      server.#server.listen(0, options.host ?? '127.0.0.1', resolve);
    });
    return server;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Its address; `host` when it is to be reached by another name. */
  url(host = '127.0.0.1'): string {
    return `${this.#scheme}://${host}:${this.port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #handle(request: IncomingMessage, response: ServerResponse, connection: number): Promise<void> {
    const url = new URL(request.url ?? '/', this.url());
    let bytes: Buffer;
    try {
      bytes = await buffer(request);
    } catch {
      return; // The client has gone away.
    }
    const seen: SeenRequest = {
      method: request.method ?? '',
      path: url.pathname,
      query: url.searchParams,
      headers: request.headers,
      body: bytes.toString(),
      bytes,
      connection,
    };
    this.seen.push(seen);
    this.respond(seen, response);
  }
}

/** Answers with JSON as Coder does. */
export function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8' });
  response.end(JSON.stringify(body));
}
