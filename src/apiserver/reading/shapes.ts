import type { Clock } from '../../base/clock.ts';
import { apiVersionOf } from '../../kube/objects.ts';
import type { Representation } from '../http/negotiate.ts';
import type { Entry } from '../store/types.ts';
import type { ViewKind } from '../view/types.ts';
import type { Run } from './blocks.ts';
import { readIncludeObject, type IncludeObject } from './options.ts';
import { partialBytes, partialHead, partialRuns, type MetaVersion } from './partial.ts';
import { bookmarkRow, rowRuns, TABLE_TAIL, tableHead } from './table.ts';

/** How objects are shown to a client. */
export interface Shape {
  readonly as: 'object' | 'Table' | 'PartialObjectMetadata';
  readonly metaVersion: MetaVersion;
  readonly includeObject: IncludeObject;
  /** The same for clients that get the same bytes. */
  readonly key: string;
}

/** Of a list; members that are left out do not appear. */
export interface ListMeta {
  readonly resourceVersion: string;
  readonly continue?: string | undefined;
  readonly remainingItemCount?: number | undefined;
}

/**
 * Whether one object or a list was asked for has been checked by negotiation.
 *
 * @throws StatusError BadRequest for a wrong includeObject
 */
export function shapeOf({ as, metaVersion }: Representation, query: URLSearchParams): Shape {
  switch (as) {
    case 'object':
      return { as, metaVersion: 'v1', includeObject: 'Metadata', key: as };
    case 'Table': {
      const includeObject = readIncludeObject(query);
      return { as, metaVersion, includeObject, key: `${as} ${metaVersion} ${includeObject}` };
    }
    case 'PartialObjectMetadata':
    case 'PartialObjectMetadataList':
      return {
        as: 'PartialObjectMetadata',
        metaVersion,
        includeObject: 'Metadata',
        key: `Partial ${metaVersion}`,
      };
  }
}

/** Writes the objects of one kind in every shape, out of bytes that are there. */
export class Shaper {
  readonly #kind: ViewKind;
  readonly #clock: Clock;

  constructor(kind: ViewKind, clock: Clock) {
    this.#kind = kind;
    this.#clock = clock;
  }

  /** One object: the answer to a GET, or what an event holds. `withColumns` matters for tables. */
  object(entry: Entry, shape: Shape, withColumns = true): Run[] {
    switch (shape.as) {
      case 'object':
        return [entry.json];
      case 'PartialObjectMetadata':
        return partialRuns(entry, shape.metaVersion);
      case 'Table': {
        const metadata = metaText({ resourceVersion: entry.resourceVersion.toString() });
        const head = tableHead(shape.metaVersion, metadata, withColumns ? this.#kind.columns : []);
        return [head, ...rowRuns(entry, shape, this.#clock.now()), TABLE_TAIL];
      }
    }
  }

  /** How far a watch has come; `isInitialEnd`: and that all that was there has been sent. */
  bookmark(resourceVersion: bigint, shape: Shape, isInitialEnd: boolean, withColumns = true): string {
    const version = resourceVersion.toString();
    const metadata = JSON.stringify({
      resourceVersion: version,
      ...(isInitialEnd ? { annotations: { 'k8s.io/initial-events-end': 'true' } } : {}),
    });
    const partial = `${partialHead(shape.metaVersion)}${metadata}}`;
    if (shape.as === 'PartialObjectMetadata') return partial;
    const { resource, columns } = this.#kind;
    const whole = `{"kind":"${resource.kind}","apiVersion":"${apiVersionOf(resource)}","metadata":${metadata}}`;
    if (shape.as === 'object') return whole;
    // Whatever is to be included, the end of the initial events has to be seen.
    const isLeftOut = shape.includeObject === 'None' && !isInitialEnd;
    const object = shape.includeObject === 'Object' ? whole : isLeftOut ? 'null' : partial;
    const head = tableHead(
      shape.metaVersion,
      metaText({ resourceVersion: version }),
      withColumns ? columns : [],
    );
    return `${head}${bookmarkRow(columns, object)}${TABLE_TAIL}`;
  }

  /** A list up to its first item. */
  listHead(shape: Shape, meta: ListMeta): string {
    const metadata = metaText(meta);
    const { resource, columns } = this.#kind;
    switch (shape.as) {
      case 'object':
        return `{"kind":"${resource.kind}List","apiVersion":"${apiVersionOf(resource)}","metadata":${metadata},"items":[`;
      case 'PartialObjectMetadata':
        return `{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/${shape.metaVersion}","metadata":${metadata},"items":[`;
      case 'Table':
        return tableHead(shape.metaVersion, metadata, columns);
    }
  }

  /** A whole list. All ages of a table are told from one moment, however long its client takes to read it. */
  *list(head: string, entries: readonly Entry[], shape: Shape): Generator<Run> {
    const now = this.#clock.now();
    yield head;
    let isFirst = true;
    for (const entry of entries) {
      if (!isFirst) yield ',';
      isFirst = false;
      yield* shape.as === 'Table' ? rowRuns(entry, shape, now) : this.object(entry, shape);
    }
    yield LIST_TAIL;
  }

  /** How many bytes such a list has, where that can be told without writing it: not of a table. */
  listBytes(head: string, entries: readonly Entry[], { as, metaVersion }: Shape): number | undefined {
    if (as === 'Table') return undefined;
    let bytes = Buffer.byteLength(head) + LIST_TAIL.length + Math.max(0, entries.length - 1);
    for (const entry of entries) {
      bytes += as === 'object' ? entry.json.byteLength : partialBytes(entry, metaVersion);
    }
    return bytes;
  }
}

/** What stands after the last item of a list. */
export const LIST_TAIL = ']}\n';

function metaText(meta: ListMeta): string {
  return JSON.stringify(meta);
}
