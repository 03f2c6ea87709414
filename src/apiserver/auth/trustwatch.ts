import type { Clock } from '../../base/clock.ts';
import { errorText } from '../../base/errors.ts';
import type { Logger } from '../../base/logger.ts';
import type { KubeClient } from '../../kube/client.ts';
import { canonicalEqual } from '../../kube/equality.ts';
import { Reflector } from '../../kube/reflector.ts';
import { Store, type StoreEvent } from '../../kube/store.ts';
import {
  NO_TRUST,
  parseTrust,
  TRUST_NAME,
  TRUST_NAMESPACE,
  trustConfigMaps,
  type Trust,
  type TrustConfigMap,
} from './trust.ts';

/** Where the trust that holds now comes from. */
export interface TrustSource {
  /** Another object whenever something of it has changed. */
  readonly current: Trust;
  /** False until a good value was seen: whoever shows a certificate until then may be the front proxy. */
  readonly isRead: boolean;
}

export interface TrustWatchOptions {
  readonly client: Pick<KubeClient, 'list' | 'watch'>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Follows the one ConfigMap that says whom to trust. The last good value holds while it is missing or malformed:
 * kube-apiserver writes it again by itself, and a cluster must not lose this endpoint over a slip. One that is there
 * and names no CA is meant so.
 */
export class TrustWatch implements TrustSource {
  readonly #options: TrustWatchOptions;
  readonly #reflector: Reflector<TrustConfigMap>;
  #current = NO_TRUST;
  #isRead = false;
  #data: TrustConfigMap['data'];

  constructor(options: TrustWatchOptions) {
    this.#options = options;
    const store = new Store<TrustConfigMap>({ logger: options.logger });
    store.subscribe((event) => this.#changed(event));
    this.#reflector = new Reflector<TrustConfigMap>({
      ...options,
      resource: trustConfigMaps,
      namespace: TRUST_NAMESPACE,
      // The Role that allows it names the object: without this selector the answer is 403.
      fieldSelector: `metadata.name=${TRUST_NAME}`,
      store,
    });
  }

  get current(): Trust {
    return this.#current;
  }

  /** A good value was seen. Until then requests through kube-apiserver cannot be told from others. */
  get isRead(): boolean {
    return this.#isRead;
  }

  /** Runs until the signal aborts. */
  run(signal: AbortSignal): Promise<void> {
    return this.#reflector.run(signal);
  }

  #changed({ type, object }: StoreEvent<TrustConfigMap>): void {
    const { logger } = this.#options;
    if (object.metadata.name !== TRUST_NAME) return;
    if (type === 'deleted') {
      logger.warn('the ConfigMap that says whom to trust is gone; what it said still holds');
      return;
    }
    if (this.#isRead && canonicalEqual(object.data, this.#data)) return;
    try {
      this.#current = parseTrust(object.data);
    } catch (error) {
      const fields = { error: errorText(error) };
      logger.warn(
        'the ConfigMap that says whom to trust cannot be used; what held before still does',
        fields,
      );
      return;
    }
    this.#data = object.data;
    this.#isRead = true;
    const { frontProxy } = this.#current;
    if (frontProxy === undefined) logger.warn('the cluster has no front proxy: API aggregation cannot work');
    else logger.info('took over whom to trust', { certificates: frontProxy.certificates.length });
  }
}
