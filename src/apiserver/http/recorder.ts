import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/logger.ts';
import type { Exchange } from './exchange.ts';
import { labelsOf } from './labels.ts';
import { COMPONENT, type HttpMetrics, type RequestLabels } from './metrics.ts';
import type { RequestInfo } from './types.ts';

export interface Outcome {
  /** Undefined: nothing was answered. */
  readonly code: number | undefined;
  /** False: the answer broke off, or nobody took it. */
  readonly isWhole: boolean;
  /** Of the body, where that was known beforehand. */
  readonly bytes: number | undefined;
}

/** Where requests of the same labels are counted; kept, since finding it takes longer than counting. */
interface Series {
  readonly duration: (seconds: number) => void;
  /** Of reads only. */
  readonly size: ((bytes: number) => void) | undefined;
}

export interface RecorderOptions {
  readonly metrics: HttpMetrics;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Keeps the account of requests and watches, in metrics and in the log. It never sees a header or a token. */
export class Recorder {
  readonly #options: RecorderOptions;
  /** By verb, resource, subresource and scope. */
  readonly #series = new Map<string, Series>();

  constructor(options: RecorderOptions) {
    this.#options = options;
  }

  /** One request is over. */
  done(exchange: Exchange, outcome: Outcome): void {
    const ms = this.#options.clock.monotonic() - exchange.started;
    this.#count(exchange, outcome, ms);
    this.#log(exchange, outcome, ms);
  }

  #count({ info, isLongRunning }: Exchange, { code, isWhole, bytes }: Outcome, ms: number): void {
    const { metrics } = this.#options;
    const labels = labelsOf(info);
    // A client that has seen enough of a watch just goes.
    if (!isWhole && !isLongRunning) metrics.aborts.inc({ ...labels });
    if (code === undefined) return;
    metrics.requests.inc({ ...labels, ...COMPONENT, dry_run: '', code: String(code) });
    const { duration, size } = this.#seriesOf(labels);
    duration(ms / 1000);
    if (bytes !== undefined) size?.(bytes);
    if (code === 429 || code === 504) {
      metrics.terminations.inc({ ...labels, ...COMPONENT, code: String(code) });
    }
  }

  #seriesOf(labels: RequestLabels): Series {
    const { verb, resource, subresource, scope } = labels;
    const key = `${verb} ${resource} ${subresource} ${scope}`;
    const known = this.#series.get(key);
    if (known !== undefined) return known;
    const { duration, responseSizes } = this.#options.metrics;
    const isRead = verb === 'GET' || verb === 'LIST';
    const series = {
      duration: duration.counter({ ...labels, ...COMPONENT, dry_run: '' }),
      size: isRead ? responseSizes.counter({ ...labels, ...COMPONENT }) : undefined,
    };
    this.#series.set(key, series);
    return series;
  }

  #log({ info, auditId, user, isProbe }: Exchange, { code, isWhole }: Outcome, ms: number): void {
    const { logger } = this.#options;
    const { verb, path, resource, namespace, name } = info;
    const fields = {
      auditId,
      user: user?.name,
      verb,
      ...(info.isResourceRequest ? { resource, namespace, name } : { path }),
      code,
      ms: Math.round(ms),
      ...(isWhole ? {} : { aborted: true }),
    };
    if (code !== undefined && code >= 500 && !isProbe) logger.warn('a request could not be answered', fields);
    else logger.debug('a request was answered', fields);
  }

  /** Something failed after a watch had begun. */
  failed({ auditId, info }: Exchange, error: unknown): void {
    this.#options.logger.error('a watch failed', { auditId, resource: info.resource, error });
  }

  watching(info: RequestInfo, signal: AbortSignal): void {
    const series = this.#options.metrics.longRunning.labels({ ...labelsOf(info), ...COMPONENT });
    series.inc();
    signal.addEventListener('abort', () => series.dec(), { once: true });
  }

  /** Takes the sizes of events that are sent to a watch. */
  sizesOf(info: RequestInfo): (bytes: number) => void {
    const { group, version, resource } = labelsOf(info);
    return this.#options.metrics.watchEventSizes.counter({ group, version, resource });
  }

  cutOff(info: RequestInfo): void {
    const { group, resource } = labelsOf(info);
    this.#options.metrics.terminatedWatchers.inc({ group, resource });
    this.#options.logger.warn('a watch was cut off: its client does not keep up', { resource });
  }
}
