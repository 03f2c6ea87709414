import type { KubeObject, ResourceType } from '../../api/meta.ts';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/logger.ts';
import type { KubeClient } from '../../kube/client.ts';
import { KubeError } from '../../kube/errors.ts';

export interface ServerTimeOptions {
  readonly kube: Pick<KubeClient, 'create'>;
  readonly clock: Clock;
  readonly logger: Logger;
}

const selfReviews: ResourceType = {
  group: 'authentication.k8s.io',
  version: 'v1',
  plural: 'selfsubjectreviews',
  kind: 'SelfSubjectReview',
  namespaced: false,
};

/** The API server tells its time in whole seconds: less than this is no difference. */
const SAME_MS = 2_000;
/** Clocks that differ by more are worth a word. */
const APART_MS = 60_000;

/** What time it is where certificates are checked, as far as it was asked. */
export class ServerTime {
  readonly #options: ServerTimeOptions;
  #aheadMs: number | undefined;

  constructor(options: ServerTimeOptions) {
    this.#options = options;
  }

  /** Whether it was asked ever. */
  get isKnown(): boolean {
    return this.#aheadMs !== undefined;
  }

  /** By our clock and the difference that was found last; by our clock alone before it was asked. */
  now(): number {
    return this.#options.clock.now() + (this.#aheadMs ?? 0);
  }

  /**
   * Asks. A review of oneself is open to everybody, changes nothing, and bears the API server's time
   * (kubernetes/pkg/registry/authentication/selfsubjectreview); where it is refused all the same, our clock has to do.
   *
   * @throws KubeError for what may work later.
   */
  async ask(signal: AbortSignal): Promise<void> {
    const { kube, clock, logger } = this.#options;
    let ahead = 0;
    try {
      const review = await kube.create<KubeObject>(selfReviews, {}, { signal });
      const time = Date.parse(review.metadata.creationTimestamp ?? '');
      if (!Number.isNaN(time)) ahead = time - clock.now();
    } catch (error) {
      if (!(error instanceof KubeError) || error.retryable) throw error;
    }
    this.#aheadMs = Math.abs(ahead) < SAME_MS ? 0 : ahead;
    if (Math.abs(ahead) > APART_MS) {
      logger.warn("the API server's clock differs from this machine's; certificates go by the former", {
        aheadSeconds: Math.round(ahead / 1000),
      });
    }
  }
}
