import { Counter, Gauge, type Registry } from 'prom-client';
import { QuickHistogram } from './quickhistogram.ts';

/** What a request is counted under. Every value comes from a short list: nobody outside may invent one. */
export interface RequestLabels {
  readonly verb: string;
  readonly group: string;
  readonly version: string;
  readonly resource: string;
  readonly subresource: string;
  readonly scope: string;
}

type RequestLabel = keyof RequestLabels;

/** The series of requests, under the names and with the buckets of kube-apiserver (apiserver/pkg/endpoints/metrics). */
export interface HttpMetrics {
  readonly registry: Registry;
  readonly requests: Counter<RequestLabel | 'dry_run' | 'component' | 'code'>;
  readonly duration: QuickHistogram<RequestLabel | 'dry_run' | 'component'>;
  readonly responseSizes: QuickHistogram<RequestLabel | 'component'>;
  readonly inFlight: Gauge<'request_kind'>;
  readonly longRunning: Gauge<RequestLabel | 'component'>;
  readonly terminations: Counter<RequestLabel | 'component' | 'code'>;
  readonly aborts: Counter<RequestLabel>;
  readonly tlsHandshakeErrors: Counter;
  readonly watchEventSizes: QuickHistogram<'group' | 'version' | 'resource'>;
  readonly terminatedWatchers: Counter<'group' | 'resource'>;
  readonly connectionsRefused: Counter;
  readonly certificateExpires: Gauge;
}

export const COMPONENT = { component: 'apiserver' } as const;

const REQUEST_LABELS = ['verb', 'group', 'version', 'resource', 'subresource', 'scope'] as const;

const DURATION_BUCKETS = [
  0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60,
];

export function createHttpMetrics(registry: Registry): HttpMetrics {
  const registers = [registry];
  return {
    registry,
    requests: new Counter({
      name: 'apiserver_request_total',
      help: 'Requests by verb, resource, scope and code of the answer.',
      labelNames: [...REQUEST_LABELS, 'dry_run', 'component', 'code'],
      registers,
    }),
    duration: new QuickHistogram({
      name: 'apiserver_request_duration_seconds',
      help: 'How long requests took until their answer was written.',
      labelNames: [...REQUEST_LABELS, 'dry_run', 'component'],
      buckets: DURATION_BUCKETS,
      registers,
    }),
    responseSizes: new QuickHistogram({
      name: 'apiserver_response_sizes',
      help: 'Bytes of the answers to reads, as they were written.',
      labelNames: [...REQUEST_LABELS, 'component'],
      buckets: [1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9],
      registers,
    }),
    inFlight: new Gauge({
      name: 'apiserver_current_inflight_requests',
      help: 'Requests that are being answered, watches left out.',
      labelNames: ['request_kind'],
      registers,
    }),
    longRunning: new Gauge({
      name: 'apiserver_longrunning_requests',
      help: 'Watches that are open.',
      labelNames: [...REQUEST_LABELS, 'component'],
      registers,
    }),
    terminations: new Counter({
      name: 'apiserver_request_terminations_total',
      help: 'Requests that were ended in self-defence.',
      labelNames: [...REQUEST_LABELS, 'component', 'code'],
      registers,
    }),
    aborts: new Counter({
      name: 'apiserver_request_aborts_total',
      help: 'Requests whose answer did not go out as a whole.',
      labelNames: REQUEST_LABELS,
      registers,
    }),
    tlsHandshakeErrors: new Counter({
      name: 'apiserver_tls_handshake_errors_total',
      help: 'Connections that came to nothing before their first request.',
      registers,
    }),
    watchEventSizes: new QuickHistogram({
      name: 'apiserver_watch_events_sizes',
      help: 'Bytes of the events that were sent to watches.',
      labelNames: ['group', 'version', 'resource'],
      buckets: [1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072],
      registers,
    }),
    terminatedWatchers: new Counter({
      name: 'apiserver_terminated_watchers_total',
      help: 'Watches that were cut off because their client did not keep up.',
      labelNames: ['group', 'resource'],
      registers,
    }),
    connectionsRefused: new Counter({
      name: 'coder_operator_refused_connections_total',
      help: 'Connections beyond the limit.',
      registers,
    }),
    certificateExpires: new Gauge({
      name: 'coder_operator_serving_certificate_expiration_timestamp_seconds',
      help: 'When the certificate that is being served ends, in seconds since the epoch.',
      registers,
    }),
  };
}
