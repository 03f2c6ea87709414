import type { ReadinessCheck } from '../../telemetry/health.ts';
import { textBody } from './body.ts';
import type { WholeAnswer } from './types.ts';

export interface HealthOptions {
  /** What must hold for this process to be sent requests. */
  readonly checks: readonly ReadinessCheck[];
  /** True from the moment on at which this process begins to end. */
  readonly isLeaving: () => boolean;
}

/** Says that the event loop turns, by being answered. */
const PING: ReadinessCheck = { name: 'ping', isReady: () => true };

/**
 * `/livez`, `/readyz` and `/healthz`, as a whole or one check of them, in the words of kube-apiserver
 * (apiserver/pkg/server/healthz). Who asks is not asked: kubelet has no credentials. Whether this process lives depends
 * on nobody else, or an outage of the API server would restart it for nothing.
 */
export class Health {
  readonly #checks: ReadonlyMap<string, readonly ReadinessCheck[]>;

  constructor({ checks, isLeaving }: HealthOptions) {
    const shutdown: ReadinessCheck = { name: 'shutdown', isReady: () => !isLeaving() };
    this.#checks = new Map([
      ['livez', [PING]],
      ['healthz', [PING]],
      ['readyz', [PING, ...checks, shutdown]],
    ]);
  }

  /** Undefined for every other path. */
  answer(path: string, query: URLSearchParams): WholeAnswer | undefined {
    const [, endpoint = '', name, ...more] = path.split('/');
    const checks = this.#checks.get(endpoint);
    if (checks === undefined || more.length > 0) return undefined;
    if (name === undefined || name === '') return allOf(endpoint, checks, query);
    const check = checks.find((one) => one.name === name);
    if (check === undefined) return undefined;
    return holds(check) ? text(200, 'ok') : text(500, `${failed(check)}\n`);
  }
}

function allOf(endpoint: string, checks: readonly ReadinessCheck[], query: URLSearchParams): WholeAnswer {
  const excluded = new Set(query.getAll('exclude'));
  const lines: string[] = [];
  let isHealthy = true;
  for (const check of checks) {
    if (excluded.delete(check.name)) {
      lines.push(`[+]${check.name} excluded: ok`);
    } else if (holds(check)) {
      lines.push(`[+]${check.name} ok`);
    } else {
      lines.push(failed(check));
      isHealthy = false;
    }
  }
  if (excluded.size > 0) {
    const names = [...excluded].sort().map((name) => JSON.stringify(name));
    lines.push(`warn: some health checks cannot be excluded: no matches for ${names.join(',')}`);
  }
  if (!isHealthy) return text(500, [...lines, `${endpoint} check failed`, ''].join('\n'));
  if (!query.has('verbose')) return text(200, 'ok');
  return text(200, [...lines, `${endpoint} check passed`, ''].join('\n'));
}

/** Anybody may read this: why is for the log. */
function failed({ name }: ReadinessCheck): string {
  return `[-]${name} failed: reason withheld`;
}

function holds(check: ReadinessCheck): boolean {
  try {
    return check.isReady();
  } catch {
    return false;
  }
}

function text(code: number, content: string): WholeAnswer {
  return {
    code,
    contentType: 'text/plain; charset=utf-8',
    headers: { 'x-content-type-options': 'nosniff' },
    body: textBody(content),
  };
}
