import { PROGRAM_VERSION } from '../../base/version.ts';
import type { ViewKind } from '../view/types.ts';
import { typesOf, type Dialect } from './kindtypes.ts';
import { groupVersionKind, readablePaths, type Readable } from './names.ts';

/**
 * `/openapi/v3/apis/GROUP/VERSION`. The GET operations name the kind, by which kubectl explain finds its type. There is
 * no PATCH, so kubectl apply refuses an object of this group by itself.
 */
export function openApiV3(kinds: readonly ViewKind[]): object {
  return {
    openapi: '3.0.0',
    info: { title: 'coder-operator', version: `v${PROGRAM_VERSION}` },
    paths: Object.fromEntries(
      kinds.flatMap(readablePaths).map((readable) => [readable.path, pathItem(readable)]),
    ),
    components: { schemas: typesOf(kinds, openapi) },
  };
}

/** The metadata bear the names by which libraries know them. This document is merged with no other one. */
const openapi: Dialect = {
  objectMeta: 'io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta',
  listMeta: 'io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta',
  // Beside a $ref nothing else counts in OpenAPI 3.0.
  reference: (type, description) => ({ description, allOf: [component(type)] }),
  element: component,
};

function component(type: string): object {
  return { $ref: `#/components/schemas/${type}` };
}

function pathItem({ action, isNamespaced, kind, type, operationId, summary }: Readable): object {
  return {
    get: {
      description: summary,
      operationId,
      parameters: [
        ...(isNamespaced ? [pathParameter('namespace', 'Namespace of the objects.')] : []),
        ...(action === 'get'
          ? [pathParameter('name', 'Name of the object.'), ...readParameters]
          : listParameters),
      ],
      responses: {
        200: { description: 'OK', content: { 'application/json': { schema: component(type) } } },
        401: { description: 'Unauthorized' },
      },
      'x-kubernetes-action': action,
      'x-kubernetes-group-version-kind': groupVersionKind(kind),
    },
  };
}

function pathParameter(name: string, description: string): object {
  return { name, in: 'path', description, required: true, schema: { type: 'string' } };
}

function queryParameter(name: string, type: 'string' | 'integer' | 'boolean', description: string): object {
  return { name, in: 'query', description, schema: { type } };
}

const pretty = queryParameter('pretty', 'string', 'With true the answer is indented.');
const resourceVersion = queryParameter(
  'resourceVersion',
  'string',
  'How new the data must be at least; for a watch, where it begins. Left out, the newest that is known.',
);

const readParameters: readonly object[] = [pretty, resourceVersion];

const listParameters: readonly object[] = [
  queryParameter(
    'allowWatchBookmarks',
    'boolean',
    'A watch also tells how far it has come without a change.',
  ),
  queryParameter(
    'continue',
    'string',
    'The token of an answer that a limit cut: the list goes on from there.',
  ),
  queryParameter('fieldSelector', 'string', 'Only objects with these metadata.name and metadata.namespace.'),
  queryParameter('labelSelector', 'string', 'Only objects whose labels match.'),
  queryParameter('limit', 'integer', 'How many objects an answer holds at most.'),
  pretty,
  resourceVersion,
  queryParameter('resourceVersionMatch', 'string', 'How resourceVersion is meant: NotOlderThan or Exact.'),
  queryParameter(
    'sendInitialEvents',
    'boolean',
    'A watch begins with an event for each object that is there.',
  ),
  queryParameter('timeoutSeconds', 'integer', 'After how many seconds a watch ends.'),
  queryParameter('watch', 'boolean', 'Changes as they happen, in place of a list.'),
];
