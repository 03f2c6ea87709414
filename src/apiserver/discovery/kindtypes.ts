import type { ViewKind } from '../view/types.ts';
import { apiVersionSchema, kindSchema, listMetaSchema, objectMetaSchema } from './metadata.ts';
import { groupVersionKind, typeName } from './names.ts';
import { viewSchemas } from './schema.generated.ts';

/** In what the versions of OpenAPI differ when they describe the same types. */
export interface Dialect {
  /** Names of the types of metadata. */
  readonly objectMeta: string;
  readonly listMeta: string;
  /** A property whose type is described elsewhere in the document. */
  reference(type: string, description: string): object;
  /** Elements of a list of such a type. */
  element(type: string): object;
}

/** All types of the endpoint by name: every kind, the list of it, and the metadata of both. */
export function typesOf(kinds: readonly ViewKind[], dialect: Dialect): Readonly<Record<string, object>> {
  return {
    ...Object.fromEntries(kinds.flatMap((kind) => [objectType(kind, dialect), listType(kind, dialect)])),
    [dialect.listMeta]: listMetaSchema,
    [dialect.objectMeta]: objectMetaSchema,
  };
}

function objectType({ resource }: ViewKind, dialect: Dialect): [name: string, type: object] {
  const { kind, plural } = resource;
  const schema = viewSchemas[plural];
  if (schema === undefined) throw new Error(`There is no schema of ${plural}: run npm run generate`);
  const type = {
    type: 'object',
    description: schema.description,
    required: ['apiVersion', 'kind', 'metadata', 'spec', 'status'],
    properties: {
      apiVersion: apiVersionSchema,
      kind: kindSchema,
      metadata: dialect.reference(dialect.objectMeta, 'Metadata of the object.'),
      spec: schema.spec,
      status: schema.status,
    },
    'x-kubernetes-group-version-kind': [groupVersionKind(kind)],
  };
  return [typeName(kind), type];
}

function listType({ resource }: ViewKind, dialect: Dialect): [name: string, type: object] {
  const kind = `${resource.kind}List`;
  const type = {
    type: 'object',
    description: `A list of objects of kind ${resource.kind}.`,
    required: ['items'],
    properties: {
      apiVersion: apiVersionSchema,
      items: {
        type: 'array',
        description: 'The objects, in the order of namespaces, then names.',
        items: dialect.element(typeName(resource.kind)),
      },
      kind: kindSchema,
      metadata: dialect.reference(dialect.listMeta, 'Metadata of the list.'),
    },
    'x-kubernetes-group-version-kind': [groupVersionKind(kind)],
  };
  return [typeName(kind), type];
}
