import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { parse, parseAllDocuments } from 'yaml';
import { partOf } from '../../../src/api/kinds.ts';
import type { KubeObject } from '../../../src/api/meta.ts';
import { decideServing, namesOf, servingSettings } from '../../../src/controller/serving/decide.ts';
import {
  apiServiceFact,
  apiServices,
  names,
  secretFacts,
  type ApiService,
} from '../../../src/controller/serving/objects.ts';
import { apiVersionOf } from '../../../src/kube/objects.ts';

const config = fileURLToPath(new URL('../../../config', import.meta.url));
const service = { namespace: 'coder-operator', name: 'coder-operator-apiserver' };

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}

interface Manifest extends KubeObject {
  readonly kind: string;
  readonly rules?: readonly Rule[];
  readonly roleRef?: { readonly kind: string; readonly name: string };
  readonly subjects?: readonly { readonly name: string }[];
  readonly spec?: Readonly<Record<string, unknown>>;
}

interface Kustomization {
  readonly resources: readonly string[];
  readonly patches?: readonly { readonly patch: string }[];
}

function kustomization(folder: string): Kustomization {
  return parse(readFileSync(join(config, folder, 'kustomization.yaml'), 'utf8')) as Kustomization;
}

function manifests(folder: string, file?: string): readonly Manifest[] {
  return readdirSync(join(config, folder))
    .filter((name) => name !== 'kustomization.yaml' && (file === undefined || name === file))
    .flatMap((name) => parseAllDocuments(readFileSync(join(config, folder, name), 'utf8')))
    .map((document) => document.toJS() as Manifest);
}

function one(objects: readonly Manifest[], kind: string, name?: string): Manifest {
  const found = objects.filter((o) => o.kind === kind && (name === undefined || o.metadata.name === name));
  expect(found, `${kind} ${name ?? ''}`).to.have.lengthOf(1);
  return found[0]!;
}

/** Rules of our own roles that a service account is bound to. */
function rulesOf(account: string, objects: readonly Manifest[]): readonly Rule[] {
  return objects
    .filter(({ subjects }) => subjects?.some(({ name }) => name === account) === true)
    .flatMap(({ roleRef }) =>
      objects.filter(({ kind, metadata }) => kind === roleRef?.kind && metadata.name === roleRef.name),
    )
    .flatMap(({ rules = [] }) => rules);
}

