import { parseArgs } from 'node:util';
import { parseDuration } from '../api/effective.ts';
import { OperatorError } from '../base/errors.ts';
import { logLevels, type LogLevel } from '../telemetry/logger.ts';

/** A command line that cannot be used; the message says which flag and why. */
export class UsageError extends OperatorError {
  constructor(message: string) {
    super('USAGE', message);
  }
}

/** One flag, for the parser and for the help. */
export interface Flag {
  readonly type: 'string' | 'boolean';
  readonly value?: string;
  /** What it is when left out. */
  readonly default?: string;
  readonly multiple?: boolean;
  readonly help: string;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** How to reach the API server, for every command that does. */
export const CLUSTER_FLAGS = {
  kubeconfig: {
    type: 'string',
    value: 'FILE',
    help: 'how to reach the API server; left out, $KUBECONFIG or the service account of the pod',
  },
  'service-account-dir': {
    type: 'string',
    value: 'DIR',
    default: '/var/run/secrets/kubernetes.io/serviceaccount',
    help: 'in a pod: the folder with token and ca.crt',
  },
} as const satisfies Readonly<Record<string, Flag>>;

export const LOG_FLAGS = {
  'log-level': { type: 'string', value: 'LEVEL', default: 'info', help: `one of ${logLevels.join(', ')}` },
  'log-format': { type: 'string', value: 'FORMAT', default: 'json', help: 'json or text' },
} as const satisfies Readonly<Record<string, Flag>>;

export const HELP_FLAG = { help: { type: 'boolean', help: 'show this' } } as const;

/** A line of help for each flag. */
export function rowsOf(flags: Readonly<Record<string, Flag>>): readonly string[] {
  return Object.entries(flags).map(([name, flag]) => {
    const left = `  --${name}${flag.value === undefined ? '' : ` ${flag.value}`}`;
    return `${left.padEnd(32)}${flag.help}${flag.default === undefined ? '' : ` (${flag.default})`}`;
  });
}

/** @throws UsageError */
// The type follows from the flags; writing it out would repeat the table.
// eslint-disable-next-line @typescript-eslint/explicit-module-boundary-types
export function parse<Flags extends Readonly<Record<string, Flag>>>(args: readonly string[], flags: Flags) {
  try {
    return parseArgs({ args: [...args], options: flags, allowPositionals: false }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

/**
 * With this variable Node would check nobody's certificate, and every token could be read on its way.
 *
 * @throws UsageError
 */
export function refuseUncheckedTls(env: Environment): void {
  if (env['NODE_TLS_REJECT_UNAUTHORIZED'] !== '0') return;
  throw new UsageError(
    'NODE_TLS_REJECT_UNAUTHORIZED=0 turns off the check of all certificates: unset it. To trust another authority, name its file in NODE_EXTRA_CA_CERTS, or for Coder put it into the key ca.crt',
  );
}

export interface ClusterConfig {
  readonly kubeconfig: string | undefined;
  /** What a pod has when no kubeconfig is given; undefined outside of one. */
  readonly serviceAccount:
    { readonly host: string; readonly port: string; readonly folder: string } | undefined;
}

/** The kubelet tells each container by two variables where the API server is. */
export function clusterOf(
  values: { readonly kubeconfig?: string | undefined; readonly 'service-account-dir': string },
  env: Environment,
): ClusterConfig {
  const [host = '', port = ''] = [env['KUBERNETES_SERVICE_HOST'], env['KUBERNETES_SERVICE_PORT']];
  const folder = values['service-account-dir'];
  return {
    // An empty variable is one that is not set, as for kubectl.
    kubeconfig: values.kubeconfig ?? (env['KUBECONFIG'] === '' ? undefined : env['KUBECONFIG']),
    serviceAccount: host === '' ? undefined : { host, port: port === '' ? '443' : port, folder },
  };
}

export interface LogConfig {
  readonly logLevel: LogLevel;
  readonly logFormat: 'json' | 'text';
}

/** @throws UsageError */
export function logOf(values: { readonly 'log-level': string; readonly 'log-format': string }): LogConfig {
  const { 'log-level': level, 'log-format': logFormat } = values;
  const logLevel = logLevels.find((l) => l === level);
  if (logLevel === undefined) {
    throw new UsageError(`--log-level ${level}: must be one of ${logLevels.join(', ')}`);
  }
  if (logFormat !== 'json' && logFormat !== 'text') {
    throw new UsageError(`--log-format ${logFormat}: must be json or text`);
  }
  return { logLevel, logFormat };
}

/** Milliseconds. @throws UsageError */
export function durationOf(name: string, given: string, least: number): number {
  const ms = parseDuration(given);
  if (ms === undefined || ms < least) {
    throw new UsageError(
      `--${name} ${given}: must be a duration such as 30s or 1m, and at least ${least} ms`,
    );
  }
  return ms;
}

/** @throws UsageError */
export function wholeOf(name: string, given: string, least: number, most: number): number {
  const number = /^\d+$/.test(given) ? Number(given) : NaN;
  if (!(number >= least && number <= most)) {
    throw new UsageError(`--${name} ${given}: must be a whole number from ${least} to ${most}`);
  }
  return number;
}

/** @throws UsageError */
export function listenOf(text: string): { readonly host: string; readonly port: number } {
  const at = text.lastIndexOf(':');
  const host = text.slice(0, at).replace(/^\[|\]$/g, '');
  const port = Number(text.slice(at + 1));
  if (at < 1 || text.endsWith(':') || !Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new UsageError(`--listen ${text}: must be HOST:PORT, such as 127.0.0.1:8080`);
  }
  return { host, port };
}
