import type { ServerResponse } from 'node:http';
import { HttpTestServer, type SeenRequest } from '../coder-http.ts';
import { ScriptedApi, type ApiAnswer } from './api.ts';
import type { SimulatedCoder } from './coder.ts';
import type { Pieces } from './routes.ts';
import { door, type Held } from './wire.ts';

export { SCRIPTED_TOKEN } from './api.ts';

interface Gate {
  readonly what: 'request' | 'answer';
  readonly matches: (request: SeenRequest) => boolean;
  readonly pass: () => Promise<void>;
}

export interface CoderServerOptions {
  /** Whether Coder's limit of requests to each path holds; that of files always does. Default false. */
  readonly rateLimits?: boolean;
}

/** A scripted Coder behind HTTP, so that the real client and the whole operator work with it. */
export class CoderServer {
  readonly #http: HttpTestServer;
  readonly #options: CoderServerOptions;
  #coder: SimulatedCoder;
  #api: ScriptedApi;
  #gates: readonly Gate[] = [];

  private constructor(coder: SimulatedCoder, http: HttpTestServer, options: CoderServerOptions) {
    this.#options = options;
    this.#coder = coder;
    this.#api = this.#apiOf(coder);
    this.#http = http;
    http.respond = (request, response) => void this.#respond(request, response);
  }

  static async start(coder: SimulatedCoder, options: CoderServerOptions = {}): Promise<CoderServer> {
    return new CoderServer(coder, await HttpTestServer.start(() => undefined), options);
  }

  get url(): string {
    return this.#http.url();
  }

  get coder(): SimulatedCoder {
    return this.#coder;
  }

  /** From now on another Coder answers here, which takes the same token. */
  replaceBy(coder: SimulatedCoder): void {
    this.#coder = coder;
    this.#api = this.#apiOf(coder);
  }

  /** Every request, as it arrived, oldest first. */
  get requests(): readonly SeenRequest[] {
    return this.#http.seen;
  }

  /** Those that would change something. */
  get changes(): readonly SeenRequest[] {
    return this.#http.seen.filter(({ method }) => method !== 'GET');
  }

  /** The next such request waits until it is let in. */
  holdNext(method: string, path: RegExp): Held {
    return this.#hold('request', method, path);
  }

  /** The next such request is carried out, and its answer waits until it is let go. */
  holdNextAnswer(method: string, path: RegExp): Held {
    return this.#hold('answer', method, path);
  }

  close(): Promise<void> {
    return this.#http.close();
  }

  #hold(what: Gate['what'], method: string, path: RegExp): Held {
    const held = door();
    const matches = (request: SeenRequest): boolean => request.method === method && path.test(request.path);
    this.#gates = [...this.#gates, { what, matches, pass: held.pass }];
    return held;
  }

  async #pass(what: Gate['what'], request: SeenRequest): Promise<void> {
    const gate = this.#gates.find((g) => g.what === what && g.matches(request));
    this.#gates = this.#gates.filter((g) => g !== gate);
    await gate?.pass();
  }

  async #respond(request: SeenRequest, response: ServerResponse): Promise<void> {
    await this.#pass('request', request);
    let answer: ApiAnswer | undefined;
    try {
      answer = await this.#api.answer(request);
    } catch {
      // Nobody is there.
      response.destroy();
      return;
    }
    await this.#pass('answer', request);
    if (answer === undefined) return;
    const { status, headers, body } = answer;
    response.writeHead(status, headers);
    if (body === undefined || typeof body === 'string' || Buffer.isBuffer(body)) response.end(body);
    else await sendPieces(response, body);
  }

  #apiOf(coder: SimulatedCoder): ScriptedApi {
    return new ScriptedApi(coder, this.#options.rateLimits ?? false);
  }
}

/** Until the one who listens has gone. */
async function sendPieces(response: ServerResponse, pieces: Pieces): Promise<void> {
  response.once('close', () => void pieces.return?.());
  for await (const piece of pieces) response.write(piece);
  response.end();
}
