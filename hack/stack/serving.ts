import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { issue, issueAuthority, loadAuthority, type KeyFiles } from './certificates.ts';
import { operatorNamespace } from './operator.ts';
import { mountFiles } from './pod.ts';

/** The Service of `config/apiserver`; kube-apiserver expects its name in the certificate. */
export const endpointService = 'coder-operator-apiserver';
export const endpointServerName = `${endpointService}.${operatorNamespace}.svc`;

/** Names for which the serving certificate is made: those in the cluster, and those of this machine. */
const servingHosts = [
  endpointService,
  `${endpointService}.${operatorNamespace}`,
  endpointServerName,
  `${endpointServerName}.cluster.local`,
  'localhost',
  '127.0.0.1',
];

/** The endpoint's certificate, as it is mounted. */
export interface ServingCertificate {
  /** PEM file of the authority that signed it. */
  readonly caFile: string;
  /** Folder with `tls.crt` and `tls.key`. */
  readonly folder: string;
}

/**
 * A serving certificate by an authority of the stack's own, for where no controller makes one. Called again, the
 * certificate is replaced by a new one of the same authority, as when the Secret changes.
 */
export async function mountServingCertificate(dir: string): Promise<ServingCertificate> {
  const place = join(dir, 'apiserver');
  const files = (name: string): KeyFiles => ({
    certificate: join(place, `${name}.crt`),
    key: join(place, `${name}.key`),
  });
  const authorityFiles = files('ca');
  mkdirSync(place, { recursive: true, mode: 0o700 });
  const authority = existsSync(authorityFiles.key)
    ? await loadAuthority(authorityFiles)
    : await issueAuthority('coder-operator local endpoint CA', authorityFiles);
  const serving = files('serving');
  await issue(authority, { cn: endpointServerName, hosts: servingHosts }, serving);
  const folder = join(place, 'serving');
  mountFiles(folder, {
    'tls.crt': readFileSync(serving.certificate),
    'tls.key': readFileSync(serving.key),
  });
  return { caFile: authorityFiles.certificate, folder };
}
