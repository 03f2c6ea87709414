import PQueue from 'p-queue';
import type { KubeObject } from '../../api/meta.ts';
import { StatusError } from '../http/status.ts';
import type { ViewKind } from '../view/types.ts';
import type { ReadingMetrics } from './metrics.ts';

/** Reads one object from the API server itself; undefined: there is none. */
export type LiveRead = (
  kind: ViewKind,
  namespace: string,
  name: string,
  signal: AbortSignal,
) => Promise<KubeObject | undefined>;

const CONCURRENCY = 16;
const MAX_WAITING = 256;

export interface LiveReadsOptions {
  readonly read: LiveRead;
  readonly metrics: Pick<ReadingMetrics, 'liveReads'>;
  /** Most reads at a time; default 16. */
  readonly concurrency?: number | undefined;
  /** Most reads that wait for their turn; default 256. */
  readonly maxWaiting?: number | undefined;
}

/**
 * The look at the API server before a 404: the store may not have heard of an object that was just created, and a 404 is
 * taken for proof that it is gone. So nothing is remembered, and every request has a read that began after it.
 */
export class LiveReads {
  readonly #options: LiveReadsOptions;
  readonly #queue: PQueue;

  constructor(options: LiveReadsOptions) {
    this.#options = options;
    this.#queue = new PQueue({ concurrency: options.concurrency ?? CONCURRENCY });
  }

  /**
   * @throws StatusError TooManyRequests when too many wait, ServiceUnavailable when the API server does not tell; the
   *   signal's reason
   */
  async get(
    kind: ViewKind,
    namespace: string,
    name: string,
    signal: AbortSignal,
  ): Promise<KubeObject | undefined> {
    const { read, metrics, maxWaiting = MAX_WAITING } = this.#options;
    const count = (result: string): void => metrics.liveReads.inc({ resource: kind.resource.plural, result });
    if (this.#queue.size >= maxWaiting) {
      count('refused');
      throw new StatusError('TooManyRequests', 'too many objects are being looked up; try again', {
        details: { retryAfterSeconds: 1 },
      });
    }
    try {
      const object = await this.#queue.add(() => read(kind, namespace, name, signal), { signal });
      count(object === undefined ? 'missing' : 'found');
      return object;
    } catch (cause) {
      signal.throwIfAborted();
      count('failed');
      const message = `the API server does not tell whether ${kind.resource.plural} ${JSON.stringify(name)} exists`;
      throw new StatusError('ServiceUnavailable', message, { details: { retryAfterSeconds: 1 }, cause });
    }
  }
}
