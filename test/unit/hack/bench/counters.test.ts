import { expect } from 'chai';
import * as counters from '../../../../hack/bench/counters.ts';
import { parseSeries, type Series } from '../../../../hack/bench/prometheus.ts';

describe('what the bench counts', () => {
  const kube = (verb: string, resource: string, n: number, code = '200'): string =>
    `rest_client_requests_total{verb="${verb}",resource="${resource}",code="${code}"} ${n}`;
  const coder = (method: string, route: string, n: number, code = '200'): string =>
    `coder_operator_coder_requests_total{method="${method}",route="${route}",code="${code}"} ${n}`;
  const series = (...lines: readonly string[]): readonly Series[] => parseSeries(lines.join('\n'));

  it('takes neither reads nor the Lease for a write to Kubernetes', () => {
    const after = series(
      kube('get', 'secrets', 9),
      kube('list', 'coderworkspaces', 9),
      kube('watch', 'coderworkspaces', 9),
      kube('update', 'leases', 9),
      kube('update', 'coderworkspaces/status', 2),
      kube('update', 'coderworkspaces/status', 1, '409'),
      kube('create', 'events', 4),
    );
    expect([...counters.kubeWrites([], after)]).to.deep.equal([
      ['update coderworkspaces/status', 3],
      ['create events', 4],
    ]);
  });

  it('takes every method but GET for a write to Coder', () => {
    const after = series(coder('GET', '/templates', 2), coder('POST', '/workspaces/{id}/builds', 1));
    expect([...counters.coderWrites([], after)]).to.deep.equal([['POST /workspaces/{id}/builds', 1]]);
    expect(counters.coderRequests([], after).size).to.equal(2);
  });

  it('counts as written only what the API server has taken', () => {
    const after = series(
      kube('create', 'coderworkspaces', 5, '201'),
      kube('create', 'coderworkspaces', 1, '409'),
      kube('update', 'coderworkspaces/status', 4),
      kube('update', 'codertemplates/status', 7),
    );
    expect(counters.written(after, 'coderworkspaces')).to.deep.equal({ made: 5, statuses: 4 });
  });

  it('counts the writes of everybody to our kinds and to events', () => {
    const served = (verb: string, group: string, resource: string): string =>
      `apiserver_request_total{verb="${verb}",group="${group}",resource="${resource}",code="200"} 1`;
    const all = series(
      served('PUT', 'coder.com', 'coderworkspaces'),
      served('POST', '', 'events'),
      served('LIST', 'coder.com', 'coderworkspaces'),
      served('PUT', 'coordination.k8s.io', 'leases'),
    );
    expect(counters.servedWrites(all)).to.equal(2);
  });

  it('does not take the looks at jobs for activity', () => {
    const before = series(coder('GET', '/organizations/{organization}/provisionerjobs', 1));
    const after = series(coder('GET', '/organizations/{organization}/provisionerjobs', 5));
    expect(counters.activity(after)).to.equal(counters.activity(before));
    expect(counters.activity(series(coder('GET', '/workspaces', 1)))).to.equal(1);
  });

  it('is idle only as leader, after a look at everything and with an empty queue', () => {
    const idle = ['leader_election_master_status 1', 'workqueue_depth 0', coder('GET', '/workspaces', 1)];
    expect(counters.isIdle(series(...idle))).to.equal(true);
    for (const missing of idle) {
      const others = idle.filter((line) => line !== missing);
      const worse = missing.startsWith('workqueue') ? ['workqueue_depth 3'] : [];
      expect(counters.isIdle(series(...others, ...worse)), missing).to.equal(false);
    }
  });
});
