import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { mountFiles, podEnvironment } from '../../../../hack/stack/pod.ts';

describe('what a pod is given', () => {
  let folder: string;
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'coder-operator-pod-test-'))));
  afterEach(() => rmSync(folder, { recursive: true, force: true }));
  const read = (name: string): string => readFileSync(join(folder, name), 'utf8');

  it('replaces all mounted files at once, and keeps none of before', () => {
    mountFiles(folder, { 'tls.crt': 'one', 'tls.key': 'key of one' });
    expect([read('tls.crt'), read('tls.key')]).to.deep.equal(['one', 'key of one']);
    const before = readdirSync(folder).length;
    mountFiles(folder, { 'tls.crt': 'two', 'tls.key': 'key of two' });
    expect([read('tls.crt'), read('tls.key')]).to.deep.equal(['two', 'key of two']);
    expect(read('..data/tls.crt')).to.equal('two');
    expect(readdirSync(folder)).to.have.length(before);
  });

  it('says where the API server is as the kubelet does', () => {
    expect(podEnvironment('https://127.0.0.1:6443')).to.deep.equal({
      KUBERNETES_SERVICE_HOST: '127.0.0.1',
      KUBERNETES_SERVICE_PORT: '6443',
    });
  });
});
