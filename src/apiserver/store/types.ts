import type { Cell, ViewKind } from '../view/types.ts';
import type { Deflated } from './deflate.ts';

/** One object, serialised once. Immutable. */
export interface Entry {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: bigint;
  readonly labels: Readonly<Record<string, string>>;
  /** The object in UTF-8, without a newline. */
  readonly json: Buffer;
  /** Where the value of `metadata` begins in `json`, and ends (exclusive): most of a PartialObjectMetadata. */
  readonly metadata: readonly [start: number, end: number];
  readonly cells: readonly Cell[];
}

/** A change in the order in which it happened. */
export interface Change {
  readonly type: 'added' | 'modified' | 'deleted';
  /** Of the change: strictly growing within a resource, but for the changes of one new list, which may share theirs. */
  readonly resourceVersion: bigint;
  /** What is there now; for `deleted` the last state, with the version of the deletion. */
  readonly entry: Entry;
  /** What was there before; undefined for `added`. */
  readonly previous: Entry | undefined;
}

/** Neighbours of one namespace in the order of names, up to some hundred. Immutable, so lists and pages share it. */
export interface Segment {
  readonly namespace: string;
  readonly entries: readonly Entry[];
  /** Of `entries[i].json` joined by commas. */
  readonly bytes: number;
  /** The same compressed. Made when first asked for, kept with the segment. */
  deflated(): Promise<Deflated>;
}

/** All objects of a resource at one version. Immutable; cheap to hold. */
export interface Snapshot {
  /** Never empty nor 0 once the store has synced. */
  readonly resourceVersion: bigint;
  /** In the order of namespaces, then names. Left out: of all namespaces. */
  segments(namespace?: string): readonly Segment[];
  get(namespace: string, name: string): Entry | undefined;
}

/** Where a history begins. Versions of two histories have nothing to do with each other. */
export interface Beginning {
  /** Of the list that it begins with. */
  readonly version: bigint;
  /** When that list was asked for, in milliseconds since the epoch: what is older may be of another history. */
  readonly at: number;
}

/** What readers need of the store of one resource. */
export interface ViewStore {
  readonly kind: ViewKind;
  /** False until the first complete list is in: nothing may be answered from here before that. */
  readonly synced: boolean;
  /** At least as new as every entry and change that was told. */
  readonly resourceVersion: bigint;
  /**
   * The beginning of the history that all versions here belong to: the first list, or the first one after the data of
   * the API server went back in time, as after the restore of a backup. The same object for as long as that goes on.
   */
  readonly began: Beginning;
  snapshot(): Snapshot;
  /**
   * All objects at exactly this version, of one that has passed by taking back what happened since: so a page can be
   * read from one replica and the next from another, whose store is some changes or bookmarks further. Looks at the
   * state and the history with its first step, and never again.
   *
   * @returns undefined when that version has not come yet, lies between two lists of which only the difference is known, or
   *   is older than the history.
   */
  at(resourceVersion: bigint): Generator<void, Snapshot | undefined>;
  /**
   * Calls for every change after `resourceVersion`: the past ones at once, the others as they happen, in order.
   *
   * @returns ends it; `undefined` when the history does not reach back so far.
   */
  follow(resourceVersion: bigint, listener: ChangeListener): (() => void) | undefined;
  /** Resolves when `resourceVersion` has come at least so far; false when the time is over or the signal aborts. */
  reached(resourceVersion: bigint, timeoutMs: number, signal: AbortSignal): Promise<boolean>;
}

export interface ChangeListener {
  /**
   * Says that it takes changes whatever the labels: every object, or those of a namespace or a name. Only such a
   * listener is told the differences of a new list, and can resume from before one; for others that is `lost`. Cut off
   * in the middle, a client that chooses by labels could keep an object for ever that left its choice in between,
   * since nobody would tell it so.
   */
  readonly takesDifferences?: boolean;
  changed(change: Change): void;
  /** What was told cannot be continued: the stream has to end, and clients to list again. */
  lost(): void;
}
