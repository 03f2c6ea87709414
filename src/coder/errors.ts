import { OperatorError } from '../base/errors.ts';
import { cleanText, redact } from './redact.ts';

/** What went wrong in a call to Coder. `CODER_ERROR_KINDS` says what each kind means for the caller. */
export type CoderErrorKind =
  | 'Invalid'
  | 'Unauthorized'
  | 'Forbidden'
  | 'NotFound'
  | 'Gone'
  | 'Conflict'
  | 'NotReady'
  | 'RateLimited'
  | 'ServerError'
  | 'Redirected'
  | 'UnexpectedResponse'
  | 'TooLarge'
  | 'Timeout'
  | 'Unreachable'
  | 'AddressRefused'
  | 'Aborted';

interface KindTraits {
  readonly code: string;
  /** The same call may succeed later although nobody changes anything. */
  readonly retryable: boolean;
  /** For a call that changes something: Coder may have carried it out. A call that only reads is never unclear. */
  readonly unclear: boolean;
}

/** The traits of every kind of error, in one place. */
export const CODER_ERROR_KINDS: Readonly<Record<CoderErrorKind, KindTraits>> = {
  Invalid: { code: 'CODER_INVALID', retryable: false, unclear: false },
  Unauthorized: { code: 'CODER_UNAUTHORIZED', retryable: false, unclear: false },
  Forbidden: { code: 'CODER_FORBIDDEN', retryable: false, unclear: false },
  // Missing or hidden from this token: Coder does not tell the two apart.
  NotFound: { code: 'CODER_NOT_FOUND', retryable: false, unclear: false },
  Gone: { code: 'CODER_GONE', retryable: false, unclear: false },
  // The name is taken, a build is active, or somebody else was first: read again, then decide again.
  Conflict: { code: 'CODER_CONFLICT', retryable: true, unclear: false },
  NotReady: { code: 'CODER_NOT_READY', retryable: true, unclear: false },
  RateLimited: { code: 'CODER_RATE_LIMITED', retryable: true, unclear: false },
  ServerError: { code: 'CODER_SERVER_ERROR', retryable: true, unclear: true },
  Redirected: { code: 'CODER_REDIRECTED', retryable: false, unclear: false },
  UnexpectedResponse: { code: 'CODER_UNEXPECTED_RESPONSE', retryable: true, unclear: true },
  TooLarge: { code: 'CODER_ANSWER_TOO_LARGE', retryable: false, unclear: true },
  Timeout: { code: 'CODER_TIMEOUT', retryable: true, unclear: true },
  Unreachable: { code: 'CODER_UNREACHABLE', retryable: true, unclear: true },
  AddressRefused: { code: 'CODER_ADDRESS_REFUSED', retryable: false, unclear: false },
  Aborted: { code: 'CODER_ABORTED', retryable: true, unclear: true },
};

/** One field that Coder found fault with. */
export interface Validation {
  readonly field: string;
  readonly detail: string;
}

export interface CoderErrorOptions {
  /** The HTTP status, when there was an answer. */
  readonly status?: number | undefined;
  /** The `message` of Coder's own JSON, already cleaned and redacted. */
  readonly coderMessage?: string | undefined;
  readonly validations?: readonly Validation[] | undefined;
  /** `X-Coder-Request-Id`, by which Coder's log names the request. */
  readonly requestID?: string | undefined;
  /** How long Coder asks us to wait, in milliseconds. */
  readonly retryAfterMs?: number | undefined;
  /** True when the request may have reached a server and would have changed something. Default false. */
  readonly mayHaveChanged?: boolean | undefined;
  /** Never an error of the HTTP library itself, since those hold the request's headers. */
  readonly cause?: unknown;
}

