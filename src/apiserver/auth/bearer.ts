import { CredentialsError, headerText, headerValues, soleValue, type HeaderPairs } from './headers.ts';

/** Browsers can set no header on a WebSocket: the token comes as one of the protocols that they ask for. */
export const BEARER_PROTOCOL_PREFIX = 'base64url.bearer.authorization.k8s.io.';

/**
 * The token of the Authorization header; undefined without the header.
 *
 * @throws CredentialsError also for other schemes, which kube-apiserver overlooks: who presents credentials wants to
 *   be somebody, and must not be taken for nobody.
 */
export function bearerToken(headers: HeaderPairs): string | undefined {
  const value = soleValue(headers, 'authorization').trim();
  if (value === '') return undefined;
  const [scheme = '', token = ''] = value.split(' ', 2);
  if (scheme.toLowerCase() !== 'bearer' || token === '')
    throw new CredentialsError('the Authorization header holds no bearer token');
  return headerText(token);
}

/**
 * The token among the protocols of a WebSocket; undefined without one.
 *
 * @throws CredentialsError for several, for one that is not base64url of UTF-8, and for one without another protocol
 *   beside it, since the token itself must not be chosen and sent back.
 */
export function protocolToken(headers: HeaderPairs): string | undefined {
  if (!isWebSocket(headers)) return undefined;
  const protocols = headerValues(headers, 'sec-websocket-protocol')
    .flatMap((value) => value.split(','))
    .map((protocol) => protocol.trim());
  const [token, second] = protocols.filter(isBearerProtocol);
  if (token === undefined) return undefined;
  if (second !== undefined) throw new CredentialsError('several protocols of a WebSocket hold a token');
  const encoded = token.slice(BEARER_PROTOCOL_PREFIX.length);
  if (!/^[\w-]*$/.test(encoded) || encoded.length % 4 === 1)
    throw new CredentialsError('the token among the protocols of a WebSocket is not base64url');
  if (encoded === '') return undefined;
  if (protocols.length === 1)
    throw new CredentialsError('there is no protocol beside the one with the token');
  return headerText(Buffer.from(encoded, 'base64url').toString('latin1'));
}

/** Such a protocol holds a secret: it must not be chosen, sent back or logged. */
export function isBearerProtocol(protocol: string): boolean {
  return protocol.startsWith(BEARER_PROTOCOL_PREFIX);
}

function isWebSocket(headers: HeaderPairs): boolean {
  const [upgrade = ''] = headerValues(headers, 'upgrade');
  if (upgrade.toLowerCase() !== 'websocket') return false;
  return headerValues(headers, 'connection').some((value) => value.toLowerCase().includes('upgrade'));
}
