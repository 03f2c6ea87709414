import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto';
import { AUTHORITY_NAME, commonNameOf } from './authority.ts';

/** What decisions need to know of a certificate. Times in milliseconds since the epoch. */
export interface CertificateFact {
  /** One PEM block with its newline, always written in the same way. */
  readonly pem: string;
  readonly fingerprint: string;
  readonly notBefore: number;
  readonly notAfter: number;
  /** May sign others. */
  readonly isAuthority: boolean;
  /** Names and addresses of a server. */
  readonly names: readonly string[];
}

/** A certificate that was read, beside what is known of it. */
export interface ReadCertificate {
  readonly fact: CertificateFact;
  readonly x509: X509Certificate;
}

/** What is wrong with a certificate or its key, in words that hold nothing of either. */
export interface Fault {
  readonly fault: string;
}

const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';

/** Every certificate of a PEM text that can be read; what else is in there is passed over. */
export function readCertificates(text: string): readonly ReadCertificate[] {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  return blocks.flatMap((block) => {
    try {
      return [readCertificate(block)];
    } catch {
      return [];
    }
  });
}

/** The pair of an authority as it is made here, or why it is none. */
export function readAuthorityPair(certificate: string, key: string): ReadCertificate | Fault {
  const read = readPair(certificate, key);
  if ('fault' in read) return read;
  const { fact, x509 } = read;
  if (!fact.isAuthority) return { fault: 'its certificate is not that of an authority' };
  if (!commonNameOf(x509).startsWith(AUTHORITY_NAME)) {
    return { fault: 'its authority was not made by this controller' };
  }
  return read;
}

/** The pair of a server, or why it is none. */
export function readServingPair(certificate: string, key: string): ReadCertificate | Fault {
  const read = readPair(certificate, key);
  if ('fault' in read) return read;
  // Named keyUsage by Node, and yet the extended one.
  const usages = read.x509.keyUsage as readonly string[] | undefined;
  return usages?.includes(SERVER_AUTH) === true ? read : { fault: 'its certificate is not for servers' };
}

/** Whether `issuer` has signed `certificate`, and may. */
export function isIssuedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}

function readPair(certificate: string, key: string): ReadCertificate | Fault {
  const [read] = readCertificates(certificate);
  if (read === undefined) return { fault: 'it holds no certificate that can be read' };
  let privateKey: KeyObject;
  try {
    privateKey = createPrivateKey(key);
  } catch {
    return { fault: 'it holds no private key that can be read' };
  }
  if (!read.x509.checkPrivateKey(privateKey))
    return { fault: 'its private key is not that of its certificate' };
  // What OpenSSL calls P-256.
  if (privateKey.asymmetricKeyDetails?.namedCurve !== 'prime256v1') {
    return { fault: 'its key is not of the algorithm that is used here (ECDSA with P-256)' };
  }
  return read;
}

function readCertificate(pem: string): ReadCertificate {
  const x509 = new X509Certificate(pem);
  return {
    x509,
    fact: {
      pem: x509.toString(),
      fingerprint: x509.fingerprint256,
      notBefore: Date.parse(x509.validFrom),
      notAfter: Date.parse(x509.validTo),
      isAuthority: x509.ca,
      names: namesOf(x509),
    },
  };
}

/** From Node's text, such as `DNS:localhost, IP Address:127.0.0.1`. A name that would need quotes is none of ours. */
function namesOf(x509: X509Certificate): readonly string[] {
  const { subjectAltName = '' } = x509;
  if (subjectAltName === '') return [];
  return subjectAltName.split(', ').map((part) => part.replace(/^(DNS|IP Address):/, ''));
}
