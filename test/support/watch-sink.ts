import type { WatchSink } from '../../src/apiserver/http/types.ts';

/** An event as a client of a watch reads it. */
export interface SeenEvent {
  readonly type: string;
  readonly object: {
    readonly kind: string;
    readonly metadata: {
      readonly name?: string;
      readonly resourceVersion: string;
      readonly annotations?: Readonly<Record<string, string>>;
    };
    readonly [member: string]: unknown;
  };
}

/** A client of a watch, in memory. It takes everything at once, unless told to be slow. */
export class MemorySink implements WatchSink {
  readonly lines: Uint8Array[] = [];
  ended = false;
  unsent = 0;
  readonly #abort = new AbortController();
  #isSlow = false;
  #waiting: (() => void)[] = [];

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  send(event: Uint8Array): void {
    if (this.#abort.signal.aborted) return;
    this.lines.push(event);
    if (this.#isSlow) this.unsent += event.byteLength;
  }

  drained(): Promise<void> {
    if (!this.#isSlow || this.unsent === 0) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  end(): void {
    this.ended = true;
    this.gone();
  }

  /** The client takes nothing until `take`. */
  stop(): void {
    this.#isSlow = true;
  }

  /** It takes what has waited, and goes on to be slow. */
  take(): void {
    this.unsent = 0;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }

  /** The client has gone, or was cut off. */
  gone(): void {
    this.#abort.abort(new Error('the stream has ended'));
    this.take();
  }

  /** All lines so far, read. */
  get events(): SeenEvent[] {
    return this.lines.map((line) => {
      const text = Buffer.from(line).toString();
      if (!text.endsWith('\n') || text.indexOf('\n') !== text.length - 1) throw new Error(`no line: ${text}`);
      return JSON.parse(text) as SeenEvent;
    });
  }

  /** In short: `ADDED name@version`. */
  get seen(): string[] {
    return this.events.map(
      ({ type, object: { metadata } }) => `${type} ${metadata.name ?? ''}@${metadata.resourceVersion}`,
    );
  }
}
