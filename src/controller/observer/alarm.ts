import type { Clock } from '../../base/clock.ts';

/** Waits for a time that may come sooner than was thought. One waits at a time. */
export class Alarm {
  readonly #clock: Clock;
  #ring: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Ends the waiting. */
  ring(): void {
    this.#ring?.();
  }

  /** Waits until a monotonic time, which may be infinite, until the next ring, or until the signal aborts. */
  async until(dueAt: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const waitMs = dueAt - this.#clock.monotonic();
    await new Promise<void>((resolve) => {
      const cancel = Number.isFinite(waitMs)
        ? this.#clock.after(waitMs, () => done())
        : (): void => undefined;
      const done = (): void => {
        cancel();
        signal.removeEventListener('abort', done);
        this.#ring = undefined;
        resolve();
      };
      this.#ring = done;
      signal.addEventListener('abort', done, { once: true });
    });
  }
}
