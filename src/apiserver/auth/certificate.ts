import { X509Certificate, type KeyObject } from 'node:crypto';
import { bitsOf, booleanOf, countOf, DerReader, malformed, oidOf, TAG, timeOf } from './der.ts';

/** What the verification of a chain needs of a certificate (RFC 5280). */
export interface Certificate {
  readonly der: Buffer;
  /** Names as they are encoded: the same name is the same bytes, as Go takes it. */
  readonly issuer: Buffer;
  readonly subject: Buffer;
  /** Undefined when there is none, more than one, or one in an encoding that is not read. */
  readonly commonName: string | undefined;
  readonly publicKeyInfo: Buffer;
  /** Milliseconds since the epoch, both inclusive. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** By its basic constraints, and its key usage where there is one. */
  readonly isCA: boolean;
  /** How many intermediates may be between it and the end of a chain; undefined: any number. */
  readonly maxPathLength: number | undefined;
  /** Extended key usages as identifiers; undefined: not restricted. */
  readonly usages: ReadonlySet<string> | undefined;
  /** An extension that restricts its use in a way that is not implemented here: never to be trusted. */
  readonly unsupported: string | undefined;
  /** Whether its signature is of an algorithm that still holds; SHA-1 and MD5 do not. */
  readonly hasStrongSignature: boolean;
  /** Whether the key signed it. Says nothing else: no names, times or rights are looked at. */
  isSignedBy(key: KeyObject): boolean;
  /** Undefined for a key of a kind that OpenSSL does not know. */
  publicKey(): KeyObject | undefined;
}

/** The AlgorithmIdentifiers that certificates may be signed with, whole, in hex. */
const STRONG_SIGNATURES: ReadonlySet<string> = new Set([
  // RSA with SHA-256, SHA-384 and SHA-512.
  '300d06092a864886f70d01010b0500',
  '300d06092a864886f70d01010c0500',
  '300d06092a864886f70d01010d0500',
  // ECDSA with the same.
  '300a06082a8648ce3d040302',
  '300a06082a8648ce3d040303',
  '300a06082a8648ce3d040304',
  // Ed25519.
  '300506032b6570',
]);

const EXTENSION = {
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  nameConstraints: '2.5.29.30',
  certificatePolicies: '2.5.29.32',
  policyMappings: '2.5.29.33',
  policyConstraints: '2.5.29.36',
  extendedKeyUsage: '2.5.29.37',
  inhibitAnyPolicy: '2.5.29.54',
} as const;

/** Those that may be marked critical: read here, or without a bearing on who the proxy is. */
const UNDERSTOOD: ReadonlySet<string> = new Set([
  EXTENSION.keyUsage,
  EXTENSION.subjectAltName,
  EXTENSION.basicConstraints,
  EXTENSION.certificatePolicies,
  EXTENSION.extendedKeyUsage,
]);

/** Those that restrict whole chains, critical or not. */
const NOT_IMPLEMENTED: ReadonlySet<string> = new Set([
  EXTENSION.nameConstraints,
  EXTENSION.policyMappings,
  EXTENSION.policyConstraints,
  EXTENSION.inhibitAnyPolicy,
]);

const COMMON_NAME = '2.5.4.3';
const VERSION_3 = 2;
/** keyCertSign in the first byte of the bits. */
const KEY_CERT_SIGN = 0x04;

interface Extension {
  readonly critical: boolean;
  readonly value: Buffer;
}

/**
 * Node's X509Certificate tells neither path lengths nor critical extensions nor the algorithm of the signature, and
 * names only as text, so these are read here; signatures and keys are left to OpenSSL.
 *
 * @throws OperatorError DER_MALFORMED, or what OpenSSL throws for a certificate that it cannot read.
 */
export function parseCertificate(der: Buffer): Certificate {
  const outer = new DerReader(der);
  const whole = outer.within(TAG.sequence);
  outer.end();
  const body = whole.within(TAG.sequence);
  const signature = whole.next(TAG.sequence).raw;
  whole.next(TAG.bitString);
  whole.end();

  const version = versionOf(body);
  body.next(TAG.integer);
  if (!body.next(TAG.sequence).raw.equals(signature)) throw malformed('two algorithms of one signature');
  const issuer = body.next(TAG.sequence).raw;
  const validity = body.within(TAG.sequence);
  const notBefore = timeOf(validity.next());
  const notAfter = timeOf(validity.next());
  validity.end();
  const subject = body.next(TAG.sequence);
  const publicKeyInfo = body.next(TAG.sequence).raw;
  body.optional(0x81);
  body.optional(0x82);
  const extensions = version === VERSION_3 ? extensionsOf(body) : new Map<string, Extension>();
  body.end();

  const x509 = new X509Certificate(der);
  return {
    der,
    issuer,
    subject: subject.raw,
    commonName: commonNameOf(new DerReader(subject.content)),
    publicKeyInfo,
    notBefore,
    notAfter,
    ...rightsOf(extensions),
    unsupported: unsupportedOf(extensions),
    hasStrongSignature: STRONG_SIGNATURES.has(signature.toString('hex')),
    isSignedBy: (key) => x509.verify(key),
    publicKey: () => publicKeyOf(x509),
  };
}

