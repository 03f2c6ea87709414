import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { logTail } from '../../hack/stack/process.ts';
import type { Stack } from '../../hack/stack/stack.ts';
import { until } from '../../hack/stack/wait.ts';
import { findCondition, type Condition } from '../../src/api/conditions.ts';
import {
  controlPlanes,
  templates,
  workspaces,
  type CoderControlPlane,
  type CoderTemplate,
  type CoderWorkspace,
} from '../../src/api/kinds.ts';
import type { KubeObject, ResourceType } from '../../src/api/meta.ts';
import { systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/logger.ts';
import { CoderClient } from '../../src/coder/client.ts';
import { KubeClient } from '../../src/kube/client.ts';
import { openConnection } from '../../src/kube/connection.ts';
import { isNotFound } from '../../src/kube/errors.ts';
import { audited } from './audit.ts';
import { assertConditions } from './conditions.ts';
import { runningOperator, servers } from './servers.ts';

/** A template that needs no registry and builds in about a second. */
export const SMALL = { 'main.tf': 'resource "terraform_data" "home" {}\n' };

interface Conditioned extends KubeObject {
  readonly status?: {
    readonly conditions?: readonly Condition[] | undefined;
    readonly observedGeneration?: number | undefined;
  };
}

const tenantFolder = fileURLToPath(new URL('../../config/tenant', import.meta.url));

/** A namespace of a test's own on the real servers, as a user of the cluster would hold one. */
export class Tenant {
  readonly stack: Stack;
  readonly namespace: string;
  readonly kube: KubeClient;
  /** Acts as the first user of Coder, who may do everything. */
  readonly coder: CoderClient;
  /** Part of every name that the test makes in Coder, where namespaces do not separate them. */
  readonly tag: string;
  readonly #close: () => Promise<void>;

  private constructor(
    stack: Stack,
    namespace: string,
    kube: KubeClient,
    coder: CoderClient,
    close: () => Promise<void>,
  ) {
    this.stack = stack;
    this.namespace = namespace;
    this.tag = namespace;
    this.kube = kube;
    this.coder = coder;
    this.#close = close;
  }

  /** A namespace whose Secrets the operator may read, with nothing in it yet. */
  static async create(): Promise<Tenant> {
    const stack = await servers();
    await runningOperator();
    const namespace = `t${randomBytes(4).toString('hex')}`;
    const connection = await openConnection({
      kubeconfig: stack.kubernetes.adminKubeconfig,
      clock: systemClock,
      logger: silentLogger,
    });
    const kube = new KubeClient({ connection, clock: systemClock, userAgent: 'coder-operator-tests' });
    const coder = new CoderClient({
      url: stack.coder.url,
      token: stack.coder.adminToken,
      policy: { httpHosts: ['127.0.0.1'], allowLoopback: true },
      requestsPerMinute: 100_000,
    });
    const tenant = new Tenant(stack, namespace, kube, coder, async () => {
      coder.close();
      await connection.close();
    });
    await stack.kubernetes.kubectl(['create', 'namespace', namespace]);
    await tenant.kubectl('apply', '-k', tenantFolder);
    return tenant;
  }

  /** The user who owns the test's workspaces. */
  get owner(): string {
    return this.stack.coder.accounts.adminUser;
  }

  /** Runs kubectl in the namespace as an administrator and gives what it printed. */
  kubectl(...args: readonly string[]): Promise<string> {
    return this.stack.kubernetes.kubectl(['-n', this.namespace, ...args]);
  }

  /** `kubectl apply` of these objects, in this order. */
  async apply(...objects: readonly object[]): Promise<void> {
    const list = { apiVersion: 'v1', kind: 'List', items: objects };
    await this.stack.kubernetes.kubectl(['-n', this.namespace, 'apply', '-f', '-'], {
      input: JSON.stringify(list),
    });
  }

  /** The Secret with which the operator enters Coder. */
  credentials(
    values: { readonly url?: string; readonly token?: string; readonly type?: string } = {},
  ): object {
    return {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'coder' },
      type: values.type ?? 'coder.com/credentials',
      stringData: {
        url: values.url ?? this.stack.coder.url,
        token: values.token ?? this.stack.coder.operatorToken,
      },
    };
  }

  /** Without mirrors, unless a test asks for them: all tests share one Coder. */
  controlPlane(spec: object = {}): object {
    return object('CoderControlPlane', 'coder', {
      credentialsSecretRef: { name: 'coder' },
      pollInterval: '10s',
      mirror: { workspaces: 'Disabled', templates: 'Disabled' },
      ...spec,
    });
  }

  template(spec: object = { files: SMALL }, name = this.tag): object {
    return object('CoderTemplate', `coder.${name}`, spec);
  }

  workspace(spec: object = {}, name = this.tag): object {
    return object('CoderWorkspace', this.workspaceName(name), { templateName: this.tag, ...spec });
  }

  /** A ConfigMap, as content may come from one. */
  configMap(name: string, data: Readonly<Record<string, string>>): object {
    return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data };
  }

  /** A Secret with values, or with the same keys in one of another type. */
  values(name: string, stringData: Readonly<Record<string, string>>, type = 'coder.com/values'): object {
    return { apiVersion: 'v1', kind: 'Secret', metadata: { name }, type, stringData };
  }

  workspaceName(name = this.tag): string {
    return `coder.${this.owner}.${name}`;
  }

  getControlPlane(): Promise<CoderControlPlane> {
    return this.kube.get(controlPlanes, this.namespace, 'coder');
  }

  getWorkspace(name = this.tag): Promise<CoderWorkspace> {
    return this.kube.get(workspaces, this.namespace, this.workspaceName(name));
  }

  /** Waits until a control plane is as `isSo` says. */
  untilControlPlane(
    isSo: (object: CoderControlPlane) => boolean,
    withinMs?: number,
  ): Promise<CoderControlPlane> {
    return this.until<CoderControlPlane>(controlPlanes, 'coder', isSo, withinMs);
  }

  untilTemplate(
    isSo: (object: CoderTemplate) => boolean,
    withinMs?: number,
    name = this.tag,
  ): Promise<CoderTemplate> {
    return this.until<CoderTemplate>(templates, `coder.${name}`, isSo, withinMs);
  }

  untilWorkspace(
    isSo: (object: CoderWorkspace) => boolean,
    withinMs?: number,
    name = this.tag,
  ): Promise<CoderWorkspace> {
    return this.until<CoderWorkspace>(workspaces, this.workspaceName(name), isSo, withinMs);
  }

  /**
   * Waits until an object is as `isSo` says, and holds every status that it sees on the way to the rules of conditions.
   * The error tells what the object was like instead, and what the operator said.
   */
  async until<T extends Conditioned>(
    resource: ResourceType,
    name: string,
    isSo: (object: T) => boolean,
    withinMs = 30_000,
  ): Promise<T> {
    let last: T | undefined;
    const found = await until(
      async () => {
        last = await this.kube.get<T>(resource, this.namespace, name);
        if ((last.status?.observedGeneration ?? -1) !== -1 && last.status !== undefined) {
          assertConditions(last.status, last.metadata.generation ?? 0);
        }
        return isSo(last) ? last : undefined;
      },
      { withinMs, everyMs: 50 },
    );
    if (found !== undefined) return found;
    const operator = await runningOperator();
    throw new Error(
      `${resource.kind} ${name} did not come to be ${isSo.toString()} within ${withinMs} ms.\n` +
        `It is: ${JSON.stringify(last, undefined, 2)}\nThe operator said:\n${logTail(operator.logFile, 0, 30)}`,
    );
  }

  /** Waits until an object is gone. */
  async untilGone(resource: ResourceType, name: string, withinMs = 30_000): Promise<void> {
    let last: KubeObject | undefined;
    const gone = await until(
      async () => {
        try {
          last = await this.kube.get(resource, this.namespace, name);
          return undefined;
        } catch (error) {
          if (isNotFound(error)) return true;
          throw error;
        }
      },
      { withinMs, everyMs: 50 },
    );
    if (gone !== true) {
      const operator = await runningOperator();
      throw new Error(
        `${resource.kind} ${name} is still there after ${withinMs} ms: ${JSON.stringify(last, undefined, 2)}\n` +
          `The operator said:\n${logTail(operator.logFile, 0, 30)}`,
      );
    }
  }

  /** Every build of the workspace in Coder, oldest first, as `start`, `stop` or `delete`. */
  async builds(workspaceID: string): Promise<string[]> {
    const builds = await this.coder.builds(workspaceID);
    return builds.map((b) => b.transition).reverse();
  }

  /** Names of all versions that a template has in Coder, oldest first. */
  async versions(templateID: string): Promise<string[]> {
    const list = (await this.asAdmin('GET', `/templates/${templateID}/versions`)) as readonly NamedVersion[];
    return [...list].sort((a, b) => Date.parse(a.created_at) - Date.parse(b.created_at)).map((v) => v.name);
  }

  /** A call to Coder that the operator itself never makes, as the first user; gives what was answered. */
  async asAdmin(method: string, path: string, body?: object): Promise<unknown> {
    const { url, adminToken } = this.stack.coder;
    const response = await fetch(`${url}/api/v2${path}`, {
      method,
      headers: { 'coder-session-token': adminToken, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return text === '' ? undefined : JSON.parse(text);
  }

  /** Asks by annotation, as a person does: `kind` and `name` as kubectl takes them. */
  async request(kind: string, name: string): Promise<string> {
    const value = randomBytes(4).toString('hex');
    await this.kubectl('annotate', '--overwrite', kind, name, `coder.com/reconcile-requested-at=${value}`);
    return value;
  }

  /** Waits until Coder is as `isSo` says. */
  async untilCoder<T>(read: () => Promise<T>, isSo: (value: T) => boolean, withinMs = 30_000): Promise<T> {
    let last: T | undefined;
    const found = await until(
      async () => {
        last = await read();
        return isSo(last) ? { value: last } : undefined;
      },
      { withinMs, everyMs: 100 },
    );
    if (found !== undefined) return found.value;
    const operator = await runningOperator();
    throw new Error(
      `Coder did not come to be ${isSo.toString()} within ${withinMs} ms.\nIt is: ${JSON.stringify(last)}\n` +
        `The operator said:\n${logTail(operator.logFile, 0, 30)}`,
    );
  }

  /**
   * Waits until the operator has looked at everything in Coder twice: only then does it mean something that it has done
   * nothing. A whole poll interval lies between the two, which is longer than any wait that the tests' operator makes.
   * Only while no other namespace has a control plane.
   */
  async untilLookedAgain(): Promise<void> {
    const before = await looks();
    await this.untilCoder(looks, (now) => now >= before + 2, 60_000);
  }

  /** What kubectl and the operator's log show of the namespace, Secrets aside. */
  async shown(): Promise<string> {
    const kinds = 'ccp,ctpl,cws,events';
    const operator = await runningOperator();
    return [
      await this.kubectl('get', kinds, '-o', 'yaml'),
      await this.kubectl('get', kinds, '-o', 'wide'),
      await this.kubectl('describe', kinds),
      readFileSync(operator.logFile, 'utf8'),
    ].join('\n');
  }

  /** Messages of the namespace's events with this reason. */
  async events(reason: string): Promise<string[]> {
    const list = await this.kubectl('get', 'events', '-o', 'json', `--field-selector=reason=${reason}`);
    const { items } = JSON.parse(list) as { readonly items: readonly { readonly message: string }[] };
    return items.map((item) => item.message);
  }

  /** How often the audit log saw the operator's service account write, the Lease aside. */
  operatorWrites(): string[] {
    return audited(this.stack.kubernetes)
      .filter((e) => e.user.username === 'system:serviceaccount:coder-operator:coder-operator-controller')
      .filter((e) => !['get', 'list', 'watch'].includes(e.verb) && e.objectRef?.resource !== 'leases')
      .map((e) => `${e.verb} ${e.objectRef?.resource ?? ''}/${e.objectRef?.name ?? ''}`);
  }

  /** Deletes all that the test made, in Kubernetes and by that in Coder. */
  async destroy(): Promise<void> {
    await this.kubectl('delete', 'coderworkspaces,codertemplates', '--all', '--wait=true', '--timeout=60s');
    await this.kubectl('delete', 'codercontrolplanes', '--all', '--wait=true', '--timeout=30s');
    const unlessGone = ['--ignore-not-found', '--wait=false'];
    await this.stack.kubernetes.kubectl(['delete', 'namespace', this.namespace, ...unlessGone]);
    await this.#close();
  }
}

/** Requests of the operator to Coder that change something, by its own count, of each route and status. */
export async function coderWrites(): Promise<string[]> {
  return (await operatorMetrics())
    .split('\n')
    .filter((line) => line.startsWith('coder_operator_coder_requests_total{'))
    .filter((line) => !line.includes('method="GET"'));
}

/** How often the operator has looked at everything in some Coder, by its own count. */
async function looks(): Promise<number> {
  const text = await operatorMetrics();
  // Two requests at the end of each look, and at hardly any other time.
  const line = /^coder_operator_coder_requests_total\{method="GET",route="\/templates",code="200"\} (\d+)$/m;
  return Number(line.exec(text)?.[1] ?? 0) / 2;
}

async function operatorMetrics(): Promise<string> {
  const operator = await runningOperator();
  return (await fetch(`${operator.url}/metrics`)).text();
}

interface NamedVersion {
  readonly name: string;
  readonly created_at: string;
}

function object(kind: string, name: string, spec: object): object {
  return { apiVersion: 'coder.com/v1alpha1', kind, metadata: { name }, spec };
}

/** Whether a condition has this status and, when given, this reason. */
export function has(object: Conditioned, type: string, status: string, reason?: string): boolean {
  const condition = findCondition(object.status?.conditions, type);
  const isNow = object.status?.observedGeneration === object.metadata.generation;
  return isNow && condition?.status === status && (reason === undefined || condition.reason === reason);
}

export function isReady(object: Conditioned): boolean {
  return has(object, 'Ready', 'True');
}

/** The message of a condition, or the empty text. */
export function messageOf(object: Conditioned, type: string): string {
  return findCondition(object.status?.conditions, type)?.message ?? '';
}
