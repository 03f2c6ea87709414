import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Clock } from '../../base/clock.ts';
import type { Frames } from './frames.ts';
import type { Outbox } from './outbox.ts';
import { Outlet } from './outlet.ts';
import type { Headers } from './respond.ts';
import { StatusError } from './status.ts';
import type { WatchSink } from './types.ts';

/** What all the sinks of a server share. */
export interface SinkShared {
  readonly clock: Clock;
  readonly outbox: Outbox;
  /**
   * How much may wait unsent for one watch, in bytes. Frames are shared, and sockets are handed little at a time: what
   * slow readers hold together is little more than what the slowest of them holds.
   */
  readonly maxUnsentBytes: number;
  /** Called for every event that is sent. */
  readonly onSent: (bytes: number) => void;
  /** Called when a watch is cut off because its client does not keep up. */
  readonly onCutOff: () => void;
}

/** Half of an ordinary fleet of 10,000 objects may change at once, and a client be busy with something else. */
export const MAX_UNSENT_BYTES = 16 * 1024 * 1024;
/** The same in frames: however small, each takes a place in the queue of every watch that waits for it. */
const MAX_UNSENT_FRAMES = 16 * 1024;

/** So long a stream that has ended may take to reach its client. */
const LINGER_MS = 30_000;

/** Below this a sink counts as drained: enough to keep the connection busy while more is made. */
const LITTLE_UNSENT_BYTES = 64 * 1024;

export interface StreamSinkOptions extends SinkShared {
  readonly socket: Socket;
  readonly frames: Frames;
  /** Ends the stream in the way of its protocol, after all that was written. */
  readonly finish: () => void;
}

/** A stream of frames on a socket. Whoever owns the socket tells `closed` when it is gone. */
export class StreamSink implements WatchSink {
  readonly #options: StreamSinkOptions;
  readonly #outlet: Outlet;
  readonly #controller = new AbortController();
  /** The same as `signal.aborted`, which takes longer to ask. */
  #hasEnded = false;
  #stopLingering: (() => void) | undefined;

  constructor(options: StreamSinkOptions) {
    this.#options = options;
    this.#outlet = new Outlet(options.socket, options.outbox);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  get unsent(): number {
    return this.#outlet.unsent;
  }

  send(event: Uint8Array): void {
    if (this.#hasEnded || event.byteLength === 0) return;
    const { frames, onSent } = this.#options;
    this.sendFrame(frames.of(event));
    onSent(event.byteLength);
  }

  /** Something of the protocol's own, within the same bounds. */
  sendFrame(frame: Uint8Array): void {
    if (this.#hasEnded) return;
    const isTooMuch = this.unsent + frame.byteLength > this.#options.maxUnsentBytes;
    if (isTooMuch || this.#outlet.waiting >= MAX_UNSENT_FRAMES) this.#cutOff();
    else this.#outlet.write(frame);
  }

  async drained(): Promise<void> {
    if (!this.#hasEnded) await this.#outlet.below(LITTLE_UNSENT_BYTES);
  }

  /** @param finish in another way than the protocol's usual one. */
  end(finish = this.#options.finish): void {
    if (this.#hasEnded) return;
    this.#outlet.finish(finish);
    this.#stopLingering = this.#options.clock.after(LINGER_MS, () => this.destroy());
    this.#abort('the watch has ended');
  }

  /** The connection is gone. */
  closed(): void {
    this.#stopLingering?.();
    this.#outlet.close();
    if (!this.#hasEnded) this.#abort('the client has gone');
  }

  /** Breaks the connection: what waits is dropped, since a clean end would have to be waited for as long. */
  destroy(): void {
    this.#options.socket.destroy();
    this.closed();
  }

  #abort(why: string): void {
    this.#hasEnded = true;
    this.#controller.abort(new Error(why));
  }

  #cutOff(): void {
    this.#options.onCutOff();
    this.destroy();
  }
}

export interface ChunkedSinkOptions extends SinkShared {
  readonly frames: Frames;
  readonly headers: Headers;
}

/**
 * Begins a watch over plain HTTP: its headers go out at once, and each event is a chunk. The chunks are written to the
 * socket itself, past the response, which would take four writes for each of them.
 *
 * The connection ends with the watch. Otherwise a client that watches again at once could do so on a connection that a
 * server about to go closes at the same moment; and so new watches spread over all replicas.
 *
 * @throws StatusError BadRequest when HTTP/1.0 is spoken, which has no chunks, or while another answer is under way.
 */
export function openChunkedSink(response: ServerResponse, options: ChunkedSinkOptions): StreamSink {
  const { headers, ...shared } = options;
  const { socket } = response;
  if (socket === null || response.req.httpVersion !== '1.1') {
    throw new StatusError(
      'BadRequest',
      'a watch needs HTTP/1.1, and a connection on which nothing is outstanding',
    );
  }
  response.writeHead(200, {
    'content-type': 'application/json',
    'cache-control': 'no-cache, private',
    ...mutable(headers),
    'transfer-encoding': 'chunked',
    connection: 'close',
  });
  response.flushHeaders();
  const sink = new StreamSink({ ...shared, socket, finish: () => response.end() });
  response.once('close', () => sink.closed());
  return sink;
}

/** As Node wants them. */
function mutable(headers: Headers): Record<string, string | string[]> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, typeof value === 'string' ? value : [...value]]),
  );
}
