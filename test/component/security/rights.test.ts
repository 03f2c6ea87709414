import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { parseAllDocuments, stringify } from 'yaml';
import {
  installEndpoint,
  registerEndpoint,
  startEndpoint,
  type Endpoint,
} from '../../../hack/stack/apiserver.ts';
import { installOperator, startOperator, type Operator } from '../../../hack/stack/operator.ts';
import { terminalProgress } from '../../../hack/stack/progress.ts';
import { endpointServerName, mountServingCertificate } from '../../../hack/stack/serving.ts';
import { startStack, type Stack } from '../../../hack/stack/stack.ts';
import { until } from '../../../hack/stack/wait.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import { fluxKinds, fluxResources } from '../../../src/controller/flux.ts';
import { openConnection, type KubeConnection } from '../../../src/kube/connection.ts';
import { Caller, MASTERS } from '../../support/aggregated-calls.ts';
import { apiserver } from '../../support/apiserver.ts';
import { audited, type AuditEvent } from '../../support/audit.ts';
import { SimulatedCoder, STRANGER } from '../../support/controller-coder.ts';
import { CoderServer, SCRIPTED_TOKEN } from '../../support/coder/server.ts';
import { FluxObject, installFluxCrds } from '../../support/flux.ts';
import { clientOf } from '../../support/kube-server.ts';

const config = fileURLToPath(new URL('../../../config', import.meta.url));
const golden = fileURLToPath(new URL('rights.golden.yaml', import.meta.url));

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}

interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels?: object };
  readonly rules?: readonly Rule[];
  readonly roleRef?: { readonly kind: string; readonly name: string };
  readonly subjects?: readonly {
    readonly kind: string;
    readonly name: string;
    readonly namespace?: string;
  }[];
}

/** Everything that kustomize makes of the folders and that gives somebody a right. */
async function rendered(): Promise<readonly Manifest[]> {
  const api = await apiserver();
  const folders = ['default', 'tenant', 'apiserver'].map((folder) =>
    api.kubectl(['kustomize', join(config, folder)]),
  );
  return (await Promise.all(folders))
    .flatMap((text) => parseAllDocuments(text))
    .map((document) => document.toJS() as Manifest)
    .filter(({ kind }) => /^(ServiceAccount|(Cluster)?Role(Binding)?)$/.test(kind));
}

describe('the rights that config gives', function () {
  this.timeout(60_000);

  it('are those that were agreed on', async () => {
    const text = (await rendered()).map((manifest) => stringify(manifest)).join('---\n');
    // After a change that is meant: UPDATE_GOLDEN=1 npm run test:component -- --grep 'agreed on', and look at the difference.
    if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(golden, text);
    expect(text).to.equal(readFileSync(golden, 'utf8'));
  });

  it('hold nothing that reaches further than it says', async () => {
    for (const { kind, metadata, rules = [], subjects = [] } of await rendered()) {
      for (const rule of rules) {
        const all = [...rule.apiGroups, ...rule.resources, ...rule.verbs];
        expect(all, metadata.name).to.not.include('*');
        for (const far of [
          'escalate',
          'bind',
          'impersonate',
          'deletecollection',
          'pods',
          'pods/exec',
          'serviceaccounts/token',
        ]) {
          expect(all, metadata.name).to.not.include(far);
        }
        if (!rule.resources.includes('secrets')) continue;
        // One Secret at a time, in one namespace at a time.
        expect(kind).to.equal('Role');
        expect(rule.resources).to.deep.equal(['secrets']);
        for (const verb of rule.verbs) expect(['get', 'update']).to.include(verb);
        if (rule.verbs.includes('update')) expect(rule.resourceNames).to.have.length.above(0);
      }
      for (const { kind: who, namespace } of subjects)
        expect([who, namespace]).to.deep.equal(['ServiceAccount', 'coder-operator']);
    }
  });
});

/** One thing that a rule allows. */
interface Right {
  readonly account: string;
  readonly verb: string;
  readonly group: string;
  readonly resource: string;
  readonly name: string | undefined;
}

