import { rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { dirname } from 'node:path';
import { expect } from 'chai';
import { compileOperator } from '../../hack/bench/program.ts';
import { apiserver } from '../support/apiserver.ts';
import { runMain, runNode, type Ended } from '../support/program.ts';

const run = (...args: readonly string[]): Promise<Ended> => runMain(args);

/** What the compiler makes of the sources is not always what they say: classes that name themselves, for instance. */
describe('the compiled program', function () {
  this.timeout(120_000);
  let program: string;

  before(async () => {
    program = await compileOperator(undefined, 'compiled');
  });

  after(() => rm(dirname(program), { recursive: true, force: true }));

  for (const command of ['controller', 'apiserver']) {
    it(`loads all that ${command} needs`, async () => {
      const kubeconfig = ['--kubeconfig', '/nowhere/kubeconfig'];
      const { code, output } = await runNode([program, command, ...kubeconfig, '--listen', '127.0.0.1:0']);
      expect(output).to.contain('kubeconfig /nowhere/kubeconfig cannot be read');
      expect(code).to.equal(1);
    });
  }

  it('loads all that export needs', async () => {
    const { code, output } = await runNode([
      program,
      'export',
      '--url',
      'ftp://coder',
      '--token-file',
      '/nowhere',
    ]);
    expect(output).to.contain('/nowhere');
    expect(code).to.equal(1);
  });
});

describe('the program', function () {
  this.timeout(30_000);
  const listen = ['--listen', '127.0.0.1:0'];

  it('shows every flag in its help', async () => {
    const { code, output } = await run('controller', '--help');
    expect(code).to.equal(0);
    for (const flag of [
      '--kubeconfig',
      '--listen',
      '--retry-base',
      '--http-host',
      '--allow-loopback',
      '--log-level',
    ]) {
      expect(output).to.contain(flag);
    }
  });

  it('ends with 2 and names what is wrong with the command line', async () => {
    expect(await run('controler')).to.deep.include({ code: 2 });
    const unknown = await run('controller', '--workrs', '3');
    expect(unknown.code).to.equal(2);
    expect(unknown.output).to.contain("Unknown option '--workrs'");
  });

  it('ends with 1 when the kubeconfig cannot be read', async () => {
    const { code, output } = await run('controller', '--kubeconfig', '/nowhere/kubeconfig', ...listen);
    expect(code).to.equal(1);
    expect(output).to.contain('/nowhere/kubeconfig');
  });

  it('ends with 1 when its port is taken', async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const address = other.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const { code, output } = await run('controller', '--listen', `127.0.0.1:${port}`);
    other.close();
    expect(code).to.equal(1);
    expect(output).to.contain('EADDRINUSE');
  });

  describe('on a cluster', () => {
    before(async function () {
      this.timeout(900_000);
      await apiserver();
    });

    it("refuses to work on another project's CRDs, and says how to move", async () => {
      const server = await apiserver();
      await server.kubectl(['apply', '--server-side', '-k', 'config/crds']);
      await server.kubectl(['label', 'crd', 'codercontrolplanes.coder.com', 'app.kubernetes.io/part-of-']);
      const { code, output } = await run('controller', '--kubeconfig', server.kubeconfig, ...listen);
      await server.kubectl(['apply', '--server-side', '--force-conflicts', '-k', 'config/crds']);
      expect(code).to.equal(1);
      expect(output)
        .to.contain('codercontrolplanes.coder.com belongs to another project')
        .and.contain('coder-k8s');
    });
  });
});
