import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { frontProxyName, type Pki } from './certificates.ts';
import { StackError } from './errors.ts';
import { statusOf } from './http.ts';
import type { ServerSpec } from './process.ts';
import { runTool, toolEnvironment } from './tools.ts';

export interface ApiServerOptions {
  readonly program: string;
  readonly logFile: string;
  readonly port: number;
  readonly etcdPort: number;
  readonly pki: Pki;
  /** Takes one JSON line for every finished request that a rule names. Default: no audit log. */
  readonly auditLog?: AuditLog | undefined;
  /** Flags added at the end. */
  readonly extraArgs?: readonly string[] | undefined;
}

export interface AuditLog {
  readonly policyFile: string;
  readonly logFile: string;
  /** Of the audit policy. Default: all requests, without bodies. */
  readonly rules?: readonly object[] | undefined;
}

/** kube-apiserver with RBAC and the aggregation layer, on loopback only. */
export function apiServerSpec(options: ApiServerOptions): ServerSpec {
  const { pki, port } = options;
  const ca = readFileSync(pki.ca.certificate, 'utf8');
  return {
    name: 'kube-apiserver',
    command: options.program,
    args: [
      '--bind-address=127.0.0.1',
      `--secure-port=${port}`,
      // Loopback is refused here; with no endpoint reconciler the address is never used (it is one for documentation).
      '--advertise-address=192.0.2.1',
      '--endpoint-reconciler-type=none',
      '--service-cluster-ip-range=10.96.0.0/16',
      `--etcd-servers=https://127.0.0.1:${options.etcdPort}`,
      `--etcd-cafile=${pki.etcdCa.certificate}`,
      `--etcd-certfile=${pki.etcd.certificate}`,
      `--etcd-keyfile=${pki.etcd.key}`,
      `--tls-cert-file=${pki.serving.certificate}`,
      `--tls-private-key-file=${pki.serving.key}`,
      `--client-ca-file=${pki.ca.certificate}`,
      '--authorization-mode=RBAC',
      // Without its controller there is no `default` service account that this plugin could give to pods.
      '--disable-admission-plugins=ServiceAccount',
      '--service-account-issuer=https://kubernetes.default.svc',
      `--service-account-key-file=${pki.serviceAccount.publicKey}`,
      `--service-account-signing-key-file=${pki.serviceAccount.key}`,
      `--requestheader-client-ca-file=${pki.frontProxyCa.certificate}`,
      `--requestheader-allowed-names=${frontProxyName}`,
      '--requestheader-username-headers=X-Remote-User',
      '--requestheader-group-headers=X-Remote-Group',
      '--requestheader-uid-headers=X-Remote-Uid',
      '--requestheader-extra-headers-prefix=X-Remote-Extra-',
      `--proxy-client-cert-file=${pki.frontProxyClient.certificate}`,
      `--proxy-client-key-file=${pki.frontProxyClient.key}`,
      '--profiling=false',
      ...(options.auditLog === undefined ? [] : auditFlags(options.auditLog)),
      ...(options.extraArgs ?? []),
    ],
    logFile: options.logFile,
    stopSignal: 'SIGTERM',
    // It waits for open watches when it is asked to end; nobody needs that here.
    stopWithinMs: 3_000,
    readyWithinMs: 120_000,
    ready: async () => (await statusOf(`https://127.0.0.1:${port}/readyz`, { ca })) === 200,
  };
}

function auditFlags(audit: AuditLog): readonly string[] {
  const policy = {
    apiVersion: 'audit.k8s.io/v1',
    kind: 'Policy',
    omitStages: ['RequestReceived'],
    rules: audit.rules ?? [{ level: 'Metadata' }],
  };
  writeFileSync(audit.policyFile, stringify(policy));
  return [
    `--audit-policy-file=${audit.policyFile}`,
    `--audit-log-path=${audit.logFile}`,
    '--audit-log-format=json',
  ];
}

