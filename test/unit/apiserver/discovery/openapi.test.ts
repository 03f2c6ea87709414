import { expect } from 'chai';
import { openApiV2 } from '../../../../src/apiserver/discovery/openapiv2.ts';
import { openApiV3 } from '../../../../src/apiserver/discovery/openapiv3.ts';
import { viewSchemas } from '../../../../src/apiserver/discovery/schema.generated.ts';
import { viewKinds } from '../../../../src/apiserver/view/kinds.ts';

type Node = Readonly<Record<string, unknown>>;

const GROUP_VERSION = '/apis/aggregation.coder.com/v1alpha1';
const kinds = [
  { plural: 'codertemplates', kind: 'CoderTemplate' },
  { plural: 'coderworkspaces', kind: 'CoderWorkspace' },
];
const gvk = (kind: string): Node => ({ group: 'aggregation.coder.com', kind, version: 'v1alpha1' });
const paths = kinds.flatMap(({ plural }) => [
  `${GROUP_VERSION}/${plural}`,
  `${GROUP_VERSION}/namespaces/{namespace}/${plural}`,
  `${GROUP_VERSION}/namespaces/{namespace}/${plural}/{name}`,
]);

const wired = (document: object): Node => JSON.parse(JSON.stringify(document)) as Node;
const at = (node: Node, ...keys: readonly string[]): Node =>
  keys.reduce((inner, key) => {
    expect(inner, keys.join(' ')).to.have.property(key);
    return inner[key] as Node;
  }, node);

/** Every value in a document with the keys that lead to it. */
function* walk(
  value: unknown,
  keys: readonly string[] = [],
): Generator<[value: unknown, keys: readonly string[]]> {
  yield [value, keys];
  if (typeof value !== 'object' || value === null) return;
  for (const [key, inner] of Object.entries(value)) yield* walk(inner, [...keys, key]);
}

function itFits(name: string, document: Node, typesAt: readonly string[]): void {
  describe(name, () => {
    const types = at(document, ...typesAt);
    const operations = Object.entries(at(document, 'paths')).map(([path, item]): [string, Node] => [
      path,
      at(item as Node, 'get'),
    ]);

    it('21. knows all the paths that can be read and nothing that cannot be done', () => {
      expect(Object.keys(at(document, 'paths'))).to.have.members(paths);
      for (const item of Object.values(at(document, 'paths'))) {
        expect(Object.keys(item as Node)).to.deep.equal(['get']);
      }
    });

    it('23. names the kind of every operation, by which kubectl explain finds the type', () => {
      for (const [path, operation] of operations) {
        const { kind } = kinds.find(({ plural }) => path.includes(plural))!;
        expect(operation['x-kubernetes-group-version-kind'], path).to.deep.equal(gvk(kind));
        expect(operation['x-kubernetes-action'], path).to.equal(path.endsWith('{name}') ? 'get' : 'list');
      }
      const bearers = Object.entries(types).filter(([, type]) =>
        Object.hasOwn(type as Node, 'x-kubernetes-group-version-kind'),
      );
      expect(
        bearers.map(([type, schema]) => [type, (schema as Node)['x-kubernetes-group-version-kind']]),
      ).to.have.deep.members(
        kinds.flatMap(({ kind }) =>
          [kind, `${kind}List`].map((k) => [`com.coder.aggregation.v1alpha1.${k}`, [gvk(k)]]),
        ),
      );
    });

    it('23. describes the halves of a kind as they are generated from crds/', () => {
      for (const { plural, kind } of kinds) {
        const type = at(types, `com.coder.aggregation.v1alpha1.${kind}`);
        expect(type.description).to.equal(viewSchemas[plural]!.description);
        expect(at(type, 'properties', 'spec')).to.deep.equal(wired(viewSchemas[plural]!.spec));
        expect(at(type, 'properties', 'status')).to.deep.equal(wired(viewSchemas[plural]!.status));
        expect(Object.keys(at(type, 'properties'))).to.have.members([
          'apiVersion',
          'kind',
          'metadata',
          'spec',
          'status',
        ]);
      }
    });

    it('21. refers only to what is there, and to all of it', () => {
      const prefix = `#/${typesAt.join('/')}/`;
      const used = new Set<string>();
      for (const [value, keys] of walk(document)) {
        if (keys.at(-1) !== '$ref') continue;
        expect(value)
          .to.be.a('string')
          .and.to.satisfy((ref: string) => ref.startsWith(prefix));
        used.add((value as string).slice(prefix.length));
      }
      expect([...used]).to.have.members(Object.keys(types));
    });

    it('gives every operation an identity of its own', () => {
      const ids = operations.map(([, { operationId }]) => operationId as string);
      expect(new Set(ids).size).to.equal(ids.length);
      for (const id of ids) expect(id).to.match(/^(list|read)AggregationCoderComV1alpha1[A-Za-z]+$/);
    });

    it('declares the parameters of a path, and no other ones in it', () => {
      for (const [path, { parameters = [] }] of operations) {
        const inPath = (parameters as Node[]).filter((parameter) => parameter.in === 'path');
        expect(inPath.map((parameter) => parameter.name)).to.deep.equal(
          [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name),
        );
        for (const parameter of inPath) expect(parameter.required).to.equal(true);
        const names = (parameters as Node[]).map((parameter) => parameter.name);
        expect(new Set(names).size).to.equal(names.length);
      }
    });
  });
}

