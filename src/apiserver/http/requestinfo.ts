import { parseFieldSelector } from '../reading/fields.ts';
import { StatusError } from './status.ts';
import type { RequestInfo } from './types.ts';

/** The request line, taken apart. */
export interface ParsedTarget {
  readonly info: RequestInfo;
  readonly query: URLSearchParams;
}

const VERBS: ReadonlyMap<string, string> = new Map([
  ['GET', 'get'],
  ['HEAD', 'get'],
  ['POST', 'create'],
  ['PUT', 'update'],
  ['PATCH', 'patch'],
  ['DELETE', 'delete'],
]);

/** What may follow a namespace in a path and is then a part of the namespace itself. */
const NAMESPACE_SUBRESOURCES: ReadonlySet<string> = new Set(['status', 'finalize']);

/**
 * What a request is about, by the rules of kube-apiserver (apiserver/pkg/endpoints/request/requestinfo.go). Rights are
 * checked and answers made by nothing but this, so both always mean the same. Stricter than there:
 *
 * - A segment of the path that is empty, `.` or `..`, or that holds an encoded slash, percent sign or control
 *   character is refused: no name can be one, and every other reading of it would be a guess.
 * - The old paths `/apis/GROUP/VERSION/watch/…` have no meaning of their own; `watch` is a resource that does not exist.
 *
 * @param target of the request line: a path with its query, or an absolute URL.
 * @throws StatusError BadRequest
 */
export function parseTarget(method: string, target: string): ParsedTarget {
  const { path, search } = splitTarget(target);
  const query = new URLSearchParams(search);
  const [prefix, ...parts] = segmentsOf(path);
  const hasGroup = prefix === 'apis';
  if (!(hasGroup ? parts.length >= 3 : prefix === 'api' && parts.length >= 2)) {
    return { info: { ...NO_RESOURCE, path, verb: method.toLowerCase() }, query };
  }
  const [apiGroup = '', apiVersion = '', ...rest] = hasGroup ? parts : ['', ...parts];
  const named = namesOf(rest);
  const byMethod = VERBS.get(method) ?? method.toLowerCase();
  const { verb, name } = collectionVerb(byMethod, named.name, query);
  return { info: { path, verb, isResourceRequest: true, apiGroup, apiVersion, ...named, name }, query };
}

const NO_RESOURCE = {
  isResourceRequest: false,
  apiGroup: '',
  apiVersion: '',
  resource: '',
  subresource: '',
  namespace: '',
  name: '',
} as const;

function splitTarget(target: string): { readonly path: string; readonly search: string } {
  const relative = target.replace(/^https?:\/\/[^/?]*/i, '');
  const start = relative.indexOf('?');
  const path = start === -1 ? relative : relative.slice(0, start);
  if (path === '' && relative !== target) return { path: '/', search: relative.slice(start + 1) };
  if (!path.startsWith('/')) throw badPath('it does not begin with a slash');
  return { path, search: start === -1 ? '' : relative.slice(start + 1) };
}

/** Decoded one by one; a slash at the end is overlooked. */
function segmentsOf(path: string): string[] {
  const inner = path.replace(/\/$/, '').slice(1);
  return inner === '' ? [] : inner.split('/').map(decodedSegment);
}

function decodedSegment(raw: string): string {
  let segment: string;
  try {
    segment = decodeURIComponent(raw);
  } catch {
    throw badPath('a percent-encoding in it is malformed');
  }
  if (segment === '' || segment === '.' || segment === '..') {
    throw badPath('a segment of it is empty or made of dots');
  }
  if (/[/%\p{Cc}]/u.test(segment)) throw badPath('a segment of it holds a character that no name can have');
  return segment;
}

function badPath(why: string): StatusError {
  return new StatusError('BadRequest', `the path of the request cannot be read: ${why}`);
}

type Names = Pick<RequestInfo, 'namespace' | 'resource' | 'name' | 'subresource'>;

/** What lies deeper than a subresource is its own business. */
function namesOf(parts: readonly string[]): Names {
  const [first, namespace = '', third] = parts;
  const isInNamespace = first === 'namespaces' && third !== undefined && !NAMESPACE_SUBRESOURCES.has(third);
  const [resource = '', name = '', subresource = ''] = isInNamespace ? parts.slice(2) : parts;
  return { namespace: first === 'namespaces' ? namespace : '', resource, name, subresource };
}

/** Of a request that names no object in its path. */
function collectionVerb(
  verb: string,
  name: string,
  query: URLSearchParams,
): { readonly verb: string; readonly name: string } {
  if (name !== '') return { verb, name };
  if (verb === 'delete') return { verb: 'deletecollection', name };
  if (verb !== 'get') return { verb, name };
  return { verb: isTrue(query.get('watch')) ? 'watch' : 'list', name: selectedName(query) };
}

/** As Kubernetes reads a boolean parameter: everything is true but its absence, `0` and `false`. */
export function isTrue(value: string | null): boolean {
  return value !== null && value !== '0' && value.toLowerCase() !== 'false';
}

/**
 * The one name that a field selector lets through, so that a right to this object alone is enough. Read by the same
 * parser as the selector itself: else more could be shown than was allowed.
 */
function selectedName(query: URLSearchParams): string {
  try {
    const name = parseFieldSelector(query.get('fieldSelector') ?? '').exact('metadata.name') ?? '';
    return name === '.' || name === '..' || /[/%]/.test(name) ? '' : name;
  } catch {
    return '';
  }
}
