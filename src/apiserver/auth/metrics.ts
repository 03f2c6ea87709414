/**
 * What authentication and authorization report as it happens. The series are those of Kubernetes' own API servers, and
 * durations are in seconds.
 */
export interface AuthMetrics {
  /** `authentication_attempts` and `authentication_duration_seconds`, by result. */
  authenticated(result: 'success' | 'failure' | 'error', seconds: number): void;
  /** `authorization_attempts_total` and `authorization_duration_seconds`, by result. */
  authorized(result: 'allowed' | 'denied' | 'error', seconds: number): void;
  /**
   * One exchange with the API server: `apiserver_delegated_authn_request_total` and `…_request_duration_seconds`.
   *
   * @param code the HTTP status, or `<error>` without an answer.
   */
  tokenReviewed(code: string, seconds: number): void;
  /** The same of authorization: `apiserver_delegated_authz_request_…`. */
  accessReviewed(code: string, seconds: number): void;
  /** What is left of a certificate that a request was authenticated with: `apiserver_client_certificate_expiration_seconds`. */
  clientCertificateExpires(seconds: number): void;
}

/** Counts nothing. */
export const silentAuthMetrics: AuthMetrics = {
  authenticated: () => undefined,
  authorized: () => undefined,
  tokenReviewed: () => undefined,
  accessReviewed: () => undefined,
  clientCertificateExpires: () => undefined,
};
