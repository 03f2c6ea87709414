import { createHash } from 'node:crypto';
import type { lookup as systemLookup } from 'node:dns';
import { Agent as HttpAgent, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import got, { TimeoutError } from 'got';
import { errorText, OperatorError } from '../base/errors.ts';
import { checkDownloadUrl, checkedLookup, type HostPolicy } from './address.ts';
import { Attempt } from './attempt.ts';
import { AddressRefusedError, CoderError, retryAfterMs } from './errors.ts';
import { isTransportError, networkReason, refusedAddress, sanitised } from './failure.ts';
import { cleanText } from './redact.ts';

const DEFAULT_TIMEOUT_MS = 60_000;
const DEFAULT_CONNECT_TIMEOUT_MS = 5_000;
const DEFAULT_MAX_BYTES = 32 * 1024 * 1024;
/** A path or a host longer than this is cut, so that a message keeps its end, which says what to do. */
const MAX_SHOWN_BYTES = 256;
/** Enough to tell an HTML page by its beginning. */
const SNIFFED_BYTES = 256;

export type DownloadFault =
  | 'InvalidUrl'
  | 'AddressRefused'
  | 'Redirected'
  | 'NotFound'
  | 'Refused'
  | 'ServerError'
  | 'Unreachable'
  | 'Timeout'
  | 'TooLarge'
  | 'NotAnArchive'
  | 'WrongDigest'
  | 'Aborted';

interface FaultTraits {
  readonly code: string;
  /** It may heal by itself: the server comes back, or the file is put there. Else a person has to mend something. */
  readonly retryable: boolean;
}

/** The traits of every fault, in one place. */
const FAULTS: Readonly<Record<DownloadFault, FaultTraits>> = {
  InvalidUrl: { code: 'DOWNLOAD_INVALID_URL', retryable: false },
  AddressRefused: { code: 'DOWNLOAD_ADDRESS_REFUSED', retryable: false },
  Redirected: { code: 'DOWNLOAD_REDIRECTED', retryable: false },
  NotFound: { code: 'DOWNLOAD_NOT_FOUND', retryable: true },
  Refused: { code: 'DOWNLOAD_REFUSED', retryable: false },
  ServerError: { code: 'DOWNLOAD_SERVER_ERROR', retryable: true },
  Unreachable: { code: 'DOWNLOAD_UNREACHABLE', retryable: true },
  Timeout: { code: 'DOWNLOAD_TIMEOUT', retryable: true },
  TooLarge: { code: 'DOWNLOAD_TOO_LARGE', retryable: false },
  NotAnArchive: { code: 'DOWNLOAD_NOT_AN_ARCHIVE', retryable: false },
  WrongDigest: { code: 'DOWNLOAD_WRONG_DIGEST', retryable: false },
  Aborted: { code: 'DOWNLOAD_ABORTED', retryable: true },
};

/** A file that did not come as it should. Holds no header, no body, and no query of the URL. */
export class DownloadError extends OperatorError {
  readonly fault: DownloadFault;
  /** How long the server asks to wait, in milliseconds, when it does. */
  readonly retryAfterMs: number | undefined;

  constructor(
    fault: DownloadFault,
    message: string,
    options: {
      readonly retryAfterMs?: number | undefined;
      /** Never an error of the HTTP library itself, since those hold the request with its URL. */
      readonly cause?: unknown;
    } = {},
  ) {
    super(FAULTS[fault].code, message, { retryable: FAULTS[fault].retryable, cause: options.cause });
    this.fault = fault;
    this.retryAfterMs = options.retryAfterMs;
  }
}

export interface DownloadOptions {
  /** As written by a user or reported by Flux. A query may hold a secret; it is sent and never shown. */
  readonly url: string;
  /** The SHA-256 of the file's bytes, as 64 hexadecimal digits in upper or lower case. */
  readonly sha256: string;
  readonly policy: HostPolicy;
  /** Largest file in bytes. Default 32 MiB. */
  readonly maxBytes?: number | undefined;
  /** From the first look at the host's name to the last byte read, in milliseconds. Default 60,000. */
  readonly timeoutMs?: number | undefined;
  /** For each of: name resolution, connection, TLS handshake. In milliseconds, default 5,000. */
  readonly connectTimeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Default `coder-operator`. */
  readonly userAgent?: string | undefined;
  /** How names are resolved. Default: the system's way. */
  readonly lookup?: typeof systemLookup | undefined;
}

/**
 * Fetches one file from a foreign host by a single GET, and answers it only when its digest is the expected one. It
 * sends nothing that the host could use: no token, no cookie, no user name. It neither retries nor follows redirects
 * nor reads the environment's proxies, and the address it connects to is checked at the moment of connecting.
 *
 * Certificates are checked against Node's own roots. A CA of one's own is trusted when the environment variable
 * `NODE_EXTRA_CA_CERTS` of the operator's process names its PEM file.
 *
 * @throws {DownloadError}
 */
export async function download(options: DownloadOptions): Promise<Buffer> {
  const url = checkedUrl(options);
  const agent = agentOf(url, options);
  const attempt = new Attempt('GET', whereOf(url));
  try {
    const response = await begin(attempt, url, agent, options);
    return await fileOf(attempt, response, url, options);
  } catch (error) {
    throw downloadErrorOf(error, url, attempt, options);
  } finally {
    attempt.end();
  }
}

function checkedUrl({ url, policy }: DownloadOptions): URL {
  try {
    return checkDownloadUrl(url, policy);
  } catch (error) {
    if (error instanceof AddressRefusedError) throw addressRefused(error);
    throw new DownloadError('InvalidUrl', `${errorText(error)}.`);
  }
}

function begin(
  attempt: Attempt,
  url: URL,
  agent: HttpAgent | HttpsAgent,
  options: DownloadOptions,
): Promise<IncomingMessage> {
  const connectTimeoutMs = options.connectTimeoutMs ?? DEFAULT_CONNECT_TIMEOUT_MS;
  const stream = got.stream(url, {
    method: 'GET',
    headers: {
      accept: '*/*',
      'user-agent': options.userAgent ?? 'coder-operator',
      // The digest is of the file's own bytes, so it must not be packed on its way.
      'accept-encoding': 'identity',
    },
    agent: agent instanceof HttpsAgent ? { https: agent } : { http: agent },
    timeout: {
      lookup: connectTimeoutMs,
      connect: connectTimeoutMs,
      secureConnect: connectTimeoutMs,
      request: timeoutOf(options),
    },
    ...(options.signal === undefined ? {} : { signal: options.signal }),
    retry: { limit: 0 },
    followRedirect: false,
    throwHttpErrors: false,
    // Many servers label a stored .tar.gz with "content-encoding: gzip". Its digest is of the packed bytes, as they
    // come. A server that packs a file although it was asked not to is told by the digest.
    decompress: false,
  });
  return attempt.begin(stream);
}

function agentOf(url: URL, { policy, lookup }: DownloadOptions): HttpAgent | HttpsAgent {
  const common = { keepAlive: false, lookup: checkedLookup(policy, lookup) };
  if (url.protocol === 'http:') return new HttpAgent(common);
  return new HttpsAgent({ ...common, minVersion: 'TLSv1.2' });
}

/** The file, when the answer holds just that one. */
async function fileOf(
  attempt: Attempt,
  response: IncomingMessage,
  url: URL,
  options: DownloadOptions,
): Promise<Buffer> {
  const refusal = refusalOf(response, url);
  if (refusal !== undefined) throw refusal;
  const maxBytes = options.maxBytes ?? DEFAULT_MAX_BYTES;
  if (Number(response.headers['content-length'] ?? 0) > maxBytes) throw tooLarge(url, maxBytes);

  const hash = createHash('sha256');
  const chunks: Buffer[] = [];
  for await (const chunk of attempt.chunks(maxBytes)) {
    hash.update(chunk);
    chunks.push(chunk);
  }
  const body = Buffer.concat(chunks);
  const found = hash.digest('hex');
  const expected = options.sha256.toLowerCase();
  // Also when the digest fits: it was taken of a page then. A label alone may be wrong, and is trusted less than that.
  if (beginsAsHtml(body) || (found !== expected && isLabelledHtml(response))) {
    throw new DownloadError(
      'NotAnArchive',
      `${whereOf(url)} answers with an HTML page, not an archive: often a log-in page or the page about the file instead of the file itself. Give the address of the file itself, which must be readable without logging in.`,
    );
  }
  if (found !== expected) throw wrongDigest(response, url, expected);
  return body;
}

function beginsAsHtml(body: Buffer): boolean {
  return /^\uFEFF?\s*(?:<!doctype\s+html|<html)\b/i.test(body.toString('utf8', 0, SNIFFED_BYTES));
}

function isLabelledHtml(response: IncomingMessage): boolean {
  return /^(?:text\/html|application\/xhtml\+xml)\s*(?:;|$)/i.test(response.headers['content-type'] ?? '');
}

/**
 * Neither the digest that came nor the size is told: whoever may write a template must not learn by it what a host
 * answers that only the operator can reach.
 */
function wrongDigest(response: IncomingMessage, url: URL, expected: string): DownloadError {
  const encoding = response.headers['content-encoding'];
  const packed =
    encoding === undefined || encoding.toLowerCase() === 'identity'
      ? ''
      : ' The server says that it has encoded the file (content-encoding), although it was asked not to; the digest must be of the bytes as they are sent.';
  return new DownloadError(
    'WrongDigest',
    `The file at ${whereOf(url)} does not have the SHA-256 ${expected}.${packed} If the file was replaced on purpose, give its new digest; else find out who replaced it.`,
  );
}

/** Why an answer holds no file, by its status. */
function refusalOf(response: IncomingMessage, url: URL): DownloadError | undefined {
  const status = response.statusCode ?? 0;
  if (status >= 200 && status < 300) return undefined;
  const where = whereOf(url);
  if (status >= 300 && status < 400) {
    return new DownloadError(
      'Redirected',
      `${where} redirects ${redirectTarget(response, url)} (status ${status}), and redirects are not followed; give the final address of the file.`,
    );
  }
  if (status === 404 || status === 410) {
    return new DownloadError(
      'NotFound',
      `There is no file at ${where} (status ${status}); put it there or give another address. Some servers answer so as well when a log-in is needed, and the operator never logs in.`,
    );
  }
  if (status >= 500 || status === 408 || status === 425 || status === 429) {
    const { 'retry-after': header, date } = response.headers;
    return new DownloadError(
      'ServerError',
      `The server of ${where} does not give the file out at the moment (status ${status}); it is asked again later. If this lasts, look into that server.`,
      {
        // A date is measured against the server's own, so that no clock needs to be right.
        ...(header === undefined ? {} : { retryAfterMs: retryAfterMs(header, Date.parse(date ?? '')) }),
      },
    );
  }
  return new DownloadError(
    'Refused',
    `The server of ${where} refuses to give the file out (status ${status}). The operator sends no user name or token: the file must be readable by everybody who knows its address; a pre-signed address may have expired.`,
  );
}

/** Of the target only the host: its path and query may hold a secret of the server. */
function redirectTarget(response: IncomingMessage, url: URL): string {
  const { location } = response.headers;
  if (location === undefined || !URL.canParse(location, url.href))
    return 'to an address that it does not tell';
  const { protocol, host } = new URL(location, url);
  if (protocol === url.protocol && host === url.host) return 'to another address on the same host';
  const scheme = protocol === 'http:' ? ' over http' : '';
  return `to the host "${cleanText(host, MAX_SHOWN_BYTES)}"${scheme}`;
}

/** Turns what the HTTP library threw into an error of ours. Everything else is answered as it is. */
function downloadErrorOf(error: unknown, url: URL, attempt: Attempt, options: DownloadOptions): unknown {
  if (error instanceof CoderError && error.kind === 'TooLarge') {
    return tooLarge(url, options.maxBytes ?? DEFAULT_MAX_BYTES);
  }
  if (!isTransportError(error)) return error;
  const refused = refusedAddress(error);
  if (refused !== undefined) return addressRefused(refused);
  const where = whereOf(url);
  const { sent } = attempt.failureContext([]);
  const cause = sanitised(error, [url.search]);
  if (error.code === 'ERR_ABORTED') {
    return new DownloadError('Aborted', `The download of ${where} was given up.`, { cause });
  }
  if (error instanceof TimeoutError && sent) {
    const limit = `${timeoutOf(options) / 1000} s`;
    return new DownloadError(
      'Timeout',
      `The file at ${where} did not arrive whole within ${limit}; it is tried again. If this lasts, look into that server and the way to it.`,
      { cause },
    );
  }
  const reason =
    error instanceof TimeoutError
      ? 'no connection in time'
      : networkReason(error.code, "the file that the operator's NODE_EXTRA_CA_CERTS names");
  return new DownloadError(
    'Unreachable',
    sent
      ? `The connection to ${url.host} broke before the file at ${where} was complete: ${reason}. It is tried again.`
      : `${url.host} cannot be reached to get the file at ${where}: ${reason}. It is tried again; check the address if this lasts.`,
    { cause },
  );
}

function addressRefused(error: AddressRefusedError): DownloadError {
  return new DownloadError(
    'AddressRefused',
    `The archive is not fetched: ${error.message.replace(/^The URL/, 'its URL')}. Put it on a host that the operator may connect to.`,
  );
}

function tooLarge(url: URL, maxBytes: number): DownloadError {
  return new DownloadError(
    'TooLarge',
    `The file at ${whereOf(url)} is larger than ${sizeText(maxBytes)}, the most that is fetched; make it smaller, for example by leaving out what the template does not need.`,
  );
}

function timeoutOf({ timeoutMs }: DownloadOptions): number {
  return timeoutMs ?? DEFAULT_TIMEOUT_MS;
}

function sizeText(bytes: number): string {
  const mebibytes = bytes / 1024 ** 2;
  return Number.isInteger(mebibytes) ? `${mebibytes} MiB` : `${bytes} bytes`;
}

/** Origin and path, for messages. No query: that of a pre-signed URL is a secret. */
function whereOf(url: URL): string {
  return url.origin + cleanText(url.pathname, MAX_SHOWN_BYTES);
}
