import { hostname } from 'node:os';
import {
  CLUSTER_FLAGS,
  clusterOf,
  durationOf,
  HELP_FLAG,
  listenOf,
  LOG_FLAGS,
  logOf,
  parse,
  rowsOf,
  wholeOf,
  type ClusterConfig,
  type Environment,
  type Flag,
  type LogConfig,
} from './flags.ts';

/** How `coder-operator controller` was called. Times in milliseconds. */
export interface ControllerConfig extends ClusterConfig, LogConfig {
  readonly namespace: string;
  readonly identity: string;
  readonly listen: { readonly host: string; readonly port: number };
  readonly workers: number;
  readonly retryBaseMs: number;
  readonly requestTimeoutMs: number;
  readonly leaseDurationMs: number;
  readonly driftCooldownMs: number;
  readonly driftBudget: number;
  readonly deletionBudget: number;
  readonly httpHosts: readonly string[];
  readonly allowLoopback: boolean;
}

/** Every flag of the controller, once: for the parser and for the help. */
const FLAGS = {
  ...CLUSTER_FLAGS,
  namespace: { type: 'string', value: 'NAME', default: 'coder-operator', help: 'where the Lease is kept' },
  listen: {
    type: 'string',
    value: 'HOST:PORT',
    default: '0.0.0.0:8080',
    help: 'where /livez, /readyz and /metrics are served; port 0 takes a free one',
  },
  workers: { type: 'string', value: 'N', default: '10', help: 'objects that are worked on at the same time' },
  'retry-base': {
    type: 'string',
    value: 'DURATION',
    default: '1m',
    help: 'wait before a failed build is tried again; doubles with each failure',
  },
  'request-timeout': {
    type: 'string',
    value: 'DURATION',
    default: '30s',
    help: 'for one call to Coder',
  },
  'lease-duration': {
    type: 'string',
    value: 'DURATION',
    default: '15s',
    help: 'after so long without a sign of life another replica takes over; whole seconds, at least 3s',
  },
  'drift-cooldown': {
    type: 'string',
    value: 'DURATION',
    default: '5m',
    help: 'wait before what somebody changed in Coder is set right again',
  },
  'drift-budget': {
    type: 'string',
    value: 'N',
    default: '3',
    help: 'how often an hour that is done for one object',
  },
  'deletion-budget': {
    type: 'string',
    value: 'N',
    default: '20',
    help: 'more deletions of workspaces in ten minutes than this, in one control plane, are held',
  },
  'http-host': {
    type: 'string',
    value: 'HOST',
    multiple: true,
    help: 'a host that may be reached by plain http, besides Services of the cluster; may be repeated',
  },
  'allow-loopback': {
    type: 'boolean',
    help: 'let Coder be on this very machine; for trying things out',
  },
  ...LOG_FLAGS,
  ...HELP_FLAG,
} as const satisfies Readonly<Record<string, Flag>>;

/** The flags as `--help` shows them. */
export function controllerHelp(): string {
  return [
    'Usage: coder-operator controller [flags]',
    '',
    'Drives Coder from Kubernetes objects.',
    '',
    ...rowsOf(FLAGS),
    '',
  ].join('\n');
}

/**
 * The configuration from the words after `controller`, or 'help'.
 *
 * @throws UsageError
 */
export function parseControllerConfig(args: readonly string[], env: Environment): ControllerConfig | 'help' {
  const values = parse(args, FLAGS);
  if (values.help === true) return 'help';
  const duration = (
    name: 'retry-base' | 'request-timeout' | 'lease-duration' | 'drift-cooldown',
    least: number,
  ): number => durationOf(name, values[name], least);
  const whole = (name: 'workers' | 'drift-budget' | 'deletion-budget', least: number, most: number): number =>
    wholeOf(name, values[name], least, most);
  return {
    ...clusterOf(values, env),
    ...logOf(values),
    namespace: values.namespace,
    identity: `${env['POD_NAME'] ?? hostname()}-${crypto.randomUUID()}`,
    listen: listenOf(values.listen),
    workers: whole('workers', 1, 1000),
    retryBaseMs: duration('retry-base', 1),
    requestTimeoutMs: duration('request-timeout', 100),
    leaseDurationMs: wholeSeconds(duration('lease-duration', 3_000)),
    driftCooldownMs: duration('drift-cooldown', 0),
    driftBudget: whole('drift-budget', 0, 32),
    deletionBudget: whole('deletion-budget', 0, 100_000),
    httpHosts: values['http-host'] ?? [],
    allowLoopback: values['allow-loopback'] ?? false,
  };
}

/** A Lease counts in seconds. */
function wholeSeconds(ms: number): number {
  return Math.ceil(ms / 1000) * 1000;
}
