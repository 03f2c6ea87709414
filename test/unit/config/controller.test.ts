import { expect } from 'chai';
import {
  controllerHelp,
  parseControllerConfig,
  type ControllerConfig,
} from '../../../src/config/controller.ts';
import { UsageError } from '../../../src/config/flags.ts';

function parse(args: readonly string[] = [], env: Record<string, string> = {}): ControllerConfig {
  const config = parseControllerConfig(args, env);
  if (config === 'help') throw new Error('expected a configuration');
  return config;
}

describe('parseControllerConfig', () => {
  it('needs nothing', () => {
    const { identity, ...config } = parse();
    expect(config).to.deep.equal({
      kubeconfig: undefined,
      serviceAccount: undefined,
      namespace: 'coder-operator',
      listen: { host: '0.0.0.0', port: 8080 },
      workers: 10,
      retryBaseMs: 60_000,
      requestTimeoutMs: 30_000,
      leaseDurationMs: 15_000,
      driftCooldownMs: 300_000,
      driftBudget: 3,
      deletionBudget: 20,
      httpHosts: [],
      allowLoopback: false,
      logLevel: 'info',
      logFormat: 'json',
    });
    expect(identity).to.match(/.-[0-9a-f-]{36}$/);
  });

  const flags: [string[], Partial<ControllerConfig>][] = [
    [['--kubeconfig', 'file'], { kubeconfig: 'file' }],
    [['--namespace', 'ops'], { namespace: 'ops' }],
    [['--listen', '127.0.0.1:0'], { listen: { host: '127.0.0.1', port: 0 } }],
    [['--listen', '[::1]:9090'], { listen: { host: '::1', port: 9090 } }],
    [['--listen', 'localhost:65535'], { listen: { host: 'localhost', port: 65_535 } }],
    [['--workers', '1'], { workers: 1 }],
    [['--workers=1000'], { workers: 1000 }],
    [['--retry-base', '1ms'], { retryBaseMs: 1 }],
    [['--retry-base', '1m30s'], { retryBaseMs: 90_000 }],
    [['--request-timeout', '100ms'], { requestTimeoutMs: 100 }],
    [['--lease-duration', '3s'], { leaseDurationMs: 3_000 }],
    [['--lease-duration', '4500ms'], { leaseDurationMs: 5_000 }],
    [['--drift-cooldown', '0s'], { driftCooldownMs: 0 }],
    [['--drift-cooldown', '90s'], { driftCooldownMs: 90_000 }],
    [['--drift-budget', '0'], { driftBudget: 0 }],
    [['--drift-budget', '32'], { driftBudget: 32 }],
    [['--deletion-budget', '1000'], { deletionBudget: 1000 }],
    [['--http-host', 'a', '--http-host', 'b'], { httpHosts: ['a', 'b'] }],
    [['--allow-loopback'], { allowLoopback: true }],
    [['--log-level', 'debug'], { logLevel: 'debug' }],
    [['--log-format', 'text'], { logFormat: 'text' }],
  ];
  for (const [args, expected] of flags) {
    it(args.join(' '), () => {
      expect(parse(args)).to.deep.include(expected);
    });
  }

  const wrong: [string[], string][] = [
    [['--workers', '0'], '--workers 0'],
    [['--workers', '1001'], '--workers 1001'],
    [['--workers', 'many'], '--workers many'],
    [['--workers', '1.5'], '--workers 1.5'],
    [['--retry-base', '0s'], '--retry-base 0s'],
    [['--retry-base', '60'], '--retry-base 60'],
    [['--request-timeout', '99ms'], '--request-timeout 99ms'],
    [['--lease-duration', '1s'], '--lease-duration 1s'],
    [['--drift-cooldown', 'soon'], '--drift-cooldown soon'],
    [['--drift-budget', '33'], '--drift-budget 33: must be a whole number from 0 to 32'],
    [['--drift-budget', '-1'], '--drift-budget'],
    [['--deletion-budget', '1e3'], '--deletion-budget 1e3'],
    [['--listen', ':8080'], '--listen :8080'],
    [['--listen', '8080'], '--listen 8080'],
    [['--listen', 'host:'], '--listen host:'],
    [['--listen', 'host:65536'], '--listen host:65536'],
    [['--listen', 'host:-1'], '--listen host:-1'],
    [['--listen', 'host:http'], '--listen host:http'],
    [['--log-level', 'loud'], '--log-level loud: must be one of debug, info, warn, error'],
    [['--log-format', 'xml'], '--log-format xml: must be json or text'],
    [['--namespace'], '--namespace'],
    [['--nonsense'], '--nonsense'],
    [['word'], 'word'],
  ];
  for (const [args, text] of wrong) {
    it(`refuses ${args.join(' ')}`, () => {
      expect(() => parse(args)).to.throw(UsageError, text);
    });
  }

  it('takes the kubeconfig of the environment when no flag says otherwise', () => {
    expect(parse([], { KUBECONFIG: 'env' }).kubeconfig).to.equal('env');
    expect(parse(['--kubeconfig', 'flag'], { KUBECONFIG: 'env' }).kubeconfig).to.equal('flag');
    expect(parse([], { KUBECONFIG: '' }).kubeconfig).to.equal(undefined);
  });

  it('finds the API server in a pod as the kubelet tells it', () => {
    const env = { KUBERNETES_SERVICE_HOST: '10.0.0.1', KUBERNETES_SERVICE_PORT: '6443' };
    const folder = '/var/run/secrets/kubernetes.io/serviceaccount';
    expect(parse([], env).serviceAccount).to.deep.equal({ host: '10.0.0.1', port: '6443', folder });
    expect(parse(['--service-account-dir', 'here'], env).serviceAccount).to.have.property('folder', 'here');
    expect(parse(['--service-account-dir', 'here']).serviceAccount).to.equal(undefined);
  });

  it('is somebody else in every process, and bears the name of its pod', () => {
    const env = { POD_NAME: 'operator-0' };
    expect(parse([], env).identity).to.match(/^operator-0-/);
    expect(parse([], env).identity).to.not.equal(parse([], env).identity);
  });

  it('asks for help before it looks at anything else that may be wrong', () => {
    expect(parseControllerConfig(['--help', '--workers', '0'], {})).to.equal('help');
  });
});

describe('controllerHelp', () => {
  it('shows every flag on a line of its own, with what it is when left out', () => {
    const help = controllerHelp();
    for (const [args] of flagsOf()) expect(help).to.match(new RegExp(`^  ${args} `, 'm'));
    expect(help).to.contain('(15s)').and.to.contain('(0.0.0.0:8080)');
  });
});

function flagsOf(): [string][] {
  const names = [
    'kubeconfig',
    'service-account-dir',
    'namespace',
    'listen',
    'workers',
    'retry-base',
    'request-timeout',
    'lease-duration',
    'drift-cooldown',
    'drift-budget',
    'deletion-budget',
  ];
  return [...names, 'http-host', 'allow-loopback', 'log-level', 'log-format', 'help'].map((n) => [`--${n}`]);
}
