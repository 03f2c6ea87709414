import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { shellQuote, writeEnvironment, type LocalEnvironment } from '../../../../hack/local/environment.ts';

const environment: LocalEnvironment = {
  kubeconfig: "/home/o'neil/my $HOME/`x`/.local/kubeconfig",
  coderUrl: 'http://127.0.0.1:20001',
  bin: "/home/o'neil/my $HOME/.local/bin",
  accounts: {
    adminEmail: 'admin@example.com',
    adminUser: 'admin',
    adminPassword: 'pass',
    adminToken: 'admin-token',
    operatorUser: 'operator',
    operatorToken: 'operator"token\\',
    organizationId: 'id',
  },
};

describe('the environment file of the local stack', () => {
  let dir: string;
  beforeEach(() => (dir = mkdtempSync(join(tmpdir(), "coder-operator-env'test-"))));
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  /** What a shell has in its variables after it has sourced the file so many times. */
  const sourced = (times: number): Record<string, string> => {
    const source = `. ${shellQuote(join(dir, 'env'))}; `.repeat(times);
    const out = execFileSync('/bin/sh', ['-ec', `${source} /usr/bin/env -0`], {
      encoding: 'utf8',
      env: { PATH: '/bin' },
    });
    return Object.fromEntries(
      out.split('\0').map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
    );
  };

  it('gives a shell exactly the values, whatever characters they hold', () => {
    writeEnvironment(dir, environment);
    const variables = sourced(1);
    expect(variables['KUBECONFIG']).to.equal(environment.kubeconfig);
    expect(variables['CODER_URL']).to.equal(environment.coderUrl);
    expect(variables['CODER_ADMIN_TOKEN']).to.equal('admin-token');
    expect(variables['CODER_OPERATOR_TOKEN']).to.equal('operator"token\\');
    expect(variables['PATH']).to.equal(`${environment.bin}:/bin`);
  });

  it('adds the programs to PATH once, however often it is sourced', () => {
    writeEnvironment(dir, environment);
    expect(sourced(3)['PATH']).to.equal(`${environment.bin}:/bin`);
  });

  it('is readable by its owner only', () => {
    writeEnvironment(dir, environment);
    expect(statSync(join(dir, 'env')).mode & 0o777).to.equal(0o600);
  });

  it('holds no password of a person', () => {
    writeEnvironment(dir, environment);
    expect(readFileSync(join(dir, 'env'), 'utf8')).to.not.include('pass');
  });
});
