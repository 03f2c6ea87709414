import {
  CoderError,
  type CoderErrorKind,
  type CoderErrorOptions,
  type Validation,
} from '../../../src/coder/errors.ts';

/** An error answer, as the client makes it of what Coder sends, with the part that the client does not pass on. */
export class Refusal extends CoderError {
  readonly detail: string | undefined;

  constructor(kind: CoderErrorKind, message: string, options: CoderErrorOptions, detail?: string) {
    super(kind, message, options);
    this.detail = detail;
  }
}

function refusal(
  kind: CoderErrorKind,
  status: number,
  message: string,
  validations: readonly Validation[] = [],
  more: { readonly retryAfterMs?: number; readonly detail?: string } = {},
): Refusal {
  const { retryAfterMs, detail } = more;
  const options = { status, coderMessage: message, validations, retryAfterMs, mayHaveChanged: true };
  return new Refusal(kind, `status ${status}: ${message}`, options, detail);
}

export function invalid(message: string, validations: readonly Validation[] = []): CoderError {
  return refusal('Invalid', 400, message, validations);
}

export function conflict(message: string, validations: readonly Validation[] = []): CoderError {
  return refusal('Conflict', 409, message, validations);
}

export function nameTaken(kind: string, name: string): CoderError {
  const detail = 'This value is already in use and should be unique.';
  return conflict(`${kind} "${name}" already exists.`, [{ field: 'name', detail }]);
}

/** Somebody else was first by so little that only the database noticed. */
export function lostRace(message: string, constraint: string): CoderError {
  const detail = `pq: duplicate key value violates unique constraint "${constraint}"`;
  return refusal('Conflict', 500, message, [], { detail });
}

export function notImported(status: string): CoderError {
  return refusal(
    'NotReady',
    406,
    `The provided template version is ${status}. Wait for it to complete importing!`,
  );
}

export function tooEarly(message: string): CoderError {
  return refusal('NotReady', 425, message);
}

export function forbidden(message: string): CoderError {
  return refusal('Forbidden', 403, message);
}

export function notFound(
  message = 'Resource not found or you do not have access to this resource',
  detail?: string,
): CoderError {
  return refusal('NotFound', 404, message, [], detail === undefined ? {} : { detail });
}

export function unauthorized(detail: string): CoderError {
  const message = 'You are signed out or your session has expired. Please sign in again to continue.';
  return refusal('Unauthorized', 401, message, [], { detail });
}

/** Coder always asks for a minute, however soon it would take the next one. */
export function rateLimited(limit: number): CoderError {
  const message = `You've been rate limited for sending more than ${limit} requests in 1m0s.`;
  return refusal('RateLimited', 429, message, [], { retryAfterMs: 60_000 });
}

export function notAllowed(message: string): CoderError {
  return refusal('Invalid', 405, message);
}

/** What was expected of it is not so. */
export function unexpected(message: string): CoderError {
  return refusal('Conflict', 412, message);
}

export function gone(): CoderError {
  return refusal('Gone', 410, 'Workspace has been deleted');
}

/** Coder runs into its own database. */
export function failure(message: string): CoderError {
  return refusal('ServerError', 500, message);
}

export function unknownUser(): CoderError {
  return invalid('"user" must be an existing uuid or username.');
}

/** The value, unless there is none. @throws CoderError 404 */
export function found<T>(value: T | undefined, message?: string): T {
  if (value === undefined) throw notFound(message);
  return value;
}
