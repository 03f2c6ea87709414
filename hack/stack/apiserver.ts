import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments } from 'yaml';
import { StackError } from './errors.ts';
import { statusOf } from './http.ts';
import type { Kubernetes } from './kubernetes.ts';
import { operatorNamespace } from './operator.ts';
import { containerFlags, podEnvironment, writeServiceAccount } from './pod.ts';
import type { Server } from './process.ts';
import { endpointServerName, endpointService, mountServingCertificate } from './serving.ts';
import type { Stack } from './stack.ts';
import type { PortName } from './state.ts';
import { toolEnvironment } from './tools.ts';
import { Workload, type WorkloadOptions } from './workload.ts';

const checkout = fileURLToPath(new URL('../..', import.meta.url));
const manifests = join(checkout, 'config', 'apiserver');

export const apiServiceName = 'v1alpha1.aggregation.coder.com';
export const endpointServiceAccount = 'coder-operator-apiserver';
const AVAILABLE_WITHIN_S = 60;

/** As much of a manifest as is looked at here. */
interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec?: Readonly<Record<string, unknown>>;
}

/**
 * Installs `config/apiserver` but for what needs nodes, with a Service that leads to this machine, and not yet the
 * APIService: an endpoint that is announced before it runs would hold up the whole cluster.
 * @throws StackError TOOL_FAILED with what kubectl said.
 */
export async function installEndpoint(kubernetes: Kubernetes, signal?: AbortSignal): Promise<void> {
  const all = await endpointManifests(kubernetes, signal);
  const items = all
    .filter(({ kind }) => kind !== 'Deployment' && kind !== 'APIService')
    .map((manifest) => (manifest.kind === 'Service' ? { ...manifest, spec: throughLoopback } : manifest));
  await applyList(kubernetes, items, signal);
}

/** Without a network for Services, kube-apiserver reaches only Services of this type: at the port of the APIService. */
const throughLoopback = { type: 'ExternalName', externalName: 'localhost' };

export interface Registration {
  /** Of 127.0.0.1, where the endpoint or a balancer before it listens. */
  readonly port: number;
  /** PEM file of the authority of the serving certificate. Left out: the controller says it. */
  readonly caFile?: string;
  readonly signal?: AbortSignal | undefined;
}

/** Tells the API server of the endpoint. @throws StackError TOOL_FAILED with what kubectl said. */
export async function registerEndpoint(
  kubernetes: Kubernetes,
  { port, caFile, signal }: Registration,
): Promise<void> {
  const all = await endpointManifests(kubernetes, signal);
  const found = all.find(({ kind }) => kind === 'APIService');
  if (found === undefined) throw new StackError('TOOL_FAILED', `${manifests} holds no APIService.`);
  const service = { namespace: operatorNamespace, name: endpointService, port };
  const caBundle = caFile === undefined ? {} : { caBundle: readFileSync(caFile).toString('base64') };
  await applyList(kubernetes, [{ ...found, spec: { ...found.spec, service, ...caBundle } }], signal);
}

/** Waits until the API server can reach the endpoint. @throws StackError TOOL_FAILED with what kubectl said. */
export async function untilAvailable(
  kubernetes: Kubernetes,
  withinSeconds = AVAILABLE_WITHIN_S,
  signal?: AbortSignal,
): Promise<void> {
  const wait = ['wait', '--for=condition=Available', `apiservice/${apiServiceName}`];
  await kubernetes.kubectl([...wait, `--timeout=${withinSeconds}s`], { signal });
}

async function endpointManifests(
  kubernetes: Kubernetes,
  signal: AbortSignal | undefined,
): Promise<readonly Manifest[]> {
  const text = await kubernetes.kubectl(['kustomize', manifests], { signal });
  return parseAllDocuments(text).map((document) => document.toJS() as Manifest);
}

async function applyList(
  kubernetes: Kubernetes,
  items: readonly object[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const input = JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
  await kubernetes.kubectl(['apply', '--server-side', '--force-conflicts', '-f', '-'], { input, signal });
}

/**
 * Installs the endpoint with a certificate of the stack's own, runs one replica and waits until the API server reaches it.
 * @throws StackError
 */
export async function addEndpoint(
  stack: Stack,
  options: Omit<EndpointOptions, 'certDir' | 'caFile'> = {},
): Promise<Endpoint> {
  const { kubernetes } = stack;
  const { signal } = options;
  await installEndpoint(kubernetes, signal);
  const { caFile, folder } = await mountServingCertificate(stack.dir);
  const endpoint = await startEndpoint(stack, { ...options, certDir: folder, caFile });
  await registerEndpoint(kubernetes, { port: endpoint.port, caFile, signal });
  await untilAvailable(kubernetes, AVAILABLE_WITHIN_S, signal);
  return endpoint;
}

export interface EndpointOptions extends WorkloadOptions {
  /** Tells replicas apart, in state, logs and messages. Default `apiserver-1`. */
  readonly name?: Extract<PortName, `apiserver-${string}`>;
  /** Folder with `tls.crt` and `tls.key`. */
  readonly certDir: string;
  /** PEM file of the authority of the certificate. */
  readonly caFile: string;
}

/** A running replica of the endpoint, with TLS. */
export class Endpoint extends Workload {
  readonly port: number;
  /** PEM file of the authority of its certificate. */
  readonly caFile: string;

  constructor(server: Server, port: number, caFile: string) {
    super(server, `https://127.0.0.1:${port}`);
    this.port = port;
    this.caFile = caFile;
  }
}

/**
 * Runs `coder-operator apiserver` from the sources of this checkout and waits until it is ready. It finds the API server
 * as it would in a pod, by the token of its service account: only `config/` decides what it may do. The CRDs and the
 * service account have to be there: see `installOperator` and `installEndpoint`.
 * @throws StackError as `Server.start`, with the end of its log.
 */
export async function startEndpoint(stack: Stack, options: EndpointOptions): Promise<Endpoint> {
  const { name = 'apiserver-1', certDir, caFile } = options;
  const account = { namespace: operatorNamespace, serviceAccount: endpointServiceAccount, dir: stack.dir };
  const folder = await writeServiceAccount(stack.kubernetes, account);
  const tls = { ca: readFileSync(caFile, 'utf8'), servername: endpointServerName };
  let port = 0;
  const server = await stack.startServer(
    [name],
    (ports) => {
      port = ports[name] ?? 0;
      return {
        name,
        command: process.execPath,
        args: [
          ...containerFlags,
          ...(options.program ?? ['--import', 'tsx', join(checkout, 'src', 'main.ts')]),
          'apiserver',
          ...['--service-account-dir', folder],
          ...['--listen', `127.0.0.1:${port}`],
          ...['--cert-dir', certDir],
          ...(options.args ?? []),
        ],
        env: { ...toolEnvironment(), ...podEnvironment(stack.kubernetes.url), ...options.env },
        cwd: checkout,
        logFile: join(stack.logs, `${name}.log`),
        stopSignal: 'SIGTERM',
        stopWithinMs: 90_000,
        readyWithinMs: options.readyWithinMs ?? 60_000,
        ready: async () => (await statusOf(`https://127.0.0.1:${port}/readyz`, tls)) === 200,
      };
    },
    options.signal,
  );
  return new Endpoint(server, port, caFile);
}
