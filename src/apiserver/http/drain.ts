import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/logger.ts';
import { abortable } from '../../kube/deadline.ts';
import type { Traffic } from './traffic.ts';

/**
 * How far this process is on its way out: it answers everything; it does too, but says that it will not for long; it
 * turns new requests away.
 */
export type Phase = 'serving' | 'leaving' | 'rejecting';

export interface DrainOptions {
  /**
   * How long to go on as before, in milliseconds, while everybody learns that this process ends: at least what it takes
   * to remove it from the EndpointSlices and from the rules of every kube-proxy. Default 15,000.
   */
  readonly delayMs?: number;
}

/** What there is to drain. */
export interface Draining {
  readonly traffic: Traffic;
  readonly clock: Clock;
  readonly logger: Logger;
  enter(phase: Phase): void;
  /** Closes connections on which nothing is outstanding. */
  closeIdle(): void;
  /** Stops listening and breaks what is left. */
  close(): Promise<void>;
}

const DELAY_MS = 15_000;
/** Over what time open watches are ended, so that not all of them come back at once. */
const WATCHES_MS = 10_000;
/** How long requests that are being answered may take after the delay. */
const REQUESTS_MS = 60_000;

/** Between two portions of watches that are ended. */
const STEP_MS = 50;
/** Watches that are ended in a second at least, as kube-apiserver does it. */
const SLOWEST_RATE = 200;

/**
 * Ends a server without a failed request (the order of apiserver/pkg/server/genericapiserver.go): says first that it is
 * not ready and goes on answering for a while; then turns new requests away, ends the watches bit by bit, and waits for
 * the rest. It listens to the last: clients that come too late are told to try again, which a refused connection would
 * not tell them. Never rejects.
 */
export async function drain(draining: Draining, options: DrainOptions = {}): Promise<void> {
  const { traffic, clock, logger } = draining;
  const { delayMs = DELAY_MS } = options;
  draining.enter('leaving');
  logger.info('leaving: not ready any more, but still answering', { delayMs });
  await clock.sleep(delayMs);

  draining.enter('rejecting');
  draining.closeIdle();
  logger.info('ending what is open', { watches: traffic.sinks.size, requests: traffic.exchanges.size });
  const time = new AbortController();
  const cancel = clock.after(REQUESTS_MS, () => time.abort());
  await endWatches(draining, time.signal);
  await abortable(traffic.idle(), time.signal).catch(() => undefined);
  cancel();
  if (traffic.exchanges.size > 0) logger.warn('breaking off', { requests: traffic.exchanges.size });
  await draining.close();
}

async function endWatches({ traffic, clock }: Draining, signal: AbortSignal): Promise<void> {
  const perSecond = Math.max(SLOWEST_RATE, traffic.sinks.size / (WATCHES_MS / 1000));
  const portion = Math.ceil((perSecond * STEP_MS) / 1000);
  while (traffic.sinks.size > 0 && !signal.aborted) {
    for (const sink of [...traffic.sinks].slice(0, portion)) sink.end();
    if (traffic.sinks.size > 0) await clock.sleep(STEP_MS, signal).catch(() => undefined);
  }
}
