import { readFileSync } from 'node:fs';
import type { Pki } from './certificates.ts';
import { statusOf } from './http.ts';
import type { ServerSpec } from './process.ts';

export interface EtcdOptions {
  readonly program: string;
  readonly dataDir: string;
  readonly logFile: string;
  readonly port: number;
  /** etcd insists on a port for other members, of which there are none. */
  readonly peerPort: number;
  readonly pki: Pki;
}

/** A single etcd that talks only to holders of a certificate of its authority and never waits for the disk. */
export function etcdSpec(options: EtcdOptions): ServerSpec {
  const { pki, dataDir } = options;
  const client = `https://127.0.0.1:${options.port}`;
  const tls = {
    ca: readFileSync(pki.etcdCa.certificate, 'utf8'),
    cert: readFileSync(pki.etcd.certificate, 'utf8'),
    key: readFileSync(pki.etcd.key, 'utf8'),
  };
  const peer = `https://127.0.0.1:${options.peerPort}`;
  return {
    name: 'etcd',
    command: options.program,
    args: [
      '--name=local',
      `--data-dir=${dataDir}`,
      `--listen-client-urls=${client}`,
      `--advertise-client-urls=${client}`,
      `--listen-peer-urls=${peer}`,
      `--initial-advertise-peer-urls=${peer}`,
      `--initial-cluster=local=${peer}`,
      '--client-cert-auth',
      `--trusted-ca-file=${pki.etcdCa.certificate}`,
      `--cert-file=${pki.etcd.certificate}`,
      `--key-file=${pki.etcd.key}`,
      '--peer-client-cert-auth',
      `--peer-trusted-ca-file=${pki.etcdCa.certificate}`,
      `--peer-cert-file=${pki.etcd.certificate}`,
      `--peer-key-file=${pki.etcd.key}`,
      '--unsafe-no-fsync',
      '--quota-backend-bytes=8589934592',
      '--log-level=warn',
    ],
    logFile: options.logFile,
    stopSignal: 'SIGTERM',
    stopWithinMs: 10_000,
    readyWithinMs: 60_000,
    ready: async () => (await statusOf(`${client}/health`, tls)) === 200,
  };
}
