import type { Writable } from 'node:stream';
import { FrameQueue } from './framequeue.ts';
import type { Flushing, Outbox } from './outbox.ts';

/**
 * The way of one stream to its socket. What a client does not take waits here, as references to frames that many streams
 * share, and the socket gets little of it at a time: what a socket has is held once more, for this client alone.
 */
export class Outlet implements Flushing {
  readonly #socket: Writable;
  readonly #outbox: Outbox;
  readonly #queue = new FrameQueue();
  /** Bytes that the socket has not sent. */
  #handed = 0;
  #isDue = false;
  /** Nothing more is written. */
  #isOver = false;
  #finish: (() => void) | undefined;
  #waiters: { readonly bytes: number; readonly resolve: () => void }[] = [];

  constructor(socket: Writable, outbox: Outbox) {
    this.#socket = socket;
    this.#outbox = outbox;
  }

  /** Bytes that the client has not taken. */
  get unsent(): number {
    return this.#queue.bytes + this.#socket.writableLength;
  }

  /** Frames that the socket does not have yet. */
  get waiting(): number {
    return this.#queue.length;
  }

  /** Nobody may change the frame. */
  write(frame: Uint8Array): void {
    if (this.#isOver) return;
    this.#queue.push(frame);
    this.#come();
  }

  /** Resolves when at most so many bytes are unsent, or nothing more can be written. */
  below(bytes: number): Promise<void> {
    if (this.#isOver || this.unsent <= bytes) return Promise.resolve();
    return new Promise((resolve) => this.#waiters.push({ bytes, resolve }));
  }

  /** Writes nothing more, and calls once the socket has got all that was written. */
  finish(finish: () => void): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#settle();
    if (this.#queue.length === 0) finish();
    else this.#finish = finish;
  }

  /** The socket is gone: drops what waits. */
  close(): void {
    this.#isOver = true;
    this.#finish = undefined;
    this.#queue.clear();
    this.#returned();
    this.#settle();
  }

  flush(mostBytes: number): void {
    this.#isDue = false;
    if (!this.#socket.writable) {
      this.#queue.clear();
      return;
    }
    const before = this.#queue.bytes;
    const pieces = this.#queue.take(mostBytes);
    if (pieces.length > 0) this.#hand(pieces, before - this.#queue.bytes);
    if (this.#queue.length > 0) return;
    const finish = this.#finish;
    this.#finish = undefined;
    finish?.();
  }

  #hand(pieces: readonly Uint8Array[], bytes: number): void {
    const socket = this.#socket;
    this.#handed = bytes;
    this.#outbox.handed(bytes);
    // Together they are one write, and fill whole records of TLS.
    const isMany = pieces.length > 1;
    if (isMany) socket.cork();
    for (const [i, piece] of pieces.entries()) {
      if (i < pieces.length - 1) socket.write(piece);
      else socket.write(piece, this.#onSent);
    }
    if (isMany) socket.uncork();
  }

  readonly #onSent = (): void => {
    this.#returned();
    // Of a socket that has failed its owner will tell.
    if (this.#socket.writable) this.#settle();
    if (this.#queue.length > 0) this.#come();
  };

  #returned(): void {
    this.#outbox.returned(this.#handed);
    this.#handed = 0;
  }

  #settle(): void {
    if (this.#waiters.length === 0) return;
    const isBelow = ({ bytes }: { readonly bytes: number }): boolean => this.#isOver || this.unsent <= bytes;
    const below = this.#waiters.filter(isBelow);
    this.#waiters = this.#waiters.filter((waiter) => !isBelow(waiter));
    for (const { resolve } of below) resolve();
  }

  /** Unless the socket has something: then the rest follows when that has been sent. */
  #come(): void {
    if (this.#isDue || this.#handed > 0) return;
    this.#isDue = true;
    this.#outbox.add(this);
  }
}