const ACCOUNTS = ['coder-operator-controller', 'coder-operator-apiserver'] as const;
const userOf = (account: string): string => `system:serviceaccount:coder-operator:${account}`;

/** What no run of a minute needs, and why somebody needs it all the same. */
const SELDOM: Readonly<Record<string, string>> = Object.fromEntries(
  fluxKinds.map((kind) => {
    const { plural, group } = fluxResources[kind];
    const right = `coder-operator-controller: get ${plural}.${group}`;
    return [
      right,
      'a source is read by itself while its watch does not come about (src/controller/referred.ts)',
    ];
  }),
);

/**
 * Least privilege by trace: the real processes under their own service accounts, a day in the life of both, and then what
 * the API server's audit log says of it.
 */
describe('the rights of a running operator', function () {
  this.timeout(120_000);
  const namespace = 'rights';
  let stack: Stack;
  let connection: KubeConnection;
  let operator: Operator;
  let endpoint: Endpoint;
  let coder: CoderServer;
  let playing: NodeJS.Timeout;

  before(async function () {
    this.timeout(900_000);
    stack = await startStack({
      coder: false,
      controllerManager: false,
      progress: terminalProgress(),
      auditLog: [{ level: 'Metadata', users: ACCOUNTS.map(userOf) }, { level: 'None' }],
    });
    const { kubernetes } = stack;
    connection = await openConnection({
      kubeconfig: kubernetes.adminKubeconfig,
      clock: systemClock,
      logger: silentLogger,
    });
    coder = await CoderServer.start(new SimulatedCoder(systemClock));
    await Promise.all([installOperator(kubernetes), installFluxCrds(clientOf(connection))]);
    await installEndpoint(kubernetes);
    const certificate = await mountServingCertificate(stack.dir);
    const args = ['--retry-base', '1s', '--drift-cooldown', '1s', '--lease-duration', '12s'];
    [operator, endpoint] = await Promise.all([
      startOperator(stack, { args: [...args, '--log-format', 'text', '--log-level', 'debug'] }),
      startEndpoint(stack, { certDir: certificate.folder, caFile: certificate.caFile }),
    ]);
    // The controller brings certificates of its own and announces their authority.
    await registerEndpoint(kubernetes, { port: endpoint.port });
  });

  after(async function () {
    this.timeout(60_000);
    clearInterval(playing);
    // Absent when `before` has failed.
    await (operator as Operator | undefined)?.stop();
    await (endpoint as Endpoint | undefined)?.kill();
    await (coder as CoderServer | undefined)?.close();
    await (connection as KubeConnection | undefined)?.close();
    await (stack as Stack | undefined)?.stop();
  });

  const kubectl = (args: readonly string[], objects?: readonly object[]): Promise<string> =>
    stack.kubernetes.kubectl(
      ['-n', namespace, ...args],
      objects === undefined
        ? {}
        : { input: JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }) },
    );
  const apply = (...objects: readonly object[]): Promise<string> =>
    kubectl(['apply', '--server-side', '-f', '-'], objects);
  const object = (kind: string, name: string, spec: object): object => ({
    apiVersion: 'coder.com/v1alpha1',
    kind,
    metadata: { name },
    spec,
  });

  /** Looks with kubectl until there is, or is not, an object with such a text in it. */
  async function shown(resource: string, pattern: RegExp | undefined): Promise<void> {
    const found = await until(
      async () => {
        const text = await kubectl(['get', resource, '--ignore-not-found', '-o', 'json']);
        return (pattern === undefined ? text === '' : pattern.test(text)) ? true : undefined;
      },
      { withinMs: 40_000, everyMs: 200 },
    );
    if (found === undefined) {
      const now = await kubectl(['get', resource, '--ignore-not-found', '-o', 'yaml']);
      expect.fail(
        `${resource} did not become ${String(pattern)}:\n${now}\n${readFileSync(operator.logFile, 'utf8').slice(-6000)}`,
      );
    }
  }

  const READY_NOW = /"status": "True",\s*"type": "Ready"/;

  async function live(): Promise<void> {
    const { coder: there } = coder;
    const template = there.addTemplate('docker', undefined, {
      parameters: [
        { name: 'size', default: 's' },
        { name: 'key', default: '' },
      ],
    });
    const other = there.addTemplate('other');
    there.addTemplate('failing', undefined, { builds: 'fail' });
    there.addWorkspace(STRANGER.username, 'w', template);
    const passing = there.addWorkspace(STRANGER.username, 'passing', template);
    playing = setInterval(() => there.playOut(), 50);

    await stack.kubernetes.kubectl(['create', 'namespace', namespace]);
    await kubectl(['apply', '-k', join(config, 'tenant')]);
    const secret = (name: string, type: string, stringData: object): object => ({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name },
      type,
      stringData,
    });
    await apply(
      secret('coder', 'coder.com/credentials', { url: coder.url, token: SCRIPTED_TOKEN }),
      secret('values', 'coder.com/values', { key: 'a value' }),
      {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: 'values' },
        data: { size: 'l', 'main.tf': '' },
      },
      object('CoderControlPlane', 'coder', {
        credentialsSecretRef: { name: 'coder' },
        pollInterval: '10s',
        adoptedDeletion: 'Allow',
      }),
      object('CoderWorkspace', 'acme.ann.dev', {
        templateName: 'docker',
        running: true,
        deletionPolicy: 'Delete',
        parameters: [
          { name: 'key', valueFrom: { secretKeyRef: { name: 'values', key: 'key' } } },
          { name: 'size', valueFrom: { configMapKeyRef: { name: 'values', key: 'size' } } },
        ],
      }),
      // Fails again and again, which is said again and again.
      object('CoderWorkspace', 'acme.ann.fails', { templateName: 'failing', running: true }),
      object('CoderTemplate', 'acme.written', { files: { 'main.tf': '' }, deletionPolicy: 'Delete' }),
      object('CoderTemplate', 'acme.mapped', {
        source: { configMapRef: { name: 'values', items: [{ key: 'main.tf', path: 'main.tf' }] } },
      }),
      ...fluxKinds.map((kind) =>
        object('CoderTemplate', `acme.${kind.toLowerCase()}`, {
          source: { sourceRef: { kind, name: 'code' } },
        }),
      ),
    );
    const kube = clientOf(connection);
    for (const kind of fluxKinds) await FluxObject.create(kube, namespace, kind, 'code');

    // Mirrors come, are taken over by people, and go.
    await shown('coderworkspaces.coder.com/acme.bob.w', /"coder.com\/mirror"/);
    await shown('codertemplates.coder.com/acme.docker', /"coder.com\/mirror"/);
    await apply(
      object('CoderWorkspace', 'acme.bob.w', { running: true }),
      object('CoderTemplate', 'acme.docker', { description: 'ours' }),
    );
    await shown('coderworkspaces.coder.com/acme.bob.passing', /"id"/);
    there.build('delete', STRANGER.id, 'dashboard', { workspaceID: passing?.id ?? '' });
    there.removeTemplate(other.id);
    await shown('coderworkspaces.coder.com/acme.bob.passing', undefined);
    await shown('codertemplates.coder.com/acme.other', undefined);

    await shown('coderworkspaces.coder.com/acme.ann.dev', READY_NOW);
    await shown('codertemplates.coder.com/acme.written', READY_NOW);
    await kubectl([
      'delete',
      'coderworkspaces.coder.com/acme.ann.dev',
      'codertemplates.coder.com/acme.written',
      '--timeout=40s',
    ]);

    // Somebody reads the endpoint: through the front proxy what is not there, and with a token of his own.
    const { kubernetes } = stack;
    const caller = new Caller({
      url: endpoint.url,
      caFile: endpoint.caFile,
      client: kubernetes.pki.frontProxyClient,
      servername: endpointServerName,
    });
    for (const resource of ['coderworkspaces', 'codertemplates']) {
      const path = `/apis/aggregation.coder.com/v1alpha1/namespaces/${namespace}/${resource}/acme.no.body`;
      expect((await caller.call(path, { headers: MASTERS })).status).to.equal(404);
      expect((await caller.call(path, { headers: ['x-remote-user', 'nobody'] })).status).to.equal(403);
      expect((await caller.call(path, { headers: ['authorization', 'Bearer nobody'] })).status).to.equal(401);
    }
    await caller.close();
  }

  function rightsOf(account: string, manifests: readonly Manifest[]): readonly Right[] {
    const roles = manifests
      .filter(({ subjects }) => subjects?.some(({ name }) => name === account) === true)
      .flatMap(({ roleRef }) =>
        manifests.filter((m) => m.kind === roleRef?.kind && m.metadata.name === roleRef.name),
      );
    return roles
      .flatMap(({ rules = [] }) => rules)
      .flatMap(({ apiGroups, resources, verbs, resourceNames }) =>
        apiGroups.flatMap((group) =>
          resources.flatMap((resource) =>
            verbs.flatMap((verb) =>
              (resourceNames ?? [undefined]).map((name) => ({ account, verb, group, resource, name })),
            ),
          ),
        ),
      );
  }

  const said = ({ account, verb, group, resource, name }: Right): string =>
    `${account}: ${verb} ${resource}${group === '' ? '' : `.${group}`}${name === undefined ? '' : `/${name}`}`;

  function isUse({ verb, user, objectRef = {}, annotations = {} }: AuditEvent, right: Right): boolean {
    const { apiGroup = '', resource = '', subresource, name } = objectRef;
    return (
      annotations['authorization.k8s.io/decision'] === 'allow' &&
      user.username === userOf(right.account) &&
      verb === right.verb &&
      apiGroup === right.group &&
      (subresource === undefined ? resource : `${resource}/${subresource}`) === right.resource &&
      (right.name === undefined || right.name === name)
    );
  }

  it('are all used', async () => {
    const manifests = await rendered();
    const rights = ACCOUNTS.flatMap((account) => rightsOf(account, manifests));
    expect(rights.length).to.be.above(50);
    await live();
    const unused = (): string[] => {
      const events = audited(stack.kubernetes);
      return rights.filter((right) => !events.some((event) => isUse(event, right))).map(said);
    };
    const meant = Object.keys(SELDOM);
    // Some of it is written a moment later, or said again after the next failure.
    await until(() => (unused().some((right) => !meant.includes(right)) ? undefined : true), {
      withinMs: 20_000,
    });
    expect(unused()).to.have.members(meant);
  });

  it('are all that is ever asked for', () => {
    const refused = audited(stack.kubernetes)
      .filter(({ annotations = {} }) => annotations['authorization.k8s.io/decision'] !== 'allow')
      .map(({ user, verb, requestURI }) => `${user.username} ${verb} ${requestURI}`);
    expect([...new Set(refused)]).to.deep.equal([]);
  });

  it('let the operator read Secrets one at a time, and the endpoint none at all', () => {
    const uses = audited(stack.kubernetes)
      .filter(({ objectRef }) => objectRef?.resource === 'secrets')
      .map(({ user, verb, objectRef }) => ({
        user: user.username,
        verb,
        isNamed: objectRef?.name !== undefined,
      }));
    expect(uses).to.not.deep.equal([]);
    for (const { user, verb, isNamed } of uses) {
      expect(user).to.equal(userOf(ACCOUNTS[0]));
      expect(['get', 'update']).to.include(verb);
      expect(isNamed).to.equal(true);
    }
  });

  it('are not used on what belongs to somebody else', () => {
    const written = audited(stack.kubernetes).filter(
      ({ verb, objectRef }) =>
        ['create', 'update', 'delete'].includes(verb) &&
        objectRef?.apiGroup === 'coder.com' &&
        objectRef.subresource === undefined,
    );
    const names = written.map(({ objectRef }) => objectRef?.name);
    for (const ours of ['acme.ann.dev', 'acme.ann.fails', 'acme.written', 'acme.mapped'])
      expect(names).to.not.include(ours);
  });
});
