import { OperatorError } from '../base/errors.ts';
import type { KubeObject, ResourceType } from '../api/meta.ts';

/** One page of a LIST. The API server leaves apiVersion and kind out of the items. */
export interface KubeList<T extends KubeObject = KubeObject> {
  readonly metadata: {
    readonly resourceVersion: string;
    /** Token of the next page; absent or empty on the last one. */
    readonly continue?: string;
    readonly remainingItemCount?: number;
  };
  readonly items: readonly T[];
}

export interface PathParts {
  /** Left out: the whole cluster. */
  readonly namespace?: string | undefined;
  readonly name?: string | undefined;
  readonly subresource?: string | undefined;
}

/** kubectl keeps a second copy of the whole object in here. */
const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';

/** `group/version`, or `v1` for the core group. */
export function apiVersionOf(resource: ResourceType): string {
  return resource.group === '' ? resource.version : `${resource.group}/${resource.version}`;
}

/**
 * The URL path of a collection, object or subresource.
 *
 * @throws OperatorError INVALID_PATH when a segment could change which object is addressed, or when a namespace is
 *   given for a cluster-wide resource.
 */
export function resourcePath(resource: ResourceType, parts: PathParts = {}): string {
  const segments = resource.group === '' ? ['api'] : ['apis', resource.group];
  segments.push(resource.version);
  if (parts.namespace !== undefined) {
    if (!resource.namespaced) {
      throw new OperatorError('INVALID_PATH', `${resource.plural} are not in namespaces`);
    }
    segments.push('namespaces', parts.namespace);
  }
  segments.push(resource.plural);
  if (parts.name !== undefined) segments.push(parts.name);
  if (parts.subresource !== undefined) segments.push(parts.subresource);
  return segments.map((segment) => `/${pathSegment(segment)}`).join('');
}

/**
 * Whether anything can bear this name in a path: the API server's own rule (apimachinery, IsValidPathSegmentName), and
 * not empty. An object that a person names may have to be asked for by it.
 */
export function isPathSegment(segment: string): boolean {
  return segment !== '' && segment !== '.' && segment !== '..' && !/[/%]/.test(segment);
}

function pathSegment(segment: string): string {
  if (!isPathSegment(segment)) {
    throw new OperatorError('INVALID_PATH', `${JSON.stringify(segment)} cannot be part of a Kubernetes path`);
  }
  return encodeURIComponent(segment);
}

/** `namespace/name`, or the name alone for objects outside namespaces. */
export function objectKey(object: KubeObject): string {
  const { namespace, name } = object.metadata;
  return namespace === undefined || namespace === '' ? name : `${namespace}/${name}`;
}

/** Whether something that came as an object of this kind can be one: it has a name, a place and a version. */
export function isObjectOf(resource: ResourceType, object: unknown): object is KubeObject {
  if (!hasVersion(object)) return false;
  const { kind, metadata } = object as Partial<KubeObject> & WithVersion;
  if (kind !== undefined && kind !== resource.kind) return false;
  return isFilled(metadata.name) && (!resource.namespaced || isFilled(metadata.namespace));
}

/** Whether it names a resourceVersion, as objects, lists and bookmarks do. */
export function hasVersion(something: unknown): something is WithVersion {
  if (!isRecord(something) || !('metadata' in something) || !isRecord(something.metadata)) return false;
  return 'resourceVersion' in something.metadata && isFilled(something.metadata.resourceVersion);
}

export interface WithVersion {
  readonly metadata: {
    readonly resourceVersion: string;
    readonly name?: unknown;
    readonly namespace?: unknown;
  };
}

function isRecord(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

function isFilled(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}

/**
 * Compares two resourceVersions as the integers that they are (Kubernetes declares them comparable since 1.35, and
 * etcd-backed servers always behaved so): negative, zero or positive; undefined when one is not an integer.
 */
export function compareResourceVersions(a: string | undefined, b: string | undefined): number | undefined {
  if (a === undefined || b === undefined || !isInteger(a) || !isInteger(b)) return undefined;
  if (a.length !== b.length) return a.length - b.length;
  return a === b ? 0 : a < b ? -1 : 1;
}

function isInteger(text: string): boolean {
  return text === '0' || /^[1-9][0-9]*$/.test(text);
}

/**
 * A copy without what nobody here reads and what would be most of the memory: managedFields and kubectl's copy of the
 * applied manifest. Copied rather than deleted in place: `delete` turns an object into a slow and large hash table.
 */
export function trimmed<T extends KubeObject>(object: T): T {
  const { annotations } = object.metadata;
  const hasLastApplied = annotations !== undefined && LAST_APPLIED in annotations;
  if (!hasLastApplied && !('managedFields' in object.metadata)) return object;
  const metadata = without(object.metadata, 'managedFields');
  if (!hasLastApplied) return { ...object, metadata };
  return { ...object, metadata: { ...metadata, annotations: without(annotations, LAST_APPLIED) } };
}

function without<T extends object>(object: T, key: string): T {
  const copy: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(object)) {
    if (name !== key) copy[name] = value;
  }
  return copy as T;
}
