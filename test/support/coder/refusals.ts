import { CoderError, type CoderErrorKind, type Validation } from '../../../src/coder/errors.ts';

/** Error answers, as the client makes them of what Coder sends. */

function refusal(
  kind: CoderErrorKind,
  status: number,
  message: string,
  validations: readonly Validation[] = [],
  retryAfterMs?: number,
): CoderError {
  return new CoderError(kind, `status ${status}: ${message}`, {
    status,
    coderMessage: message,
    validations,
    retryAfterMs,
    mayHaveChanged: true,
  });
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
): CoderError {
  return refusal('NotFound', 404, message);
}

/** Coder always asks for a minute, however soon it would take the next one. */
export function rateLimited(limit: number): CoderError {
  const message = `You've been rate limited for sending more than ${limit} requests in 1m0s.`;
  return refusal('RateLimited', 429, message, [], 60_000);
}

export function notAllowed(message: string): CoderError {
  return refusal('Invalid', 405, message);
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
