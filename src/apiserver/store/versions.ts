import { OperatorError } from '../../base/errors.ts';

/** Revisions of etcd: 64 bits at most, without leading zeros, and never 0. */
const REVISION = /^[1-9][0-9]{0,19}$/;

/**
 * A resourceVersion as the integer that it is.
 *
 * @throws OperatorError BROKEN_VERSION when it is none: what came cannot be put in order with anything.
 */
export function versionOf(resourceVersion: string | undefined): bigint {
  if (resourceVersion === undefined || !REVISION.test(resourceVersion)) {
    throw new OperatorError(
      'BROKEN_VERSION',
      'What the API server sent has no resourceVersion that is a revision',
      {
        retryable: true,
      },
    );
  }
  return BigInt(resourceVersion);
}
