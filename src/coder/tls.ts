import { X509Certificate } from 'node:crypto';
import { createSecureContext, rootCertificates, type SecureContext } from 'node:tls';
import { OperatorError, errorText } from '../base/errors.ts';

const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/**
 * What servers' certificates are checked against: the system's roots and the given ones besides. One context serves
 * all connections, since making one parses every root anew.
 *
 * @param caCertificates one or more certificates in PEM form.
 * @throws {OperatorError} `INVALID_CA_CERTIFICATE` when a certificate cannot be read or there is none.
 */
export function secureContext(caCertificates: string): SecureContext {
  const given = caCertificates.match(PEM_CERTIFICATE) ?? [];
  // OpenSSL would skip what it cannot read, and every connection would then fail for a reason that is hard to see.
  if (given.length === 0) throw invalid('it holds no PEM block "CERTIFICATE"');
  for (const certificate of given) {
    try {
      new X509Certificate(certificate);
    } catch (error) {
      throw invalid(errorText(error));
    }
  }
  return createSecureContext({ ca: [...rootCertificates, ...given], minVersion: 'TLSv1.2' });
}

function invalid(fault: string): OperatorError {
  return new OperatorError('INVALID_CA_CERTIFICATE', `"ca.crt" cannot be used: ${fault}`);
}
