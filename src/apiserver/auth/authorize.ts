import { createHash } from 'node:crypto';
import type { KubeObject, ResourceType } from '../../api/meta.ts';
import type { Clock } from '../../base/clock.ts';
import { errorText, OperatorError } from '../../base/errors.ts';
import type { Logger } from '../../base/logger.ts';
import type { KubeClient, NewObject } from '../../kube/client.ts';
import { isAborted } from '../../kube/deadline.ts';
import { StatusError } from '../http/status.ts';
import type { RequestInfo, UserInfo } from '../http/types.ts';
import { accessKey, accessSpec, type AccessSpec } from './attributes.ts';
import { forbidden } from './forbidden.ts';
import type { AuthMetrics } from './metrics.ts';
import { codeOf, Reviews } from './reviews.ts';

/** Decides what somebody may do. */
export interface Authorizer {
  /**
   * @throws StatusError Forbidden, InternalError when nobody could be asked, TooManyRequests; or the reason of the
   *   signal.
   */
  authorize(user: UserInfo, info: RequestInfo, query: URLSearchParams, signal: AbortSignal): Promise<void>;
}

export interface DelegatedAuthorizerOptions {
  readonly client: Pick<KubeClient, 'create'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: AuthMetrics;
  /** Between 0 and 1; default Math.random. */
  readonly random?: () => number;
}

const accessReviews: ResourceType = {
  group: 'authorization.k8s.io',
  version: 'v1',
  plural: 'subjectaccessreviews',
  kind: 'SubjectAccessReview',
  namespaced: false,
};

interface NewAccessReview extends NewObject {
  readonly spec: AccessSpec;
}

interface AccessReview extends KubeObject {
  readonly status?: AccessStatus;
}

interface AccessStatus {
  readonly allowed?: boolean;
  readonly denied?: boolean;
  readonly reason?: string;
}

/**
 * Members of system:masters may do everything, as with kube-apiserver: it asks us in their name whether we are there, and
 * must get its answer while it cannot be asked itself.
 */
export function isMaster({ groups }: UserInfo): boolean {
  return groups.includes('system:masters');
}

/** How long a grant or its withdrawal takes to be noticed. */
const TTL_MS = 10_000;
const MAX_ANSWERS = 8192;
const MAX_IN_FLIGHT = 512;
/** Who asks with more text than this may only want to fill the memory with it. */
const MAX_KEPT_BYTES = 10_000;

/** Of the words of an authorizer, which are kept with its answer. */
const LONGEST_REASON = 1024;

/** By SubjectAccessReview: the cluster's own rules, and the cluster's own webhooks, decide. */
export class DelegatedAuthorizer implements Authorizer {
  readonly #options: DelegatedAuthorizerOptions;
  readonly #reviews: Reviews<AccessStatus>;

  constructor(options: DelegatedAuthorizerOptions) {
    this.#options = options;
    const limits = { ttlMs: TTL_MS, maxEntries: MAX_ANSWERS, maxInFlight: MAX_IN_FLIGHT };
    this.#reviews = new Reviews({ ...options, ...limits });
  }

  async authorize(
    user: UserInfo,
    info: RequestInfo,
    query: URLSearchParams,
    signal: AbortSignal,
  ): Promise<void> {
    const { clock, metrics } = this.#options;
    const started = clock.monotonic();
    const report = (result: 'allowed' | 'denied' | 'error'): void =>
      metrics.authorized(result, (clock.monotonic() - started) / 1000);
    try {
      await this.#decide(user, info, query, signal);
      report('allowed');
    } catch (error) {
      const isRefusal = error instanceof StatusError && error.reason === 'Forbidden';
      report(isRefusal ? 'denied' : 'error');
      throw error;
    }
  }

  async #decide(
    user: UserInfo,
    info: RequestInfo,
    query: URLSearchParams,
    signal: AbortSignal,
  ): Promise<void> {
    if (isMaster(user)) return;
    const { allowed, denied, reason = '' } = await this.#ask(accessSpec(user, info, query), signal);
    if (allowed === true && denied === true)
      throw internalError('the access review both allowed and denied the request');
    if (allowed !== true) throw forbidden(user, info, reason);
  }

  async #ask(spec: AccessSpec, signal: AbortSignal): Promise<AccessStatus> {
    const text = accessKey(spec);
    const key = createHash('sha256').update(text).digest('base64');
    const keep = chosenBytes(spec) < MAX_KEPT_BYTES;
    try {
      return await this.#reviews.answer(key, (deadlineMs) => this.#review(spec, deadlineMs), {
        signal,
        keep,
        asker: spec.user,
      });
    } catch (error) {
      if (isAborted(signal) || error instanceof StatusError || !(error instanceof OperatorError)) throw error;
      this.#options.logger.warn('an access review failed', { error: errorText(error) });
      throw internalError('the rights of the user could not be reviewed', error);
    }
  }

  async #review(spec: AccessSpec, deadlineMs: number): Promise<AccessStatus> {
    const { client, clock, metrics } = this.#options;
    const review: NewAccessReview = { spec };
    const started = clock.monotonic();
    const seconds = (): number => (clock.monotonic() - started) / 1000;
    try {
      const { status } = await client.create<AccessReview>(accessReviews, review, { deadlineMs });
      metrics.accessReviewed('201', seconds());
      const { allowed = false, denied = false, reason = '' } = status ?? {};
      return { allowed, denied, reason: reason.slice(0, LONGEST_REASON) };
    } catch (error) {
      metrics.accessReviewed(codeOf(error), seconds());
      throw error;
    }
  }
}

/** What of the question whoever sends a request can choose freely. */
function chosenBytes({ resourceAttributes, nonResourceAttributes }: AccessSpec): number {
  return Buffer.byteLength(JSON.stringify(resourceAttributes ?? nonResourceAttributes));
}

function internalError(what: string, cause?: unknown): StatusError {
  return new StatusError('InternalError', `Internal error occurred: ${what}`, { cause });
}
