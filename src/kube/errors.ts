import { OperatorError, type ErrorTraits } from '../base/errors.ts';

/** The part of a `v1.Status` that is read. */
export interface KubeStatus {
  readonly message?: string;
  readonly reason?: string;
  readonly code?: number;
  readonly details?: {
    readonly name?: string;
    readonly kind?: string;
    readonly retryAfterSeconds?: number;
    readonly causes?: readonly KubeStatusCause[];
  };
}

export interface KubeStatusCause {
  readonly reason?: string;
  readonly message?: string;
  readonly field?: string;
}

export type KubeVerb = 'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'delete';

/** What was being done, for messages and traits. */
export interface KubeCall {
  readonly verb: KubeVerb;
  /** For people, such as `coderworkspaces default/acme.ann.dev`. */
  readonly target: string;
}

/**
 * Codes: `KUBE_REFUSED` the API server answered with an error · `KUBE_UNREACHABLE` no answer · `KUBE_TIMEOUT` our
 * deadline passed · `KUBE_BAD_ANSWER` not the JSON that was asked for · `KUBE_ANSWER_TOO_LARGE`.
 */
export type KubeErrorCode =
  'KUBE_REFUSED' | 'KUBE_UNREACHABLE' | 'KUBE_TIMEOUT' | 'KUBE_BAD_ANSWER' | 'KUBE_ANSWER_TOO_LARGE';

export interface KubeErrorOptions extends ErrorTraits {
  readonly status?: number;
  readonly reason?: string | undefined;
  readonly retryAfterMs?: number | undefined;
  readonly causes?: readonly KubeStatusCause[] | undefined;
  readonly cause?: unknown;
}

/** An exchange with the API server that did not work. */
export class KubeError extends OperatorError {
  /** HTTP status; 0 when there was no answer. */
  readonly status: number;
  /** `reason` of the Status, such as NotFound or Conflict; empty when the answer held no Status. */
  readonly reason: string;
  /** How long the server asks us to wait, in milliseconds, at most ten minutes. */
  readonly retryAfterMs?: number;
  readonly causes: readonly KubeStatusCause[];

  constructor(code: KubeErrorCode, message: string, options: KubeErrorOptions = {}) {
    super(code, message, options);
    this.status = options.status ?? 0;
    this.reason = options.reason ?? '';
    if (options.retryAfterMs !== undefined) this.retryAfterMs = options.retryAfterMs;
    this.causes = options.causes ?? [];
  }
}

const LONGEST_RETRY_AFTER_MS = 600_000;
const LONGEST_MESSAGE = 1024;

/** Statuses after which the same call may simply work later. */
const RETRYABLE = new Set([408, 429, 500, 502, 503, 504]);

/** What a reason is: one word for programs. */
const REASON = /^\w{1,64}$/;

/**
 * Maps an answered error.
 *
 * @param body the parsed body if it was JSON; only the `message` of a Status is ever quoted, at most 1 KiB.
 * @param retryAfter the header's value.
 * @param now wall clock in milliseconds, for a Retry-After that is a date.
 */
export function errorFromAnswer(
  call: KubeCall,
  status: number,
  body: unknown,
  retryAfter: string | undefined,
  now: number,
): KubeError {
  const answer = asStatus(body);
  const said =
    answer?.message === undefined ? 'the answer holds no Kubernetes Status' : clean(answer.message);
  const label =
    answer?.reason === undefined || answer.reason === '' ? `${status}` : `${status} ${answer.reason}`;
  const seconds = answer?.details?.retryAfterSeconds;
  return new KubeError(
    'KUBE_REFUSED',
    `Kubernetes refused to ${call.verb} ${call.target}: ${said} (${label})`,
    {
      status,
      reason: answer?.reason,
      causes: answer?.details?.causes,
      retryAfterMs: parseRetryAfter(retryAfter, now) ?? (seconds ? bounded(seconds * 1000) : undefined),
      retryable: RETRYABLE.has(status),
      // 429 and other 4xx come before anything is carried out; a 5xx or 408 may come after it.
      unclear: changes(call) && (status >= 500 || status === 408),
    },
  );
}

/** Maps the Status object of a watch's ERROR event. */
export function errorFromStatus(call: KubeCall, object: unknown): KubeError {
  const answer = asStatus(object);
  return errorFromAnswer(call, answer?.code ?? 500, object, undefined, 0);
}

/** What a connection attempt raises before a single byte of the request has left. */
const NOT_SENT = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
]);

const RESET = new Set(['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET']);

/** Maps what the transport threw. Its text is not quoted: it may hold addresses, but the code says enough. */
export function errorFromNetwork(call: KubeCall, error: unknown): KubeError {
  if (error instanceof KubeError) return error;
  const code = networkCode(error);
  const why = code ?? (error instanceof Error ? clean(error.message) : 'unknown reason');
  return new KubeError(
    'KUBE_UNREACHABLE',
    `No answer from Kubernetes to ${call.verb} ${call.target}: ${why}`,
    {
      cause: error,
      retryable: true,
      unclear: changes(call) && !(code !== undefined && NOT_SENT.has(code)),
    },
  );
}

