import { createHmac, randomBytes } from 'node:crypto';
import type { KubeObject, ResourceType } from '../../api/meta.ts';
import type { Clock } from '../../base/clock.ts';
import { errorText, OperatorError } from '../../base/errors.ts';
import type { Logger } from '../../base/logger.ts';
import type { KubeClient, NewObject } from '../../kube/client.ts';
import { isAborted } from '../../kube/deadline.ts';
import { StatusError } from '../http/status.ts';
import type { UserInfo } from '../http/types.ts';
import { CredentialsError } from './headers.ts';
import type { AuthMetrics } from './metrics.ts';
import { codeOf, Reviews } from './reviews.ts';

export interface TokensOptions {
  readonly client: Pick<KubeClient, 'create'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: AuthMetrics;
  /** Between 0 and 1; default Math.random. */
  readonly random?: () => number;
}

const tokenReviews: ResourceType = {
  group: 'authentication.k8s.io',
  version: 'v1',
  plural: 'tokenreviews',
  kind: 'TokenReview',
  namespaced: false,
};

interface NewTokenReview extends NewObject {
  readonly spec: { readonly token: string };
}

interface TokenReview extends KubeObject {
  readonly status?: {
    readonly authenticated?: boolean;
    readonly user?: {
      readonly username?: string;
      readonly uid?: string;
      readonly groups?: readonly string[] | null;
      readonly extra?: Readonly<Record<string, readonly string[]>> | null;
    };
  };
}

/** How long an answer holds, whether good or bad: so long a token outlives its end. */
const TTL_MS = 10_000;
const MAX_ANSWERS = 4096;
/** Only direct callers bring tokens, and anybody may try one. */
const MAX_IN_FLIGHT = 64;

/**
 * Bearer tokens, by TokenReview. No audience is asked for, so tokens for the API server itself are good here, as for
 * Kubernetes' own extension servers. In memory are only keyed hashes of tokens.
 */
export class Tokens {
  readonly #options: TokensOptions;
  readonly #reviews: Reviews<UserInfo | 'refused'>;
  /** So that the hashes tell nothing to who learns them. */
  readonly #salt = randomBytes(32);

  constructor(options: TokensOptions) {
    this.#options = options;
    const limits = { ttlMs: TTL_MS, maxEntries: MAX_ANSWERS, maxInFlight: MAX_IN_FLIGHT };
    this.#reviews = new Reviews({ ...options, ...limits });
  }

  /**
   * @throws CredentialsError for a token that nobody has, and when the API server does not answer: as in Kubernetes'
   *   own servers both end in a 401.
   * @throws StatusError TooManyRequests, or the reason of the signal.
   */
  async authenticate(token: string, signal: AbortSignal): Promise<UserInfo> {
    const key = createHmac('sha256', this.#salt).update(token).digest('base64');
    try {
      const answer = await this.#reviews.answer(key, (deadlineMs) => this.#review(token, deadlineMs), {
        signal,
      });
      if (answer !== 'refused') return answer;
    } catch (error) {
      if (isAborted(signal) || error instanceof StatusError || !(error instanceof OperatorError)) throw error;
      this.#options.logger.warn('a token could not be reviewed', { error: errorText(error) });
      throw new CredentialsError('the bearer token could not be reviewed', error);
    }
    throw new CredentialsError('the bearer token is not valid');
  }

  async #review(token: string, deadlineMs: number): Promise<UserInfo | 'refused'> {
    const { client, clock, metrics } = this.#options;
    const review: NewTokenReview = { spec: { token } };
    const started = clock.monotonic();
    const seconds = (): number => (clock.monotonic() - started) / 1000;
    try {
      const { status } = await client.create<TokenReview>(tokenReviews, review, { deadlineMs });
      metrics.tokenReviewed('201', seconds());
      return userOf(status);
    } catch (error) {
      metrics.tokenReviewed(codeOf(error), seconds());
      throw error;
    }
  }
}

function userOf(status: TokenReview['status']): UserInfo | 'refused' {
  const { username = '', uid = '', groups, extra } = status?.user ?? {};
  if (status?.authenticated !== true || username === '') return 'refused';
  return {
    name: username,
    ...(uid === '' ? {} : { uid }),
    groups: groups ?? [],
    extra: Object.assign(Object.create(null) as Record<string, readonly string[]>, extra),
  };
}