describe('config/apiserver', () => {
  const objects = manifests('apiserver');
  const apiService = one(objects, 'APIService') as unknown as ApiService & {
    readonly spec: Readonly<Record<string, unknown>>;
  };

  it('applies every file that is there, and labels every object', () => {
    const listed = kustomization('apiserver').resources;
    const there = readdirSync(join(config, 'apiserver')).filter((name) => name !== 'kustomization.yaml');
    expect([...listed].sort()).to.deep.equal(there.sort());
    for (const { kind, metadata } of objects) {
      expect(metadata.labels, `${kind} ${metadata.name}`).to.include({ [partOf.key]: partOf.value });
    }
  });

  it('is not part of config/default, which has to work without a running endpoint', () => {
    const all = (folder: string): readonly string[] =>
      kustomization(folder).resources.flatMap((resource) =>
        resource.startsWith('../') && !resource.includes('crds')
          ? [resource, ...all(basename(resource))]
          : [resource],
      );
    const applied = all('default').join(' ');
    expect(applied).to.contain('../rbac');
    expect(applied).to.not.match(/apiserver|cert-manager|api-service/);
  });

  it('is an APIService below the priority of CRDs, checked, and without a bundle of its own', () => {
    expect(apiService.apiVersion).to.equal(apiVersionOf(apiServices));
    expect(apiService.metadata.name).to.equal(names.apiService);
    const { group, version, groupPriorityMinimum, ...rest } = apiService.spec;
    expect(`${String(version)}.${String(group)}`).to.equal(names.apiService);
    expect(groupPriorityMinimum).to.be.within(1, 999);
    expect(rest).to.have.keys(['service', 'versionPriority']);
  });

  it('is an APIService that the controller looks after, as long as cert-manager does not', () => {
    const input = { namespace: service.namespace, secrets: undefined, trustedForMs: 0, now: 0 };
    const settings = servingSettings;
    const fact = apiServiceFact(apiService);
    expect(decideServing({ ...input, settings, apiService: fact })).to.deep.equal({ do: 'read' });

    const [patch] = kustomization('cert-manager').patches ?? [];
    const { metadata } = parse(patch?.patch ?? '') as KubeObject;
    const annotated = { ...apiService, metadata: { ...apiService.metadata, ...metadata } };
    const step = decideServing({ ...input, settings, apiService: apiServiceFact(annotated) });
    expect(step).to.include({ do: 'leave', say: 'info' });
  });

  it('2. names one Service in all places, whose port is there', () => {
    const found = one(objects, 'Service');
    expect(found.metadata).to.include(service);
    const ports = found.spec?.['ports'] as readonly { readonly port: number }[];
    expect(apiService.spec['service']).to.deep.equal({ ...service, port: ports[0]?.port });
  });

  it('lets the endpoint read its three kinds, and no Secret', () => {
    const rules = rulesOf('coder-operator-apiserver', objects);
    expect(rules).to.deep.equal([
      {
        apiGroups: ['coder.com'],
        resources: ['codercontrolplanes', 'codertemplates', 'coderworkspaces'],
        verbs: ['list', 'watch'],
      },
      { apiGroups: ['coder.com'], resources: ['codertemplates', 'coderworkspaces'], verbs: ['get'] },
    ]);
    const foreign = objects
      .filter(({ subjects }) => subjects?.some(({ name }) => name === 'coder-operator-apiserver'))
      .map(({ kind, metadata, roleRef }) => `${kind} ${metadata.namespace ?? ''} ${roleRef?.name ?? ''}`);
    expect(foreign).to.have.members([
      'ClusterRoleBinding  coder-operator-apiserver',
      'ClusterRoleBinding  system:auth-delegator',
      'RoleBinding kube-system extension-apiserver-authentication-reader',
    ]);
  });

  it('lets the controller at two Secrets and one APIService, and nothing else', () => {
    const rules = rulesOf('coder-operator-controller', objects);
    expect(rules).to.deep.equal([
      {
        apiGroups: [''],
        resources: ['secrets'],
        resourceNames: [names.authoritySecret, names.servingSecret],
        verbs: ['get', 'update'],
      },
      {
        apiGroups: ['apiregistration.k8s.io'],
        resources: ['apiservices'],
        resourceNames: [names.apiService],
        verbs: ['get', 'patch'],
      },
    ]);
    // Of all namespaces they would be other Secrets.
    expect(one(objects, 'Role', 'coder-operator-certificates').metadata.namespace).to.equal('coder-operator');
  });

  it('brings both Secrets with nothing in them that applying it again would take back', () => {
    const [authority, serving, ...more] = manifests('apiserver', 'certificates-secrets.yaml');
    expect(more).to.deep.equal([]);
    expect([authority?.metadata.name, serving?.metadata.name]).to.deep.equal([
      names.authoritySecret,
      names.servingSecret,
    ]);
    for (const secret of [authority, serving]) {
      expect(secret).to.have.all.keys('apiVersion', 'kind', 'metadata');
      expect(secret?.metadata).to.include({ namespace: 'coder-operator' });
    }
    const pair = { authority: authority!, serving: serving! };
    const facts = secretFacts(pair, apiServiceFact(apiService).bundle);
    expect(facts).to.deep.equal({ authority: { state: 'empty' }, serving: { state: 'empty' } });
  });

  for (const [folder, group] of [
    ['apiserver', 'aggregation.coder.com'],
    ['rbac', 'coder.com'],
  ] as const) {
    it(`lets whoever may view a namespace read ${group}, and nobody write`, () => {
      const [role, ...more] = manifests(folder, 'viewer-role.yaml');
      expect(more).to.deep.equal([]);
      for (const to of ['view', 'edit', 'admin']) {
        expect(role?.metadata.labels).to.include({
          [`rbac.authorization.k8s.io/aggregate-to-${to}`]: 'true',
        });
      }
      expect(role?.rules).to.have.lengthOf(1);
      expect(role?.rules?.[0]).to.deep.include({ apiGroups: [group], verbs: ['get', 'list', 'watch'] });
    });
  }
});

describe('config/cert-manager', () => {
  const objects = manifests('cert-manager');

  it('takes away every right and every Secret that the controller would need', () => {
    const given = ['certificates-role.yaml', 'certificates-secrets.yaml']
      .flatMap((file) => manifests('apiserver', file))
      .map(({ kind, metadata }) => ({ kind, name: metadata.name }));
    const taken = (kustomization('cert-manager').patches ?? [])
      .map(({ patch }) => parse(patch) as Manifest & { readonly $patch?: string })
      .filter(({ $patch }) => $patch === 'delete')
      .map(({ kind, metadata }) => ({ kind, name: metadata.name }));
    expect(taken).to.deep.equal(given);
  });

  it('2. asks for the names and the Secret that the endpoint needs', () => {
    const { spec } = one(objects, 'Certificate', 'coder-operator-apiserver');
    expect(spec).to.include({ secretName: names.servingSecret });
    const wanted = namesOf(service).filter((name) => !/^[\d.]+$/.test(name));
    expect(spec?.['dnsNames']).to.deep.equal(wanted);
  });

  it("keeps its authority apart from the controller's", () => {
    const secrets = objects.map(({ spec }) => spec?.['secretName']).filter((name) => name !== undefined);
    expect(secrets).to.not.include(names.authoritySecret);
    expect(one(objects, 'Issuer', 'coder-operator-apiserver').spec).to.deep.equal({
      ca: { secretName: 'coder-operator-apiserver-issuer' },
    });
    expect(secrets).to.include('coder-operator-apiserver-issuer');
  });

  it('points at the certificate whose authority has to be written', () => {
    const [patch] = kustomization('cert-manager').patches ?? [];
    const { metadata } = parse(patch?.patch ?? '') as KubeObject;
    const { metadata: certificate } = one(objects, 'Certificate', 'coder-operator-apiserver');
    expect(metadata.annotations).to.deep.equal({
      'cert-manager.io/inject-ca-from': `${certificate.namespace ?? ''}/${certificate.name}`,
    });
  });
});
