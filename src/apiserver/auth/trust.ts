import type { KubeObject, ResourceType } from '../../api/meta.ts';
import { errorText, OperatorError } from '../../base/errors.ts';
import { parseCertificate, type Certificate } from './certificate.ts';

/** Whom the cluster lets speak for others (ConfigMap kube-system/extension-apiserver-authentication). */
export interface Trust {
  /** Undefined: nobody may. */
  readonly frontProxy: FrontProxyTrust | undefined;
}

/** How kube-apiserver proves itself, and in which headers it says who asks. Names of headers are in lower case. */
export interface FrontProxyTrust {
  readonly certificates: readonly Certificate[];
  /** Common names of which the proxy's certificate must have one; empty: any will do. */
  readonly allowedNames: readonly string[];
  readonly usernameHeaders: readonly string[];
  /** Empty: no UID is taken. API servers before 1.32 pass such a header on from anybody. */
  readonly uidHeaders: readonly string[];
  readonly groupHeaders: readonly string[];
  readonly extraPrefixes: readonly string[];
}

/** The ConfigMap, as far as it is read. */
export interface TrustConfigMap extends KubeObject {
  readonly data?: Readonly<Record<string, unknown>>;
}

export const trustConfigMaps: ResourceType = {
  group: '',
  version: 'v1',
  plural: 'configmaps',
  kind: 'ConfigMap',
  namespaced: true,
};
export const TRUST_NAMESPACE = 'kube-system';
export const TRUST_NAME = 'extension-apiserver-authentication';

export const NO_TRUST: Trust = { frontProxy: undefined };

const PEM_BLOCK = /-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]*)-----END CERTIFICATE-----/g;
const PEM_BEGIN = /-----BEGIN CERTIFICATE-----/g;

/**
 * Reads the ConfigMap's data. Without a CA nobody is trusted, whatever else it says; `client-ca-file` is not looked at,
 * since certificates are no identity here.
 *
 * @throws OperatorError TRUST_MALFORMED when a part of it cannot be read; then none of it may be used.
 */
export function parseTrust(data: Readonly<Record<string, unknown>> = {}): Trust {
  const bundle = data['requestheader-client-ca-file'] ?? '';
  if (typeof bundle !== 'string') throw trustError('requestheader-client-ca-file', 'it is no text');
  const frontProxy = {
    allowedNames: listOf(data, 'requestheader-allowed-names'),
    usernameHeaders: headersOf(data, 'requestheader-username-headers'),
    uidHeaders: headersOf(data, 'requestheader-uid-headers'),
    groupHeaders: headersOf(data, 'requestheader-group-headers'),
    extraPrefixes: headersOf(data, 'requestheader-extra-headers-prefix'),
  };
  if (bundle.trim() === '') return NO_TRUST;
  return { frontProxy: { certificates: certificatesOf(bundle), ...frontProxy } };
}

function certificatesOf(bundle: string): Certificate[] {
  const key = 'requestheader-client-ca-file';
  const blocks = [...bundle.matchAll(PEM_BLOCK)];
  if (blocks.length === 0) throw trustError(key, 'it holds no certificate');
  if (blocks.length !== bundle.match(PEM_BEGIN)?.length) throw trustError(key, 'a certificate is cut off');
  try {
    return blocks.map(([, base64 = '']) => parseCertificate(Buffer.from(base64, 'base64')));
  } catch (error) {
    throw trustError(key, errorText(error), error);
  }
}

/** An empty name or prefix would stand for every header. */
function headersOf(data: Readonly<Record<string, unknown>>, key: string): string[] {
  const names = listOf(data, key).map((name) => name.trim().toLowerCase());
  if (names.includes('')) throw trustError(key, 'a name is empty');
  return [...new Set(names)];
}

/** A JSON list of strings within a string; left out or empty: none. */
function listOf(data: Readonly<Record<string, unknown>>, key: string): string[] {
  const text = data[key] ?? '';
  if (typeof text !== 'string') throw trustError(key, 'it is no text');
  if (text === '') return [];
  let list: unknown;
  try {
    list = JSON.parse(text) ?? [];
  } catch (error) {
    throw trustError(key, 'it is not JSON', error);
  }
  if (!Array.isArray(list) || !list.every((item) => typeof item === 'string'))
    throw trustError(key, 'it is no list of strings');
  return list;
}

function trustError(key: string, why: string, cause?: unknown): OperatorError {
  const message = `ConfigMap ${TRUST_NAMESPACE}/${TRUST_NAME}: ${key} cannot be used: ${why}`;
  return new OperatorError('TRUST_MALFORMED', message, { cause });
}
