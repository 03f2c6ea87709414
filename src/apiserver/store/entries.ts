import {
  entryIn,
  firstIndex,
  withEntry,
  withoutEntry,
  type EntrySegment,
  type Segments,
} from './segments.ts';
import type { Entry } from './types.ts';

interface Group {
  readonly namespace: string;
  /** Never empty. */
  readonly segments: Segments;
}

/**
 * Entries in the order of namespaces, then names. Immutable: a change answers new entries that share all segments with
 * the old ones but those that it touches.
 */
export class SortedEntries {
  readonly #groups: readonly Group[];
  readonly size: number;
  #all: readonly EntrySegment[] | undefined;

  private constructor(groups: readonly Group[], size: number) {
    this.#groups = groups;
    this.size = size;
  }

  static none(): SortedEntries {
    return new SortedEntries([], 0);
  }

  /** @param namespace left out: of all namespaces. */
  segments(namespace?: string): readonly EntrySegment[] {
    if (namespace === undefined) return (this.#all ??= this.#groups.flatMap(({ segments }) => segments));
    return this.#group(namespace)?.segments ?? [];
  }

  get(namespace: string, name: string): Entry | undefined {
    return entryIn(this.#group(namespace)?.segments ?? [], name);
  }

  with(entry: Entry): SortedEntries {
    const { namespace, name } = entry;
    const before = this.segments(namespace);
    const size = this.size + (entryIn(before, name) === undefined ? 1 : 0);
    return this.#withGroup(namespace, withEntry(before, entry), size);
  }

  without(namespace: string, name: string): SortedEntries {
    const before = this.segments(namespace);
    const after = withoutEntry(before, name);
    return after === before ? this : this.#withGroup(namespace, after, this.size - 1);
  }

  #group(namespace: string): Group | undefined {
    const group = this.#groups[this.#indexOf(namespace)];
    return group?.namespace === namespace ? group : undefined;
  }

  #indexOf(namespace: string): number {
    return firstIndex(this.#groups, (group) => group.namespace >= namespace);
  }

  #withGroup(namespace: string, segments: Segments, size: number): SortedEntries {
    const index = this.#indexOf(namespace);
    const isThere = this.#groups[index]?.namespace === namespace;
    const group = segments.length === 0 ? [] : [{ namespace, segments }];
    return new SortedEntries(this.#groups.toSpliced(index, isThere ? 1 : 0, ...group), size);
  }
}
