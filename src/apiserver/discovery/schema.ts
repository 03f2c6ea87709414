/**
 * The part of JSON schema that CRDs, Swagger 2.0 and OpenAPI 3.0 understand alike, and that says something to whoever
 * reads. Rules for what may be written are no part of it: nothing can be written here.
 */
export interface Schema {
  readonly type: 'object' | 'array' | 'string' | 'integer' | 'boolean';
  readonly format?: 'int64' | 'date-time';
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema;
  readonly items?: Schema;
  /** What is always there. Never empty: Swagger 2.0 does not allow it. */
  readonly required?: readonly string[];
  readonly enum?: readonly string[];
  readonly 'x-kubernetes-list-type'?: 'atomic' | 'map' | 'set';
  readonly 'x-kubernetes-list-map-keys'?: readonly string[];
  readonly 'x-kubernetes-map-type'?: 'atomic' | 'granular';
}

/** What a kind of the endpoint looks like, beside its metadata. */
export interface ViewSchema {
  readonly description: string;
  readonly spec: Schema;
  readonly status: Schema;
}
