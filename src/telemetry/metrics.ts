import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

/** Everything this program counts, in one registry; nothing here names a user, a workspace or a URL. */
export interface Metrics extends KubeMetrics {
  readonly registry: Registry;
  readonly coderRequests: Counter<'method' | 'route' | 'code'>;
  readonly coderDuration: Histogram<'method' | 'route'>;
  readonly reconciles: Counter<'result'>;
  readonly reconcileDuration: Histogram;
  readonly queueDepth: Gauge;
  readonly queueAdds: Counter;
  readonly queueRetries: Counter;
  readonly queueLatency: Histogram;
  readonly queueWork: Histogram;
  readonly versionsLeft: Counter;
  readonly leading: Gauge;
}

/** What every command counts that talks to the API server. */
export interface KubeMetrics {
  readonly kubeRequests: Counter<'verb' | 'resource' | 'code'>;
}

export function createKubeMetrics(registry: Registry): KubeMetrics {
  return {
    kubeRequests: new Counter({
      name: 'rest_client_requests_total',
      help: 'Requests to the Kubernetes API server.',
      labelNames: ['verb', 'resource', 'code'],
      registers: [registry],
    }),
  };
}

const QUICK = [0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** Names follow controller-runtime and client-go where they have one, so that common dashboards work. */
export function createMetrics(): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  return {
    registry,
    ...createKubeMetrics(registry),
    coderRequests: new Counter({
      name: 'coder_operator_coder_requests_total',
      help: 'Requests to Coder, by route and HTTP status or kind of failure.',
      labelNames: ['method', 'route', 'code'],
      registers,
    }),
    coderDuration: new Histogram({
      name: 'coder_operator_coder_request_duration_seconds',
      help: 'How long Coder took to answer.',
      labelNames: ['method', 'route'],
      buckets: QUICK,
      registers,
    }),
    reconciles: new Counter({
      name: 'controller_runtime_reconcile_total',
      help: 'Passes over an object, by result.',
      labelNames: ['result'],
      registers,
    }),
    reconcileDuration: new Histogram({
      name: 'controller_runtime_reconcile_time_seconds',
      help: 'How long a pass took.',
      buckets: QUICK,
      registers,
    }),
    queueDepth: new Gauge({ name: 'workqueue_depth', help: 'Keys that wait for a worker.', registers }),
    queueAdds: new Counter({ name: 'workqueue_adds_total', help: 'Keys that were added.', registers }),
    queueRetries: new Counter({
      name: 'workqueue_retries_total',
      help: 'Keys that were added again with a delay that grows.',
      registers,
    }),
    queueLatency: new Histogram({
      name: 'workqueue_queue_duration_seconds',
      help: 'How long keys waited for a worker.',
      buckets: QUICK,
      registers,
    }),
    queueWork: new Histogram({
      name: 'workqueue_work_duration_seconds',
      help: 'How long workers held a key.',
      buckets: QUICK,
      registers,
    }),
    versionsLeft: new Counter({
      name: 'coder_operator_versions_left_total',
      help: 'First versions of templates that were made anew, while the one before may be left in Coder without a template.',
      registers,
    }),
    leading: new Gauge({
      name: 'leader_election_master_status',
      help: '1 while this process holds the lease.',
      registers,
    }),
  };
}
