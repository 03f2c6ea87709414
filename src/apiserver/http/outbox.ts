import type { Writable } from 'node:stream';
import type { Clock } from '../../base/clock.ts';

/** So long streams are written to without a turn of the event loop. */
const LONGEST_HOLD_MS = 10;
/** Looking at the clock costs little, but not nothing. */
const STREAMS_BETWEEN_LOOKS = 16;

/**
 * Gathers what is written to many streams in one turn of the loop and writes it out right after: for each stream in one
 * go, whatever the number of events, and with a turn in between when there are very many streams.
 */
export class Outbox {
  readonly #clock: Pick<Clock, 'monotonic'>;
  /** Those that are corked, by nobody else. */
  #waiting: Writable[] = [];
  #isScheduled = false;

  constructor(clock: Pick<Clock, 'monotonic'>) {
    this.#clock = clock;
  }

  write(stream: Writable, bytes: Uint8Array): void {
    if (stream.writableCorked === 0) {
      stream.cork();
      this.#waiting.push(stream);
    }
    stream.write(bytes);
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    process.nextTick(() => this.#flush());
  }

  #flush(): void {
    const streams = this.#waiting;
    this.#waiting = [];
    const started = this.#clock.monotonic();
    let done = 0;
    while (done < streams.length) {
      streams[done++]?.uncork();
      const isLook = done % STREAMS_BETWEEN_LOOKS === 0;
      if (isLook && this.#clock.monotonic() - started >= LONGEST_HOLD_MS) break;
    }
    this.#waiting = [...streams.slice(done), ...this.#waiting];
    this.#isScheduled = this.#waiting.length > 0;
    if (this.#isScheduled) setImmediate(() => this.#flush());
  }
}
