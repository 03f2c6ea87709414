import '../../hack/stack/reflect.ts';
import { randomUUID, webcrypto } from 'node:crypto';
import {
  BasicConstraintsExtension,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
  type X509Certificate,
} from '@peculiar/x509';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const HOUR_MS = 3_600_000;

/** A certificate authority of one test run. */
export interface TestAuthority {
  /** PEM. */
  readonly caCertificate: string;
  /** A key and certificate for a server that is reached at these addresses and names. */
  issue(names: { readonly ip?: string; readonly dns?: string }): Promise<{ key: string; cert: string }>;
}

export async function createAuthority(): Promise<TestAuthority> {
  const keys = await newKeys();
  const ca = await X509CertificateGenerator.createSelfSigned(
    {
      // A name of its own, as real ones have: by it OpenSSL chooses the CA whose signature it checks.
      name: `CN=Test CA ${randomUUID()}`,
      keys,
      signingAlgorithm: ALGORITHM,
      ...validity(),
      extensions: [new BasicConstraintsExtension(true, undefined, true)],
    },
    webcrypto,
  );
  return {
    caCertificate: ca.toString('pem'),
    async issue({ ip, dns }) {
      const leafKeys = await newKeys();
      const leaf: X509Certificate = await X509CertificateGenerator.create(
        {
          subject: 'CN=Test server',
          issuer: ca.subject,
          publicKey: leafKeys.publicKey,
          signingKey: keys.privateKey,
          signingAlgorithm: ALGORITHM,
          ...validity(),
          extensions: [
            new SubjectAlternativeNameExtension([
              ...(ip === undefined ? [] : [{ type: 'ip' as const, value: ip }]),
              ...(dns === undefined ? [] : [{ type: 'dns' as const, value: dns }]),
            ]),
          ],
        },
        webcrypto,
      );
      return { key: await pemOf(leafKeys.privateKey), cert: leaf.toString('pem') };
    },
  };
}

function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
}

function validity(): { readonly notBefore: Date; readonly notAfter: Date } {
  return { notBefore: new Date(Date.now() - HOUR_MS), notAfter: new Date(Date.now() + HOUR_MS) };
}

async function pemOf(key: webcrypto.CryptoKey): Promise<string> {
  const bytes = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key)).toString('base64');
  return `-----BEGIN PRIVATE KEY-----\n${bytes.replace(/(.{64})/g, '$1\n')}\n-----END PRIVATE KEY-----\n`;
}
