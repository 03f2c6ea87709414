import { AGGREGATION_GROUP, AGGREGATION_GROUP_VERSION, AGGREGATION_VERSION } from '../view/group.ts';
import type { ViewKind } from '../view/types.ts';

export const GROUP_PATH = `/apis/${AGGREGATION_GROUP}`;
export const GROUP_VERSION_PATH = `/apis/${AGGREGATION_GROUP_VERSION}`;

/** How Kubernetes names types in its documents: the group backwards, the version, the kind. */
export function typeName(kind: string): string {
  return [...AGGREGATION_GROUP.split('.').reverse(), AGGREGATION_VERSION, kind].join('.');
}

export interface GroupVersionKind {
  readonly group: string;
  readonly kind: string;
  readonly version: string;
}

export function groupVersionKind(kind: string): GroupVersionKind {
  return { group: AGGREGATION_GROUP, kind, version: AGGREGATION_VERSION };
}

/** A path that can be read, and what is there. */
export interface Readable {
  readonly path: string;
  readonly action: 'get' | 'list';
  /** Whether the path names a namespace. */
  readonly isNamespaced: boolean;
  /** The kind of the objects there. */
  readonly kind: string;
  /** Name of the type that is answered: the kind, or a list of it. */
  readonly type: string;
  /** Unique over all paths of a cluster. */
  readonly operationId: string;
  readonly summary: string;
}

/** The paths of a kind: all objects, those of a namespace, one of them. */
export function readablePaths({ resource }: ViewKind): readonly Readable[] {
  const { kind, plural } = resource;
  const id = [...AGGREGATION_GROUP.split('.'), AGGREGATION_VERSION].map(capitalised).join('');
  const inNamespace = `${GROUP_VERSION_PATH}/namespaces/{namespace}/${plural}`;
  return [
    {
      path: `${GROUP_VERSION_PATH}/${plural}`,
      action: 'list',
      isNamespaced: false,
      kind,
      type: typeName(`${kind}List`),
      operationId: `list${id}${kind}ForAllNamespaces`,
      summary: `List or watch the objects of kind ${kind} in all namespaces.`,
    },
    {
      path: inNamespace,
      action: 'list',
      isNamespaced: true,
      kind,
      type: typeName(`${kind}List`),
      operationId: `list${id}Namespaced${kind}`,
      summary: `List or watch the objects of kind ${kind} in a namespace.`,
    },
    {
      path: `${inNamespace}/{name}`,
      action: 'get',
      isNamespaced: true,
      kind,
      type: typeName(kind),
      operationId: `read${id}Namespaced${kind}`,
      summary: `Read an object of kind ${kind}.`,
    },
  ];
}

function capitalised(word: string): string {
  return word.slice(0, 1).toUpperCase() + word.slice(1);
}