const v2 = wired(openApiV2(viewKinds));
const v3 = wired(openApiV3(viewKinds));
itFits('OpenAPI v2', v2, ['definitions']);
itFits('OpenAPI v3', v3, ['components', 'schemas']);

describe('OpenAPI v2 beyond that', () => {
  it('21. is Swagger 2.0 with no word that its grammar does not have', () => {
    expect(strictFaults(v2)).to.deep.equal([]);
  });

  it('21. notices a word that Swagger 2.0 does not have, wherever it is', () => {
    const words = ['nullable', 'anyOf', 'oneOf', 'not', 'const', 'examples', 'deprecated', 'default'];
    const type = 'com.coder.aggregation.v1alpha1.CoderWorkspace';
    for (const word of words) {
      const broken = structuredClone(v2);
      Object.assign(at(broken, 'definitions', type, 'properties', 'status', 'properties', 'id'), {
        [word]: true,
      });
      expect(strictFaults(broken), word).to.have.length(1);
    }
  });

  it('21. names its types by no name of Kubernetes, or they would be renamed when documents are merged', () => {
    for (const name of Object.keys(at(v2, 'definitions'))) {
      expect(name).to.match(/^com\.coder\.aggregation\.v1alpha1\.[A-Z]\w+$/);
    }
  });
});

describe('OpenAPI v3 beyond that', () => {
  it('knows the metadata by the names of Kubernetes', () => {
    const type = at(v3, 'components', 'schemas', 'com.coder.aggregation.v1alpha1.CoderWorkspace');
    expect(at(type, 'properties', 'metadata').allOf).to.deep.equal([
      { $ref: '#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta' },
    ]);
  });

  it('declares the parameters of a list and of a watch', () => {
    const { parameters } = at(v3, 'paths', paths[0]!, 'get');
    const names = (parameters as Node[]).map(({ name }) => name as string);
    expect(names).to.have.members([
      'allowWatchBookmarks',
      'continue',
      'fieldSelector',
      'labelSelector',
      'limit',
      'pretty',
      'resourceVersion',
      'resourceVersionMatch',
      'sendInitialEvents',
      'timeoutSeconds',
      'watch',
    ]);
  });
});

// The objects of Swagger 2.0 (the specification's sections of these names), as far as such a document needs them.
const SWAGGER = {
  document: ['swagger', 'info', 'paths', 'definitions'],
  info: ['title', 'version'],
  pathItem: ['get'],
  operation: ['description', 'operationId', 'produces', 'schemes', 'parameters', 'responses'],
  parameter: ['name', 'in', 'description', 'required', 'type'],
  response: ['description', 'schema'],
  // Without default: kube-apiserver strips it, and so should we.
  schema: [
    '$ref',
    'format',
    'title',
    'description',
    'required',
    'enum',
    'additionalProperties',
    'type',
    'items',
    'allOf',
    'properties',
  ],
} as const;

/** In what a document breaks the grammar of Swagger 2.0. */
function strictFaults(document: Node): string[] {
  const faults: string[] = [];
  const keys = (node: Node, kind: keyof typeof SWAGGER, path: string): void => {
    for (const key of Object.keys(node)) {
      const isKnown = key.startsWith('x-') || (SWAGGER[kind] as readonly string[]).includes(key);
      if (!isKnown) faults.push(`${path}: ${kind} has no ${key}`);
    }
  };
  const schema = (node: Node, path: string): void => {
    keys(node, 'schema', path);
    if (node.type !== undefined && typeof node.type !== 'string') faults.push(`${path}: more than one type`);
    if (node.type === undefined && node.$ref === undefined) faults.push(`${path}: no type`);
    if (node.type === 'array' && node.items === undefined) faults.push(`${path}: no items`);
    for (const list of ['required', 'enum'] as const) {
      const value = node[list];
      if (value !== undefined && !(Array.isArray(value) && value.length > 0))
        faults.push(`${path}: empty ${list}`);
    }
    for (const [name, inner] of Object.entries((node.properties ?? {}) as Node)) {
      schema(inner as Node, `${path}.${name}`);
    }
    for (const inner of ['items', 'additionalProperties'] as const) {
      if (node[inner] !== undefined) schema(node[inner] as Node, `${path}.${inner}`);
    }
  };
  keys(document, 'document', '');
  keys(document.info as Node, 'info', 'info');
  if (document.swagger !== '2.0') faults.push('no Swagger 2.0');
  for (const [path, item] of Object.entries(document.paths as Node)) {
    keys(item as Node, 'pathItem', path);
    const operation = (item as Node).get as Node;
    keys(operation, 'operation', path);
    for (const parameter of (operation.parameters ?? []) as Node[]) keys(parameter, 'parameter', path);
    for (const [code, response] of Object.entries(operation.responses as Node)) {
      if (!/^\d{3}$/.test(code)) faults.push(`${path}: ${code} is no code`);
      keys(response as Node, 'response', path);
      const inner = (response as Node).schema as Node | undefined;
      if (inner !== undefined) schema(inner, path);
    }
  }
  for (const [name, type] of Object.entries(document.definitions as Node)) schema(type as Node, name);
  return faults;
}
