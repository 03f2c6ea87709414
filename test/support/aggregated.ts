import {
  installEndpoint,
  registerEndpoint,
  startEndpoint,
  untilAvailable,
  type Endpoint,
} from '../../hack/stack/apiserver.ts';
import { Client, type ClientLine } from '../../hack/stack/clients.ts';
import { Guardian } from '../../hack/stack/guardian.ts';
import { installOperator } from '../../hack/stack/operator.ts';
import { buildPrograms } from '../../hack/stack/programs.ts';
import { terminalProgress } from '../../hack/stack/progress.ts';
import {
  endpointServerName,
  mountServingCertificate,
  type ServingCertificate,
} from '../../hack/stack/serving.ts';
import { startStack, type Stack } from '../../hack/stack/stack.ts';
import { runTool, toolEnvironment, type ToolAnswer } from '../../hack/stack/tools.ts';
import { systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/logger.ts';
import type { KubeClient } from '../../src/kube/client.ts';
import { openConnection, type KubeConnection } from '../../src/kube/connection.ts';
import { Caller } from './aggregated-calls.ts';
import { Balancer } from './balancer.ts';
import { clientOf } from './kube-server.ts';

/** First start, when the programs have to be built. */
export const AGGREGATED_WITHIN_MS = 900_000;

/** As long as a drain in tests may take before connections are refused. */
export const DRAIN_DELAY_MS = 1_500;

/** Questions about rights, with all that was asked: the tests look at what the endpoint says of a user. */
const auditRules = [
  { level: 'Request', resources: [{ group: 'authorization.k8s.io', resources: ['subjectaccessreviews'] }] },
  { level: 'None' },
];

const MANAGER_ARGS = [
  '--controllers=resourcequota-controller,clusterrole-aggregation-controller',
  // Kinds that come later are counted at the next turn.
  '--resource-quota-sync-period=5s',
];

const ENDPOINT_ARGS = [
  ...['--drain-delay', `${DRAIN_DELAY_MS}ms`],
  ...['--log-format', 'text', '--log-level', 'debug'],
];

/** The endpoint as users have it: two replicas behind a Service, announced to a real kube-apiserver. */
export class Aggregated {
  readonly stack: Stack;
  /** As an administrator. */
  readonly kube: KubeClient;
  readonly replicas: readonly [Endpoint, Endpoint];
  /** Between kube-apiserver and the replicas. */
  readonly balancer: Balancer;
  /** Between the replicas and kube-apiserver. */
  readonly upstream: Balancer;
  readonly certificate: ServingCertificate;
  /** From the announcement of the APIService to its being available. */
  readonly availableAfterMs: number;
  readonly #clients: string;
  readonly #connection: KubeConnection;
  readonly #running = new Set<Client>();
  readonly #callers = new Set<Caller>();

  private constructor(parts: {
    readonly stack: Stack;
    readonly connection: KubeConnection;
    readonly replicas: readonly [Endpoint, Endpoint];
    readonly balancer: Balancer;
    readonly upstream: Balancer;
    readonly certificate: ServingCertificate;
    readonly availableAfterMs: number;
    readonly clients: string;
  }) {
    this.stack = parts.stack;
    this.kube = clientOf(parts.connection);
    this.replicas = parts.replicas;
    this.balancer = parts.balancer;
    this.upstream = parts.upstream;
    this.certificate = parts.certificate;
    this.availableAfterMs = parts.availableAfterMs;
    this.#connection = parts.connection;
    this.#clients = parts.clients;
  }

  static async start(): Promise<Aggregated> {
    const progress = terminalProgress();
    const guardian = new Guardian();
    const { clients } = await buildPrograms(['clients'], { progress, guardian });
    guardian.close();
    const stack = await startStack({
      coder: false,
      controllerManagerArgs: MANAGER_ARGS,
      auditLog: auditRules,
    });
    try {
      const { kubernetes } = stack;
      await installOperator(kubernetes);
      await installEndpoint(kubernetes);
      const certificate = await mountServingCertificate(stack.dir);
      const port = Number(new URL(kubernetes.url).port);
      const upstream = await Balancer.open([{ port, isReady: () => Promise.resolve(true) }]);
      const start = (name: 'apiserver-1' | 'apiserver-2'): Promise<Endpoint> =>
        startEndpoint(stack, {
          name,
          certDir: certificate.folder,
          caFile: certificate.caFile,
          args: ENDPOINT_ARGS,
          env: { KUBERNETES_SERVICE_PORT: String(upstream.port) },
        });
      const replicas = await Promise.all([start('apiserver-1'), start('apiserver-2')]);
      const balancer = await Balancer.open(replicas);
      const announcedAt = systemClock.monotonic();
      await registerEndpoint(kubernetes, { port: balancer.port, caFile: certificate.caFile });
      await untilAvailable(kubernetes);
      const availableAfterMs = systemClock.monotonic() - announcedAt;
      const connection = await openConnection({
        kubeconfig: kubernetes.adminKubeconfig,
        clock: systemClock,
        logger: silentLogger,
      });
      return new Aggregated({
        ...{ stack, connection, replicas, balancer, upstream, certificate, availableAfterMs, clients },
      });
    } catch (error) {
      await stack.stop();
      throw error;
    }
  }

  /** Runs kubectl as an administrator; answers what it printed. @throws StackError when it fails. */
  kubectl(args: readonly string[], input?: string): Promise<string> {
    return this.stack.kubernetes.kubectl(args, input === undefined ? {} : { input });
  }

  /** Runs kubectl as an administrator, whatever comes of it. */
  async tryKubectl(args: readonly string[]): Promise<ToolAnswer> {
    const { kubectlPath, adminKubeconfig } = this.stack.kubernetes;
    const env = { ...toolEnvironment(), KUBECACHEDIR: `${adminKubeconfig}.cache` };
    const answer = await runTool(kubectlPath, ['--kubeconfig', adminKubeconfig, ...args], { env });
    if (answer === undefined) throw new Error(`${kubectlPath} is not there`);
    return answer;
  }

  /** Creates a namespace of a test's own. */
  async namespace(name: string): Promise<string> {
    await this.kubectl(['create', 'namespace', name]);
    return name;
  }

  /** Starts a client of hack/tools/clients as an administrator; it ends with the test. */
  client(command: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Client {
    const client = new Client({
      program: this.#clients,
      command,
      args: [
        ...(command === 'gnostic' ? [] : ['--kubeconfig', this.stack.kubernetes.adminKubeconfig]),
        ...args,
      ],
      env,
    });
    this.#running.add(client);
    return client;
  }

  /** Runs a client to its end. @throws StackError when it fails. */
  run(
    command: string,
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): Promise<readonly ClientLine[]> {
    return this.client(command, args, env).end();
  }

  /** Sends requests through kube-apiserver as an administrator, who may do so in the name of others. */
  through(): Caller {
    const { url, pki } = this.stack.kubernetes;
    return this.#keep(new Caller({ url, caFile: pki.ca.certificate, client: pki.admin }));
  }

  /** Sends requests straight to a replica as kube-apiserver does it, with the certificate of the front proxy. */
  direct(replica: Endpoint = this.replicas[0], client = this.stack.kubernetes.pki.frontProxyClient): Caller {
    return this.#keep(
      new Caller({
        url: replica.url,
        caFile: this.certificate.caFile,
        client,
        servername: endpointServerName,
      }),
    );
  }

  /** Ends what a test has begun. */
  async tidy(): Promise<void> {
    await Promise.all([...this.#running].map((client) => client.kill()));
    await Promise.all([...this.#callers].map((caller) => caller.close()));
    this.#running.clear();
    this.#callers.clear();
  }

  async stop(): Promise<void> {
    await this.tidy();
    await Promise.all(this.replicas.map((replica) => replica.kill()));
    await Promise.all([this.balancer.close(), this.upstream.close(), this.#connection.close()]);
    await this.stack.stop();
  }

  #keep(caller: Caller): Caller {
    this.#callers.add(caller);
    return caller;
  }
}

let running: Promise<Aggregated> | undefined;

/** The endpoint that all tests of one run share; started when the first one asks. */
export function aggregated(): Promise<Aggregated> {
  running ??= Aggregated.start();
  return running;
}

// Loaded by a test file, hence a hook of the root suite: after the last test of the run.
after(async function () {
  this.timeout(60_000);
  await (await running)?.stop();
});
