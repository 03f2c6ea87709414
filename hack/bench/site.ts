import { join } from 'node:path';
import { mkdirSync } from 'node:fs';
import { systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/logger.ts';
import { findCondition } from '../../src/api/conditions.ts';
import { controlPlanes, type CoderControlPlane } from '../../src/api/kinds.ts';
import { CoderClient } from '../../src/coder/client.ts';
import { KubeClient } from '../../src/kube/client.ts';
import { openConnection, type KubeConnection } from '../../src/kube/connection.ts';
import { StackError } from '../stack/errors.ts';
import { installOperator, startOperator, type Operator } from '../stack/operator.ts';
import type { Progress } from '../stack/progress.ts';
import { startStack, type Stack } from '../stack/stack.ts';
import { readState } from '../stack/state.ts';
import { until } from '../stack/wait.ts';
import { Holds } from './holds.ts';
import { parseSeries, type Series } from './prometheus.ts';
import { Scraper } from './scraper.ts';
import { seed, type Seeds } from './seed.ts';

export interface SiteOptions {
  /** Workspaces in Coder. */
  readonly workspaces: number;
  /** The compiled operator. */
  readonly program: string;
  /** Folder for CPU profiles of the operator. Default: none are made. */
  readonly profile?: string | undefined;
  /** Of the control plane, beside its credentials. Default: what users have who set nothing. */
  readonly controlPlane?: object;
  /** Environment variables of Coder. */
  readonly coderEnvironment?: Readonly<Record<string, string>>;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** Coder's own and the operator's namespace aside, all is in here. */
export const NAMESPACE = 'bench';
const CONTROL_PLANE = 'coder';
const LONGEST_WAIT_MS = 60_000;
const HOLDS = 'holds.jsonl';
const HOLD_LOG = new URL('hold-log.mjs', import.meta.url);

/** Real servers with a Coder that was filled, and an operator that may be started on them. */
export class Site {
  readonly stack: Stack;
  readonly kube: KubeClient;
  /** Acts as the first user of Coder. */
  readonly coder: CoderClient;
  readonly seeds: Seeds;
  readonly options: SiteOptions;
  /** How long the operator's event loop was held, through all its starts. */
  readonly holds: Holds;
  readonly #connection: KubeConnection;
  readonly #ended = new AbortController();
  #operator: Operator | undefined;
  #scraper: Scraper | undefined;
  #scraping: Promise<void> | undefined;

  private constructor(
    options: SiteOptions,
    parts: {
      readonly stack: Stack;
      readonly connection: KubeConnection;
      readonly kube: KubeClient;
      readonly coder: CoderClient;
      readonly seeds: Seeds;
    },
  ) {
    this.options = options;
    this.stack = parts.stack;
    this.holds = new Holds({ file: join(parts.stack.logs, HOLDS), clock: systemClock });
    this.kube = parts.kube;
    this.coder = parts.coder;
    this.seeds = parts.seeds;
    this.#connection = parts.connection;
  }

  /** @throws StackError */
  static async open(options: SiteOptions): Promise<Site> {
    const { workspaces, progress, signal, coderEnvironment = {} } = options;
    const stack = await startStack({ progress, signal, coderSettings: { env: coderEnvironment } });
    let connection: KubeConnection | undefined;
    let coder: CoderClient | undefined;
    try {
      connection = await openConnection({
        kubeconfig: stack.kubernetes.adminKubeconfig,
        clock: systemClock,
        logger: silentLogger,
      });
      const kube = new KubeClient({ connection, clock: systemClock, userAgent: 'coder-operator-bench' });
      coder = new CoderClient({
        url: stack.coder.url,
        token: stack.coder.adminToken,
        policy: { httpHosts: ['127.0.0.1'], allowLoopback: true },
        requestsPerMinute: 1_000_000,
        timeoutMs: 300_000,
      });
      await installOperator(stack.kubernetes, signal);
      const seeds = await seed({ coder: stack.coder, client: coder, workspaces, progress, signal });
      return new Site(options, { stack, connection, kube, coder, seeds });
    } catch (error) {
      coder?.close();
      await connection?.close();
      await stack.stop();
      throw error;
    }
  }

  /** @throws StackError when it was not started. */
  get operator(): Operator {
    if (this.#operator === undefined) throw new StackError('NOT_READY', 'The operator was not started.');
    return this.#operator;
  }

  /** What the operator says of itself. @throws StackError when it was not started. */
  get scraper(): Scraper {
    if (this.#scraper === undefined) throw new StackError('NOT_READY', 'The operator was not started.');
    return this.#scraper;
  }

  get signal(): AbortSignal {
    return this.options.signal;
  }

  /** Starts the operator, or starts it again. */
  async startOperator(): Promise<void> {
    if (this.#operator !== undefined) return this.#operator.start(this.signal);
    const log = new URL(HOLD_LOG);
    log.searchParams.set('file', join(this.stack.logs, HOLDS));
    this.holds.enter('start');
    this.#operator = await startOperator(this.stack, {
      program: [...this.profiling(), '--import', log.href, this.options.program],
      signal: this.signal,
    });
    this.#scraper = new Scraper({ operator: this.#operator, clock: systemClock });
    this.#scraping = this.#scraper.run(this.#ended.signal);
  }

  /** Flags for Node that make it write profiles, if there are to be any. */
  profiling(): readonly string[] {
    const { profile } = this.options;
    if (profile === undefined) return [];
    mkdirSync(profile, { recursive: true });
    return ['--cpu-prof', `--cpu-prof-dir=${profile}`];
  }

  /** Makes a namespace with a connection to Coder. */
  async connect(): Promise<void> {
    const { kubernetes, coder } = this.stack;
    await this.createNamespace(NAMESPACE);
    await kubernetes.kubectl(['apply', '-n', NAMESPACE, '-k', 'config/tenant']);
    const secret = {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'coder' },
      type: 'coder.com/credentials',
      stringData: { url: coder.url, token: coder.operatorToken },
    };
    const controlPlane = {
      apiVersion: 'coder.com/v1alpha1',
      kind: 'CoderControlPlane',
      metadata: { name: CONTROL_PLANE },
      spec: { credentialsSecretRef: { name: 'coder' }, ...this.options.controlPlane },
    };
    const list = { apiVersion: 'v1', kind: 'List', items: [secret, controlPlane] };
    const args = ['-n', NAMESPACE, 'apply', '-f', '-'];
    await kubernetes.kubectl(args, { input: JSON.stringify(list), signal: this.signal });
  }

  async createNamespace(name: string): Promise<void> {
    await this.stack.kubernetes.kubectl(['create', 'namespace', name], { signal: this.signal });
  }

  controlPlane(): Promise<CoderControlPlane> {
    return this.kube.get<CoderControlPlane>(controlPlanes, NAMESPACE, CONTROL_PLANE);
  }

  /** Changes the spec of the control plane. */
  async patchControlPlane(spec: object): Promise<void> {
    await this.kube.mergePatch(controlPlanes, NAMESPACE, CONTROL_PLANE, { spec });
  }

  /** @throws StackError NOT_READY with what the control plane says instead. */
  async untilConnected(): Promise<void> {
    let message = '';
    const connected = await until(
      async () => {
        const ready = findCondition((await this.controlPlane()).status?.conditions, 'Ready');
        message = ready?.message ?? '';
        return ready?.status === 'True' || undefined;
      },
      { withinMs: LONGEST_WAIT_MS, everyMs: 20, signal: this.signal },
    );
    if (connected === undefined) {
      throw new StackError('NOT_READY', `The control plane is not connected to Coder: ${message}`);
    }
  }

  /** The process of a server of the stack. @throws StackError NOT_READY. */
  pidOf(name: 'coder' | 'postgres' | 'kube-apiserver' | 'etcd'): number {
    const pid = readState(this.stack.dir)?.processes.find((p) => p.name === name)?.pid;
    if (pid === undefined) throw new StackError('NOT_READY', `${name} is not running.`);
    return pid;
  }

  /** @throws StackError NOT_READY. */
  operatorPid(): number {
    const { pid } = this.operator;
    if (pid === undefined) throw new StackError('NOT_READY', 'The operator is not running any more.');
    return pid;
  }

  /** What the API server says of itself. */
  async apiServerSeries(): Promise<readonly Series[]> {
    return parseSeries(
      await this.stack.kubernetes.kubectl(['get', '--raw', '/metrics'], { signal: this.signal }),
    );
  }

  /** Ends all of it. The operator in order, so that it writes its profile. */
  async close(): Promise<void> {
    await this.#operator?.stop();
    this.#ended.abort(new Error('the site is closed'));
    await this.#scraping;
    this.coder.close();
    await this.#connection.close();
    await this.stack.stop();
  }
}
