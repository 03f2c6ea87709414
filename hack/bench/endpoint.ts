import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Agent, request } from 'undici';
import { workspaces } from '../../src/api/kinds.ts';
import { resourcePath } from '../../src/kube/objects.ts';
import { addEndpoint, type Endpoint } from '../stack/apiserver.ts';
import { runClient, type ClientLine } from '../stack/clients.ts';
import { StackError } from '../stack/errors.ts';
import { Guardian } from '../stack/guardian.ts';
import { writeKubeconfig } from '../stack/kubeconfig.ts';
import { buildPrograms } from '../stack/programs.ts';
import { endpointServerName } from '../stack/serving.ts';
import { parseSeries, type Series } from './prometheus.ts';
import { NAMESPACE, type Site } from './site.ts';

const VIEW = '/apis/aggregation.coder.com/v1alpha1';
const READER = 'reader';

/** The endpoint on a site, and the clients that read through it and past it. */
export class EndpointRig {
  /** Of the list of everything, through the endpoint and of the objects themselves. */
  readonly lists = { view: `${VIEW}/${workspaces.plural}`, objects: resourcePath(workspaces, {}) };
  readonly endpoint: Endpoint;
  readonly #site: Site;
  readonly #program: string;
  readonly #reader: { readonly token: string; readonly kubeconfig: string };

  private constructor(
    site: Site,
    parts: {
      readonly endpoint: Endpoint;
      readonly program: string;
      readonly reader: { readonly token: string; readonly kubeconfig: string };
    },
  ) {
    this.#site = site;
    this.endpoint = parts.endpoint;
    this.#program = parts.program;
    this.#reader = parts.reader;
  }

  /** Starts an endpoint and waits until it is reached through the API server. @throws StackError */
  static async open(site: Site): Promise<EndpointRig> {
    const { stack, signal } = site;
    const { program, progress } = site.options;
    const guardian = new Guardian();
    const { clients } = await buildPrograms(['clients'], { progress, guardian, signal });
    guardian.close();
    const endpoint = await addEndpoint(stack, { program: [...site.profiling(), program], signal });
    const reader = await makeReader(site);
    return new EndpointRig(site, { endpoint, program: clients, reader });
  }

  /** Paths of one workspace, through the endpoint and of the object itself. */
  object(name: string): { readonly view: string; readonly object: string } {
    const object = resourcePath(workspaces, { namespace: NAMESPACE, name });
    return { view: `${VIEW}/namespaces/${NAMESPACE}/${workspaces.plural}/${name}`, object };
  }

  /** Runs a command of the clients as somebody who may read both, or as an administrator. @throws StackError */
  run(command: string, args: readonly string[], as: 'reader' | 'admin'): Promise<readonly ClientLine[]> {
    const { adminKubeconfig } = this.#site.stack.kubernetes;
    return runClient({
      program: this.#program,
      command,
      args: ['--kubeconfig', as === 'admin' ? adminKubeconfig : this.#reader.kubeconfig, ...args],
      signal: this.#site.signal,
    });
  }

  /** Flags with which the clients ask the endpoint what kube-apiserver asks it to see whether it is there. */
  probe(): readonly string[] {
    const { frontProxyClient } = this.#site.stack.kubernetes.pki;
    return [
      ...['--probe', this.endpoint.url + VIEW, '--probe-server-name', endpointServerName],
      ...['--probe-ca', this.endpoint.caFile],
      ...['--probe-cert', frontProxyClient.certificate, '--probe-key', frontProxyClient.key],
    ];
  }

  /** What the endpoint says of itself. @throws StackError TOOL_FAILED */
  async series(): Promise<readonly Series[]> {
    const ca = readFileSync(this.endpoint.caFile, 'utf8');
    const dispatcher = new Agent({ connect: { ca, servername: endpointServerName } });
    try {
      const answer = await request(`${this.endpoint.url}/metrics`, {
        dispatcher,
        headers: { authorization: `Bearer ${this.#reader.token}` },
        signal: this.#site.signal,
      });
      const text = await answer.body.text();
      if (answer.statusCode !== 200)
        throw new StackError('TOOL_FAILED', `The endpoint answered ${answer.statusCode}: ${text}`);
      return parseSeries(text);
    } finally {
      await dispatcher.close();
    }
  }

  /** @throws StackError NOT_READY. */
  pid(): number {
    const { pid } = this.endpoint;
    if (pid === undefined) throw new StackError('NOT_READY', 'The endpoint is not running any more.');
    return pid;
  }

  /** Ends the endpoint in order, so that it writes its profile. */
  async close(): Promise<void> {
    await this.endpoint.stop();
  }
}

/** An account that may read both groups: rights of an administrator would spare the endpoint its questions. */
async function makeReader({ stack, signal }: Site): Promise<{ token: string; kubeconfig: string }> {
  const { kubernetes } = stack;
  const role = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: `bench-${READER}` };
  const verbs = ['get', 'list', 'watch'];
  const items = [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: READER, namespace: NAMESPACE } },
    {
      apiVersion: `${role.apiGroup}/v1`,
      kind: role.kind,
      metadata: { name: role.name },
      rules: [
        { apiGroups: [workspaces.group, 'aggregation.coder.com'], resources: ['*'], verbs },
        { nonResourceURLs: ['/metrics'], verbs: ['get'] },
      ],
    },
    {
      apiVersion: `${role.apiGroup}/v1`,
      kind: 'ClusterRoleBinding',
      metadata: { name: role.name },
      roleRef: role,
      subjects: [{ kind: 'ServiceAccount', name: READER, namespace: NAMESPACE }],
    },
  ];
  const input = JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
  await kubernetes.kubectl(['apply', '-f', '-'], { input, signal });
  const token = await kubernetes.serviceAccountToken(NAMESPACE, READER);
  const kubeconfig = join(stack.dir, `${READER}.kubeconfig`);
  writeKubeconfig(kubeconfig, { server: kubernetes.url, caFile: kubernetes.caFile, user: { token } });
  return { token, kubeconfig };
}
