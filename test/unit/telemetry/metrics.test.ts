import { expect } from 'chai';
import { createMetrics } from '../../../src/telemetry/metrics.ts';

/** People build dashboards and alerts on these: a name is never changed. */
const OWN = [
  'rest_client_requests_total',
  'coder_operator_coder_requests_total',
  'coder_operator_coder_request_duration_seconds',
  'controller_runtime_reconcile_total',
  'controller_runtime_reconcile_time_seconds',
  'workqueue_depth',
  'workqueue_adds_total',
  'workqueue_retries_total',
  'workqueue_queue_duration_seconds',
  'workqueue_work_duration_seconds',
  'leader_election_master_status',
];

describe('createMetrics', () => {
  it('has the series that the documentation names', async () => {
    const { registry } = createMetrics();
    const names = (await registry.getMetricsAsJSON()).map((m) => m.name);
    expect(names).to.include.members(OWN);
    expect(names).to.include('process_cpu_seconds_total').and.to.include('nodejs_eventloop_lag_seconds');
  });

  it('keeps the registries of two processes apart', async () => {
    const [first, second] = [createMetrics(), createMetrics()];
    first.coderRequests.inc({ method: 'GET', route: '/workspaces/{id}', code: '200' });
    expect(await first.registry.metrics()).to.contain(
      'coder_operator_coder_requests_total{method="GET",route="/workspaces/{id}",code="200"} 1',
    );
    expect(await second.registry.metrics()).to.not.contain('route="/workspaces/{id}"');
  });
});
