import { PROGRAM_VERSION } from '../../base/version.ts';
import type { ViewKind } from '../view/types.ts';
import { typesOf, type Dialect } from './kindtypes.ts';
import { groupVersionKind, readablePaths, typeName, type Readable } from './names.ts';

/**
 * `/openapi/v2`: Swagger 2.0 and nothing beyond it. kube-apiserver merges this document into that of the whole cluster
 * and turns the whole into protobuf with a strict parser, so that one word that Swagger does not know would take the
 * document away from every client of the cluster.
 */
export function openApiV2(kinds: readonly ViewKind[]): object {
  return {
    swagger: '2.0',
    info: { title: 'coder-operator', version: `v${PROGRAM_VERSION}` },
    paths: Object.fromEntries(
      kinds.flatMap(readablePaths).map((readable) => [readable.path, pathItem(readable)]),
    ),
    definitions: typesOf(kinds, swagger),
  };
}

/** The metadata bear names of our own: a type of Kubernetes' name with other fields would be renamed when merged. */
const swagger: Dialect = {
  objectMeta: typeName('ObjectMeta'),
  listMeta: typeName('ListMeta'),
  reference: (type, description) => ({ description, ...definition(type) }),
  element: definition,
};

function definition(type: string): object {
  return { $ref: `#/definitions/${type}` };
}

function pathItem({ action, isNamespaced, kind, type, operationId, summary }: Readable): object {
  const parameters = [
    ...(isNamespaced ? [pathParameter('namespace', 'Namespace of the objects.')] : []),
    ...(action === 'get' ? [pathParameter('name', 'Name of the object.')] : []),
  ];
  return {
    get: {
      description: summary,
      operationId,
      produces: ['application/json'],
      schemes: ['https'],
      ...(parameters.length === 0 ? {} : { parameters }),
      responses: {
        200: { description: 'OK', schema: definition(type) },
        401: { description: 'Unauthorized' },
      },
      'x-kubernetes-action': action,
      'x-kubernetes-group-version-kind': groupVersionKind(kind),
    },
  };
}

function pathParameter(name: string, description: string): object {
  return { name, in: 'path', description, required: true, type: 'string' };
}
