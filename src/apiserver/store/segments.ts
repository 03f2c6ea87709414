import { deflated, type Deflated } from './deflate.ts';
import type { Entry, Segment } from './types.ts';

/** A segment that would grow beyond this is split. */
const MAX_ENTRIES = 128;
/** Neighbours that have shrunk to so many entries together become one. */
const MERGED_ENTRIES = 64;

const COMMA = Buffer.from(',');

/** A segment, never empty. */
export class EntrySegment implements Segment {
  readonly namespace: string;
  readonly entries: readonly Entry[];
  readonly bytes: number;
  readonly first: string;
  #deflated: Promise<Deflated> | undefined;

  /** @throws RangeError when there are no entries. */
  constructor(entries: readonly Entry[]) {
    const [first] = entries;
    if (first === undefined) throw new RangeError('a segment is never empty');
    this.namespace = first.namespace;
    this.entries = entries;
    this.first = first.name;
    // A plain loop: this runs at every change, and for every object of a first list.
    let bytes = entries.length - 1;
    for (const { json } of entries) bytes += json.length;
    this.bytes = bytes;
  }

  get(name: string): Entry | undefined {
    const entry = this.entries[this.indexOf(name)];
    return entry?.name === name ? entry : undefined;
  }

  /** Where the entry of that name is, or would be. */
  indexOf(name: string): number {
    return firstIndex(this.entries, (entry) => entry.name >= name);
  }

  deflated(): Promise<Deflated> {
    return (this.#deflated ??= this.#deflate());
  }

  async #deflate(): Promise<Deflated> {
    try {
      return await deflated(this.#plain());
    } catch (error) {
      // The next to ask tries again.
      this.#deflated = undefined;
      throw error;
    }
  }

  #plain(): Buffer {
    const pieces: Buffer[] = [];
    for (const { json } of this.entries) pieces.push(json, COMMA);
    pieces.pop();
    return Buffer.concat(pieces, this.bytes);
  }
}

/** The segments of one namespace, in the order of names. */
export type Segments = readonly EntrySegment[];

export function entryIn(segments: Segments, name: string): Entry | undefined {
  return segments[placeOf(segments, name)]?.get(name);
}

/** With an entry added, or in the place of the one of its name. All other segments are the same as before. */
export function withEntry(segments: Segments, entry: Entry): Segments {
  const place = placeOf(segments, entry.name);
  const segment = segments[place];
  if (segment === undefined) return [new EntrySegment([entry])];
  const index = segment.indexOf(entry.name);
  const isThere = segment.entries[index]?.name === entry.name;
  const entries = segment.entries.toSpliced(index, isThere ? 1 : 0, entry);
  return segments.toSpliced(place, 1, ...split(entries, index));
}

/** Without the entry of that name; the same when there is none. */
export function withoutEntry(segments: Segments, name: string): Segments {
  const place = placeOf(segments, name);
  const segment = segments[place];
  if (segment?.get(name) === undefined) return segments;
  const entries = segment.entries.toSpliced(segment.indexOf(name), 1);
  if (entries.length === 0) return segments.toSpliced(place, 1);
  for (const beside of [place - 1, place]) {
    const [left, right] = [beside, beside + 1].map((i) => (i === place ? entries : segments[i]?.entries));
    if (left === undefined || right === undefined || left.length + right.length > MERGED_ENTRIES) continue;
    return segments.toSpliced(beside, 2, new EntrySegment([...left, ...right]));
  }
  return segments.with(place, new EntrySegment(entries));
}

/** In the middle, or before the last entry when that is new: a list that comes in order fills its segments. */
function split(entries: readonly Entry[], added: number): EntrySegment[] {
  if (entries.length <= MAX_ENTRIES) return [new EntrySegment(entries)];
  const at = added === entries.length - 1 ? added : entries.length >> 1;
  return [new EntrySegment(entries.slice(0, at)), new EntrySegment(entries.slice(at))];
}

/** The segment in which a name is or would be: the last that begins with no later one, or the first. */
function placeOf(segments: Segments, name: string): number {
  return Math.max(0, firstIndex(segments, ({ first }) => first > name) - 1);
}

/** The first index from which on a condition holds; the length when it nowhere does. It does not for undefined. */
export function firstIndex<T>(sorted: readonly (T | undefined)[], holds: (item: T) => boolean): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const item = sorted[middle];
    if (item !== undefined && holds(item)) high = middle;
    else low = middle + 1;
  }
  return low;
}
