import type { KubeObject } from '../../api/meta.ts';
import type { Cell, ViewKind } from '../view/types.ts';
import { jsonText } from './json.ts';
import { Strings } from './strings.ts';
import type { Entry } from './types.ts';
import { versionOf } from './versions.ts';

/** The members of metadata that come first, see `untilVersion`. */
const LEADING: ReadonlySet<string> = new Set(['name', 'namespace', 'uid', 'resourceVersion']);

const NO_LABELS: Readonly<Record<string, string>> = Object.freeze({});

/**
 * Shows an object as its kind does and puts it into bytes, once for all answers and events that will hold it. Nothing
 * of the object itself is kept.
 *
 * @param strings those that are shared with other entries.
 * @throws OperatorError BROKEN_VERSION when the object has no resourceVersion that is an integer.
 */
export function serialise<T extends KubeObject>(
  kind: ViewKind<T>,
  object: T,
  strings = new Strings(),
): Entry {
  const { kind: name, apiVersion, metadata, ...rest } = kind.view(object);
  const version = versionOf(metadata.resourceVersion);
  const others = Object.fromEntries(Object.entries(metadata).filter(([key]) => !LEADING.has(key)));
  const head = `{"kind":${jsonText(name)},"apiVersion":${jsonText(apiVersion)},"metadata":`;
  // In this order, so that the version can be found again without a search.
  const meta = `${untilVersion(metadata)}${version}"${furtherMembers(others)}`;
  const start = Buffer.byteLength(head);
  return {
    namespace: strings.share(metadata.namespace),
    name: metadata.name,
    uid: metadata.uid,
    resourceVersion: version,
    labels: sharedLabels(metadata.labels, strings),
    json: bytesOf(`${head}${meta}${furtherMembers(rest)}`),
    metadata: [start, start + Buffer.byteLength(meta)],
    cells: kind.cells(object).map((cell) => sharedCell(cell, strings)),
  };
}

/** The same with another version: of a deletion that changed nothing else, for instance. */
export function withResourceVersion(entry: Entry, version: bigint): Entry {
  const [start, end] = entry.metadata;
  const at = start + Buffer.byteLength(untilVersion(entry));
  const before = String(entry.resourceVersion).length;
  const text = String(version);
  const json = Buffer.allocUnsafeSlow(entry.json.length - before + text.length);
  entry.json.copy(json, 0, 0, at);
  json.write(text, at, 'latin1');
  entry.json.copy(json, at + text.length, at + before);
  return { ...entry, resourceVersion: version, json, metadata: [start, end - before + text.length] };
}

/** How the metadata begins. Made of what an entry knows too. */
function untilVersion({ name, namespace, uid }: Pick<Entry, 'name' | 'namespace' | 'uid'>): string {
  return `{"name":${jsonText(name)},"namespace":${jsonText(namespace)},"uid":${jsonText(uid)},"resourceVersion":"`;
}

/** The members of an object that go on in one that is open already, and its end. */
function furtherMembers(members: object): string {
  const json = jsonText(members);
  return json === '{}' ? json.slice(1) : `,${json.slice(1)}`;
}

/** Memory of its own: in the pool of small buffers the last one that is held would keep its neighbours. */
function bytesOf(text: string): Buffer {
  const bytes = Buffer.allocUnsafeSlow(Buffer.byteLength(text));
  bytes.write(text);
  return bytes;
}

function sharedLabels(labels: Entry['labels'] | undefined, strings: Strings): Entry['labels'] {
  const pairs = Object.entries(labels ?? {});
  if (pairs.length === 0) return NO_LABELS;
  const shared: Record<string, string> = {};
  for (const [key, value] of pairs) shared[strings.share(key)] = strings.share(value);
  return shared;
}

function sharedCell(cell: Cell, strings: Strings): Cell {
  return typeof cell === 'string' ? strings.share(cell) : cell;
}
