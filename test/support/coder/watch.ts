import type { Clock } from '../../../src/base/clock.ts';
import type { Workspace } from '../../../src/coder/types.ts';
import { sentWorkspace } from './wire-form.ts';

const PING_MS = 15_000;
const PING = 'event: ping\n\n';

export interface Watched {
  readonly clock: Clock;
  /** Calls at every change, until what is returned is called. */
  readonly onChange: (listener: () => void) => () => void;
  readonly shown: () => Workspace;
}

/**
 * Server-sent events about a workspace: a ping, since the way is open; what it is now; the whole of it again whenever it
 * is built or renamed; and a ping every fifteen seconds, which says nothing.
 */
export class WatchFrames implements AsyncIterableIterator<string, undefined> {
  readonly #clock: Clock;
  readonly #stop: () => void;
  #stopPings: () => void = () => undefined;
  #waiting: readonly string[];
  #isOpen = true;
  #wake: () => void = () => undefined;

  constructor({ clock, onChange, shown }: Watched) {
    const data = (): string => `event: data\ndata: ${JSON.stringify(sentWorkspace(shown()))}\n\n`;
    this.#clock = clock;
    this.#waiting = [PING, data()];
    this.#stop = onChange(() => this.#push(data()));
    this.#pingLater();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<string, undefined>> {
    while (this.#isOpen && this.#waiting.length === 0) {
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    const [value, ...others] = this.#waiting;
    if (!this.#isOpen || value === undefined) return { done: true, value: undefined };
    this.#waiting = others;
    return { done: false, value };
  }

  /** Ends it, also for one who waits for the next frame. */
  return(): Promise<IteratorResult<string, undefined>> {
    this.#isOpen = false;
    this.#stop();
    this.#stopPings();
    this.#wake();
    return Promise.resolve({ done: true, value: undefined });
  }

  #push(frame: string): void {
    this.#waiting = [...this.#waiting, frame];
    this.#wake();
  }

  #pingLater(): void {
    this.#stopPings = this.#clock.after(PING_MS, () => {
      this.#push(PING);
      this.#pingLater();
    });
  }
}
