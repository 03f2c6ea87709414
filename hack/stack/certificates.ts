import './reflect.ts';
import { generateKeyPairSync, webcrypto } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';

/** The stack is for development: its certificates outlive it. */
const validForMs = 10 * 365 * 24 * 3600 * 1000;
/** Certificates begin a little before now, for clocks that are behind. */
const backdatedMs = 5 * 60 * 1000;
const ecdsa = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

/** The files of a stack's certificates and keys, all PEM. */
export interface Pki {
  /** Signs the serving certificates and the client certificates of Kubernetes users. */
  readonly ca: KeyFiles;
  /** Serving certificate of kube-apiserver and kube-controller-manager: 127.0.0.1, localhost and the in-cluster names. */
  readonly serving: KeyFiles;
  /** Client certificate of an administrator: group system:masters. */
  readonly admin: KeyFiles;
  /** An authority of its own: who holds its certificates may claim to be anybody. */
  readonly frontProxyCa: KeyFiles;
  /** With it kube-apiserver introduces users to extension API servers. */
  readonly frontProxyClient: KeyFiles;
  /** An authority of its own, so that no Kubernetes user can reach etcd. */
  readonly etcdCa: KeyFiles;
  /** Both for etcd's server and for its clients. */
  readonly etcd: KeyFiles;
  /** Signs service account tokens. */
  readonly serviceAccount: { readonly key: string; readonly publicKey: string };
}

export interface KeyFiles {
  readonly certificate: string;
  readonly key: string;
}

/** Name by which kube-apiserver shows itself to extension API servers; they are told to accept no other. */
export const frontProxyName = 'front-proxy-client';

/** The stack's certificates in this folder, made when they are not there yet. */
export async function ensurePki(folder: string): Promise<Pki> {
  if (!existsSync(folder)) {
    const partial = `${folder}.partial`;
    rmSync(partial, { recursive: true, force: true });
    mkdirSync(partial, { recursive: true, mode: 0o700 });
    await writePki(pkiFiles(partial));
    renameSync(partial, folder);
  }
  return pkiFiles(folder);
}

function pkiFiles(folder: string): Pki {
  const pair = (name: string): KeyFiles => ({
    certificate: join(folder, `${name}.crt`),
    key: join(folder, `${name}.key`),
  });
  return {
    ca: pair('ca'),
    serving: pair('serving'),
    admin: pair('admin'),
    frontProxyCa: pair('front-proxy-ca'),
    frontProxyClient: pair('front-proxy-client'),
    etcdCa: pair('etcd-ca'),
    etcd: pair('etcd'),
    serviceAccount: { key: join(folder, 'sa.key'), publicKey: join(folder, 'sa.pub') },
  };
}

async function writePki(pki: Pki): Promise<void> {
  const loopback = ['127.0.0.1', 'localhost'];
  const inCluster = ['kubernetes', 'kubernetes.default', 'kubernetes.default.svc'];
  const ca = await issueAuthority('coder-operator local CA', pki.ca);
  await issue(ca, { cn: 'kube-apiserver', hosts: [...loopback, ...inCluster] }, pki.serving);
  await issue(ca, { cn: 'admin', organization: 'system:masters' }, pki.admin);
  const frontProxyCa = await issueAuthority('coder-operator local front proxy CA', pki.frontProxyCa);
  await issue(frontProxyCa, { cn: frontProxyName }, pki.frontProxyClient);
  const etcdCa = await issueAuthority('coder-operator local etcd CA', pki.etcdCa);
  await issue(etcdCa, { cn: 'etcd', hosts: loopback }, pki.etcd);
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  writeFileSync(pki.serviceAccount.key, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  writeFileSync(pki.serviceAccount.publicKey, publicKey.export({ type: 'spki', format: 'pem' }));
}

/** Signs certificates. */
export interface Authority {
  readonly name: x509.JsonName;
  readonly key: webcrypto.CryptoKey;
}

/** Whom a certificate is for. */
export interface Subject {
  readonly cn: string;
  readonly organization?: string;
  /** Host names and addresses of a server; a certificate without any is for clients only. */
  readonly hosts?: readonly string[];
}

/** Makes an authority and writes its files. */
export async function issueAuthority(cn: string, files: KeyFiles): Promise<Authority> {
  const keys = await generateKeys();
  const name: x509.JsonName = [{ CN: [cn] }];
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      name,
      keys,
      ...validity(),
      signingAlgorithm: ecdsa,
      extensions: [
        new x509.BasicConstraintsExtension(true, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey, false, webcrypto),
      ],
    },
    webcrypto,
  );
  await write(files, certificate, keys);
  return { name, key: keys.privateKey };
}

/** An authority that was made earlier. */
export async function loadAuthority(files: KeyFiles): Promise<Authority> {
  const { subjectName } = new x509.X509Certificate(readFileSync(files.certificate, 'utf8'));
  const [key] = x509.PemConverter.decode(readFileSync(files.key, 'utf8'));
  if (key === undefined) throw new Error(`${files.key} holds no key`);
  return {
    name: subjectName.toJSON(),
    key: await webcrypto.subtle.importKey('pkcs8', key, ecdsa, false, ['sign']),
  };
}

/** Makes a certificate for clients, and with `hosts` for a server too, and writes its files. */
export async function issue(authority: Authority, subject: Subject, files: KeyFiles): Promise<void> {
  const keys = await generateKeys();
  const usages = [x509.ExtendedKeyUsage.clientAuth];
  const extensions: x509.Extension[] = [
    new x509.BasicConstraintsExtension(false, undefined, true),
    new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
  ];
  if (subject.hosts !== undefined) {
    usages.push(x509.ExtendedKeyUsage.serverAuth);
    const names = subject.hosts.map((value): x509.JsonGeneralName => ({
      type: /^[\d.]+$/.test(value) ? 'ip' : 'dns',
      value,
    }));
    extensions.push(new x509.SubjectAlternativeNameExtension(names));
  }
  extensions.push(new x509.ExtendedKeyUsageExtension(usages));
  const certificate = await x509.X509CertificateGenerator.create(
    {
      subject: [
        { CN: [subject.cn] },
        ...(subject.organization === undefined ? [] : [{ O: [subject.organization] }]),
      ],
      issuer: authority.name,
      publicKey: keys.publicKey,
      signingKey: authority.key,
      signingAlgorithm: ecdsa,
      ...validity(),
      extensions,
    },
    webcrypto,
  );
  await write(files, certificate, keys);
}

function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ecdsa, true, ['sign', 'verify']);
}

function validity(): { readonly notBefore: Date; readonly notAfter: Date } {
  const now = Date.now();
  return { notBefore: new Date(now - backdatedMs), notAfter: new Date(now + validForMs) };
}

async function write(
  files: KeyFiles,
  certificate: x509.X509Certificate,
  keys: webcrypto.CryptoKeyPair,
): Promise<void> {
  const key = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
  writeFileSync(files.certificate, `${certificate.toString('pem')}\n`);
  writeFileSync(files.key, `${x509.PemConverter.encode(key, 'PRIVATE KEY')}\n`, { mode: 0o600 });
}
