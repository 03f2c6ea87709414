import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from 'node:http';

/** What happens to a request that the gate was told to stop. */
export type Stop = 'before' | 'after';

interface Trap {
  readonly matches: (method: string, path: string) => boolean;
  readonly stop: Stop;
  readonly sprung: () => void;
}

/**
 * Stands between the operator and Coder and can stop one request: before Coder gets it, or after Coder has acted and
 * before the answer gets back. A stopped request never gets an answer.
 */
export class Gate {
  readonly #server: Server;
  readonly #target: URL;
  #trap: Trap | undefined;

  private constructor(target: URL) {
    this.#target = target;
    this.#server = createServer((incoming, outgoing) => this.#pass(incoming, outgoing));
  }

  static async open(target: string): Promise<Gate> {
    const gate = new Gate(new URL(target));
    await new Promise<void>((resolve) => gate.#server.listen(0, '127.0.0.1', resolve));
    return gate;
  }

  get url(): string {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('the gate is closed');
    return `http://127.0.0.1:${address.port}`;
  }

  /** Resolves when the next such request was stopped. One request springs it, then it is gone. */
  stopNext(stop: Stop, matches: Trap['matches']): Promise<void> {
    return new Promise((resolve) => {
      this.#trap = { stop, matches, sprung: resolve };
    });
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #pass(incoming: IncomingMessage, outgoing: ServerResponse): void {
    const { method = 'GET', url = '/' } = incoming;
    const trap = this.#trap?.matches(method, url) === true ? this.#trap : undefined;
    if (trap !== undefined) this.#trap = undefined;
    if (trap?.stop === 'before') {
      trap.sprung();
      return;
    }
    const forwarded = request(
      { host: this.#target.hostname, port: this.#target.port, method, path: url, headers: incoming.headers },
      (answer) => {
        if (trap !== undefined) {
          answer.resume();
          answer.once('end', () => trap.sprung());
          return;
        }
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(outgoing);
      },
    );
    forwarded.once('error', () => outgoing.destroy());
    incoming.pipe(forwarded);
  }
}