function versionOf(body: DerReader): number {
  const explicit = body.optional(0xa0);
  if (explicit === undefined) return 0;
  const inner = new DerReader(explicit.content);
  const version = countOf(inner.next(TAG.integer));
  inner.end();
  if (version > VERSION_3) throw malformed('a version that does not exist');
  return version;
}

function extensionsOf(body: DerReader): Map<string, Extension> {
  const extensions = new Map<string, Extension>();
  const explicit = body.optional(0xa3);
  if (explicit === undefined) return extensions;
  const outer = new DerReader(explicit.content);
  const list = outer.within(TAG.sequence);
  outer.end();
  while (!list.done) {
    const extension = list.within(TAG.sequence);
    const oid = oidOf(extension.next(TAG.oid));
    const critical = extension.optional(TAG.boolean);
    const value = extension.next(TAG.octetString).content;
    extension.end();
    // Of two with one name each reader could take another one.
    if (extensions.has(oid)) throw malformed('an extension twice');
    extensions.set(oid, { critical: critical !== undefined && booleanOf(critical), value });
  }
  return extensions;
}

function rightsOf(
  extensions: ReadonlyMap<string, Extension>,
): Pick<Certificate, 'isCA' | 'maxPathLength' | 'usages'> {
  const constraints = contentOf(extensions.get(EXTENSION.basicConstraints), TAG.sequence);
  const ca = constraints?.optional(TAG.boolean);
  const pathLength = constraints?.optional(TAG.integer);
  constraints?.end();
  return {
    isCA: ca !== undefined && booleanOf(ca) && mayCertify(extensions.get(EXTENSION.keyUsage)),
    maxPathLength: pathLength === undefined ? undefined : countOf(pathLength),
    usages: usagesOf(extensions.get(EXTENSION.extendedKeyUsage)),
  };
}

function mayCertify(keyUsage: Extension | undefined): boolean {
  if (keyUsage === undefined) return true;
  const reader = new DerReader(keyUsage.value);
  const bits = bitsOf(reader.next(TAG.bitString));
  reader.end();
  return ((bits[0] ?? 0) & KEY_CERT_SIGN) !== 0;
}

function usagesOf(extension: Extension | undefined): ReadonlySet<string> | undefined {
  const list = contentOf(extension, TAG.sequence);
  if (list === undefined) return undefined;
  const usages = new Set<string>();
  while (!list.done) usages.add(oidOf(list.next(TAG.oid)));
  return usages;
}

function unsupportedOf(extensions: ReadonlyMap<string, Extension>): string | undefined {
  for (const [oid, { critical }] of extensions) {
    if (NOT_IMPLEMENTED.has(oid) || (critical && !UNDERSTOOD.has(oid))) return oid;
  }
  return undefined;
}

function contentOf(extension: Extension | undefined, tag: number): DerReader | undefined {
  if (extension === undefined) return undefined;
  const reader = new DerReader(extension.value);
  const content = reader.within(tag);
  reader.end();
  return content;
}

function commonNameOf(name: DerReader): string | undefined {
  const found: (string | undefined)[] = [];
  while (!name.done) {
    const attributes = name.within(TAG.set);
    while (!attributes.done) {
      const attribute = attributes.within(TAG.sequence);
      const oid = oidOf(attribute.next(TAG.oid));
      const value = attribute.next();
      attribute.end();
      if (oid === COMMON_NAME) found.push(textOf(value.tag, value.content));
    }
  }
  return found.length === 1 ? found[0] : undefined;
}

/** The strings that names are made of today; the old ones (T.61, BMP) are not read. */
function textOf(tag: number, content: Buffer): string | undefined {
  switch (tag) {
    case TAG.utf8String: {
      const text = content.toString('utf8');
      return Buffer.from(text, 'utf8').equals(content) ? text : undefined;
    }
    case TAG.printableString:
    case TAG.ia5String:
    case TAG.numericString:
      return content.every((byte) => byte < 0x80) ? content.toString('latin1') : undefined;
    default:
      return undefined;
  }
}

function publicKeyOf(x509: X509Certificate): KeyObject | undefined {
  try {
    return x509.publicKey;
  } catch {
    return undefined;
  }
}
