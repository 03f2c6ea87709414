import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Clock } from '../../base/clock.ts';
import type { Exchange } from './exchange.ts';
import { chunkFrame, Frames } from './frames.ts';
import { Outbox } from './outbox.ts';
import type { Recorder } from './recorder.ts';
import type { Headers } from './respond.ts';
import type { Traffic } from './traffic.ts';
import type { WatchAnswer } from './types.ts';
import { openChunkedSink, type SinkShared, type StreamSink } from './watchsink.ts';
import { openWebSocketSink, textFrame, type Handshake } from './websocket.ts';

export interface WatchesOptions {
  readonly clock: Clock;
  readonly maxUnsentBytes: number;
  readonly recorder: Recorder;
  readonly traffic: Traffic;
}

export interface OpenWatch {
  readonly answer: WatchAnswer;
  /** Beside those of the answer. */
  readonly headers: Headers;
}

/** Opens watches. What is written to them in one turn of the loop goes out together, in frames that are shared. */
export class Watches {
  readonly #options: WatchesOptions;
  readonly #outbox: Outbox;
  readonly #chunks = new Frames(chunkFrame);
  readonly #texts = new Frames(textFrame);

  constructor(options: WatchesOptions) {
    this.#options = options;
    this.#outbox = new Outbox(options.clock);
  }

  open(exchange: Exchange, watch: OpenWatch & { readonly response: ServerResponse }): void {
    const headers = { ...watch.answer.headers, ...watch.headers };
    const shared = this.#shared(exchange);
    this.#start(
      exchange,
      watch.answer,
      openChunkedSink(watch.response, { ...shared, headers, frames: this.#chunks }),
    );
  }

  openWebSocket(
    exchange: Exchange,
    watch: OpenWatch & { readonly socket: Socket; readonly head: Uint8Array; readonly handshake: Handshake },
  ): void {
    const { answer, ...connection } = watch;
    const headers = { ...answer.headers, ...watch.headers };
    const shared = this.#shared(exchange);
    const sink = openWebSocketSink({ ...connection, ...shared, headers, frames: this.#texts });
    this.#start(exchange, answer, sink);
  }

  #shared({ info }: Exchange): SinkShared {
    const { clock, maxUnsentBytes, recorder } = this.#options;
    return {
      clock,
      outbox: this.#outbox,
      maxUnsentBytes,
      onSent: recorder.sizesOf(info),
      onCutOff: () => recorder.cutOff(info),
    };
  }

  #start(exchange: Exchange, answer: WatchAnswer, sink: StreamSink): void {
    const { recorder, traffic } = this.#options;
    traffic.watch(sink);
    recorder.watching(exchange.info, sink.signal);
    try {
      answer.start(sink);
    } catch (error) {
      recorder.failed(exchange, error);
      sink.end();
    }
  }
}