/** Our own deadline passed. */
export function deadlineError(call: KubeCall, ms: number): KubeError {
  const message = `Kubernetes did not finish to ${call.verb} ${call.target} within ${ms} ms`;
  return new KubeError('KUBE_TIMEOUT', message, { retryable: true, unclear: changes(call) });
}

/** The server or a proxy closed a kept-alive connection under the request. */
export function isReset(error: unknown): boolean {
  const code = networkCode(error instanceof KubeError ? error.cause : error);
  return code !== undefined && RESET.has(code);
}

/**
 * The object does not exist. A 404 without this reason is something else: the resource itself is unknown, for example
 * because its CRD was removed, which proves nothing about objects.
 */
export function isNotFound(error: unknown): error is KubeError {
  return has(error, 404, 'NotFound');
}

/**
 * The API server does not know the kind, for example because its CRD is not there. To a list or a watch every 404 says
 * that; to anything else one that is not `isNotFound`.
 */
export function isUnknownKind(error: unknown): error is KubeError {
  return error instanceof KubeError && error.status === 404;
}

/** A stale resourceVersion or a uid precondition. */
export function isConflict(error: unknown): error is KubeError {
  return has(error, 409, 'Conflict');
}

/** A create found the name taken, also by an object that is being deleted. */
export function isAlreadyExists(error: unknown): error is KubeError {
  return has(error, 409, 'AlreadyExists');
}

/** The resourceVersion or continue token is older than the server's history: list again. */
export function isGone(error: unknown): error is KubeError {
  return error instanceof KubeError && error.status === 410;
}

export function isForbidden(error: unknown): error is KubeError {
  return error instanceof KubeError && error.status === 403;
}

/** The object breaks a rule of its kind or of the cluster. */
export function isInvalid(error: unknown): error is KubeError {
  return has(error, 422, 'Invalid');
}

/** Nothing can be created in a namespace that is being deleted; not an error worth a word. */
export function isNamespaceTerminating(error: unknown): error is KubeError {
  return isForbidden(error) && error.causes.some((cause) => cause.reason === 'NamespaceTerminating');
}

/** The patch named another object's uid: the one that was meant is gone and its name taken again. */
export function isOtherUid(error: unknown): error is KubeError {
  return (
    error instanceof KubeError &&
    error.status === 422 &&
    error.causes.some((cause) => cause.field === 'metadata.uid')
  );
}

/** The server's data is older than our resourceVersion, as after a restored backup. */
export function isTooLargeResourceVersion(error: unknown): error is KubeError {
  return (
    error instanceof KubeError && error.causes.some((cause) => cause.reason === 'ResourceVersionTooLarge')
  );
}

function has(error: unknown, status: number, reason: string): boolean {
  return error instanceof KubeError && error.status === status && error.reason === reason;
}

/** Whether the call changes something, so that an unclear outcome matters. */
export function changes(call: KubeCall): boolean {
  return call.verb !== 'get' && call.verb !== 'list' && call.verb !== 'watch';
}

/** As much of a Status as is of the right type: what stands before an API server may answer in its form. */
function asStatus(body: unknown): KubeStatus | undefined {
  if (!isRecord(body) || body['kind'] !== 'Status') return undefined;
  const { message, reason, code, details } = body;
  const { retryAfterSeconds, causes } = isRecord(details) ? details : {};
  return {
    ...texts({ message, reason: REASON.test(String(reason)) ? reason : undefined }),
    ...(Number.isInteger(code) ? { code: code as number } : {}),
    details: {
      ...(typeof retryAfterSeconds === 'number' ? { retryAfterSeconds } : {}),
      causes: (Array.isArray(causes) ? causes : []).filter(isRecord).map(causeOf),
    },
  };
}

function causeOf({ reason, message, field }: Readonly<Record<string, unknown>>): KubeStatusCause {
  return texts({ reason, message, field });
}

function texts<K extends string>(fields: Readonly<Record<K, unknown>>): Partial<Record<K, string>> {
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) => typeof value === 'string'),
  ) as Partial<Record<K, string>>;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

/** Retry-After in its two forms, seconds or a date. */
function parseRetryAfter(value: string | undefined, now: number): number | undefined {
  if (value === undefined) return undefined;
  const seconds = Number(value);
  const ms = Number.isFinite(seconds) ? seconds * 1000 : Date.parse(value) - now;
  return Number.isFinite(ms) ? bounded(ms) : undefined;
}

function bounded(ms: number): number {
  return Math.min(Math.max(0, ms), LONGEST_RETRY_AFTER_MS);
}

function networkCode(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  if ('code' in error && typeof error.code === 'string') return error.code;
  return 'cause' in error ? networkCode(error.cause) : undefined;
}

/** One line of at most 1 KiB. */
function clean(text: string): string {
  const line = text.replace(/\p{Cc}+/gu, ' ').trim();
  return line.length <= LONGEST_MESSAGE ? line : `${line.slice(0, LONGEST_MESSAGE - 1)}…`;
}
