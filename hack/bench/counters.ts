import { growth, sum, type Series } from './prometheus.ts';

const KUBE = 'rest_client_requests_total';
const CODER = 'coder_operator_coder_requests_total';
const READS = ['get', 'list', 'watch'];

/** Requests of the operator to Kubernetes that may change something, the Lease aside: `update coderworkspaces/status`. */
export function kubeWrites(before: readonly Series[], after: readonly Series[]): ReadonlyMap<string, number> {
  const all = growth(before, after, KUBE, ({ verb = '', resource = '' }) => `${verb} ${resource}`);
  return new Map(
    [...all].filter(([key]) => !READS.some((verb) => key.startsWith(`${verb} `)) && !key.endsWith(' leases')),
  );
}

/** Requests to Coder by method and route. */
export function coderRequests(
  before: readonly Series[],
  after: readonly Series[],
): ReadonlyMap<string, number> {
  return growth(before, after, CODER, ({ method = '', route = '' }) => `${method} ${route}`);
}

export function coderWrites(
  before: readonly Series[],
  after: readonly Series[],
): ReadonlyMap<string, number> {
  return new Map([...coderRequests(before, after)].filter(([key]) => !key.startsWith('GET ')));
}

/** Writes of anybody to our kinds and to events, as the API server counts them. */
export function servedWrites(series: readonly Series[]): number {
  return sum(
    series,
    'apiserver_request_total',
    ({ verb = '', group, resource }) =>
      ['POST', 'PUT', 'PATCH', 'DELETE', 'APPLY'].includes(verb) &&
      (group === 'coder.com' || resource === 'events'),
  );
}

/** Objects of ours whose status was written, and that were made. */
export function written(series: readonly Series[], resource: string): { made: number; statuses: number } {
  const of = (verb: string, name: string): number =>
    sum(series, KUBE, (l) => l['verb'] === verb && l['resource'] === name && /^2/.test(l['code'] ?? ''));
  return { made: of('create', resource), statuses: of('update', `${resource}/status`) };
}

/** Objects that were gone through. */
export function passes(series: readonly Series[]): number {
  return sum(series, 'controller_runtime_reconcile_total');
}

/**
 * Moves whenever the operator does something other than to wait: passes, writes, and reads of workspaces. The looks at
 * the jobs of Coder, which never end, do not count.
 */
export function activity(series: readonly Series[]): number {
  return (
    passes(series) +
    sum(series, KUBE, ({ verb = '', resource }) => !READS.includes(verb) && resource !== 'leases') +
    sum(series, CODER, ({ route }) => route === '/workspaces')
  );
}

/** Whether the operator leads, has looked at Coder and has nothing more to do. */
export function isIdle(series: readonly Series[]): boolean {
  return (
    sum(series, 'leader_election_master_status') === 1 &&
    sum(series, 'workqueue_depth') === 0 &&
    sum(series, CODER, ({ route, code }) => route === '/workspaces' && code === '200') > 0
  );
}

/** How often the templates of Coder were listed: once or twice at the end of each look at everything, else hardly ever. */
export function templateLists(series: readonly Series[]): number {
  return sum(series, CODER, ({ route, code }) => route === '/templates' && code === '200');
}

/** Of all that was counted. */
export function total(counts: ReadonlyMap<string, number>): number {
  return [...counts.values()].reduce((all, n) => all + n, 0);
}

/** The same in words, the largest first; nothing where there is nothing. */
export function noteOf(counts: ReadonlyMap<string, number>): { readonly note?: string } {
  if (counts.size === 0) return {};
  const sorted = [...counts].sort(([, a], [, b]) => b - a);
  return { note: sorted.map(([key, n]) => `${key} ${n}`).join(', ') };
}
