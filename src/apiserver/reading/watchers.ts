import type { Change, ViewStore } from '../store/types.ts';
import { BookmarkLines } from './bookmarks.ts';
import { eventTypeOf, type EventLines } from './events.ts';
import type { Selection } from './selection.ts';
import type { Shape, Shaper } from './shapes.ts';

/** One stream that has got all that came before and shares the rest with others. */
export interface Member {
  readonly selection: Selection;
  readonly shape: Shape;
  /** The next line has to bring the columns of the table. */
  readonly needsColumns: boolean;
  /** A line that many get: it must not be changed. */
  send(line: Uint8Array): void;
  /** It cannot be told any more what happened. */
  lost(): void;
}

export interface WatchersOptions {
  readonly store: ViewStore;
  readonly shaper: Shaper;
  readonly lines: EventLines;
  /** Those who select by labels are apart: they cannot be told the differences of two lists. */
  readonly isByLabels: boolean;
  /** So many lines were sent. */
  readonly onSent: (lines: number) => void;
}

/** Watches that ask for the same. */
interface Group {
  readonly key: string;
  readonly selection: Selection;
  readonly shape: Shape;
  readonly needsColumns: boolean;
  readonly members: Set<Member>;
}

/**
 * All watches of one resource that are up to date. They follow the store together, and those that ask for the same get
 * the same bytes, so that a change costs each of them one call.
 */
export class Watchers {
  readonly #options: WatchersOptions;
  readonly #bookmarks: BookmarkLines;
  readonly #entered = new Set<Member>();
  readonly #groups = new Map<string, Group>();
  readonly #groupOf = new Map<Member, Group>();
  /** Groups that watch one name, by that name, and all others. */
  readonly #named = new Map<string, Set<Group>>();
  readonly #broad = new Set<Group>();
  #end: (() => void) | undefined;
  /** What was told begins after this version. */
  #since = 0n;
  /** Of the changes that were told; those of one new list come before the store says that it has it. */
  #newest = 0n;

  constructor(options: WatchersOptions) {
    this.#options = options;
    this.#bookmarks = new BookmarkLines(options.shaper);
  }

  /** A watch begins. From here on the store is followed, until the last one has left. */
  enter(member: Member): void {
    this.#entered.add(member);
    this.#follow();
  }

  leave(member: Member): void {
    this.#entered.delete(member);
    this.#part(member);
    if (this.#entered.size > 0) return;
    this.#end?.();
    this.#end = undefined;
  }

  /**
   * Takes in a watch that has been told everything up to this version, and all that the store has told since.
   *
   * @returns false when it is ahead of the others, as while the differences of a new list are being told
   */
  join(member: Member, position: bigint): boolean {
    this.#follow();
    const told = this.#options.store.resourceVersion;
    if (this.#end === undefined || told < position || told < this.#since) return false;
    this.#place(member);
    return true;
  }

  /** Tells a member how far it has come; not one that has not joined, nor while it may know more than that. */
  bookmark(member: Member): void {
    const group = this.#groupOf.get(member);
    const version = this.#options.store.resourceVersion;
    if (group === undefined || version < this.#newest) return;
    member.send(this.#bookmarks.line(version, group.shape, group.needsColumns));
    this.#options.onSent(1);
    if (group.needsColumns) this.#place(member);
  }

  #follow(): void {
    if (this.#end !== undefined) return;
    const { store, isByLabels } = this.#options;
    const { resourceVersion } = store.snapshot();
    this.#end = store.follow(resourceVersion, {
      takesDifferences: !isByLabels,
      changed: (change) => this.#changed(change),
      lost: () => this.#lost(),
    });
    this.#since = resourceVersion;
    this.#newest = resourceVersion;
  }

  #changed(change: Change): void {
    if (change.resourceVersion > this.#newest) this.#newest = change.resourceVersion;
    // A copy: a table's first event moves its watches into another group, which must not be told again.
    const named = this.#named.get(change.entry.name) ?? [];
    for (const group of [...this.#broad, ...named]) this.#tell(group, change);
  }

  #tell({ selection, shape, needsColumns, members }: Group, change: Change): void {
    const type = eventTypeOf(change, selection);
    if (type === undefined) return;
    const line = this.#options.lines.line(change, type, shape, needsColumns);
    for (const member of members) member.send(line);
    this.#options.onSent(members.size);
    if (needsColumns) for (const member of members) this.#place(member);
  }

  #lost(): void {
    this.#end = undefined;
    for (const member of [...this.#groupOf.keys()]) member.lost();
  }

  /** Into the group of those that now ask for the same. */
  #place(member: Member): void {
    this.#part(member);
    const { selection, shape, needsColumns } = member;
    const key = `${String(needsColumns)} ${shape.key} ${selection.key}`;
    const group = this.#groups.get(key) ?? {
      key,
      selection,
      shape,
      needsColumns,
      members: new Set<Member>(),
    };
    group.members.add(member);
    this.#groupOf.set(member, group);
    if (group.members.size > 1) return;
    this.#groups.set(key, group);
    if (selection.name === undefined) {
      this.#broad.add(group);
      return;
    }
    const named = this.#named.get(selection.name) ?? new Set<Group>();
    this.#named.set(selection.name, named.add(group));
  }

  #part(member: Member): void {
    const group = this.#groupOf.get(member);
    if (group === undefined) return;
    this.#groupOf.delete(member);
    group.members.delete(member);
    if (group.members.size > 0) return;
    this.#groups.delete(group.key);
    this.#broad.delete(group);
    const { name } = group.selection;
    const named = name === undefined ? undefined : this.#named.get(name);
    named?.delete(group);
    if (name !== undefined && named?.size === 0) this.#named.delete(name);
  }
}
