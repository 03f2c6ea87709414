import { withResourceVersion } from '../store/serialise.ts';
import type { Change, Entry } from '../store/types.ts';
import { joined } from './blocks.ts';
import type { Selection } from './selection.ts';
import type { Shape, Shaper } from './shapes.ts';

/** The types of events that hold an object. */
export type EventType = 'ADDED' | 'MODIFIED' | 'DELETED';

/** What a change is to those who selected something; undefined: nothing. */
export function eventTypeOf(
  { type, entry, previous }: Change,
  selection: Pick<Selection, 'matches'>,
): EventType | undefined {
  const before = type === 'deleted' ? (previous ?? entry) : previous;
  const was = before !== undefined && selection.matches(before);
  const is = type !== 'deleted' && selection.matches(entry);
  if (is) return was ? 'MODIFIED' : 'ADDED';
  return was ? 'DELETED' : undefined;
}

/** One event as a line. Without columns a table goes on with those of an event before. */
export function eventLine(
  shaper: Shaper,
  type: EventType,
  entry: Entry,
  shape: Shape,
  withColumns: boolean,
): Buffer {
  return joined([`{"type":"${type}","object":`, ...shaper.object(entry, shape, withColumns), '}\n']);
}

/** A bookmark as a line. */
export function bookmarkLine(
  shaper: Shaper,
  resourceVersion: bigint,
  shape: Shape,
  { isInitialEnd, withColumns }: { readonly isInitialEnd: boolean; readonly withColumns: boolean },
): Buffer {
  const object = shaper.bookmark(resourceVersion, shape, isInitialEnd, withColumns);
  return Buffer.from(`{"type":"BOOKMARK","object":${object}}\n`);
}

interface Kept {
  readonly lines: Map<string, Buffer>;
  /** The previous object of one that has left a selection, with the version of the change. */
  left?: Entry;
}

/** Bytes of lines that are kept for watchers who are some changes behind. */
const MAX_BYTES = 4 * 1024 * 1024;

/** Makes each line of a change once for each shape, whoever sends it; the newest changes' lines are kept. */
export class EventLines {
  readonly #shaper: Shaper;
  readonly #maxBytes: number;
  readonly #kept = new Map<Change, Kept>();
  #bytes = 0;

  constructor(shaper: Shaper, maxBytes = MAX_BYTES) {
    this.#shaper = shaper;
    this.#maxBytes = maxBytes;
  }

  /** The same bytes for everybody: nobody may change them. */
  line(change: Change, type: EventType, shape: Shape, withColumns: boolean): Buffer {
    const kept = this.#kept.get(change) ?? { lines: new Map<string, Buffer>() };
    this.#kept.set(change, kept);
    const key = `${type} ${String(withColumns && shape.as === 'Table')} ${shape.key}`;
    const known = kept.lines.get(key);
    if (known !== undefined) return known;
    const line = eventLine(this.#shaper, type, this.#entry(change, type, kept), shape, withColumns);
    kept.lines.set(key, line);
    this.#bytes += line.byteLength;
    this.#forget(change);
    return line;
  }

  #entry(change: Change, type: EventType, kept: Kept): Entry {
    const { entry, previous, resourceVersion } = change;
    if (type !== 'DELETED' || change.type === 'deleted' || previous === undefined) return entry;
    // For those who selected it, an object that changed its labels is gone: they get what they knew.
    return (kept.left ??= withResourceVersion(previous, resourceVersion));
  }

  #forget(newest: Change): void {
    for (const [change, { lines }] of this.#kept) {
      if (this.#bytes <= this.#maxBytes) return;
      if (change === newest) continue;
      this.#kept.delete(change);
      for (const line of lines.values()) this.#bytes -= line.byteLength;
    }
  }
}
