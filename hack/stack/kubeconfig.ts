import { readFileSync, writeFileSync } from 'node:fs';
import { stringify } from 'yaml';
import type { KeyFiles } from './certificates.ts';

/** Who a kubeconfig makes its reader: a client certificate or a bearer token. */
export type KubeUser = KeyFiles | { readonly token: string };

export interface KubeconfigOptions {
  /** https://127.0.0.1:PORT */
  readonly server: string;
  /** Path of the PEM file of the server's authority. */
  readonly caFile: string;
  readonly user: KubeUser;
  /** Default: none, which means `default`. */
  readonly namespace?: string;
}

/** Writes a kubeconfig that holds all it needs, readable by its owner only. */
export function writeKubeconfig(file: string, options: KubeconfigOptions): void {
  const base64 = (path: string): string => readFileSync(path).toString('base64');
  const user =
    'token' in options.user
      ? { token: options.user.token }
      : {
          'client-certificate-data': base64(options.user.certificate),
          'client-key-data': base64(options.user.key),
        };
  const name = 'coder-operator-local';
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      { name, cluster: { server: options.server, 'certificate-authority-data': base64(options.caFile) } },
    ],
    users: [{ name, user }],
    contexts: [
      {
        name,
        context: {
          cluster: name,
          user: name,
          ...(options.namespace === undefined ? {} : { namespace: options.namespace }),
        },
      },
    ],
    'current-context': name,
  };
  writeFileSync(file, stringify(config), { mode: 0o600 });
}
