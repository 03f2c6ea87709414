import '../../hack/stack/reflect.ts';
import { webcrypto } from 'node:crypto';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  X509CertificateGenerator,
  type Extension,
} from '@peculiar/x509';

const EC = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const RSA = {
  name: 'RSASSA-PKCS1-v1_5',
  modulusLength: 2048,
  publicExponent: new Uint8Array([1, 0, 1]),
  hash: 'SHA-256',
} as const;
const HOUR_MS = 3_600_000;

/** The moment around which certificates of tests are valid, an hour to each side. */
export const NOW = Date.UTC(2026, 0, 1);

export interface CertificateOptions {
  /** Such as `CN=front-proxy-client`. */
  readonly subject: string;
  /** Left out: signed by itself. */
  readonly issuer?: Issued;
  /** Another name for the issuer than it has. */
  readonly issuerName?: string;
  /** Another key than a new one. */
  readonly keys?: webcrypto.CryptoKeyPair;
  readonly notBefore?: number;
  readonly notAfter?: number;
  /** True: any number of intermediates below it; a number: so many. Left out: none of a CA. */
  readonly ca?: boolean | number;
  readonly usages?: readonly ('clientAuth' | 'serverAuth' | 'any')[];
  readonly keyUsage?: 'keyCertSign' | 'digitalSignature';
  readonly extensions?: readonly Extension[];
  readonly hash?: 'SHA-1' | 'SHA-256' | 'SHA-384';
  readonly rsa?: boolean;
}

/** A certificate of a test with its key. */
export interface Issued {
  readonly der: Buffer;
  readonly pem: string;
  readonly subject: string;
  readonly keys: webcrypto.CryptoKeyPair;
}

const USAGES = {
  clientAuth: ExtendedKeyUsage.clientAuth,
  serverAuth: ExtendedKeyUsage.serverAuth,
  any: '2.5.29.37.0',
} as const;

export async function certify(options: CertificateOptions): Promise<Issued> {
  const { subject, issuer, ca, usages, keyUsage, hash = 'SHA-256' } = options;
  const keys = options.keys ?? (await newKeys(options.rsa));
  const signer = issuer?.keys ?? keys;
  const extensions: Extension[] = [...(options.extensions ?? [])];
  if (ca !== undefined && ca !== false)
    extensions.push(new BasicConstraintsExtension(true, ca === true ? undefined : ca, true));
  if (usages !== undefined)
    extensions.push(new ExtendedKeyUsageExtension(usages.map((usage) => USAGES[usage])));
  if (keyUsage !== undefined) extensions.push(new KeyUsagesExtension(KeyUsageFlags[keyUsage], true));
  const certificate = await X509CertificateGenerator.create(
    {
      subject,
      issuer: options.issuerName ?? issuer?.subject ?? subject,
      publicKey: keys.publicKey,
      signingKey: signer.privateKey,
      signingAlgorithm: { ...signer.privateKey.algorithm, hash },
      notBefore: new Date(options.notBefore ?? NOW - HOUR_MS),
      notAfter: new Date(options.notAfter ?? NOW + HOUR_MS),
      extensions,
    },
    webcrypto,
  );
  const pem = `${certificate.toString('pem')}\n`;
  return { der: Buffer.from(certificate.rawData), pem, subject, keys };
}

export function certifyCA(subject: string, options: Partial<CertificateOptions> = {}): Promise<Issued> {
  return certify({ subject, ca: true, ...options });
}

export function newKeys(rsa = false): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(rsa ? RSA : EC, true, ['sign', 'verify']);
}

/** The data of the ConfigMap as kube-apiserver writes it with its usual flags. */
export function trustData(
  cas: readonly Issued[],
  more: Readonly<Record<string, string>> = {},
): Record<string, string> {
  return {
    'requestheader-client-ca-file': cas.map(({ pem }) => pem).join(''),
    'requestheader-allowed-names': '["front-proxy-client"]',
    'requestheader-username-headers': '["X-Remote-User"]',
    'requestheader-group-headers': '["X-Remote-Group"]',
    'requestheader-extra-headers-prefix': '["X-Remote-Extra-"]',
    ...more,
  };
}
