import { OperatorError } from '../../base/errors.ts';

/** `metav1.Status` as it goes to clients. */
export interface Status {
  readonly kind: 'Status';
  readonly apiVersion: 'v1';
  readonly metadata: { readonly continue?: string };
  readonly status: 'Success' | 'Failure';
  readonly message: string;
  readonly reason: StatusReason;
  readonly details?: StatusDetails;
  readonly code: number;
}

/** What clients decide by (apimachinery/pkg/apis/meta/v1/types.go). */
export type StatusReason =
  | 'BadRequest'
  | 'Unauthorized'
  | 'Forbidden'
  | 'NotFound'
  | 'MethodNotAllowed'
  | 'NotAcceptable'
  | 'Expired'
  | 'RequestEntityTooLarge'
  | 'UnsupportedMediaType'
  | 'Invalid'
  | 'TooManyRequests'
  | 'InternalError'
  | 'ServiceUnavailable'
  | 'Timeout';

export interface StatusDetails {
  readonly name?: string;
  readonly group?: string;
  /** The plural of the resource; for Invalid the kind. */
  readonly kind?: string;
  readonly causes?: readonly {
    readonly reason?: string;
    readonly message?: string;
    readonly field?: string;
  }[];
  readonly retryAfterSeconds?: number;
}

export interface StatusErrorOptions {
  readonly details?: StatusDetails;
  /** For a continue token that has expired: the one to go on with. */
  readonly continue?: string;
  /** Beside Retry-After, which follows from `details.retryAfterSeconds`. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly cause?: unknown;
}

const CODES: Readonly<Record<StatusReason, number>> = {
  BadRequest: 400,
  Unauthorized: 401,
  Forbidden: 403,
  NotFound: 404,
  MethodNotAllowed: 405,
  NotAcceptable: 406,
  Expired: 410,
  RequestEntityTooLarge: 413,
  UnsupportedMediaType: 415,
  Invalid: 422,
  TooManyRequests: 429,
  InternalError: 500,
  ServiceUnavailable: 503,
  Timeout: 504,
};

/** A failure that goes to the client as a Status. The message is what people read: no secret, no foreign body. */
export class StatusError extends OperatorError {
  readonly reason: StatusReason;
  readonly httpCode: number;
  readonly options: StatusErrorOptions;

  constructor(reason: StatusReason, message: string, options: StatusErrorOptions = {}) {
    super(reason, message, { cause: options.cause });
    this.reason = reason;
    this.httpCode = CODES[reason];
    this.options = options;
  }

  toStatus(): Status {
    const { details, continue: token } = this.options;
    return {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: token === undefined ? {} : { continue: token },
      status: 'Failure',
      message: this.message,
      reason: this.reason,
      ...(details === undefined ? {} : { details }),
      code: this.httpCode,
    };
  }
}
