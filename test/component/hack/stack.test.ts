import { existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { StackError } from '../../../hack/stack/errors.ts';
import { statusOf } from '../../../hack/stack/http.ts';
import { isAlive } from '../../../hack/stack/identity.ts';
import { writeKubeconfig } from '../../../hack/stack/kubeconfig.ts';
import { startStack, type Stack } from '../../../hack/stack/stack.ts';
import { readState, removeFolder } from '../../../hack/stack/state.ts';

describe('a stack of etcd and kube-apiserver', function () {
  this.timeout(120_000);
  let dir: string;
  let stack: Stack;
  before(async () => {
    dir = mkdtempSync(join(tmpdir(), 'coder-operator-stack-test-'));
    stack = await startStack({ dir, coder: false, controllerManager: false, auditLog: true });
  });
  after(async () => {
    await (stack as Stack | undefined)?.stop();
    removeFolder(dir);
  });

  it('answers its administrator, and writes down who asked', async () => {
    await stack.kubernetes.kubectl(['create', 'namespace', 'example']);
    expect(await stack.kubernetes.kubectl(['get', 'namespaces', '-o', 'name'])).to.include(
      'namespace/example',
    );
    const audit = readFileSync(stack.kubernetes.auditLogFile ?? '', 'utf8');
    const written = audit.split('\n').find((line) => line.includes('"name":"example"'));
    expect(written)
      .to.include('"verb":"create"')
      .and.include('"username":"admin"')
      .and.not.include('responseObject');
  });

  it('lets a service account do only what it was given', async () => {
    const { kubernetes } = stack;
    await kubernetes.kubectl(['create', 'serviceaccount', 'reader', '-n', 'default']);
    const token = await kubernetes.serviceAccountToken('default', 'reader');
    const file = join(dir, 'reader.kubeconfig');
    writeKubeconfig(file, { server: kubernetes.url, caFile: kubernetes.caFile, user: { token } });
    const asReader = ['--kubeconfig', file];
    const whoami = [...asReader, 'auth', 'whoami', '-o', 'jsonpath={.status.userInfo.username}'];
    expect(await kubernetes.kubectl(whoami)).to.equal('system:serviceaccount:default:reader');
    const error: unknown = await kubernetes
      .kubectl([...asReader, 'get', 'secrets'])
      .catch((reason: unknown) => reason);
    expect(error).to.be.instanceOf(StackError);
    expect((error as StackError).message).to.include('cannot list resource "secrets"');
  });

  it('shows etcd to nobody without its certificate', async () => {
    const port = readState(dir)?.ports.etcd ?? 0;
    const ca = readFileSync(stack.kubernetes.pki.etcdCa.certificate, 'utf8');
    expect(await statusOf(`https://127.0.0.1:${port}/health`, { ca })).to.equal(undefined);
    expect(await statusOf(`http://127.0.0.1:${port}/health`)).to.not.equal(200);
  });

  it('has no Coder, and says so', () => {
    expect(() => stack.coder).to.throw(StackError, 'no Coder');
  });

  it('leaves no process running when it is stopped', async () => {
    const records = readState(dir)?.processes ?? [];
    expect(records.map(({ name }) => name)).to.deep.equal(['etcd', 'kube-apiserver']);
    expect(records.every((record) => isAlive(record))).to.equal(true);
    await stack.stop();
    expect(records.some((record) => isAlive(record))).to.equal(false);
    expect(existsSync(join(stack.logs, 'etcd.log')), 'logs stay for whoever looks for a reason').to.equal(
      true,
    );
  });
});
