import { RequestError, TimeoutError } from 'got';
import { AddressRefusedError, CoderError, type CoderErrorKind } from './errors.ts';
import { cleanText, redact } from './redact.ts';

/** What is known about a request that got no whole answer. */
export interface FailureContext {
  /** Method and route template, such as `GET /workspaces/{id}`. */
  readonly call: string;
  /** Whether the connection stood, so that a server may have seen the request. */
  readonly sent: boolean;
  /** Whether the call would have changed something. */
  readonly mutation: boolean;
  readonly status: number | undefined;
  readonly requestID: string | undefined;
  readonly secrets: readonly string[];
}

const CAUSES: Readonly<Partial<Record<string, string>>> = {
  ECONNREFUSED: 'nothing listens there (connection refused)',
  ENOTFOUND: 'the host name is not known',
  EAI_AGAIN: 'the host name cannot be resolved at the moment',
  EHOSTUNREACH: 'there is no way to the host',
  ENETUNREACH: 'there is no way to the network',
  ECONNRESET: 'the connection was closed',
  EPIPE: 'the connection was closed',
  EPROTO: 'the TLS handshake failed; does the server speak https?',
  CERT_HAS_EXPIRED: 'its certificate has expired',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another host',
};

/** A certificate that is not trusted, and which CA would make it so. */
const UNTRUSTED: Readonly<Partial<Record<string, readonly [fault: string, ca: string]>>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: ['its certificate is signed by itself', 'its CA'],
  SELF_SIGNED_CERT_IN_CHAIN: ['its certificate is of an unknown CA', 'the CA'],
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: ['its certificate is of an unknown CA', 'the CA'],
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: ['its certificate is of an unknown CA', 'the CA'],
  CERT_SIGNATURE_FAILURE: ['its certificate is not signed by the CA it names', 'the right CA'],
};

/** Why there was no connection, or why it broke. `caPlace` says where CAs are put that shall be trusted. */
export function networkReason(code: string | undefined, caPlace: string): string {
  const untrusted = UNTRUSTED[code ?? ''];
  if (untrusted !== undefined) return `${untrusted[0]}; put ${untrusted[1]} into ${caPlace}`;
  return CAUSES[code ?? ''] ?? 'the connection failed';
}

/**
 * Turns what the HTTP library threw into an error of ours. The library's errors hold the request with its headers,
 * so of them only name, code and message are taken over. Everything else is answered as it is.
 */
export function failureOf(error: unknown, context: FailureContext): unknown {
  if (!isTransportError(error)) return error;
  const refused = refusedAddress(error);
  if (refused !== undefined) return refused;
  const options = {
    status: context.status,
    requestID: context.requestID,
    mayHaveChanged: context.mutation && context.sent,
    cause: sanitised(error, context.secrets),
  };
  const { kind, text } = classify(error, context.sent);
  return new CoderError(kind, `${context.call}: ${text}`, options);
}

/** An error of the HTTP library, or of the stream it reads from. */
export function isTransportError(error: unknown): error is NodeJS.ErrnoException {
  return (
    error instanceof RequestError ||
    (error instanceof Error && 'code' in error && error.code === 'ERR_STREAM_PREMATURE_CLOSE')
  );
}

/** The refusal by the checked lookup that stands behind an error of the HTTP library. */
export function refusedAddress(error: Error): AddressRefusedError | undefined {
  for (let inner: unknown = error; inner instanceof Error; inner = inner.cause) {
    if (inner instanceof AddressRefusedError) return inner;
  }
  return undefined;
}

function classify(
  error: NodeJS.ErrnoException,
  sent: boolean,
): { readonly kind: CoderErrorKind; readonly text: string } {
  if (error instanceof TimeoutError) {
    return sent
      ? { kind: 'Timeout', text: 'Coder did not answer in time' }
      : { kind: 'Unreachable', text: 'Coder cannot be reached: no connection in time' };
  }
  if (error.code === 'ERR_ABORTED') return { kind: 'Aborted', text: 'the request was given up' };
  const reason = networkReason(error.code, 'the key "ca.crt"');
  return {
    kind: 'Unreachable',
    text: sent
      ? `the connection to Coder broke before its answer was complete: ${reason}`
      : `Coder cannot be reached: ${reason}`,
  };
}

/** Name, code and message of an error of the HTTP library, and nothing of the request that it holds. */
export function sanitised(error: NodeJS.ErrnoException, secrets: readonly string[]): Error {
  const safe: NodeJS.ErrnoException = new Error(cleanText(redact(error.message, secrets)));
  safe.name = error.name;
  if (error.code !== undefined) safe.code = error.code;
  return safe;
}
