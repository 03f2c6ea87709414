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

/** How `coder-operator apiserver` was called. Times in milliseconds. */
export interface ApiServerConfig extends ClusterConfig, LogConfig {
  readonly listen: { readonly host: string; readonly port: number };
  /** Folder with `tls.crt` and `tls.key`. */
  readonly certDir: string;
  readonly drainDelayMs: number;
  readonly maxRequests: number;
}

/** Every flag of the endpoint, once: for the parser and for the help. */
const FLAGS = {
  ...CLUSTER_FLAGS,
  listen: {
    type: 'string',
    value: 'HOST:PORT',
    default: '0.0.0.0:6443',
    help: 'where all is served, with TLS: the API, /livez, /readyz and /metrics; port 0 takes a free one',
  },
  'cert-dir': {
    type: 'string',
    value: 'DIR',
    default: '/var/run/coder-operator/tls',
    help: 'the folder with tls.crt and tls.key; read again when they change',
  },
  'drain-delay': {
    type: 'string',
    value: 'DURATION',
    default: '15s',
    help: 'after SIGTERM: how long it goes on to serve until nobody sends it new requests',
  },
  'max-requests': {
    type: 'string',
    value: 'N',
    default: '400',
    help: 'requests at the same time, watches aside; more are asked to come again',
  },
  ...LOG_FLAGS,
  ...HELP_FLAG,
} as const satisfies Readonly<Record<string, Flag>>;

/** The flags as `--help` shows them. */
export function apiServerHelp(): string {
  return [
    'Usage: coder-operator apiserver [flags]',
    '',
    'Serves coderworkspaces and codertemplates of aggregation.coder.com for reading, through the aggregation layer of the',
    'API server. It holds no state; run as many replicas as you like.',
    '',
    ...rowsOf(FLAGS),
    '',
  ].join('\n');
}

/**
 * The configuration from the words after `apiserver`, or 'help'.
 *
 * @throws UsageError
 */
export function parseApiServerConfig(args: readonly string[], env: Environment): ApiServerConfig | 'help' {
  const values = parse(args, FLAGS);
  if (values.help === true) return 'help';
  return {
    ...clusterOf(values, env),
    ...logOf(values),
    listen: listenOf(values.listen),
    certDir: values['cert-dir'],
    drainDelayMs: durationOf('drain-delay', values['drain-delay'], 0),
    maxRequests: wholeOf('max-requests', values['max-requests'], 1, 100_000),
  };
}
