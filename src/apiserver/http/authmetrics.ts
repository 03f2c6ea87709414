import { Counter, exponentialBuckets, Histogram, type Registry } from 'prom-client';
import type { AuthMetrics } from '../auth/metrics.ts';

const DECISION_BUCKETS = exponentialBuckets(0.001, 2, 15);
const REVIEW_BUCKETS = [0.25, 0.5, 0.7, 1, 1.5, 3, 5, 10];
const HOUR = 3600;
const DAY = 24 * HOUR;
const LIFETIME_BUCKETS = [
  ...[0, HOUR / 2, HOUR, 2 * HOUR, 6 * HOUR, 12 * HOUR],
  ...[1, 2, 4, 7, 30, 90, 180, 360].map((days) => days * DAY),
];

/** The series of authentication and authorization, under the names of Kubernetes' own API servers. */
export function createAuthMetrics(registry: Registry): AuthMetrics {
  const counter = <T extends string>(name: string, help: string, label: T): Counter<T> =>
    new Counter({ name, help, labelNames: [label], registers: [registry] });
  const histogram = <T extends string>(
    name: string,
    help: string,
    { label, buckets }: { readonly label: T; readonly buckets: number[] },
  ): Histogram<T> => new Histogram({ name, help, labelNames: [label], buckets, registers: [registry] });

  const byResult = { label: 'result', buckets: DECISION_BUCKETS } as const;
  const byCode = { label: 'code', buckets: REVIEW_BUCKETS } as const;
  const attempts = counter('authentication_attempts', 'Attempts to find out who asks.', 'result');
  const attemptTime = histogram('authentication_duration_seconds', 'How long that took.', byResult);
  const decisions = counter('authorization_attempts_total', 'Attempts to find out who may.', 'result');
  const decisionTime = histogram('authorization_duration_seconds', 'How long that took.', byResult);
  const tokens = counter('apiserver_delegated_authn_request_total', 'Reviews of tokens.', 'code');
  const tokenTime = histogram('apiserver_delegated_authn_request_duration_seconds', 'Their time.', byCode);
  const reviews = counter('apiserver_delegated_authz_request_total', 'Reviews of rights.', 'code');
  const reviewTime = histogram('apiserver_delegated_authz_request_duration_seconds', 'Their time.', byCode);
  const lifetimes = new Histogram({
    name: 'apiserver_client_certificate_expiration_seconds',
    help: 'What is left of the certificates that requests were authenticated with.',
    buckets: LIFETIME_BUCKETS,
    registers: [registry],
  });
  return {
    authenticated(result, seconds) {
      attempts.inc({ result });
      attemptTime.observe({ result }, seconds);
    },
    authorized(result, seconds) {
      decisions.inc({ result });
      decisionTime.observe({ result }, seconds);
    },
    tokenReviewed(code, seconds) {
      tokens.inc({ code });
      tokenTime.observe({ code }, seconds);
    },
    accessReviewed(code, seconds) {
      reviews.inc({ code });
      reviewTime.observe({ code }, seconds);
    },
    clientCertificateExpires: (seconds) => lifetimes.observe(seconds),
  };
}
