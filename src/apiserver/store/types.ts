import type { Cell, ViewKind } from '../view/types.ts';

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
  /**
   * The same compressed: blocks of deflate that end on a byte, refer to nothing before them and are not the last;
   * with the CRC-32 of the plain bytes. Made when first asked for, kept with the segment.
   */
  deflated(): Promise<{ readonly blocks: Uint8Array; readonly crc: number }>;
}

/** All objects of a resource at one version. Immutable; cheap to hold. */
export interface Snapshot {
  /** Never empty nor 0 once the store has synced. */
  readonly resourceVersion: bigint;
  /** In the order of namespaces, then names. Left out: of all namespaces. */
  segments(namespace?: string): readonly Segment[];
  get(namespace: string, name: string): Entry | undefined;
}

/** What readers need of the store of one resource. */
export interface ViewStore {
  readonly kind: ViewKind;
  /** False until the first complete list is in: nothing may be answered from here before that. */
  readonly synced: boolean;
  /** At least as new as every entry and change that was told. */
  readonly resourceVersion: bigint;
  /**
   * Since when every single change is known: the version of the newest list that was taken in. Between two lists of a
   * reflector only their difference is. Left out: unknown.
   */
  readonly seamlessSince?: bigint | undefined;
  snapshot(): Snapshot;
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
