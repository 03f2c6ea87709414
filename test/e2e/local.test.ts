import { mkdtempSync, existsSync, readFileSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { down, status, up, type LocalContext } from '../../hack/local/commands.ts';
import { isAlive } from '../../hack/stack/identity.ts';
import { silentProgress } from '../../hack/stack/progress.ts';
import { readState, removeFolder } from '../../hack/stack/state.ts';
import { runTool } from '../../hack/stack/tools.ts';
import { until } from '../../hack/stack/wait.ts';
import { SERVERS_WITHIN_MS } from '../support/servers.ts';

/** The commands of `npm run local`, in a folder of the test's own. */
describe('npm run local', function () {
  this.timeout(120_000);
  let parent: string;
  let context: LocalContext;
  const printed: string[] = [];
  const take = (): string => printed.splice(0).join('\n');

  before(() => {
    parent = mkdtempSync(join(tmpdir(), 'coder-operator-local-'));
    context = {
      dir: join(parent, '.local'),
      progress: silentProgress,
      print: (text) => printed.push(text),
      signal: new AbortController().signal,
    };
  });

  after(async () => {
    await down(context, { keep: false });
    removeFolder(parent);
  });

  const processes = (): ReturnType<typeof allProcesses> => allProcesses(context.dir);

  it('leaves servers and operator running, and says how to use them', async function () {
    this.timeout(SERVERS_WITHIN_MS);
    await up(context, { operator: true });
    expect(take()).to.contain('source ');
    const names = processes().map((p) => p.name);
    expect(names).to.include.members([
      'etcd',
      'kube-apiserver',
      'postgres',
      'coder',
      'operator',
      'apiserver-1',
    ]);
    expect(status(context)).to.equal(true);
    expect(take()).to.match(/operator +running +\d+/);
  });

  it('writes what a shell needs, for its owner only', async () => {
    const file = join(context.dir, 'env');
    expect(statSync(file).mode & 0o777).to.equal(0o600);
    const text = readFileSync(file, 'utf8');
    for (const name of ['KUBECONFIG', 'CODER_URL', 'CODER_ADMIN_TOKEN', 'CODER_OPERATOR_TOKEN', 'PATH']) {
      expect(text).to.contain(`export ${name}=`);
    }
    const answer = await runTool('sh', ['-c', '. "$0"; kubectl get crd -o name', file]);
    expect(answer?.stdout).to.contain('coderworkspaces.coder.com');
  });

  it('serves the aggregated endpoint under the certificates that the operator made', async () => {
    const file = join(context.dir, 'env');
    const get = 'kubectl get coderworkspaces.aggregation.coder.com -A';
    const answer = await runTool('sh', ['-c', `. "$0"; ${get}`, file]);
    expect(answer?.stderr).to.contain('No resources found');
  });

  it('starts the endpoint alone when only that has ended', async () => {
    const endpoint = processes().find((p) => p.name === 'apiserver-1');
    if (endpoint === undefined) throw new Error('the endpoint does not run');
    const others = processes().filter((p) => p.pid !== endpoint.pid);
    process.kill(endpoint.pid, 'SIGKILL');
    await until(() => (isAlive(endpoint) ? undefined : true), { withinMs: 10_000 });
    await up(context, { operator: true });
    expect(status(context)).to.equal(true);
    const after = processes().filter((p) => p.name !== 'apiserver-1');
    expect(after.map((p) => p.pid)).to.deep.equal(others.map((p) => p.pid));
  });

  it('starts nothing a second time', async () => {
    const before = processes().map((p) => p.pid);
    await up(context, { operator: true });
    expect(processes().map((p) => p.pid)).to.deep.equal(before);
  });

  it('says which server was killed, and starts it again', async () => {
    const coder = processes().find((p) => p.name === 'coder');
    if (coder === undefined) throw new Error('Coder does not run');
    process.kill(coder.pid, 'SIGKILL');
    await until(() => (isAlive(coder) ? undefined : true), { withinMs: 10_000 });
    take();
    expect(status(context)).to.equal(false);
    expect(take()).to.match(/coder +DEAD/);
    await up(context, { operator: true });
    expect(status(context)).to.equal(true);
  });

  it('stops everything and leaves nothing', async () => {
    const running = processes();
    await down(context, { keep: false });
    expect(running.filter((p) => isAlive(p)).map((p) => p.name)).to.deep.equal([]);
    expect(existsSync(join(context.dir, 'env'))).to.equal(false);
    expect(status(context)).to.equal(false);
  });
});

function allProcesses(dir: string): NonNullable<ReturnType<typeof readState>>['processes'] {
  return readState(dir)?.processes ?? [];
}
