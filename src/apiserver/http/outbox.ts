import type { Clock } from '../../base/clock.ts';

/** So long streams are written to without a turn of the event loop. */
const LONGEST_HOLD_MS = 10;
/** Looking at the clock costs little, but not nothing. */
const STREAMS_BETWEEN_LOOKS = 16;

/** What one stream may hand to its socket at a time, in bytes. */
const PORTION_BYTES = 128 * 1024;
/**
 * The same once all sockets together hold as much as they should: one record of TLS, so that streams whose clients take
 * nothing stop none whose clients do.
 */
const SMALL_PORTION_BYTES = 16 * 1024;
const MAX_HANDED_BYTES = 16 * 1024 * 1024;

/** A stream that has something to hand to its socket. */
export interface Flushing {
  /** Hands over at most so many bytes. */
  flush(mostBytes: number): void;
}

/**
 * Gathers what is written to many streams in one turn of the loop and writes it out right after: for each stream in one
 * go, whatever the number of events, and with a turn in between when there are very many streams.
 *
 * It also bounds what sockets hold: what they were handed is encrypted for each of them alone, and stays so in memory
 * until the client takes it.
 */
export class Outbox {
  readonly #clock: Pick<Clock, 'monotonic'>;
  #waiting: Flushing[] = [];
  #isScheduled = false;
  /** Bytes that sockets were handed and have not sent. */
  #handed = 0;

  constructor(clock: Pick<Clock, 'monotonic'>) {
    this.#clock = clock;
  }

  /** Flushes the stream soon; to be called once until that has happened. */
  add(stream: Flushing): void {
    this.#waiting.push(stream);
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    process.nextTick(() => this.#flush());
  }

  /** A socket was handed so many bytes. */
  handed(bytes: number): void {
    this.#handed += bytes;
  }

  /** It does not hold them any more. */
  returned(bytes: number): void {
    this.#handed -= bytes;
  }

  #flush(): void {
    const streams = this.#waiting;
    this.#waiting = [];
    const started = this.#clock.monotonic();
    let done = 0;
    while (done < streams.length) {
      const isFull = this.#handed >= MAX_HANDED_BYTES;
      streams[done++]?.flush(isFull ? SMALL_PORTION_BYTES : PORTION_BYTES);
      const isLook = done % STREAMS_BETWEEN_LOOKS === 0;
      if (isLook && this.#clock.monotonic() - started >= LONGEST_HOLD_MS) break;
    }
    this.#waiting = [...streams.slice(done), ...this.#waiting];
    this.#isScheduled = this.#waiting.length > 0;
    if (this.#isScheduled) setImmediate(() => this.#flush());
  }
}
