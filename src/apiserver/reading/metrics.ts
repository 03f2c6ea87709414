import { Counter, Histogram, type Registry } from 'prom-client';

/** What reading counts, under the names that dashboards for Kubernetes know where there is one. */
export interface ReadingMetrics {
  readonly watchEvents: Counter<'group' | 'version' | 'resource'>;
  readonly watchListDuration: Histogram<'group' | 'version' | 'resource'>;
  readonly liveReads: Counter<'resource' | 'result'>;
}

export function createReadingMetrics(registry: Registry): ReadingMetrics {
  const registers = [registry];
  return {
    watchEvents: new Counter({
      name: 'apiserver_watch_events_total',
      help: 'Events sent to watches.',
      labelNames: ['group', 'version', 'resource'],
      registers,
    }),
    watchListDuration: new Histogram({
      name: 'apiserver_watch_list_duration_seconds',
      help: 'How long it took to send all that was there to a watch that asked for it.',
      labelNames: ['group', 'version', 'resource'],
      buckets: [0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 2, 4, 6, 8, 10, 15, 20, 30, 45, 60],
      registers,
    }),
    liveReads: new Counter({
      name: 'coder_operator_live_reads_total',
      help: 'Looks at the API server for objects that are not in memory, by what came of them.',
      labelNames: ['resource', 'result'],
      registers,
    }),
  };
}
