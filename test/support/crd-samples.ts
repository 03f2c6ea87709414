import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import type { KubeObject, ResourceType } from '../../src/api/meta.ts';

/** What is read of a schema here. */
export interface SampledSchema {
  readonly type?: string;
  readonly format?: string;
  readonly enum?: readonly string[];
  readonly properties?: Readonly<Record<string, SampledSchema>>;
  readonly items?: SampledSchema;
  readonly additionalProperties?: SampledSchema;
}

interface Definition {
  readonly spec: {
    readonly versions: readonly { readonly schema: { readonly openAPIV3Schema: SampledSchema } }[];
  };
}

/** The schema of a resource of coder.com, from `crds/`. */
export function crdSchema({ plural }: ResourceType): SampledSchema {
  const file = new URL(`../../crds/${plural}.yaml`, import.meta.url);
  const crd = parse(readFileSync(file, 'utf8')) as Definition;
  return crd.spec.versions[0]!.schema.openAPIV3Schema;
}

/** An object in which every field that the schema knows is there and says something. */
export function fullObject(resource: ResourceType, name: string): KubeObject {
  const { spec, status } = crdSchema(resource).properties!;
  const object = {
    apiVersion: `${resource.group}/${resource.version}`,
    kind: resource.kind,
    metadata: {
      name,
      namespace: 'demo',
      uid: '0c7b2f0e-6f3b-4f9a-9d0a-000000000001',
      resourceVersion: '4711',
      generation: 3,
      creationTimestamp: '2026-01-01T00:00:00Z',
      deletionTimestamp: '2026-01-03T00:00:00Z',
      deletionGracePeriodSeconds: 0,
      labels: { team: 'a' },
      annotations: { note: 'b' },
      finalizers: ['coder.com/workspace'],
      ownerReferences: [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'owner', uid: 'u' }],
      managedFields: [{ manager: 'kubectl' }],
    },
    spec: sampleOf(spec!),
    status: sampleOf(status!),
  };
  return object;
}

/** A value of a schema with all that it knows: no field is left out, empty or 0. */
export function sampleOf(schema: SampledSchema): unknown {
  if (schema.enum !== undefined) return schema.enum[0];
  if (schema.format === 'date-time') return '2026-01-02T03:04:05Z';
  switch (schema.type) {
    case 'string':
      return 'text';
    case 'integer':
      return 60_000;
    case 'boolean':
      return true;
    case 'array':
      return [sampleOf(schema.items!)];
    default:
      if (schema.additionalProperties !== undefined) return { key: sampleOf(schema.additionalProperties) };
      return Object.fromEntries(
        Object.entries(schema.properties ?? {}).map(([name, field]) => [name, sampleOf(field)]),
      );
  }
}
