import type { Clock } from '../../base/clock.ts';

/** For so long it is remembered that a name became free. */
const FREED_MS = 60_000;
/** For so long nothing is created in a namespace that was found to be on its way out. */
const CLOSED_MS = 60_000;
/** The cluster refused to create one: another is tried after this time, and then more and more seldom. */
const REFUSED_MS = 60_000;
const LONGEST_REFUSED_MS = 1_800_000;

interface Refusal {
  readonly why: string;
  readonly until: number;
  readonly pauseMs: number;
}

/** When, for how long, and why mirrors are not to be made or removed, by namespace. All by the monotonic clock. */
export class Gates {
  readonly #clock: Clock;
  /** When an object of a user went away, by its key. */
  readonly #freed = new Map<string, number>();
  readonly #closed = new Map<string, number>();
  readonly #refused = new Map<string, Refusal>();
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

  /** The cluster lets us create none, by a quota or by lack of rights: that holds for all others too. */
  refuse(namespace: string, why: string): void {
    const now = this.#clock.monotonic();
    const before = this.#refused.get(namespace);
    // Several may have been under way.
    if (before !== undefined && before.until > now) return;
    const pauseMs = Math.min(LONGEST_REFUSED_MS, (before?.pauseMs ?? REFUSED_MS / 2) * 2);
    this.#refused.set(namespace, { why, until: now + pauseMs, pauseMs });
  }

  /** Why none may be created now; undefined when one may be tried. */
  refusal(namespace: string): string | undefined {
    const refusal = this.#refused.get(namespace);
    return refusal !== undefined && refusal.until > this.#clock.monotonic() ? refusal.why : undefined;
  }

  /** One was created. */
  accept(namespace: string): void {
    this.#refused.delete(namespace);
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
