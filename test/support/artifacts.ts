import type { IncomingMessage, ServerResponse } from 'node:http';
import { HttpTestServer, type Respond } from './coder-http.ts';

/**
 * Serves archives on a free port of the loopback address, as a release page or the artifact storage of Flux does, and
 * whatever else may come from there.
 */
export class ArtifactServer {
  readonly #server: HttpTestServer;
  readonly #answers = new Map<string, Respond>();

  private constructor(server: HttpTestServer) {
    this.#server = server;
  }

  static async start(): Promise<ArtifactServer> {
    const server = await HttpTestServer.start(() => undefined);
    const artifacts = new ArtifactServer(server);
    server.respond = (request, response) => {
      const answer = request.method === 'GET' ? artifacts.#answers.get(request.path) : undefined;
      (answer ?? status(404))(request, response);
    };
    return artifacts;
  }

  /** The address of a path that begins with a slash. It need not be served. */
  url(path: string): string {
    return new URL(path, this.#server.url()).href;
  }

  /** From now on this is what a path answers: bytes, or one of the faults below. Gives its address. */
  serve(path: string, answer: Uint8Array | Respond): string {
    const url = this.url(path);
    this.#answers.set(new URL(url).pathname, typeof answer === 'function' ? answer : file(answer));
    return url;
  }

  /** From now on a path answers 404. */
  remove(path: string): void {
    this.#answers.delete(new URL(this.url(path)).pathname);
  }

  /** How often a path was asked for, whatever was answered. */
  requests(path: string): number {
    return this.headers(path).length;
  }

  /** What came with each request for a path, so that a test can see that no token did. */
  headers(path: string): readonly IncomingMessage['headers'][] {
    const { pathname } = new URL(this.url(path));
    return this.#server.seen.filter((seen) => seen.path === pathname).map(({ headers }) => headers);
  }

  /** Ends all answers that are under way, too. */
  close(): Promise<void> {
    return this.#server.close();
  }
}

function file(bytes: Uint8Array): Respond {
  return (_, response) => {
    response
      .writeHead(200, { 'content-type': 'application/gzip', 'content-length': bytes.length })
      .end(bytes);
  };
}

/** An error of the server. */
export function status(code: number, headers: Readonly<Record<string, string>> = {}): Respond {
  return (_, response) => void response.writeHead(code, headers).end(`status ${code}\n`);
}

/** A page for people with status 200, as a login in front of the file answers. */
export function htmlPage(text = 'Please log in'): Respond {
  return (_, response) => {
    const page = `<!DOCTYPE html>\n<html><body>${text}</body></html>\n`;
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(page);
  };
}

export function redirectTo(url: string, code = 302): Respond {
  return status(code, { location: url });
}

/** Sends the first half and no more until it is released; never released, the body never ends. */
export class HeldBack {
  readonly #bytes: Uint8Array;
  readonly #waiting = new Set<ServerResponse>();
  readonly respond: Respond = (_, response) => {
    response.writeHead(200, { 'content-type': 'application/gzip', 'content-length': this.#bytes.length });
    response.write(this.#bytes.subarray(0, this.#half));
    this.#waiting.add(response);
    response.once('close', () => this.#waiting.delete(response));
  };

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** How many clients wait for the second half. One that has gone away does not. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Sends the second half to all who wait. */
  release(): void {
    for (const response of this.#waiting) response.end(this.#bytes.subarray(this.#half));
  }

  /** Breaks the connections of all who wait. */
  cut(): void {
    for (const response of this.#waiting) response.destroy();
  }

  get #half(): number {
    return Math.floor(this.#bytes.length / 2);
  }
}

/** A body that tells no length and goes on for as long as somebody reads it. It begins like a tar.gz. */
export function endless(): Respond {
  return (_, response) => {
    const block = Buffer.alloc(64 * 1024, 'a');
    response.writeHead(200, { 'content-type': 'application/gzip' });
    response.write(Buffer.from([0x1f, 0x8b, 8, 0]));
    const more = (): void => {
      while (!response.destroyed && response.write(block));
    };
    response.on('drain', more);
    more();
  };
}
