import type { Cause, Verdict } from '../api/conditions.ts';
import type { ReconcilingReason } from '../api/reasons.ts';
import type { CoderError, CoderErrorKind } from '../coder/errors.ts';
import { reconciling, type CommonInput, type CommonStatus } from './report.ts';
import { after, withBackoff, type Rest } from './step.ts';

/** What a failed call to Coder means for the object on whose behalf it was made. */
export interface Failure {
  readonly cause: Cause<ReconcilingReason>;
  readonly synced: Verdict['synced'];
  readonly rest: Rest;
  /** The fault is of the connection and not of this object: the control plane has to be looked at. */
  readonly isOfConnection: boolean;
}

/**
 * What an object says after a failed call. One of which nothing is asked keeps saying what was true when the fault is
 * not its own: neither a restart of Coder nor a rate limit may turn a thousand objects red. And when it is this process
 * that ends, there is nothing to say at all.
 */
export function reportFailure<Status extends CommonStatus>(
  input: CommonInput<Status>,
  status: Status,
  error: CoderError,
  isAtRest: boolean,
): { readonly status: Status; readonly rest: Rest } {
  const failure = failureOf(error);
  const isOthers = failure.isOfConnection || error.kind === 'RateLimited';
  if (error.kind === 'Aborted' || (isAtRest && isOthers)) return { status, rest: failure.rest };
  return reconciling(input, status, failure.cause, failure.rest, { synced: failure.synced });
}

interface Rule {
  readonly reason: ReconcilingReason;
  readonly isOfConnection: boolean;
  /** Coder was reached and answered as it should, only not what we hoped for. */
  readonly isSynced: boolean;
}

const RULES: Readonly<Record<CoderErrorKind, Rule>> = {
  Invalid: { reason: 'RefusedByCoder', isOfConnection: false, isSynced: true },
  Unauthorized: { reason: 'TokenRefused', isOfConnection: true, isSynced: false },
  Forbidden: { reason: 'Forbidden', isOfConnection: false, isSynced: false },
  NotFound: { reason: 'WaitingForDependency', isOfConnection: false, isSynced: true },
  Gone: { reason: 'WaitingForDependency', isOfConnection: false, isSynced: true },
  Conflict: { reason: 'Progressing', isOfConnection: false, isSynced: true },
  NotReady: { reason: 'WaitingForImport', isOfConnection: false, isSynced: true },
  RateLimited: { reason: 'RateLimited', isOfConnection: false, isSynced: false },
  ServerError: { reason: 'ServerError', isOfConnection: true, isSynced: false },
  Redirected: { reason: 'UnexpectedResponse', isOfConnection: true, isSynced: false },
  UnexpectedResponse: { reason: 'UnexpectedResponse', isOfConnection: true, isSynced: false },
  TooLarge: { reason: 'UnexpectedResponse', isOfConnection: false, isSynced: false },
  Timeout: { reason: 'CoderUnreachable', isOfConnection: true, isSynced: false },
  Unreachable: { reason: 'CoderUnreachable', isOfConnection: true, isSynced: false },
  AddressRefused: { reason: 'InvalidCredentials', isOfConnection: true, isSynced: false },
  Aborted: { reason: 'Progressing', isOfConnection: false, isSynced: true },
};

/** The one table from errors of Coder to conditions. */
export function failureOf(error: CoderError): Failure {
  const rule = RULES[error.kind];
  const cause = { reason: rule.reason, message: error.message };
  return {
    cause,
    synced: rule.isSynced
      ? { status: 'True', reason: 'SyncSucceeded', message: 'The last exchange with Coder worked' }
      : { status: 'False', ...cause },
    rest:
      error.retryAfterMs !== undefined
        ? after(error.retryAfterMs)
        : error.kind === 'NotReady'
          ? after(2_000)
          : withBackoff,
    isOfConnection: rule.isOfConnection,
  };
}
