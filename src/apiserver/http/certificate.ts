import { constants, X509Certificate } from 'node:crypto';
import type { Server } from 'node:https';
import type { SecureContextOptions } from 'node:tls';
import type { Logger } from '../../base/logger.ts';
import type { ServingCertificate } from '../certificates.ts';

/**
 * No session is resumed: it would carry over what a client had shown when another CA was trusted, and would go on under
 * a certificate of ours that was replaced.
 */
export const TLS_OPTIONS: SecureContextOptions = {
  minVersion: 'TLSv1.2',
  secureOptions: constants.SSL_OP_NO_TICKET,
};

export interface ServeOptions {
  readonly certificates: Pick<ServingCertificate, 'current' | 'onChange'>;
  readonly logger: Logger;
  /** Called with the end of each certificate that is taken into use, in seconds since the epoch. */
  readonly onExpires: (seconds: number) => void;
}

/**
 * Keeps the server on the newest certificate. Connections that are open stay as they are; new handshakes see the new
 * one. Without any, handshakes fail.
 *
 * @returns ends it.
 */
export function serveCertificates(
  server: Server,
  { certificates, logger, onExpires }: ServeOptions,
): () => void {
  const take = ({ cert, key }: { readonly cert: string; readonly key: string }): void => {
    try {
      server.setSecureContext({ ...TLS_OPTIONS, cert, key });
      onExpires(Date.parse(new X509Certificate(cert).validTo) / 1000);
    } catch (error) {
      logger.error('the serving certificate cannot be used; the one before stays', { error });
    }
  };
  const first = certificates.current();
  if (first !== undefined) take(first);
  return certificates.onChange(take);
}
