import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { statusOf } from './http.ts';
import type { Kubernetes } from './kubernetes.ts';
import { containerFlags, podEnvironment, writeServiceAccount } from './pod.ts';
import type { Stack } from './stack.ts';
import type { PortName } from './state.ts';
import { toolEnvironment } from './tools.ts';
import { Workload, type WorkloadOptions } from './workload.ts';

const checkout = fileURLToPath(new URL('../..', import.meta.url));

/** Where `config/default` puts the operator. */
export const operatorNamespace = 'coder-operator';
export const controllerServiceAccount = 'coder-operator-controller';

/**
 * Installs the CRDs, the namespace and the RBAC of `config/default` and waits until the API server serves the kinds.
 * @throws StackError TOOL_FAILED with what kubectl said.
 */
export async function installOperator(kubernetes: Kubernetes, signal?: AbortSignal): Promise<void> {
  await kubernetes.kubectl(['apply', '--server-side', '-k', join(checkout, 'config', 'default')], { signal });
  const ours = ['crd', '-l', 'app.kubernetes.io/part-of=coder-operator'];
  await kubernetes.kubectl(['wait', '--for=condition=Established', '--timeout=60s', ...ours], { signal });
}

export interface OperatorOptions extends WorkloadOptions {
  /** Tells several in one stack apart, in state, logs and messages. Default `operator`. */
  readonly name?: Extract<PortName, `operator${string}`>;
}

/** A running controller of this checkout, with /readyz, /livez and /metrics. */
export class Operator extends Workload {}

/**
 * Runs `coder-operator controller` from the sources of this checkout against the stack and waits until it is ready. It
 * finds the API server as it would in a pod, by the token of its service account: only `config/` decides what it may do.
 * The CRDs and the service account have to be there: see `installOperator`.
 * @throws StackError as `Server.start`, with the end of its log.
 */
export async function startOperator(stack: Stack, options: OperatorOptions = {}): Promise<Operator> {
  const name = options.name ?? 'operator';
  const account = { namespace: operatorNamespace, serviceAccount: controllerServiceAccount, dir: stack.dir };
  const folder = await writeServiceAccount(stack.kubernetes, account);
  let url = '';
  const server = await stack.startServer(
    [name],
    (ports) => {
      url = `http://127.0.0.1:${ports[name]}`;
      return {
        name,
        command: process.execPath,
        args: [
          ...containerFlags,
          ...(options.program ?? ['--import', 'tsx', join(checkout, 'src', 'main.ts')]),
          'controller',
          ...['--service-account-dir', folder],
          ...['--listen', `127.0.0.1:${ports[name]}`],
          '--allow-loopback',
          ...['--http-host', '127.0.0.1'],
          ...(options.args ?? []),
        ],
        env: { ...toolEnvironment(), ...podEnvironment(stack.kubernetes.url), ...options.env },
        cwd: checkout,
        logFile: join(stack.logs, `${name}.log`),
        stopSignal: 'SIGTERM',
        stopWithinMs: 30_000,
        readyWithinMs: options.readyWithinMs ?? 60_000,
        ready: async () => (await statusOf(`${url}/readyz`)) === 200,
      };
    },
    options.signal,
  );
  return new Operator(server, url);
}
