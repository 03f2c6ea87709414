/** How many frames are kept: some more than there are shapes in which watches want the same event. */
const KEPT = 6;

/**
 * Makes the frame of an event once for all the streams that send it. Events are known by their identity: nobody may
 * change the bytes of one.
 */
export class Frames {
  readonly #frame: (event: Uint8Array) => Uint8Array;
  readonly #kept: Framed[] = [];
  #next = 0;
  #last: Framed | undefined;

  constructor(frame: (event: Uint8Array) => Uint8Array) {
    this.#frame = frame;
  }

  of(event: Uint8Array): Uint8Array {
    if (this.#last?.event !== event) this.#last = this.#kept.find((one) => one.event === event);
    this.#last ??= this.#make(event);
    return this.#last.frame;
  }

  #make(event: Uint8Array): Framed {
    const framed = { event, frame: this.#frame(event) };
    this.#kept[this.#next] = framed;
    this.#next = (this.#next + 1) % KEPT;
    return framed;
  }
}

interface Framed {
  readonly event: Uint8Array;
  readonly frame: Uint8Array;
}

const CRLF = Buffer.from('\r\n');

/** One chunk of HTTP/1.1's chunked transfer coding. An empty one would end the body. */
export function chunkFrame(event: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from(`${event.byteLength.toString(16)}\r\n`), event, CRLF]);
}
