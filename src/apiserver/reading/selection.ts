import { createHash } from 'node:crypto';
import type { Entry, Snapshot } from '../store/types.ts';
import type { FieldSelector } from './fields.ts';
import type { LabelSelector } from './labels.ts';

/** What one list or watch is about. */
export interface Selection {
  /** Of the path, else of the field selector; left out: all. */
  readonly namespace: string | undefined;
  /** At most the objects of this name. */
  readonly name: string | undefined;
  /** Everything in the namespace: no selector. */
  readonly isWhole: boolean;
  /** Objects come and go with their labels. */
  readonly isByLabels: boolean;
  /** The same for every request that selects the same; for grouping. */
  readonly key: string;
  matches(object: Pick<Entry, 'namespace' | 'name' | 'labels'>): boolean;
}

export interface SelectionOptions {
  /** Of the path; empty: all. */
  readonly namespace: string;
  readonly labels: LabelSelector;
  readonly fields: FieldSelector;
}

/** Both the namespace of the path and the one of a field selector count, as all selectors do. */
export function selectionOf({ namespace: scope, labels, fields }: SelectionOptions): Selection {
  const namespace = scope === '' ? fields.exact('metadata.namespace') : scope;
  return {
    namespace,
    name: fields.exact('metadata.name'),
    isWhole: labels.requirements.length === 0 && fields.terms.length === 0,
    isByLabels: labels.requirements.length > 0,
    key: JSON.stringify([scope, labels.canonical, fields.canonical]),
    matches: (object) =>
      (namespace === undefined || object.namespace === namespace) &&
      fields.matches(object) &&
      labels.matches(object.labels),
  };
}

/** Tells selections apart in a continue token. */
export function selectionHash(selection: Selection, plural: string): string {
  return createHash('sha256').update(`${plural} ${selection.key}`).digest('base64url').slice(0, 16);
}

export interface SelectedOptions {
  /** Only what comes after this. */
  readonly after?: Position | undefined;
  /** Most objects; 0: all. */
  readonly limit?: number;
}

/** What is selected, in order. One name is looked up, whatever the number of objects. */
export function selected(
  listing: Snapshot,
  selection: Selection,
  { after, limit = 0 }: SelectedOptions = {},
): readonly Entry[] {
  const { isWhole } = selection;
  const found: Entry[] = [];
  for (const entries of candidates(listing, selection)) {
    const last = entries.at(-1);
    const isBefore = after !== undefined && last !== undefined && !isAfter(last, after);
    if (isBefore) continue;
    for (const entry of entries) {
      if (after !== undefined && !isAfter(entry, after)) continue;
      if (!isWhole && !selection.matches(entry)) continue;
      if (found.push(entry) === limit) return found;
    }
  }
  return found;
}

/** In groups that are in order. */
function candidates(listing: Snapshot, { namespace, name }: Selection): (readonly Entry[])[] {
  const segments = listing.segments(namespace);
  if (name === undefined) return segments.map(({ entries }) => entries);
  return [...new Set(segments.map((segment) => segment.namespace))].map((place) => {
    const entry = listing.get(place, name);
    return entry === undefined ? [] : [entry];
  });
}

/** How many objects a whole list still has after a position. */
export function countAfter(listing: Snapshot, namespace: string | undefined, after: Position): number {
  let count = 0;
  for (const { entries } of listing.segments(namespace)) {
    const [first, last] = [entries[0], entries.at(-1)];
    if (first === undefined || last === undefined || !isAfter(last, after)) continue;
    count += isAfter(first, after) ? entries.length : entries.filter((entry) => isAfter(entry, after)).length;
  }
  return count;
}

/** Where a list goes on: after the object of this name. */
export interface Position {
  readonly namespace: string;
  readonly name: string;
}

/** Whether an object comes after the position, in the order of lists. */
export function isAfter(object: Position, position: Position): boolean {
  if (object.namespace !== position.namespace) return object.namespace > position.namespace;
  return object.name > position.name;
}
