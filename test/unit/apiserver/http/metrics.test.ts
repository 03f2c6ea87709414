import { expect } from 'chai';
import { Histogram, Registry } from 'prom-client';
import { createAuthMetrics } from '../../../../src/apiserver/http/authmetrics.ts';
import { createHttpMetrics } from '../../../../src/apiserver/http/metrics.ts';
import { QuickHistogram } from '../../../../src/apiserver/http/quickhistogram.ts';
import { createReadingMetrics } from '../../../../src/apiserver/reading/metrics.ts';
import { createMetrics } from '../../../../src/telemetry/metrics.ts';

describe('QuickHistogram', () => {
  it('shows what the library’s own histogram shows', async () => {
    const [quick, own] = [new Registry(), new Registry()];
    const configuration = { name: 'sizes', help: 'Sizes.', buckets: [1, 10, 100] };
    const labelNames: ('a' | 'b')[] = ['a', 'b'];
    const histogram = new QuickHistogram({ ...configuration, labelNames, registers: [quick] });
    const reference = new Histogram({ ...configuration, labelNames, registers: [own] });
    for (const labels of [
      { a: 'x', b: 'y' },
      { a: 'x', b: 'z' },
    ]) {
      const count = histogram.counter(labels);
      for (const value of [0, 1, 1.5, 10, 99, 100, 101, 1e9]) {
        count(value);
        reference.observe(labels, value);
      }
      histogram.counter({ ...labels })(5);
      reference.observe(labels, 5);
    }
    expect(await quick.metrics()).to.equal(await own.metrics());
  });

  it('begins anew when it is reset', async () => {
    const registry = new Registry();
    const histogram = new QuickHistogram({
      name: 'x',
      help: 'X.',
      labelNames: ['a'],
      buckets: [1],
      registers: [registry],
    });
    const count = histogram.counter({ a: 'b' });
    count(7);
    registry.resetMetrics();
    count(1);
    expect(await registry.metrics()).to.contain('x_sum{a="b"} 1\nx_count{a="b"} 1\n');
  });

  it('shows nothing before anything was counted', async () => {
    const registry = new Registry();
    new QuickHistogram({
      name: 'sizes',
      help: 'Sizes.',
      labelNames: [],
      buckets: [1],
      registers: [registry],
    });
    expect(await registry.metrics()).to.equal('# HELP sizes Sizes.\n# TYPE sizes histogram\n');
  });
});

describe('the series of the endpoint', () => {
  it('have the names that dashboards of Kubernetes know, and fit into one registry', async () => {
    const { registry } = createMetrics();
    createHttpMetrics(registry);
    createReadingMetrics(registry);
    createAuthMetrics(registry);
    const text = await registry.metrics();
    for (const name of [
      'apiserver_request_total counter',
      'apiserver_request_duration_seconds histogram',
      'apiserver_response_sizes histogram',
      'apiserver_current_inflight_requests gauge',
      'apiserver_longrunning_requests gauge',
      'apiserver_watch_events_total counter',
      'apiserver_watch_events_sizes histogram',
      'apiserver_watch_list_duration_seconds histogram',
      'apiserver_terminated_watchers_total counter',
      'apiserver_request_terminations_total counter',
      'apiserver_request_aborts_total counter',
      'apiserver_tls_handshake_errors_total counter',
      'apiserver_client_certificate_expiration_seconds histogram',
      'apiserver_delegated_authn_request_total counter',
      'apiserver_delegated_authn_request_duration_seconds histogram',
      'apiserver_delegated_authz_request_total counter',
      'apiserver_delegated_authz_request_duration_seconds histogram',
    ]) {
      expect(text).to.contain(`# TYPE ${name}\n`);
    }
  });

  it('count what authentication and authorization report', async () => {
    const registry = new Registry();
    const metrics = createAuthMetrics(registry);
    metrics.authenticated('success', 0.01);
    metrics.authorized('denied', 0.02);
    metrics.tokenReviewed('201', 0.3);
    metrics.accessReviewed('<error>', 0.4);
    metrics.clientCertificateExpires(7200);
    const text = await registry.metrics();
    for (const line of [
      'authentication_attempts{result="success"} 1',
      'authentication_duration_seconds_sum{result="success"} 0.01',
      'authorization_attempts_total{result="denied"} 1',
      'authorization_duration_seconds_sum{result="denied"} 0.02',
      'apiserver_delegated_authn_request_total{code="201"} 1',
      'apiserver_delegated_authn_request_duration_seconds_bucket{le="0.5",code="201"} 1',
      'apiserver_delegated_authz_request_total{code="<error>"} 1',
      'apiserver_delegated_authz_request_duration_seconds_sum{code="<error>"} 0.4',
      'apiserver_client_certificate_expiration_seconds_bucket{le="7200"} 1',
      'apiserver_client_certificate_expiration_seconds_bucket{le="3600"} 0',
    ]) {
      expect(text).to.contain(`${line}\n`);
    }
  });
});
