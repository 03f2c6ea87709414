import type { Clock } from '../base/clock.ts';

export interface ProgressOptions {
  readonly clock: Clock;
  readonly write: (text: string) => void;
  /** Columns of the terminal; undefined where it is none, as in a log. */
  readonly columns: number | undefined;
  /** Tells warnings and errors only. */
  readonly quiet: boolean;
}

/** A terminal's line is written anew so often at most; a log gets a line so often. In milliseconds. */
const REWRITE_MS = 100;
const LINE_MS = 5_000;

/** What a person sees on stderr while things are read: one line that is rewritten, or a line now and then. */
export class Progress {
  readonly #options: ProgressOptions;
  #toldAt: number;
  #isOpen = false;

  constructor(options: ProgressOptions) {
    this.#options = options;
    // What is over within the first seconds is not worth a line in a log.
    this.#toldAt = options.columns === undefined ? options.clock.monotonic() : -Infinity;
  }

  /** How far it is; told only now and then. */
  tell(text: string): void {
    const { clock, columns, quiet, write } = this.#options;
    const now = clock.monotonic();
    if (quiet || now - this.#toldAt < (columns === undefined ? LINE_MS : REWRITE_MS)) return;
    this.#toldAt = now;
    if (columns === undefined) {
      write(`${text}\n`);
    } else {
      // A line that wraps could not be rewritten.
      write(`\r\x1b[K${text.slice(0, columns - 1)}`);
      this.#isOpen = true;
    }
  }

  /** A line that stays; told unless `quiet`. */
  say(text: string): void {
    if (!this.#options.quiet) this.warn(text);
  }

  /** A line that is always told. */
  warn(text: string): void {
    this.end();
    this.#options.write(`${text}\n`);
  }

  /** Takes the line away that is rewritten. */
  end(): void {
    if (this.#isOpen) this.#options.write('\r\x1b[K');
    this.#isOpen = false;
  }
}
