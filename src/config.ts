import { hostname } from 'node:os';
import { parseArgs } from 'node:util';
import { parseDuration } from './api/effective.ts';
import { OperatorError } from './base/errors.ts';
import { logLevels, type LogLevel } from './telemetry/logger.ts';

/** A command line that cannot be used; the message says which flag and why. */
export class UsageError extends OperatorError {
  constructor(message: string) {
    super('USAGE', message);
  }
}

/** How `coder-operator controller` was called. Times in milliseconds. */
export interface ControllerConfig {
  readonly kubeconfig: string | undefined;
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
  readonly logLevel: LogLevel;
  readonly logFormat: 'json' | 'text';
}

interface Flag {
  readonly type: 'string' | 'boolean';
  readonly value?: string;
  readonly initial?: string;
  readonly multiple?: boolean;
  readonly help: string;
}

/** Every flag of the controller, once: for the parser and for the help. */
const FLAGS = {
  kubeconfig: {
    type: 'string',
    value: 'FILE',
    help: 'how to reach the API server; left out, $KUBECONFIG or the service account of the pod',
  },
  namespace: { type: 'string', value: 'NAME', initial: 'coder-operator', help: 'where the Lease is kept' },
  listen: {
    type: 'string',
    value: 'HOST:PORT',
    initial: '0.0.0.0:8080',
    help: 'where /livez, /readyz and /metrics are served; port 0 takes a free one',
  },
  workers: { type: 'string', value: 'N', initial: '10', help: 'objects that are worked on at the same time' },
  'retry-base': {
    type: 'string',
    value: 'DURATION',
    initial: '1m',
    help: 'wait before a failed build is tried again; doubles with each failure',
  },
  'request-timeout': {
    type: 'string',
    value: 'DURATION',
    initial: '30s',
    help: 'for one call to Coder',
  },
  'lease-duration': {
    type: 'string',
    value: 'DURATION',
    initial: '15s',
    help: 'after so long without a sign of life another replica takes over; whole seconds, at least 3s',
  },
  'drift-cooldown': {
    type: 'string',
    value: 'DURATION',
    initial: '5m',
    help: 'wait before what somebody changed in Coder is set right again',
  },
  'drift-budget': {
    type: 'string',
    value: 'N',
    initial: '3',
    help: 'how often an hour that is done for one object',
  },
  'deletion-budget': {
    type: 'string',
    value: 'N',
    initial: '20',
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
  'log-level': { type: 'string', value: 'LEVEL', initial: 'info', help: `one of ${logLevels.join(', ')}` },
  'log-format': { type: 'string', value: 'FORMAT', initial: 'json', help: 'json or text' },
  help: { type: 'boolean', help: 'show this' },
} as const satisfies Readonly<Record<string, Flag>>;

/** The flags as `--help` shows them. */
export function controllerHelp(): string {
  const rows = Object.entries<Flag>(FLAGS).map(([name, flag]) => {
    const left = `  --${name}${flag.value === undefined ? '' : ` ${flag.value}`}`;
    return `${left.padEnd(32)}${flag.help}${flag.initial === undefined ? '' : ` (${flag.initial})`}`;
  });
  return [
    'Usage: coder-operator controller [flags]',
    '',
    'Drives Coder from Kubernetes objects.',
    '',
    ...rows,
    '',
  ].join('\n');
}

/**
 * The configuration from the words after `controller`, or 'help'.
 *
 * @throws UsageError
 */
export function parseControllerConfig(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): ControllerConfig | 'help' {
  const values = parse(args);
  if (values.help === true) return 'help';
  const text = (name: 'namespace' | 'listen' | 'log-level' | 'log-format'): string => {
    const given = values[name];
    return given ?? FLAGS[name].initial;
  };
  const duration = (
    name: 'retry-base' | 'request-timeout' | 'lease-duration' | 'drift-cooldown',
    least: number,
  ): number => {
    const given = values[name] ?? FLAGS[name].initial;
    const ms = parseDuration(given);
    if (ms === undefined || ms < least) {
      throw new UsageError(
        `--${name} ${given}: must be a duration such as 30s or 1m, and at least ${least} ms`,
      );
    }
    return ms;
  };
  const whole = (
    name: 'workers' | 'drift-budget' | 'deletion-budget',
    least: number,
    most: number,
  ): number => {
    const given = values[name] ?? FLAGS[name].initial;
    const number = /^\d+$/.test(given) ? Number(given) : NaN;
    if (!(number >= least && number <= most)) {
      throw new UsageError(`--${name} ${given}: must be a whole number from ${least} to ${most}`);
    }
    return number;
  };
  const logLevel = logLevels.find((l) => l === text('log-level'));
  if (logLevel === undefined) {
    throw new UsageError(`--log-level ${text('log-level')}: must be one of ${logLevels.join(', ')}`);
  }
  const logFormat = text('log-format');
  if (logFormat !== 'json' && logFormat !== 'text') {
    throw new UsageError(`--log-format ${logFormat}: must be json or text`);
  }
  return {
    // An empty variable is one that is not set, as for kubectl.
    kubeconfig: values.kubeconfig ?? (env['KUBECONFIG'] === '' ? undefined : env['KUBECONFIG']),
    namespace: text('namespace'),
    identity: `${env['POD_NAME'] ?? hostname()}-${crypto.randomUUID()}`,
    listen: parseListen(text('listen')),
    workers: whole('workers', 1, 1000),
    retryBaseMs: duration('retry-base', 1),
    requestTimeoutMs: duration('request-timeout', 100),
    leaseDurationMs: wholeSeconds(duration('lease-duration', 3_000)),
    driftCooldownMs: duration('drift-cooldown', 0),
    driftBudget: whole('drift-budget', 0, 32),
    deletionBudget: whole('deletion-budget', 0, 100_000),
    httpHosts: values['http-host'] ?? [],
    allowLoopback: values['allow-loopback'] ?? false,
    logLevel,
    logFormat,
  };
}

// The type follows from FLAGS; writing it out would repeat the table.
function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: FLAGS, allowPositionals: false }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

/** A Lease counts in seconds. */
function wholeSeconds(ms: number): number {
  return Math.ceil(ms / 1000) * 1000;
}

function parseListen(text: string): { host: string; port: number } {
  const at = text.lastIndexOf(':');
  const host = text.slice(0, at).replace(/^\[|\]$/g, '');
  const port = Number(text.slice(at + 1));
  if (at < 1 || text.endsWith(':') || !Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new UsageError(`--listen ${text}: must be HOST:PORT, such as 127.0.0.1:8080`);
  }
  return { host, port };
}
