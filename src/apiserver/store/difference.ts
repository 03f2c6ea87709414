import type { SortedEntries } from './entries.ts';
import type { Step } from './history.ts';
import { withResourceVersion } from './serialise.ts';
import type { Change, Entry } from './types.ts';

/** Entries that are handled without a pause: some milliseconds. */
const TURN = 250;

/** What a new list says otherwise than what was known. */
export interface Difference {
  readonly entries: SortedEntries;
  /** Of names that are free now. */
  readonly gone: readonly Entry[];
  readonly changed: readonly { readonly previous: Entry | undefined; readonly entry: Entry }[];
}

/** Compares by uid and resourceVersion. Entries that are the same stay, with all that is made of them. */
export function* differenceInSteps(
  before: SortedEntries,
  items: readonly Entry[],
): Generator<void, Difference> {
  const listed = new Map<string, Set<string>>();
  const changed: Difference['changed'][number][] = [];
  let entries = before;
  let handled = 0;
  for (const entry of items) {
    if (++handled % TURN === 0) yield;
    const names = listed.get(entry.namespace);
    if (names === undefined) listed.set(entry.namespace, new Set([entry.name]));
    else names.add(entry.name);
    const previous = before.get(entry.namespace, entry.name);
    if (previous?.uid === entry.uid && previous.resourceVersion === entry.resourceVersion) continue;
    changed.push({ previous, entry });
    entries = entries.with(entry);
  }
  const gone: Entry[] = [];
  for (const segment of before.segments()) {
    for (const entry of segment.entries) {
      if (++handled % TURN === 0) yield;
      if (listed.get(entry.namespace)?.has(entry.name) === true) continue;
      gone.push(entry);
      entries = entries.without(entry.namespace, entry.name);
    }
  }
  return { entries, gone, changed };
}

/**
 * The difference as changes, in an order in which a client may be cut off after any of them and go on elsewhere, by the
 * version that it was told last.
 *
 * Deletions come first. When they happened is not known, so they have the version up to which everything was known
 * before: a client that goes on from there hears of them again. Told later, at a later version, they would be lost for
 * a client that takes another replica's word from that version on. What changed follows by its own versions. Only the
 * last of all changes may have the version of the list, and has it where it is a deletion.
 *
 * An object that was replaced by another of its name shows as both, deleted and added.
 */
export function* stepOf(
  { gone, changed }: Pick<Difference, 'gone' | 'changed'>,
  from: bigint,
  to: bigint,
): Generator<void, Step> {
  const deleted = [...gone];
  const others: Change[] = [];
  for (const { previous, entry } of changed) {
    const isReplaced = previous !== undefined && previous.uid !== entry.uid;
    if (isReplaced) deleted.push(previous);
    const { resourceVersion } = entry;
    others.push(
      previous === undefined || isReplaced
        ? { type: 'added', resourceVersion, entry, previous: undefined }
        : { type: 'modified', resourceVersion, entry, previous },
    );
  }
  others.sort((a, b) => (a.resourceVersion < b.resourceVersion ? -1 : 1));
  const deletions: Change[] = [];
  for (const [i, previous] of deleted.entries()) {
    if ((i + 1) % TURN === 0) yield;
    const isLast = i === deleted.length - 1 && others.length === 0;
    const entry = withResourceVersion(previous, isLast ? to : from);
    deletions.push({ type: 'deleted', resourceVersion: entry.resourceVersion, entry, previous });
  }
  return { from, to, changes: [...deletions, ...others], isDifference: true };
}

/** What was there before these steps, taken back from what is there after them. */
export function* undoneInSteps(after: SortedEntries, steps: readonly Step[]): Generator<void, SortedEntries> {
  const undone = new Map<string, Set<string>>();
  let entries = after;
  let handled = 0;
  for (const { changes } of steps) {
    for (const { entry, previous } of changes) {
      if (++handled % TURN === 0) yield;
      const { namespace, name } = entry;
      const names = undone.get(namespace) ?? new Set<string>();
      // The first change of a name tells what was there before all of them.
      if (names.has(name)) continue;
      undone.set(namespace, names.add(name));
      entries = previous === undefined ? entries.without(namespace, name) : entries.with(previous);
    }
  }
  return entries;
}
