import type { Clock } from '../base/clock.ts';
import { errorText } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import { isConflict, KubeError } from './errors.ts';
import type { WorkQueue } from './workqueue.ts';

/** What a handler wants besides success. */
export interface HandlerResult {
  /** Look again after so many milliseconds although nothing changed. */
  readonly requeueAfterMs?: number;
  /** Look again after the queue's delay for this key, which grows with each pass that ends in the same way. */
  readonly backoff?: boolean;
  /** Priority of that look; default 0. */
  readonly priority?: number;
}

/** How one pass over a key ended. A conflict is no error: our copy was stale and the key comes again. */
export interface WorkResult {
  readonly key: string;
  readonly outcome: 'success' | 'requeue_after' | 'conflict' | 'error';
  readonly durationMs: number;
  readonly error?: unknown;
}

export interface WorkersOptions {
  readonly queue: WorkQueue;
  /** How many keys are worked on at a time. */
  readonly workers: number;
  /** Brings one key where it should be. Throwing means: again later, with the queue's delay. */
  readonly handler: (key: string, signal: AbortSignal) => Promise<void> | Promise<HandlerResult | undefined>;
  readonly logger: Logger;
  readonly clock: Clock;
  /** Ends the taking of keys; handlers get it to abort what may be aborted. */
  readonly signal: AbortSignal;
  readonly onResult?: (result: WorkResult) => void;
}

/** Works the queue off until the signal aborts, and resolves when every handler has settled. Never rejects. */
export async function runWorkers(options: WorkersOptions): Promise<void> {
  await Promise.all(Array.from({ length: options.workers }, () => runWorker(options)));
}

async function runWorker(options: WorkersOptions): Promise<void> {
  const { queue, signal, clock } = options;
  for (;;) {
    const key = await queue.next(signal);
    if (key === undefined) return;
    await work(key, options);
    // Passes over memory alone follow each other without a pause.
    await clock.breathe();
  }
}

async function work(key: string, options: WorkersOptions): Promise<void> {
  const { queue, handler, clock, signal, onResult } = options;
  const started = clock.monotonic();
  let outcome: WorkResult['outcome'] = 'success';
  let failure: { readonly error?: unknown } = {};
  try {
    const result = await handler(key, signal);
    const { requeueAfterMs, backoff = false, priority } = typeof result === 'object' ? result : {};
    const again = priority === undefined ? {} : { priority };
    if (backoff) {
      outcome = 'requeue_after';
      queue.addRateLimited(key, again);
    } else {
      queue.forget(key);
      if (requeueAfterMs !== undefined) {
        outcome = 'requeue_after';
        queue.addAfter(key, requeueAfterMs, again);
      }
    }
  } catch (error) {
    outcome = isConflict(error) ? 'conflict' : 'error';
    failure = { error };
    if (!signal.aborted) retry(key, error, options);
  }
  queue.done(key);
  onResult?.({ key, outcome, durationMs: clock.monotonic() - started, ...failure });
}

function retry(key: string, error: unknown, { queue, logger }: WorkersOptions): void {
  const atLeastMs = error instanceof KubeError ? error.retryAfterMs : undefined;
  queue.addRateLimited(key, atLeastMs === undefined ? {} : { atLeastMs });
  if (isConflict(error)) {
    logger.debug('the copy was stale; the object comes again', { key });
  } else {
    const stack = error instanceof Error ? error.stack : undefined;
    logger.error('reconcile failed', { key, error: errorText(error), failures: queue.failures(key), stack });
  }
}
