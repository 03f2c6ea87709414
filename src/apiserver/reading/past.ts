import type { Change, Entry, ViewStore } from '../store/types.ts';
import { isAfter, type Listing } from './selection.ts';

/**
 * The list of a version that the store has passed, rebuilt by taking back what happened since: so a page can be read
 * from one replica and the next from another, whose store is some changes or bookmarks further.
 *
 * @returns undefined when the store is not there yet, or the history does not reach back without a gap
 */
export function listingAt(store: ViewStore, resourceVersion: bigint): Listing | undefined {
  const snapshot = store.snapshot();
  if (snapshot.resourceVersion === resourceVersion) return snapshot;
  if (snapshot.resourceVersion < resourceVersion) return undefined;
  if (store.seamlessSince === undefined || resourceVersion < store.seamlessSince) return undefined;
  const changes: Change[] = [];
  const end = store.follow(resourceVersion, {
    changed: (change) => changes.push(change),
    lost: () => undefined,
    takesDifferences: true,
  });
  if (end === undefined) return undefined;
  end();
  if (changes.length > 0) return new Undone(snapshot, changes, resourceVersion);
  return {
    resourceVersion,
    segments: (namespace) => snapshot.segments(namespace),
    get: (namespace, name) => snapshot.get(namespace, name),
  };
}

type Segments = ReturnType<Listing['segments']>;

/** A list without the changes that came after it. Segments without such a change are those of the newer list. */
class Undone implements Listing {
  readonly resourceVersion: bigint;
  readonly #newer: Listing;
  /** By namespace and name what was there, `undefined` for nothing, of all objects that were changed later. */
  readonly #then = new Map<string, Map<string, Entry | undefined>>();
  readonly #undone = new Map<string, Segments>();
  #all: Segments | undefined;

  constructor(newer: Listing, changes: readonly Change[], resourceVersion: bigint) {
    this.resourceVersion = resourceVersion;
    this.#newer = newer;
    for (const { entry, previous } of changes) {
      const names = this.#then.get(entry.namespace) ?? new Map<string, Entry | undefined>();
      this.#then.set(entry.namespace, names);
      // The first change after that version tells what was there before it.
      if (!names.has(entry.name)) names.set(entry.name, previous);
    }
  }

  get(namespace: string, name: string): Entry | undefined {
    const names = this.#then.get(namespace);
    return names?.has(name) === true ? names.get(name) : this.#newer.get(namespace, name);
  }

  segments(namespace?: string): Segments {
    if (namespace !== undefined) return this.#segmentsOf(namespace);
    return (this.#all ??= this.#allSegments());
  }

  #allSegments(): Segments {
    const namespaces = new Set(this.#newer.segments().map((segment) => segment.namespace));
    for (const namespace of this.#then.keys()) namespaces.add(namespace);
    return [...namespaces].sort().flatMap((namespace) => this.#segmentsOf(namespace));
  }

  #segmentsOf(namespace: string): Segments {
    const then = this.#then.get(namespace);
    const newer = this.#newer.segments(namespace);
    if (then === undefined) return newer;
    const known = this.#undone.get(namespace);
    if (known !== undefined) return known;
    const changed = [...then.keys()].sort();
    const undone: Segments[number][] = [];
    let from = 0;
    // Once also where nothing is left.
    for (let i = 0; i < Math.max(1, newer.length); i++) {
      const segment = newer[i];
      const following = newer[i + 1]?.entries[0]?.name;
      let to = from;
      while (to < changed.length && (following === undefined || (changed[to] ?? '') < following)) to++;
      const names = changed.slice(from, to);
      from = to;
      if (segment !== undefined && names.length === 0) undone.push(segment);
      else undone.push(...undoneSegment(namespace, segment?.entries ?? [], names, then));
    }
    this.#undone.set(namespace, undone);
    return undone;
  }
}

/** A segment with its changed names as they were; none where nothing was. */
function undoneSegment(
  namespace: string,
  newer: readonly Entry[],
  names: readonly string[],
  then: ReadonlyMap<string, Entry | undefined>,
): Segments {
  const kept = newer.filter(({ name }) => !then.has(name));
  const back = names.map((name) => then.get(name)).filter((entry) => entry !== undefined);
  const entries = [...kept, ...back].sort((a, b) => (isAfter(a, b) ? 1 : -1));
  if (entries.length === 0) return [];
  const bytes = entries.reduce((sum, { json }) => sum + json.byteLength, entries.length - 1);
  return [{ namespace, entries, bytes }];
}
