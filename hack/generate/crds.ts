/** What is read of a schema in crds/. */
export interface Schema {
  readonly type?: string;
  readonly format?: string;
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema;
  readonly items?: Schema;
  readonly required?: readonly string[];
  readonly enum?: readonly string[];
  readonly 'x-kubernetes-validations'?: readonly { readonly message?: string }[];
  readonly 'x-kubernetes-list-type'?: string;
  readonly 'x-kubernetes-list-map-keys'?: readonly string[];
  readonly 'x-kubernetes-map-type'?: string;
}

export interface CustomResourceDefinition {
  readonly spec: {
    readonly group: string;
    readonly names: {
      readonly kind: string;
      readonly plural: string;
      readonly shortNames: readonly string[];
    };
    readonly versions: readonly {
      readonly name: string;
      readonly schema: { readonly openAPIV3Schema: Schema };
    }[];
  };
}

export function schemaOf(crd: CustomResourceDefinition): Schema {
  const version = crd.spec.versions[0];
  if (version === undefined) throw new Error(`${crd.spec.names.kind} has no version`);
  return version.schema.openAPIV3Schema;
}

/** The schema of a field, such as `status.latestBuild.id`. @throws Error where the CRD has no such field. */
export function fieldAt(crd: CustomResourceDefinition, path: string): Schema {
  let schema: Schema | undefined = schemaOf(crd);
  for (const name of path.split('.')) schema = schema?.properties?.[name];
  if (schema === undefined) throw new Error(`${crd.spec.names.kind} has no field ${path}`);
  return schema;
}
