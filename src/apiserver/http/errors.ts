import { StatusError } from './status.ts';
import { jsonBody } from './body.ts';
import type { WholeAnswer } from './types.ts';

/** What a client is told when something failed that nobody foresaw; the log knows more. */
export function internalError(auditId: string, cause: unknown): StatusError {
  const message = `Internal error occurred: the log of the endpoint tells more under Audit-ID ${auditId}`;
  return new StatusError('InternalError', message, { cause });
}

export function tooManyRequests(message: string, retryAfterSeconds: number): StatusError {
  return new StatusError('TooManyRequests', message, { details: { retryAfterSeconds } });
}

/** The time that a request may take is over. */
export function timedOut(): StatusError {
  return new StatusError('Timeout', 'Timeout: request did not complete within the allotted timeout', {
    details: {},
  });
}

/**
 * A failure as an answer: always a Status in JSON, whatever the client accepts, since it is what clients decide by. Both
 * the header and the details tell when to try again: client-go retries by the first only, others read the second.
 */
export function errorAnswer(error: StatusError): WholeAnswer {
  const seconds = error.options.details?.retryAfterSeconds;
  return {
    code: error.httpCode,
    headers: {
      ...(seconds === undefined || seconds <= 0 ? {} : { 'retry-after': String(seconds) }),
      ...error.options.headers,
    },
    body: jsonBody(error.toStatus()),
  };
}
