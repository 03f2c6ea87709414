import { once } from 'node:events';
import type { ClientRequest, IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Request } from 'got';
import { CoderError } from './errors.ts';
import type { FailureContext } from './failure.ts';
import type { AnswerContext } from './validate.ts';

const REQUEST_ID_HEADER = 'x-coder-request-id';

/** One request under way and what is known of it. */
export class Attempt {
  /** Method and route template, such as `GET /workspaces/{id}`. */
  readonly name: string;
  /** Whether the call would change something. */
  readonly mutation: boolean;
  #stream: Request | undefined;
  #response: IncomingMessage | undefined;
  #sent = false;

  constructor(method: string, route: string) {
    this.name = `${method} ${route}`;
    this.mutation = method !== 'GET';
  }

  get status(): number | undefined {
    return this.#response?.statusCode;
  }

  /** Takes over a request that was just made; answers when the head of its answer is there. */
  async begin(stream: Request): Promise<IncomingMessage> {
    this.#stream = stream;
    // Errors are met where the stream is read; one that comes in between must not end the process.
    stream.on('error', () => undefined);
    stream.once('request', (request: ClientRequest) =>
      request.once('socket', (socket: Socket) => {
        // Nothing of a request leaves this machine before the connection stands; a kept connection already does.
        if (!socket.connecting) this.#sent = true;
        else socket.once('encrypted' in socket ? 'secureConnect' : 'connect', () => (this.#sent = true));
      }),
    );
    const [response] = (await once(stream, 'response')) as [IncomingMessage];
    this.#response = response;
    return response;
  }

  async body(maxBytes: number): Promise<Buffer> {
    const chunks: Buffer[] = [];
    for await (const chunk of this.chunks(maxBytes)) chunks.push(chunk);
    return Buffer.concat(chunks);
  }

  /** The answer's body as it arrives. @throws {CoderError} `TooLarge` as soon as there is more than `maxBytes`. */
  async *chunks(maxBytes: number): AsyncGenerator<Buffer> {
    if (this.#stream === undefined) throw new Error('The request has not begun');
    let total = 0;
    for await (const chunk of this.#stream as AsyncIterable<Buffer>) {
      total += chunk.length;
      if (total > maxBytes) {
        throw new CoderError('TooLarge', `${this.name}: the answer is larger than ${maxBytes} bytes`, {
          status: this.status,
          mayHaveChanged: this.mutation,
        });
      }
      yield chunk;
    }
  }

  context(status: number | undefined): AnswerContext {
    return { call: this.name, status: status ?? 0, requestID: this.#requestID, mutation: this.mutation };
  }

  failureContext(secrets: readonly string[]): FailureContext {
    return {
      call: this.name,
      sent: this.#sent,
      mutation: this.mutation,
      status: this.status,
      requestID: this.#requestID,
      secrets,
    };
  }

  /** Gives the connection back, or drops it when the answer has not been read to its end. */
  end(): void {
    this.#stream?.destroy();
  }

  get #requestID(): string | undefined {
    const header = this.#response?.headers[REQUEST_ID_HEADER];
    return typeof header === 'string' && /^[\w-]{1,64}$/.test(header) ? header : undefined;
  }
}
