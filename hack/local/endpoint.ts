import { join } from 'node:path';
import {
  installEndpoint,
  registerEndpoint,
  startEndpoint,
  untilAvailable,
  type Endpoint,
} from '../stack/apiserver.ts';
import { StackError } from '../stack/errors.ts';
import type { Kubernetes } from '../stack/kubernetes.ts';
import { operatorNamespace } from '../stack/operator.ts';
import { mountFiles } from '../stack/pod.ts';
import type { Stack } from '../stack/stack.ts';
import { until } from '../stack/wait.ts';

export const endpointName = 'apiserver-1';

const SECRET = 'coder-operator-apiserver-tls';
/** The controller looks for the APIService every ten seconds. */
const CERTIFICATE_WITHIN_MS = 60_000;

/**
 * Runs the aggregated endpoint as a cluster would: the operator, which has to run, makes its certificates, and what the
 * kubelet would do with them is done here, once: a stack that runs for longer than they live has to be started anew.
 * @throws StackError
 */
export async function runEndpoint(stack: Stack, signal?: AbortSignal): Promise<Endpoint> {
  const { kubernetes, dir } = stack;
  await installEndpoint(kubernetes, signal);
  // Its certificates are made once the APIService is there. The port is known when it has been started.
  await registerEndpoint(kubernetes, { port: 443, signal });
  const files = await certificateOf(kubernetes, signal);
  const certDir = join(dir, 'apiserver', 'serving');
  mountFiles(certDir, files);
  const caFile = join(certDir, 'ca.crt');
  // Nobody balances between replicas here.
  const args = ['--drain-delay', '0s'];
  const endpoint = await startEndpoint(stack, { name: endpointName, certDir, caFile, args, signal });
  await registerEndpoint(kubernetes, { port: endpoint.port, signal });
  await untilAvailable(kubernetes, 60, signal);
  return endpoint;
}

/** What the operator wrote for the endpoint. @throws StackError NOT_READY. */
async function certificateOf(
  kubernetes: Kubernetes,
  signal: AbortSignal | undefined,
): Promise<Readonly<Record<string, string>>> {
  const find = ['get', 'secret', SECRET, '-n', operatorNamespace, '--ignore-not-found', '-o', 'json'];
  const look = async (): Promise<Readonly<Record<string, string>> | undefined> => {
    const text = await kubernetes.kubectl(find, { signal });
    if (text.trim() === '') return undefined;
    // It is there before it is filled.
    const { data } = JSON.parse(text) as { readonly data?: Readonly<Record<string, string>> };
    if (data === undefined) return undefined;
    return Object.fromEntries(
      Object.entries(data).map(([name, value]) => [name, Buffer.from(value, 'base64').toString()]),
    );
  };
  const files = await until(look, { withinMs: CERTIFICATE_WITHIN_MS, everyMs: 500, signal });
  if (files === undefined) {
    throw new StackError('NOT_READY', `The operator did not fill the Secret ${SECRET}; its log tells why.`);
  }
  return files;
}
