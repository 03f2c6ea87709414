import { expect } from 'chai';
import { apiServerHelp, parseApiServerConfig, type ApiServerConfig } from '../../../src/config/apiserver.ts';
import { UsageError } from '../../../src/config/flags.ts';

function parse(args: readonly string[] = []): ApiServerConfig {
  const config = parseApiServerConfig(args, {});
  if (config === 'help') throw new Error('expected a configuration');
  return config;
}

describe('parseApiServerConfig', () => {
  it('needs nothing', () => {
    expect(parse()).to.deep.equal({
      kubeconfig: undefined,
      serviceAccount: undefined,
      listen: { host: '0.0.0.0', port: 6443 },
      certDir: '/var/run/coder-operator/tls',
      drainDelayMs: 15_000,
      maxRequests: 400,
      logLevel: 'info',
      logFormat: 'json',
    });
  });

  const flags: [string[], Partial<ApiServerConfig>][] = [
    [['--kubeconfig', 'file'], { kubeconfig: 'file' }],
    [['--listen', '127.0.0.1:0'], { listen: { host: '127.0.0.1', port: 0 } }],
    [['--cert-dir', 'certs'], { certDir: 'certs' }],
    [['--drain-delay', '0s'], { drainDelayMs: 0 }],
    [['--max-requests', '7'], { maxRequests: 7 }],
    [['--log-level', 'debug'], { logLevel: 'debug' }],
    [['--log-format', 'text'], { logFormat: 'text' }],
  ];
  for (const [args, expected] of flags) {
    it(`takes ${args.join(' ')}`, () => {
      expect(parse(args)).to.deep.include(expected);
    });
  }

  const wrong: [string[], string][] = [
    [['--listen', '6443'], '--listen 6443: must be HOST:PORT'],
    [['--drain-delay', 'soon'], '--drain-delay soon: must be a duration'],
    [['--max-requests', '0'], '--max-requests 0: must be a whole number from 1 to 100000'],
    [['--log-format', 'xml'], '--log-format xml: must be json or text'],
    [['--workers', '3'], "Unknown option '--workers'"],
  ];
  for (const [args, text] of wrong) {
    it(`refuses ${args.join(' ')}`, () => {
      expect(() => parse(args)).to.throw(UsageError, text);
    });
  }

  it('finds the API server in a pod as the kubelet tells it', () => {
    const config = parseApiServerConfig(['--service-account-dir', 'here'], {
      KUBERNETES_SERVICE_HOST: '10.0.0.1',
    });
    expect(config).to.have.deep.property('serviceAccount', { host: '10.0.0.1', port: '443', folder: 'here' });
  });
});

describe('apiServerHelp', () => {
  it('shows every flag on a line of its own, with what it is when left out', () => {
    const help = apiServerHelp();
    const names = ['kubeconfig', 'service-account-dir', 'listen', 'cert-dir', 'drain-delay', 'max-requests'];
    for (const name of [...names, 'log-level', 'log-format', 'help']) {
      expect(help).to.match(new RegExp(`^  --${name} `, 'm'));
    }
    expect(help).to.contain('(0.0.0.0:6443)').and.to.contain('(15s)');
  });
});
