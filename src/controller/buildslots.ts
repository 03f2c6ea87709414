import type { Clock } from '../base/clock.ts';
import { isActive, type WorkspaceRecord } from './observer/record.ts';

export interface BuildSlotsOptions {
  readonly clock: Clock;
  /** UUID of the operator's own Coder user: only builds that it initiated take a slot. */
  readonly userID: string;
  /** Builds of ours at the same time; undefined for no limit. */
  readonly limit: number | undefined;
  /** Wakes an object that was refused: there is a slot now, and it is kept for it. */
  readonly onFree: (objectKey: string) => void;
}

/** So long a slot is kept for an object that was woken for it. One that does not come loses its turn. */
const INVITATION_MS = 60_000;
/**
 * So long a slot is kept for a pass that asked for it: longer than any request takes. What is left behind, as after a
 * request whose outcome never became known, must not take a slot away for ever.
 */
const RESERVATION_MS = 180_000;

/**
 * How many builds the operator has under way in one Coder, and who may begin the next one.
 *
 * A slot is taken by a workspace whose newest build is active and ours, which the observer tells, and by whoever has
 * reserved one in order to send a build. The record of the build takes the reservation's place. So nothing is written
 * down: after a restart the first look at everything tells which slots are taken, and none is given before.
 *
 * Whoever is refused waits in line. A slot that becomes free is kept for the first in line, and wakes it.
 *
 * A key is a workspace's UUID or, for one that is still to be created, `owner/name`.
 */
export class BuildSlots {
  readonly #options: BuildSlotsOptions;
  /** UUIDs of the workspaces that a build of ours keeps busy. */
  readonly #building = new Set<string>();
  /** Keys of those that are about to send a build, or were woken in order to; each with what stops its time. */
  readonly #reserved = new Map<string, () => void>();
  /** Those that were refused, in the order in which they asked: key to the key of the object. */
  readonly #waiting = new Map<string, string>();
  #limit: number | undefined;
  #isOpen = false;

  constructor(options: BuildSlotsOptions) {
    this.#options = options;
    this.#limit = options.limit;
  }

  /** Builds of ours at the same time; undefined for no limit. */
  get limit(): number | undefined {
    return this.#limit;
  }

  /** Slots that are taken now. */
  get taken(): number {
    return this.#building.size + this.#reserved.size;
  }

  /** Takes effect at once; builds under way go on when there are more of them. */
  setLimit(limit: number | undefined): void {
    this.#limit = limit;
    this.#invite();
  }

  /** Everything in Coder was looked at once: from now on it is known which slots are taken. */
  open(): void {
    this.#isOpen = true;
    this.#invite();
  }

  /**
   * Asked before a build is announced: whether it may be sent. Refused, the object is woken when its turn comes, and
   * asks again. Granted, it holds a slot until `done`, or until the build's record has taken its place and has ended.
   *
   * @param isFirst it goes before all others that wait: a workspace that was stopped in order to be started again.
   */
  reserve(key: string, objectKey: string, isFirst = false): boolean {
    if (this.#limit === undefined) return true;
    const own = key.toLowerCase();
    if (!this.#building.has(own)) {
      if (!this.#reserved.has(own) && this.#free <= 0) {
        if (!this.#waiting.has(own)) this.#wait(own, objectKey, isFirst);
        return false;
      }
      this.#keep(own, RESERVATION_MS);
    }
    this.#waiting.delete(own);
    return true;
  }

  /**
   * Gives back what was reserved and is not needed, and leaves the line: called at the end of a pass that has certainly
   * sent nothing and was not refused, and when the object is gone. Called too often it does no harm.
   */
  done(key: string): void {
    const own = key.toLowerCase();
    this.#waiting.delete(own);
    if (this.#settle(own)) this.#invite();
  }

  /** Takes in what became known of a workspace; `undefined` when it was forgotten. */
  see(id: string, record: WorkspaceRecord | undefined): void {
    const before = this.taken;
    // What has an id is not to be created any more.
    if (record !== undefined) this.#settle(`${record.ownerName}/${record.name}`.toLowerCase());
    const isOurs =
      record !== undefined && isActive(record.build) && record.build.initiatorID === this.#options.userID;
    if (isOurs) {
      this.#building.add(id);
      this.#settle(id);
    } else {
      this.#building.delete(id);
    }
    if (this.taken < before) this.#invite();
  }

  /** Nobody is woken any more. */
  close(): void {
    this.#waiting.clear();
    for (const key of this.#reserved.keys()) this.#settle(key);
  }

  get #free(): number {
    if (!this.#isOpen) return 0;
    return (this.#limit ?? Infinity) - this.taken;
  }

  #wait(key: string, objectKey: string, isFirst: boolean): void {
    const others = isFirst ? [...this.#waiting] : [];
    if (isFirst) this.#waiting.clear();
    this.#waiting.set(key, objectKey);
    for (const [other, object] of others) this.#waiting.set(other, object);
  }

  /** Keeps what is free for those that wait, in their order, and wakes them. */
  #invite(): void {
    for (const [key, objectKey] of this.#waiting) {
      if (this.#free <= 0) return;
      this.#waiting.delete(key);
      this.#keep(key, INVITATION_MS);
      this.#options.onFree(objectKey);
    }
  }

  #keep(key: string, ms: number): void {
    this.#settle(key);
    this.#reserved.set(
      key,
      this.#options.clock.after(ms, () => this.done(key)),
    );
  }

  /** Ends a reservation; whether there was one. */
  #settle(key: string): boolean {
    this.#reserved.get(key)?.();
    return this.#reserved.delete(key);
  }
}
