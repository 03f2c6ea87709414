import { startStack, type Stack } from '../../hack/stack/stack.ts';
import { systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/logger.ts';
import type { KubeClient } from '../../src/kube/client.ts';
import { openConnection, type KubeConnection } from '../../src/kube/connection.ts';
import { clientOf } from './kube-server.ts';

/** A real kube-apiserver with etcd, and nothing else. */
export interface ApiServer {
  /** Of an administrator. */
  readonly kubeconfig: string;
  readonly connection: KubeConnection;
  readonly client: KubeClient;
  /** Runs kubectl; answers what it printed. */
  kubectl(args: readonly string[], input?: string): Promise<string>;
}

let running: Promise<{ readonly stack: Stack; readonly server: ApiServer }> | undefined;

/** The API server that all component tests of one run share; started when the first one asks. */
export async function apiserver(): Promise<ApiServer> {
  running ??= start();
  return (await running).server;
}

async function start(): Promise<{ readonly stack: Stack; readonly server: ApiServer }> {
  const stack = await startStack({ coder: false, controllerManager: false });
  const { adminKubeconfig: kubeconfig } = stack.kubernetes;
  const connection = await openConnection({ kubeconfig, clock: systemClock, logger: silentLogger });
  const kubectl: ApiServer['kubectl'] = (args, input) =>
    stack.kubernetes.kubectl([...args], input === undefined ? {} : { input });
  return { stack, server: { kubeconfig, connection, client: clientOf(connection), kubectl } };
}

// Loaded by a test file, hence a hook of the root suite: after the last test of the run.
after(async function () {
  this.timeout(30_000);
  if (running === undefined) return;
  const { stack, server } = await running;
  await server.connection.close();
  await stack.stop();
});
