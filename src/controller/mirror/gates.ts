import type { Clock } from '../../base/clock.ts';

/** For so long it is remembered that a name became free. */
const FREED_MS = 60_000;
/** For so long nothing is created in a namespace that was found to be on its way out. */
const CLOSED_MS = 60_000;

/** When mirrors are not to be made or removed yet. All by the monotonic clock. */
export class Gates {
  readonly #clock: Clock;
  /** When an object of a user went away, by its key. */
  readonly #freed = new Map<string, number>();
  readonly #closed = new Map<string, number>();
  readonly #orphaned = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** An object of a user has left its name. */
  free(key: string): void {
    this.#freed.set(key, this.#clock.monotonic());
  }

  /** Milliseconds since; undefined when that is long ago, or never was. */
  freedForMs(key: string): number | undefined {
    const at = this.#freed.get(key);
    return at === undefined ? undefined : this.#clock.monotonic() - at;
  }

  /** The namespace is being deleted: its mirrors go one after the other, and each would be made again in vain. */
  close(namespace: string): void {
    this.#closed.set(namespace, this.#clock.monotonic() + CLOSED_MS);
  }

  isClosed(namespace: string): boolean {
    return (this.#closed.get(namespace) ?? 0) > this.#clock.monotonic();
  }

  /** Milliseconds since it was first seen that the namespace has no control plane. */
  orphanedForMs(namespace: string): number {
    const now = this.#clock.monotonic();
    const at = this.#orphaned.get(namespace) ?? now;
    this.#orphaned.set(namespace, at);
    return now - at;
  }

  /** It has one. */
  adopt(namespace: string): void {
    this.#orphaned.delete(namespace);
  }

  /** Forgets what does not matter any more. */
  prune(): void {
    const now = this.#clock.monotonic();
    for (const [key, at] of this.#freed) if (now - at > FREED_MS) this.#freed.delete(key);
    for (const [namespace, until] of this.#closed) if (until <= now) this.#closed.delete(namespace);
  }
}
