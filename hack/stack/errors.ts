import { OperatorError, type OperatorErrorOptions } from '../../src/base/errors.ts';

/**
 * Why a part of the local stack could not be built, started or stopped. The message is for the person at the
 * terminal: what is wrong, where, and what to do; commands print it without a stack trace.
 */
export type StackErrorCode =
  | 'ABORTED'
  | 'BUILD_FAILED'
  | 'CODER_REFUSED'
  | 'FOLDER_IN_USE'
  | 'NOT_READY'
  | 'PORT_TAKEN'
  | 'PROCESS_ENDED'
  | 'STATE_UNREADABLE'
  | 'TOOL_FAILED'
  | 'TOOL_MISSING';

export class StackError extends OperatorError {
  constructor(code: StackErrorCode, message: string, options: OperatorErrorOptions = {}) {
    super(code, message, options);
  }
}

/** Throws a StackError with code ABORTED when the signal has been aborted. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted)
    throw new StackError('ABORTED', 'Stopped before it was finished.', { cause: signal.reason });
}