export interface ControllerManagerOptions {
  readonly program: string;
  readonly logFile: string;
  readonly port: number;
  /** An administrator's: the garbage collector must see every kind, also those that come later. */
  readonly kubeconfig: string;
  readonly pki: Pki;
  /** Flags added at the end; more `--controllers` come beside those for namespaces and owned objects. */
  readonly extraArgs?: readonly string[] | undefined;
}

/** kube-controller-manager with what the deletion of namespaces and of owned objects needs, and no more than is asked for. */
export function controllerManagerSpec(options: ControllerManagerOptions): ServerSpec {
  const { pki, port } = options;
  const ca = readFileSync(pki.ca.certificate, 'utf8');
  return {
    name: 'kube-controller-manager',
    command: options.program,
    args: [
      '--bind-address=127.0.0.1',
      `--secure-port=${port}`,
      `--tls-cert-file=${pki.serving.certificate}`,
      `--tls-private-key-file=${pki.serving.key}`,
      `--kubeconfig=${options.kubeconfig}`,
      '--controllers=namespace-controller,garbage-collector-controller',
      '--leader-elect=false',
      '--profiling=false',
      ...(options.extraArgs ?? []),
    ],
    logFile: options.logFile,
    stopSignal: 'SIGTERM',
    stopWithinMs: 5_000,
    readyWithinMs: 60_000,
    ready: async () => (await statusOf(`https://127.0.0.1:${port}/healthz`, { ca })) === 200,
  };
}

export interface KubectlOptions {
  /** Given to kubectl's standard input, for `-f -`. */
  readonly input?: string;
  readonly signal?: AbortSignal | undefined;
}

/** A running API server and how to reach it. */
export class Kubernetes {
  /** `https://127.0.0.1:PORT` */
  readonly url: string;
  /** PEM file of the authority that signed its certificate. */
  readonly caFile: string;
  /** Kubeconfig of an administrator (group system:masters). */
  readonly adminKubeconfig: string;
  /** The kubectl program, of the server's version. */
  readonly kubectlPath: string;
  /** JSON lines when the stack was started with `auditLog`, one for each finished request. */
  readonly auditLogFile: string | undefined;
  /** All certificates and keys, for tests that speak to an extension API server themselves. */
  readonly pki: Pki;

  constructor(fields: {
    readonly port: number;
    readonly pki: Pki;
    readonly adminKubeconfig: string;
    readonly kubectlPath: string;
    readonly auditLogFile: string | undefined;
  }) {
    this.url = `https://127.0.0.1:${fields.port}`;
    this.caFile = fields.pki.ca.certificate;
    this.pki = fields.pki;
    this.adminKubeconfig = fields.adminKubeconfig;
    this.kubectlPath = fields.kubectlPath;
    this.auditLogFile = fields.auditLogFile;
  }

  /**
   * Runs kubectl as the administrator and gives its standard output.
   * @throws StackError TOOL_FAILED with what kubectl said.
   */
  async kubectl(args: readonly string[], options: KubectlOptions = {}): Promise<string> {
    const all = ['--kubeconfig', this.adminKubeconfig, ...args];
    // kubectl would remember in the home folder what servers on the same port once served.
    const env = { ...toolEnvironment(), KUBECACHEDIR: `${this.adminKubeconfig}.cache` };
    const answer = await runTool(this.kubectlPath, all, { ...options, env });
    if (answer?.code === 0) return answer.stdout;
    throw new StackError(
      'TOOL_FAILED',
      `kubectl ${args.join(' ')} failed: ${answer?.stderr.trim() ?? 'not found'}`,
    );
  }

  /**
   * A token of this service account (TokenRequest), as a workload in a pod would hold it.
   * @throws StackError TOOL_FAILED.
   */
  async serviceAccountToken(namespace: string, name: string, seconds = 30 * 24 * 3600): Promise<string> {
    return (await this.kubectl(['create', 'token', name, '-n', namespace, `--duration=${seconds}s`])).trim();
  }
}

/** Where the files of the API server's audit log are. */
export function auditFiles(dir: string): { readonly policyFile: string; readonly logFile: string } {
  return { policyFile: join(dir, 'audit-policy.yaml'), logFile: join(dir, 'logs', 'audit.log') };
}
