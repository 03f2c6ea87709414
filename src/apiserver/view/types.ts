import type { KubeObject, ResourceType } from '../../api/meta.ts';

/** A column of `kubectl get`. The first of a resource is Name, with the format `name`. */
export interface Column {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'boolean' | 'date';
  readonly format: '' | 'name';
  readonly description: string;
  /** 0: always; 1: with `-o wide`. */
  readonly priority: 0 | 1;
}

/** A cell; an age is told by the server at the moment of the answer, from a time in milliseconds since the epoch. */
export type Cell = string | number | boolean | null | { readonly since: number };

/** One resource of the endpoint: how an object of `coder.com` is shown. */
export interface ViewKind<T extends KubeObject = KubeObject> {
  /** In aggregation.coder.com. */
  readonly resource: ResourceType;
  /** In coder.com. */
  readonly source: ResourceType;
  readonly singular: string;
  readonly columns: readonly Column[];
  /** A pure function of the one object: `kind`, `apiVersion` and `metadata` come first, in this order. */
  view(object: T): ViewObject;
  cells(object: T): readonly Cell[];
}

export interface ViewObject {
  readonly kind: string;
  readonly apiVersion: string;
  readonly metadata: ViewMetadata;
  readonly spec: object;
  readonly status: object;
}

/** No finalizers, owners, managedFields nor marks of GitOps tools. */
export interface ViewMetadata {
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly generation?: number;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly deletionGracePeriodSeconds?: number;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}
