import { expect } from 'chai';
import { exportHelp, parseExportConfig, type ExportConfig } from '../../../src/config/export.ts';
import { UsageError } from '../../../src/config/flags.ts';

const ENV = { CODER_URL: 'https://coder.example.com', CODER_SESSION_TOKEN: 'token' };

const NONE: ExportConfig['filters'] = { organizations: [], owners: [], templates: [] };
const PLAIN: ExportConfig['detail'] = { withWishes: false, withParameters: false, namespace: undefined };

function parse(args: readonly string[] = [], env: Record<string, string> = ENV): ExportConfig {
  const config = parseExportConfig(args, env);
  if (config === 'help') throw new Error('expected a configuration');
  return config;
}

describe('parseExportConfig', () => {
  it('needs an address and a token, which the environment may have', () => {
    expect(parse()).to.deep.equal({
      url: 'https://coder.example.com',
      token: { value: 'token' },
      caFile: undefined,
      allowHttp: false,
      requestsPerMinute: 240,
      filters: NONE,
      kinds: new Set(['CoderTemplate', 'CoderWorkspace']),
      detail: PLAIN,
      output: undefined,
      force: false,
      quiet: false,
    });
  });

  const flags: readonly (readonly [readonly string[], Partial<ExportConfig>])[] = [
    [['--url', 'https://other'], { url: 'https://other' }],
    [['--token-file', 'file'], { token: { file: 'file' } }],
    [['--ca-file', 'ca.crt'], { caFile: 'ca.crt' }],
    [['--allow-http'], { allowHttp: true }],
    [['--organization', 'a', '--organization', 'b'], { filters: { ...NONE, organizations: ['a', 'b'] } }],
    [['--owner', 'ann', '--owner', 'bob'], { filters: { ...NONE, owners: ['ann', 'bob'] } }],
    [['--template', 'x', '--template', 'a.y'], { filters: { ...NONE, templates: ['x', 'a.y'] } }],
    [['--templates'], { kinds: new Set(['CoderTemplate']) }],
    [['--workspaces'], { kinds: new Set(['CoderWorkspace']) }],
    [['--workspaces', '--templates'], { kinds: new Set(['CoderTemplate', 'CoderWorkspace']) }],
    [['--with-wishes'], { detail: { ...PLAIN, withWishes: true } }],
    [['--with-parameters'], { detail: { ...PLAIN, withParameters: true } }],
    [['--namespace', 'team-a'], { detail: { ...PLAIN, namespace: 'team-a' } }],
    [['--output', 'dir'], { output: 'dir' }],
    [['--output', 'dir', '--force'], { output: 'dir', force: true }],
    [['--requests-per-minute', '1'], { requestsPerMinute: 1 }],
    [['--quiet'], { quiet: true }],
  ];
  for (const [args, expected] of flags) {
    it(`takes ${args.join(' ')}`, () => {
      expect(parse(args)).to.deep.include(expected);
    });
  }

  const refused: readonly (readonly [readonly string[], Record<string, string>, RegExp])[] = [
    [[], { CODER_SESSION_TOKEN: 'token' }, /--url or \$CODER_URL/],
    [[], { CODER_URL: 'https://x' }, /\$CODER_SESSION_TOKEN or --token-file/],
    [[], { ...ENV, CODER_SESSION_TOKEN: '' }, /\$CODER_SESSION_TOKEN or --token-file/],
    [['--token', 'secret'], ENV, /--token/],
    [['dir'], ENV, /dir/],
    [['--force'], ENV, /--output/],
    [['--templates', '--with-parameters'], ENV, /--with-parameters/],
    [['--namespace', 'Team'], ENV, /--namespace Team/],
    [['--namespace', ''], ENV, /--namespace/],
    [['--requests-per-minute', '0'], ENV, /--requests-per-minute 0/],
    [['--requests-per-minute', '1.5'], ENV, /--requests-per-minute 1.5/],
  ];
  for (const [args, env, message] of refused) {
    it(`refuses ${JSON.stringify(args)} with ${Object.keys(env).join()} and says what is wrong`, () => {
      expect(() => parse(args, env)).to.throw(UsageError, message);
    });
  }

  it('shows every flag, examples and the exit codes in its help', () => {
    expect(parseExportConfig(['--help'], {})).to.equal('help');
    const help = exportHelp();
    for (const [[flag = '']] of flags) expect(help).to.contain(`${flag} `);
    expect(help)
      .to.contain('Examples:')
      .and.to.contain('Exit codes: 0')
      .and.to.contain('CODER_SESSION_TOKEN');
  });
});
