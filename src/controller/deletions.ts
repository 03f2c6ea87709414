import { finalizers } from '../api/kinds.ts';
import type { KubeObject } from '../api/meta.ts';
import type { Clock } from '../base/clock.ts';
import { DELETION_WINDOW_MS } from './settings.ts';

/** What speaks for and against the next deletion of a workspace. */
export interface DeletionCounts {
  /** Deletions that were sent to Coder within the window and were not released by a person. */
  readonly sent: number;
  /** Objects that are being deleted, were not released, and whose deletion was not sent. */
  readonly pending: number;
  /** Deletions that may go on without a person's word. */
  readonly budget: number;
}

/**
 * Whether deletions wait for a person. What is pending counts as much as what was sent: a wrong prune is stopped as a
 * whole as soon as it is seen to be one, and not only after it has used the budget up.
 */
export function exceedsBudget({ sent, pending, budget }: DeletionCounts): boolean {
  return sent + pending > budget;
}

export interface DeletionsOptions {
  readonly clock: Clock;
  readonly budget: number;
  /** The workspace objects of a namespace that are being deleted. */
  readonly deleting: (namespace: string) => readonly KubeObject[];
  /** Deletions that were asked for until then, by the API server's clock, are released. */
  readonly releasedAt: (namespace: string) => string | undefined;
}

interface Sent {
  readonly namespace: string;
  readonly deletionTimestamp: string;
  /** By the monotonic clock. */
  readonly at: number;
}

/**
 * The budget for deletions of workspaces in one control plane's namespace: a prune that was not meant must not take a
 * whole fleet.
 *
 * What was sent is remembered in memory and is lost in a restart. What is pending is read from the objects themselves
 * and is not: deletions under way then count as pending again, so a restart makes room for none of those that are held.
 */
export class Deletions {
  readonly #options: DeletionsOptions;
  /** By the object's uid. One is kept while its object is there, however long Coder takes. */
  readonly #sent = new Map<string, Sent>();

  constructor(options: DeletionsOptions) {
    this.#options = options;
  }

  /** Whether the deletion of this object's workspace waits for a person's word; `pending` of them do. */
  isHeld(object: KubeObject): { readonly held: false } | { readonly held: true; readonly pending: number } {
    const { budget, deleting, releasedAt } = this.#options;
    const namespace = object.metadata.namespace ?? '';
    const released = releasedAt(namespace) ?? '';
    // Both are whole seconds in UTC, so that their text compares as they do.
    const counts = (deletionTimestamp = ''): boolean => deletionTimestamp > released;
    const wasSent = this.#sent.has(object.metadata.uid ?? '');
    if (wasSent || !counts(object.metadata.deletionTimestamp)) return { held: false };
    const pending = deleting(namespace).filter(
      ({ metadata }) =>
        metadata.finalizers?.includes(finalizers.workspace) === true &&
        counts(metadata.deletionTimestamp) &&
        !this.#sent.has(metadata.uid ?? ''),
    ).length;
    const sent = [...this.#sent.values()].filter(
      (s) => s.namespace === namespace && this.#isRecent(s) && counts(s.deletionTimestamp),
    ).length;
    return exceedsBudget({ sent, pending, budget }) ? { held: true, pending } : { held: false };
  }

  /** Coder has taken the build that deletes this object's workspace. */
  sent(object: KubeObject): void {
    const { uid = '', namespace = '', deletionTimestamp = '' } = object.metadata;
    this.#forgetOld(namespace);
    this.#sent.set(uid, { namespace, deletionTimestamp, at: this.#options.clock.monotonic() });
  }

  /** When the last of a namespace's pending deletions was asked for, by the API server's clock. */
  lastAskedFor(namespace: string): string | undefined {
    return this.#options
      .deleting(namespace)
      .map((object) => object.metadata.deletionTimestamp ?? '')
      .reduce<string | undefined>((last, time) => (time > (last ?? '') ? time : last), undefined);
  }

  #forgetOld(namespace: string): void {
    const uids = new Set(this.#options.deleting(namespace).map((object) => object.metadata.uid));
    for (const [uid, sent] of this.#sent) {
      if (sent.namespace === namespace && !this.#isRecent(sent) && !uids.has(uid)) this.#sent.delete(uid);
    }
  }

  #isRecent(sent: Sent): boolean {
    return this.#options.clock.monotonic() - sent.at < DELETION_WINDOW_MS;
  }
}
