/** What callers may want to know about an error, whatever raised it. */
export interface ErrorTraits {
  /** The same call may succeed later although nothing was changed by a person. */
  readonly retryable?: boolean;
  /** The server may have carried the call out although we saw no answer: look before trying again. */
  readonly unclear?: boolean;
}

export interface OperatorErrorOptions extends ErrorTraits {
  readonly cause?: unknown;
}

/**
 * Root of every error this program raises on purpose. Callers decide by `code` and traits, never by the message.
 * Messages are written for people and hold no secret, no header and no foreign body.
 */
export class OperatorError extends Error {
  /** Stable, upper snake case. */
  readonly code: string;
  readonly retryable: boolean;
  readonly unclear: boolean;

  constructor(code: string, message: string, options: OperatorErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.retryable = options.retryable ?? false;
    this.unclear = options.unclear ?? false;
  }
}

/** The text of anything thrown, for a log line or a message. */
export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
