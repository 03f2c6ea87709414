import { jsonText, oneLine } from '../store/json.ts';
import type { Entry } from '../store/types.ts';
import { humanDuration } from '../view/duration.ts';
import type { Cell, Column } from '../view/types.ts';
import type { Run } from './blocks.ts';
import type { IncludeObject } from './options.ts';
import { partialHead, type MetaVersion } from './partial.ts';

export interface TableOptions {
  readonly metaVersion: MetaVersion;
  readonly includeObject: IncludeObject;
}

/** A table up to its first row. Without columns it goes on with those that came before, as later events of a watch do. */
export function tableHead(metaVersion: MetaVersion, metadata: string, columns: readonly Column[]): string {
  const definitions = columns.map(({ name, type, format, description, priority }) => ({
    name,
    type,
    format,
    description,
    priority,
  }));
  const apiVersion = `meta.k8s.io/${metaVersion}`;
  return `{"kind":"Table","apiVersion":"${apiVersion}","metadata":${metadata},"columnDefinitions":${jsonText(definitions)},"rows":[`;
}

/** What stands after the last row. */
export const TABLE_TAIL = ']}';

/**
 * One row, in few runs.
 *
 * @param now milliseconds since the epoch, from which ages are told
 */
export function rowRuns(entry: Entry, { metaVersion, includeObject }: TableOptions, now: number): Run[] {
  const start = `{"cells":${cellsText(entry.cells, now)},"object":`;
  switch (includeObject) {
    case 'None':
      return [`${start}null}`];
    case 'Object':
      return [start, entry.json, '}'];
    case 'Metadata':
      return [`${start}${partialHead(metaVersion)}`, entry.json.subarray(...entry.metadata), '}}'];
  }
}

/** The row of a bookmark: nothing to show, but the object tells how far the watch has come. */
export function bookmarkRow(columns: readonly Column[], object: string): string {
  const cells = columns.map((_, i) => (i === 0 ? '' : null));
  return `{"cells":${jsonText(cells)},"object":${object}}`;
}

function cellsText(cells: readonly Cell[], now: number): string {
  let text = '[';
  for (const cell of cells) {
    if (text.length > 1) text += ',';
    // An age holds nothing that has to be escaped.
    text += isAge(cell) ? `"${humanDuration(now - cell.since)}"` : JSON.stringify(cell);
  }
  return oneLine(`${text}]`);
}

function isAge(cell: Cell): cell is { readonly since: number } {
  return typeof cell === 'object' && cell !== null;
}
