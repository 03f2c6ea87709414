import { AGGREGATION_GROUP, AGGREGATION_VERSION } from '../view/group.ts';
import { viewKinds } from '../view/kinds.ts';
import type { RequestLabels } from './metrics.ts';
import type { RequestInfo } from './types.ts';

const RESOURCES: ReadonlySet<string> = new Set(viewKinds.map(({ resource }) => resource.plural));

/** Paths beside those of resources that are counted by themselves, in the place of a subresource, as kube does. */
const PATHS: ReadonlySet<string> = new Set([
  '/apis',
  `/apis/${AGGREGATION_GROUP}`,
  `/apis/${AGGREGATION_GROUP}/${AGGREGATION_VERSION}`,
  '/openapi/v2',
  '/openapi/v3',
  `/openapi/v3/apis/${AGGREGATION_GROUP}/${AGGREGATION_VERSION}`,
  '/version',
  '/metrics',
  '/healthz',
  '/livez',
  '/readyz',
]);

/** Kubernetes counts by the method of HTTP, except that a GET may be a LIST or a WATCH. */
const VERBS: ReadonlyMap<string, string> = new Map([
  ['get', 'GET'],
  ['list', 'LIST'],
  ['watch', 'WATCH'],
  ['create', 'POST'],
  ['update', 'PUT'],
  ['patch', 'PATCH'],
  ['delete', 'DELETE'],
  ['deletecollection', 'DELETECOLLECTION'],
]);

/** Whether it is about a resource of this endpoint. */
export function isOurs({ isResourceRequest, apiGroup, apiVersion }: RequestInfo): boolean {
  return isResourceRequest && apiGroup === AGGREGATION_GROUP && apiVersion === AGGREGATION_VERSION;
}

/** What a request is counted under: what is not served here is not told apart. */
export function labelsOf(info: RequestInfo): RequestLabels {
  const verb = VERBS.get(info.verb) ?? 'OTHER';
  if (!isOurs(info) || !RESOURCES.has(info.resource)) {
    const subresource = PATHS.has(info.path) ? info.path : '';
    return { verb, group: '', version: '', resource: '', subresource, scope: '' };
  }
  return {
    verb,
    group: AGGREGATION_GROUP,
    version: AGGREGATION_VERSION,
    resource: info.resource,
    subresource: info.subresource === 'status' ? 'status' : '',
    scope: scopeOf(info),
  };
}

function scopeOf({ name, namespace, verb }: RequestInfo): string {
  if (name !== '' || verb === 'create') return 'resource';
  return namespace === '' ? 'cluster' : 'namespace';
}
