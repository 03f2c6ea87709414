import { HELP_FLAG, parse, rowsOf, UsageError, wholeOf, type Environment, type Flag } from './flags.ts';

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
    default: '240',
    help: 'requests to Coder in the long run',
  },
  quiet: { type: 'boolean', help: 'warnings and errors only' },
  ...HELP_FLAG,
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
export function parseExportConfig(args: readonly string[], env: Environment): ExportConfig | 'help' {
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
  return {
    url: given('URL', values.url ?? env['CODER_URL'], '--url or $CODER_URL'),
    token:
      values['token-file'] === undefined
        ? { value: given('token', env['CODER_SESSION_TOKEN'], '$CODER_SESSION_TOKEN or --token-file') }
        : { file: values['token-file'] },
    caFile: values['ca-file'],
    allowHttp: values['allow-http'] ?? false,
    requestsPerMinute: wholeOf('requests-per-minute', values['requests-per-minute'], 1, 999_999),
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
