import { partOf } from '../../api/kinds.ts';
import type { KubeObject, ResourceType } from '../../api/meta.ts';
import type { Secret } from '../secrets.ts';
import type { KeyPair } from './authority.ts';
import {
  isIssuedBy,
  readAuthorityPair,
  readCertificates,
  readServingPair,
  type CertificateFact,
  type ReadCertificate,
} from './certificate.ts';

export const apiServices: ResourceType = {
  group: 'apiregistration.k8s.io',
  version: 'v1',
  plural: 'apiservices',
  kind: 'APIService',
  namespaced: false,
};

/** Names that `config/apiserver` uses as well; a test compares them. */
export const names = {
  apiService: 'v1alpha1.aggregation.coder.com',
  /** Mounted into the endpoint. */
  servingSecret: 'coder-operator-apiserver-tls',
  /** Only for the controller: who holds it can stand in for the endpoint. */
  authoritySecret: 'coder-operator-apiserver-ca',
} as const;

/** Marks the Secrets of `config/apiserver`. Without it a Secret is somebody else's, and is left alone. */
export const managedBy = { key: 'app.kubernetes.io/managed-by', value: 'coder-operator' } as const;

/** With one of these, cert-manager writes the bundle. */
const INJECTORS = ['inject-ca-from', 'inject-ca-from-secret', 'inject-apiserver-ca'].map(
  (name) => `cert-manager.io/${name}`,
);
const CERT_MANAGERS_SECRET = 'cert-manager.io/certificate-name';

export interface ApiService extends KubeObject {
  readonly spec: {
    /** Absent for groups that the API server serves itself. */
    readonly service?: { readonly namespace?: string; readonly name?: string };
    /** Base64 of PEM. */
    readonly caBundle?: string | null;
    readonly insecureSkipTLSVerify?: boolean;
  };
}

/** What decisions need to know of the APIService. */
export interface ApiServiceFact {
  readonly isDeleting: boolean;
  /** Bears our label; coder-k8s has one of the same name. */
  readonly isOurs: boolean;
  /** The annotation by which another controller was asked to write the bundle. */
  readonly injector: string | undefined;
  readonly service: { readonly namespace: string; readonly name: string } | undefined;
  readonly isInsecure: boolean;
  readonly bundle: Bundle;
}

export interface Bundle {
  /** PEM, as it is. */
  readonly text: string;
  readonly certificates: readonly CertificateFact[];
}

/** A Secret that holds no pair which could be used. */
export type UnusableFact =
  /** As `config/apiserver` brings it. */
  | { readonly state: 'empty' }
  /** Somebody else's Secret; `why` it is taken for that. */
  | { readonly state: 'foreign'; readonly why: string }
  | { readonly state: 'broken'; readonly why: string };

/** The authority as its Secret holds it. */
export type AuthorityFact = UnusableFact | { readonly state: 'held'; readonly certificate: CertificateFact };

/** The serving certificate as its Secret holds it. */
export type ServingFact =
  | UnusableFact
  | {
      readonly state: 'held';
      readonly certificate: CertificateFact;
      /** Whose signature it bears, if that authority is still known: from either Secret or from the bundle. */
      readonly issuer: CertificateFact | undefined;
    };

export function apiServiceFact(object: ApiService): ApiServiceFact {
  const { metadata, spec } = object;
  const { namespace, name } = spec.service ?? {};
  const text = Buffer.from(spec.caBundle ?? '', 'base64').toString('utf8');
  return {
    isDeleting: metadata.deletionTimestamp !== undefined,
    isOurs: metadata.labels?.[partOf.key] === partOf.value,
    injector: INJECTORS.find((key) => metadata.annotations?.[key] !== undefined),
    service: namespace === undefined || name === undefined ? undefined : { namespace, name },
    isInsecure: spec.insecureSkipTLSVerify === true,
    bundle: { text, certificates: readCertificates(text).map(({ fact }) => fact) },
  };
}

/** The Secrets of the endpoint. */
export interface SecretPair {
  readonly authority: Secret;
  readonly serving: Secret;
}

/** What both Secrets hold. */
export function secretFacts(
  { authority, serving }: SecretPair,
  bundle: Bundle,
): { readonly authority: AuthorityFact; readonly serving: ServingFact } {
  const signer = held(authority, names.authoritySecret, readAuthorityPair);
  const server = held(serving, names.servingSecret, readServingPair);
  const known = [
    ...(signer.state === 'held' ? [signer.read] : []),
    ...readCertificates(`${dataOf(serving, 'ca.crt')}${bundle.text}`),
  ];
  return {
    authority: signer.state === 'held' ? { state: 'held', certificate: signer.read.fact } : signer,
    serving:
      server.state === 'held'
        ? {
            state: 'held',
            certificate: server.read.fact,
            issuer: known.find(({ x509 }) => isIssuedBy(server.read.x509, x509))?.fact,
          }
        : server,
  };
}

type Held = UnusableFact | { readonly state: 'held'; readonly read: ReadCertificate };

function held(secret: Secret, name: string, read: typeof readServingPair): Held {
  const { labels, annotations } = secret.metadata;
  if (annotations?.[CERT_MANAGERS_SECRET] !== undefined) {
    return { state: 'foreign', why: `cert-manager keeps the Secret ${name}` };
  }
  if (labels?.[managedBy.key] !== managedBy.value) {
    const why = `the Secret ${name} is not this controller's (it lacks the label ${managedBy.key}: ${managedBy.value})`;
    return { state: 'foreign', why };
  }
  const [certificate, key] = [dataOf(secret, 'tls.crt'), dataOf(secret, 'tls.key')];
  if (certificate === '' && key === '') return { state: 'empty' };
  const pair = read(certificate, key);
  if ('fault' in pair) return { state: 'broken', why: `the Secret ${name} cannot be used: ${pair.fault}` };
  return { state: 'held', read: pair };
}

/** The value of a key of a Secret as text; empty when it is not there. */
export function dataOf(secret: Secret, key: string): string {
  return Buffer.from(secret.data?.[key] ?? '', 'base64').toString('utf8');
}

/** The Secret with this pair; everything but its data stays. */
export function withPair(
  secret: Secret,
  pair: KeyPair,
  /** Of the authority, for clients that reach the endpoint directly. */
  authority?: string,
): Secret {
  const data = {
    'tls.crt': base64(pair.certificate),
    'tls.key': base64(pair.key),
    ...(authority === undefined ? {} : { 'ca.crt': base64(authority) }),
  };
  return { ...secret, data };
}

export function base64(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64');
}