/** A call to Coder that did not give what it should. Holds no header, no body and no token. */
export class CoderError extends OperatorError {
  readonly kind: CoderErrorKind;
  readonly status: number | undefined;
  readonly coderMessage: string | undefined;
  readonly validations: readonly Validation[];
  readonly requestID: string | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(kind: CoderErrorKind, message: string, options: CoderErrorOptions = {}) {
    const traits = CODER_ERROR_KINDS[kind];
    super(traits.code, message, {
      retryable: traits.retryable,
      unclear: traits.unclear && options.mayHaveChanged === true,
      cause: options.cause,
    });
    this.kind = kind;
    this.status = options.status;
    this.coderMessage = options.coderMessage;
    this.validations = options.validations ?? [];
    this.requestID = options.requestID;
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** An answer with the right status that is not what Coder answers: a proxy's page, a cut body, a missing field. */
export class UnexpectedResponseError extends CoderError {
  constructor(message: string, options: CoderErrorOptions = {}) {
    super('UnexpectedResponse', message, options);
  }
}

/** An address that this operator does not connect to, wherever it was written or resolved. */
export class AddressRefusedError extends CoderError {
  constructor(message: string) {
    super('AddressRefused', message);
  }
}

/** An error answer, taken apart by the transport. */
export interface ErrorAnswer {
  /** Method and route template, such as `GET /workspaces/{id}`. */
  readonly call: string;
  readonly status: number;
  /** The parsed body when it was JSON, else undefined. */
  readonly body: unknown;
  readonly retryAfter: string | undefined;
  readonly requestID: string | undefined;
  /** Whether the call would have changed something. */
  readonly mutation: boolean;
  readonly now: number;
}

interface StatusRule {
  readonly kind: CoderErrorKind;
  /** What it means and what to do, when Coder itself says nothing. */
  readonly text: string;
}

const STATUS_RULES: Readonly<Partial<Record<number, StatusRule>>> = {
  400: { kind: 'Invalid', text: 'Coder does not accept the request' },
  401: {
    kind: 'Unauthorized',
    text: 'Coder does not accept the token: it is wrong, expired or its user is suspended',
  },
  403: { kind: 'Forbidden', text: "the token's user may not do this" },
  404: { kind: 'NotFound', text: "it does not exist, or the token's user may not see it" },
  406: { kind: 'NotReady', text: 'the template version is still being imported' },
  408: { kind: 'Timeout', text: 'the request took too long' },
  409: { kind: 'Conflict', text: 'Coder holds something that stands against it' },
  410: { kind: 'Gone', text: 'it has been deleted' },
  412: { kind: 'Conflict', text: 'it has changed in the meantime' },
  417: { kind: 'Conflict', text: 'something else still depends on it' },
  425: { kind: 'NotReady', text: 'the template version is still being imported' },
  429: { kind: 'RateLimited', text: 'Coder asks for fewer requests' },
};

/** Statuses that a proxy may well answer in Coder's place; their meaning does not depend on the body. */
const ANY_BODY = new Set<CoderErrorKind>(['RateLimited', 'ServerError', 'Redirected', 'Timeout']);

/** What Coder's rate limiters always ask for; assumed when a proxy's 429 does not say. */
const DEFAULT_RETRY_AFTER_MS = 60_000;
const LONGEST_RETRY_AFTER_MS = 600_000;

const MAX_VALIDATIONS = 20;

/**
 * Makes an error of an answer whose status is not a success. A refusal that is not in Coder's own form is
 * `UnexpectedResponse`: the 404 page of an ingress must never be taken for a missing workspace.
 */
export function errorFromAnswer(answer: ErrorAnswer, secrets: Iterable<string> = []): CoderError {
  const body = coderBody(answer.body, secrets);
  const rule = ruleFor(answer.status, body?.detail);
  const common = {
    status: answer.status,
    requestID: answer.requestID,
    mayHaveChanged: answer.mutation,
  };
  if (body === undefined && !ANY_BODY.has(rule.kind)) {
    return new UnexpectedResponseError(
      `${answer.call}: status ${answer.status} in a form that Coder does not use; something in between (a proxy, an ingress) answered, or the URL is not Coder's`,
      common,
    );
  }
  const says = body === undefined ? rule.text : `${rule.text}: ${quote(body)}`;
  return new CoderError(rule.kind, `${answer.call}: status ${answer.status}: ${says}`, {
    ...common,
    coderMessage: body?.message,
    validations: body?.validations,
    retryAfterMs: rule.kind === 'RateLimited' ? retryAfterMs(answer.retryAfter, answer.now) : undefined,
  });
}

function ruleFor(status: number, detail: string | undefined): StatusRule {
  // Two creations of one name at the same time: the loser sees the database's error instead of a 409.
  if (status === 500 && detail?.includes('duplicate key') === true) {
    return { kind: 'Conflict', text: 'somebody else was first' };
  }
  // Some handlers leave the check of rights to the database layer and report its refusal as a fault of their own.
  const rule = STATUS_RULES[status === 500 && detail?.includes('rbac: forbidden') === true ? 403 : status];
  if (rule !== undefined) return rule;
  if (status >= 500) return { kind: 'ServerError', text: 'Coder or a proxy before it has failed' };
  if (status >= 300 && status < 400) {
    return { kind: 'Redirected', text: "redirects are not followed; the URL must be Coder's own address" };
  }
  return { kind: 'Invalid', text: 'Coder does not accept the request' };
}

interface CoderBody {
  readonly message: string;
  readonly detail: string;
  readonly validations: readonly Validation[];
}

/** Coder's error form is an object with a `message`; everything else is somebody else's and is never quoted. */
function coderBody(body: unknown, secrets: Iterable<string>): CoderBody | undefined {
  if (typeof body !== 'object' || body === null) return undefined;
  const { message, detail, validations } = body as Readonly<Record<string, unknown>>;
  if (typeof message !== 'string' || message === '') return undefined;
  const clean = (value: unknown): string =>
    typeof value === 'string' ? cleanText(redact(value, secrets)) : '';
  return {
    message: clean(message),
    detail: typeof detail === 'string' ? detail : '',
    validations: (Array.isArray(validations) ? validations : [])
      .slice(0, MAX_VALIDATIONS)
      .filter(
        (entry): entry is Readonly<Record<string, unknown>> => typeof entry === 'object' && entry !== null,
      )
      .map((entry) => ({ field: clean(entry.field), detail: clean(entry.detail) })),
  };
}

function quote(body: CoderBody): string {
  const faults = body.validations.map((fault) => `${fault.field}: ${fault.detail}`).join('; ');
  return cleanText(faults === '' ? body.message : `${body.message} (${faults})`);
}

/** How long a `Retry-After` asks to wait, in milliseconds, within bounds; a minute when it does not say. */
export function retryAfterMs(header: string | undefined, now: number): number {
  if (header === undefined) return DEFAULT_RETRY_AFTER_MS;
  const ms = /^\d+$/.test(header.trim()) ? Number(header) * 1000 : Date.parse(header) - now;
  if (!Number.isFinite(ms)) return DEFAULT_RETRY_AFTER_MS;
  return Math.min(Math.max(ms, 1000), LONGEST_RETRY_AFTER_MS);
}

function isKind(error: unknown, kind: CoderErrorKind): error is CoderError {
  return error instanceof CoderError && error.kind === kind;
}

/** 400: the request as it stands will never be accepted. */
export function isInvalid(error: unknown): error is CoderError {
  return isKind(error, 'Invalid');
}

/** 401: the token is refused. */
export function isUnauthorized(error: unknown): error is CoderError {
  return isKind(error, 'Unauthorized');
}

/** 403: the token's user may see the object but not do this. */
export function isForbidden(error: unknown): error is CoderError {
  return isKind(error, 'Forbidden');
}

/** 404: missing *or hidden*; no proof of absence. */
export function isNotFound(error: unknown): error is CoderError {
  return isKind(error, 'NotFound');
}

/** 410: a workspace that has been deleted; a proof of absence. */
export function isGone(error: unknown): error is CoderError {
  return isKind(error, 'Gone');
}

/** A name is taken, a build is active, or a race was lost. */
export function isConflict(error: unknown): error is CoderError {
  return isKind(error, 'Conflict');
}

/** 406 or 425: the template version is still being imported. */
export function isNotReady(error: unknown): error is CoderError {
  return isKind(error, 'NotReady');
}

/** 429, with `retryAfterMs`. */
export function isRateLimited(error: unknown): error is CoderError & { readonly retryAfterMs: number } {
  return isKind(error, 'RateLimited');
}

/** No answer at all, an overloaded or failing server, or an answer that is not Coder's. */
export function isUnavailable(error: unknown): error is CoderError {
  return (
    error instanceof CoderError &&
    ['ServerError', 'Timeout', 'Unreachable', 'UnexpectedResponse'].includes(error.kind)
  );
}

/**
 * A user named in the path is unknown, or the token may not read it. Coder answers 400, not 404
 * (`httpmw.ExtractUserParam`), so the text is the only mark.
 */
export function isUnknownUser(error: unknown): error is CoderError {
  return isInvalid(error) && error.coderMessage?.includes('must be an existing uuid or username') === true;
}
