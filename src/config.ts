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
  /** What a pod has when no kubeconfig is given; undefined outside of one. */
  readonly serviceAccount:
    { readonly host: string; readonly port: string; readonly folder: string } | undefined;
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
  'service-account-dir': {
    type: 'string',
    value: 'DIR',
    initial: '/var/run/secrets/kubernetes.io/serviceaccount',
    help: 'in a pod: the folder with token and ca.crt',
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
  return [
    'Usage: coder-operator controller [flags]',
    '',
    'Drives Coder from Kubernetes objects.',
    '',
    ...rowsOf(FLAGS),
    '',
  ].join('\n');
}

function rowsOf(flags: Readonly<Record<string, Flag>>): readonly string[] {
  return Object.entries(flags).map(([name, flag]) => {
    const left = `  --${name}${flag.value === undefined ? '' : ` ${flag.value}`}`;
    return `${left.padEnd(32)}${flag.help}${flag.initial === undefined ? '' : ` (${flag.initial})`}`;
  });
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
  const values = parse(args, FLAGS);
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
    serviceAccount: serviceAccountOf(
      values['service-account-dir'] ?? FLAGS['service-account-dir'].initial,
      env,
    ),
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

// The type follows from the flags; writing it out would repeat the table.
function parse<Flags extends Readonly<Record<string, Flag>>>(args: readonly string[], flags: Flags) {
  try {
    return parseArgs({ args: [...args], options: flags, allowPositionals: false }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

/** The kubelet tells each container by two variables where the API server is. */
function serviceAccountOf(
  folder: string,
  env: Readonly<Record<string, string | undefined>>,
): ControllerConfig['serviceAccount'] {
  const [host = '', port = ''] = [env['KUBERNETES_SERVICE_HOST'], env['KUBERNETES_SERVICE_PORT']];
  return host === '' ? undefined : { host, port: port === '' ? '443' : port, folder };
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

/** How `coder-operator export` was called. */
export interface ExportConfig {
  readonly url: string;
  /** The token itself, or the file that it is in. Never a flag's value: everybody on a machine sees those. */
  readonly token: { readonly value: string } | { readonly file: string };
  readonly caFile: string | undefined;
  readonly allowHttp: boolean;
  readonly requestsPerMinute: number;
  /** Names; an empty list is everything. */
  readonly filters: {
    readonly organizations: readonly string[];
    readonly owners: readonly string[];
    readonly templates: readonly string[];
  };
  readonly kinds: ReadonlySet<'CoderTemplate' | 'CoderWorkspace'>;
  readonly detail: {
    readonly withWishes: boolean;
    readonly withParameters: boolean;
    readonly namespace: string | undefined;
  };
  /** The folder to write to; undefined for stdout. */
  readonly output: string | undefined;
  readonly force: boolean;
  readonly quiet: boolean;
}

/** Every flag of the export, once. */
const EXPORT_FLAGS = {
  url: { type: 'string', value: 'URL', help: 'address of Coder; left out, $CODER_URL' },
  'token-file': {
    type: 'string',
    value: 'FILE',
    help: 'the file that the token is in; left out, $CODER_SESSION_TOKEN',
  },
  'ca-file': {
    type: 'string',
    value: 'FILE',
    help: "certificates (PEM) that are trusted besides the system's",
  },
  'allow-http': {
    type: 'boolean',
    help: 'reach Coder without TLS: others may then read the token on the way',
  },
  organization: {
    type: 'string',
    value: 'NAME',
    multiple: true,
    help: 'only what is in this organization; may be repeated',
  },
  owner: {
    type: 'string',
    value: 'NAME',
    multiple: true,
    help: 'only workspaces of this user, and all templates; may be repeated',
  },
  template: {
    type: 'string',
    value: 'NAME',
    multiple: true,
    help: 'only this template, or ORGANIZATION.NAME, and its workspaces; may be repeated',
  },
  templates: { type: 'boolean', help: 'templates, and no workspaces unless --workspaces is there too' },
  workspaces: { type: 'boolean', help: 'workspaces, and no templates unless --templates is there too' },
  'with-wishes': {
    type: 'boolean',
    help: 'also how things are: running, TTL, schedule, updates; settings of templates',
  },
  'with-parameters': {
    type: 'boolean',
    help: 'also the parameters of workspaces, which may be secrets; a request for each workspace',
  },
  namespace: { type: 'string', value: 'NAME', help: 'namespace of the objects; left out, they name none' },
  output: {
    type: 'string',
    value: 'DIR',
    help: 'write a file for each object into this folder; left out, all goes to stdout',
  },
  force: { type: 'boolean', help: 'write files anew that differ; without it nothing is written then' },
  'requests-per-minute': {
    type: 'string',
    value: 'N',
    initial: '240',
    help: 'requests to Coder in the long run',
  },
  quiet: { type: 'boolean', help: 'warnings and errors only' },
  help: { type: 'boolean', help: 'show this' },
} as const satisfies Readonly<Record<string, Flag>>;

export function exportHelp(): string {
  return [
    'Usage: coder-operator export [flags]',
    '',
    'Prints manifests for the templates and workspaces of a Coder server. Applying them takes over what is there and',
    'changes nothing in Coder. It only reads.',
    '',
    ...rowsOf(EXPORT_FLAGS),
    '',
    'Examples:',
    '  export CODER_URL=https://coder.example.com CODER_SESSION_TOKEN=...',
    '  coder-operator export > coder.yaml',
    '  coder-operator export --output coder/ --with-wishes',
    '  coder-operator export --workspaces --owner alice --namespace coder | kubectl apply -f -',
    '  coder-operator export --template acme.docker --templates --token-file token',
    '',
    'Exit codes: 0 everything is there, 1 failed or was stopped, 2 wrong usage, 3 something could not be exported: stderr',
    'says what',
    '',
  ].join('\n');
}

/**
 * The configuration from the words after `export`, or 'help'.
 *
 * @throws UsageError
 */
export function parseExportConfig(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): ExportConfig | 'help' {
  const values = parse(args, EXPORT_FLAGS);
  if (values.help === true) return 'help';
  const withWorkspaces = values.workspaces === true || values.templates !== true;
  const withTemplates = values.templates === true || values.workspaces !== true;
  if (!withWorkspaces && values['with-parameters'] === true) {
    throw new UsageError('--with-parameters is about workspaces, and --templates leaves them out');
  }
  if (values.force === true && values.output === undefined) {
    throw new UsageError('--force is about files; say with --output where they are');
  }
  const { namespace } = values;
  if (namespace !== undefined && !/^(?=.{1,63}$)[a-z0-9]+(-+[a-z0-9]+)*$/.test(namespace)) {
    throw new UsageError(`--namespace ${namespace}: is not a name that a namespace can have`);
  }
  const rate = values['requests-per-minute'] ?? EXPORT_FLAGS['requests-per-minute'].initial;
  if (!/^[1-9]\d{0,5}$/.test(rate)) {
    throw new UsageError(`--requests-per-minute ${rate}: must be a whole number from 1 to 999999`);
  }
  return {
    url: given('URL', values.url ?? env['CODER_URL'], '--url or $CODER_URL'),
    token:
      values['token-file'] === undefined
        ? { value: given('token', env['CODER_SESSION_TOKEN'], '$CODER_SESSION_TOKEN or --token-file') }
        : { file: values['token-file'] },
    caFile: values['ca-file'],
    allowHttp: values['allow-http'] ?? false,
    requestsPerMinute: Number(rate),
    filters: {
      organizations: values.organization ?? [],
      owners: values.owner ?? [],
      templates: values.template ?? [],
    },
    kinds: new Set([
      ...(withTemplates ? (['CoderTemplate'] as const) : []),
      ...(withWorkspaces ? (['CoderWorkspace'] as const) : []),
    ]),
    detail: {
      withWishes: values['with-wishes'] ?? false,
      withParameters: values['with-parameters'] ?? false,
      namespace,
    },
    output: values.output,
    force: values.force ?? false,
    quiet: values.quiet ?? false,
  };
}

/** An empty variable is one that is not set. */
function given(what: string, value: string | undefined, where: string): string {
  if (value === undefined || value === '')
    throw new UsageError(`The ${what} of Coder is missing: give it by ${where}`);
  return value;
}
