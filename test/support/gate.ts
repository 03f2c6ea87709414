import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { systemClock } from '../../src/base/clock.ts';

/** What happens to a request that the gate was told to stop. */
export type Stop = 'before' | 'after';

/** A request, as a trap sees it. */
export interface GateRequest {
  readonly method: string;
  readonly path: string;
  readonly body: string;
}

/** No request that a test stops takes longer to come. */
const LONGEST_WAIT_MS = 90_000;

interface Trap {
  readonly matches: (request: GateRequest) => boolean;
  readonly stop: Stop;
  readonly sprung: () => void;
}

/**
 * Stands between the operator and Coder and can stop requests: before Coder gets them, or after Coder has acted and
 * before the answer gets back. A stopped request never gets an answer.
 */
export class Gate {
  readonly #server: Server;
  readonly #target: URL;
  #traps: Trap[] = [];

  private constructor(target: URL) {
    this.#target = target;
    this.#server = createServer((incoming, outgoing) => {
      // The operator is killed in the middle of requests: that is what the gate is for.
      this.#pass(incoming, outgoing).catch(() => outgoing.destroy());
    });
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

  /**
   * Resolves when the next such request was stopped. One request springs it, then it is gone.
   *
   * @param what is waited for, for the error when it does not come within 90 seconds.
   */
  stopNext(stop: Stop, what: string, matches: Trap['matches']): Promise<void> {
    const stopped = new Promise<void>((resolve, reject) => {
      const cancel = systemClock.after(LONGEST_WAIT_MS, () => {
        this.#traps = this.#traps.filter((t) => t !== trap);
        reject(new Error(`No request came to be stopped ${stop} Coder had it: ${what}`));
      });
      const sprung = (): void => {
        cancel();
        resolve();
      };
      const trap: Trap = { stop, matches, sprung };
      this.#traps.push(trap);
    });
    // A test that fails before it waits for this must not fail the next one too, as an unhandled rejection.
    stopped.catch(() => undefined);
    return stopped;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  async #pass(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const { method = 'GET', url: path = '/' } = incoming;
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const trap = this.#traps.find((t) => t.matches({ method, path, body: body.toString('latin1') }));
    this.#traps = this.#traps.filter((t) => t !== trap);
    if (trap?.stop === 'before') {
      trap.sprung();
      return;
    }
    const { hostname: host, port } = this.#target;
    const forwarded = request({ host, port, method, path, headers: incoming.headers }, (answer) => {
      if (trap !== undefined) {
        answer.resume();
        answer.once('end', () => trap.sprung());
        return;
      }
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    forwarded.once('error', () => outgoing.destroy());
    forwarded.end(body);
  }
}
