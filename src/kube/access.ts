import { createHash } from 'node:crypto';
import type { RequestOptions } from 'node:https';
import { OperatorError } from '../base/errors.ts';

export type TlsOptions = Pick<
  RequestOptions,
  'ca' | 'cert' | 'key' | 'pfx' | 'passphrase' | 'rejectUnauthorized'
> & {
  readonly servername?: string;
};

/** How to reach one API server, and as whom, at one moment. */
export interface Access {
  readonly baseUrl: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly tls: TlsOptions;
  readonly proxy: string | undefined;
}

/** Where the access to an API server comes from. Reading again gives what holds now. */
export interface AccessSource {
  /** @throws OperatorError KUBE_CONFIG when it cannot be read or used. */
  read(): Promise<Access>;
  /** The credentials were refused: the next reading obtains fresh ones. */
  forget(): void;
}

/** Equal for accesses between which no connection has to be made anew. */
export function identityOf(access: Access): string {
  const parts = [access.baseUrl, access.proxy, access.tls];
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}

export function configError(message: string, cause?: unknown): OperatorError {
  return new OperatorError('KUBE_CONFIG', `Kubernetes configuration: ${message}`, { cause });
}
