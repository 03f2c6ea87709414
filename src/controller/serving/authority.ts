import { createHash, generateKeyPair, randomBytes, sign, X509Certificate, type KeyObject } from 'node:crypto';
import { isIPv4 } from 'node:net';
import { promisify } from 'node:util';
import {
  bitString,
  explicit,
  implicit,
  integer,
  objectIdentifier,
  octetString,
  sequence,
  setOf,
  time,
  utf8String,
  yes,
} from './der.ts';

/** A certificate and its private key, both PEM. The key is never logged, and never leaves its Secret. */
export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

export interface Validity {
  /** Wall clock of those who will check the certificate, in milliseconds since the epoch. */
  readonly now: number;
  readonly notAfter: number;
}

export interface ServingRequest extends Validity {
  /** Host names and IPv4 addresses by which the server is reached. */
  readonly names: readonly string[];
}

/** Certificates begin a little before now, for clocks that are behind. */
export const BACKDATED_MS = 5 * 60_000;

/** Begins the name of every authority that is made here; the rest tells one from another. */
export const AUTHORITY_NAME = 'coder-operator-apiserver-ca';
const SERVING_NAME = 'coder-operator-apiserver';

const OID = {
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  commonName: '2.5.4.3',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAlternativeName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
} as const;

/** Bits of KeyUsage, with how many of the byte's bits are none of it. */
const DIGITAL_SIGNATURE = bitString(Buffer.of(0x80), 7);
const KEY_CERT_SIGN = bitString(Buffer.of(0x04), 2);

const generateKeys = promisify(generateKeyPair);

/**
 * A new authority: self-signed, allowed to sign server certificates and no further authorities. Its name is its own, so
 * that a bundle that holds several names each of them once.
 */
export async function createAuthority({ now, notAfter }: Validity): Promise<KeyPair> {
  const { publicKey, privateKey } = await newKeys();
  const name = `${AUTHORITY_NAME}-${randomBytes(4).toString('hex')}`;
  return signed({
    subject: name,
    issuer: name,
    publicKey,
    issuerKey: { public: publicKey, private: privateKey },
    privateKey,
    now,
    notAfter,
    extensions: [
      extension(OID.basicConstraints, sequence(yes(), integer(Buffer.of(0))), true),
      extension(OID.keyUsage, KEY_CERT_SIGN, true),
    ],
  });
}

/**
 * A certificate for a server with a key of its own. It does not outlive the authority.
 *
 * What Go's verifier asks for is here: names in the SubjectAlternativeName (it ignores the common name), the extended
 * usage of a server, and an authority that may sign certificates.
 */
export async function issueServing(
  authority: { readonly certificate: string; readonly key: KeyObject },
  { now, notAfter, names }: ServingRequest,
): Promise<KeyPair> {
  const issuer = new X509Certificate(authority.certificate);
  const { publicKey, privateKey } = await newKeys();
  return signed({
    subject: SERVING_NAME,
    issuer: commonNameOf(issuer),
    publicKey,
    issuerKey: { public: issuer.publicKey, private: authority.key },
    privateKey,
    now,
    notAfter: Math.min(notAfter, Date.parse(issuer.validTo)),
    extensions: [
      extension(OID.basicConstraints, sequence(), true),
      extension(OID.keyUsage, DIGITAL_SIGNATURE, true),
      extension(OID.extendedKeyUsage, sequence(objectIdentifier(OID.serverAuth))),
      extension(OID.subjectAlternativeName, sequence(...names.map(generalName))),
    ],
  });
}

/** The common name of a certificate, which is all of the name of those that are made here. */
export function commonNameOf(certificate: X509Certificate): string {
  return /^CN=(.*)$/m.exec(certificate.subject)?.[1] ?? '';
}

interface Unsigned extends Validity {
  readonly subject: string;
  readonly issuer: string;
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
  readonly issuerKey: { readonly public: KeyObject; readonly private: KeyObject };
  readonly extensions: readonly Buffer[];
}

function signed(what: Unsigned): KeyPair {
  const algorithm = sequence(objectIdentifier(OID.ecdsaWithSha256));
  const toBeSigned = sequence(
    explicit(0, integer(Buffer.of(2))), // version 3
    integer(serialNumber()),
    algorithm,
    nameOf(what.issuer),
    sequence(time(what.now - BACKDATED_MS), time(what.notAfter)),
    nameOf(what.subject),
    spkiOf(what.publicKey),
    explicit(
      3,
      sequence(
        ...what.extensions,
        extension(OID.subjectKeyIdentifier, octetString(keyIdentifier(what.publicKey))),
        extension(OID.authorityKeyIdentifier, sequence(implicit(0, keyIdentifier(what.issuerKey.public)))),
      ),
    ),
  );
  const signature = sign('sha256', toBeSigned, what.issuerKey.private);
  const certificate = sequence(toBeSigned, algorithm, bitString(signature));
  return {
    certificate: new X509Certificate(certificate).toString(),
    key: what.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}

/** 126 random bits: of the same length each time, and positive. */
function serialNumber(): Buffer {
  const bytes = randomBytes(16);
  bytes.writeUInt8((bytes.readUInt8(0) & 0x3f) | 0x40, 0);
  return bytes;
}

function nameOf(commonName: string): Buffer {
  return sequence(setOf(sequence(objectIdentifier(OID.commonName), utf8String(commonName))));
}

function extension(oid: string, value: Buffer, isCritical = false): Buffer {
  return sequence(objectIdentifier(oid), ...(isCritical ? [yes()] : []), octetString(value));
}

/** A dNSName or an iPAddress. */
function generalName(name: string): Buffer {
  return isIPv4(name)
    ? implicit(7, Buffer.from(name.split('.').map(Number)))
    : implicit(2, Buffer.from(name, 'ascii'));
}

/** Only has to tell keys apart (RFC 7093 section 2). */
function keyIdentifier(publicKey: KeyObject): Buffer {
  return createHash('sha256').update(spkiOf(publicKey)).digest().subarray(0, 20);
}

function spkiOf(publicKey: KeyObject): Buffer {
  return publicKey.export({ type: 'spki', format: 'der' });
}

function newKeys(): Promise<{ readonly publicKey: KeyObject; readonly privateKey: KeyObject }> {
  return generateKeys('ec', { namedCurve: 'P-256' });
}
