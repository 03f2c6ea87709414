import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage } from 'node:http';
import { connect as connectTcp, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { inspect } from 'node:util';
import { expect } from 'chai';
import sinon from 'sinon';
import { stringify } from 'yaml';
import { silentLogger } from '../../../src/base/logger.ts';
import { openConnection, type ConnectionOptions, type KubeConnection } from '../../../src/kube/connection.ts';
import { FakeClock } from '../../support/clock.ts';
import { widget, widgets } from '../../support/kube-objects.ts';
import { clientOf, json, ScriptedKube } from '../../support/kube-server.ts';

describe('openConnection', () => {
  let folder: string;
  let clock: FakeClock;
  const open: KubeConnection[] = [];

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'kube-connection-'));
    clock = new FakeClock();
  });

  afterEach(async () => {
    await Promise.all(open.splice(0).map((connection) => connection.close()));
    await rm(folder, { recursive: true });
  });

  async function write(name: string, text: string): Promise<string> {
    const path = join(folder, name);
    // As kubelet does it: whole files appear, never halves.
    await writeFile(`${path}.new`, text);
    await rename(`${path}.new`, path);
    return path;
  }

  function kubeconfig(user: object, cluster: object = {}): Promise<string> {
    const config = {
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': 'main',
      contexts: [
        { name: 'main', context: { cluster: 'main', user: 'me' } },
        { name: 'other', context: { cluster: 'other', user: 'me' } },
      ],
      clusters: [
        { name: 'main', cluster: { server: 'https://kube.test:6443/prefix/', ...cluster } },
        { name: 'other', cluster: { server: 'https://other.test' } },
      ],
      users: [{ name: 'me', user }],
    };
    return write('kubeconfig', stringify(config));
  }

  async function connect(path: string, more: Partial<ConnectionOptions> = {}): Promise<KubeConnection> {
    const connection = await openConnection({ kubeconfig: path, clock, logger: silentLogger, ...more });
    open.push(connection);
    return connection;
  }

  it('takes server and token from a kubeconfig', async () => {
    const connection = await connect(await kubeconfig({ token: 'abc' }));
    expect(connection.baseUrl).to.equal('https://kube.test:6443/prefix');
    expect(await connection.headers()).to.deep.equal({ authorization: 'Bearer abc' });
  });

  it('takes the context that is asked for', async () => {
    const connection = await connect(await kubeconfig({ token: 'abc' }), { context: 'other' });
    expect(connection.baseUrl).to.equal('https://other.test');
  });

  it('reads a token file again when it may have been rotated', async () => {
    await write('token', 'first\n');
    const connection = await connect(await kubeconfig({ tokenFile: 'token' }));
    expect(await connection.headers()).to.deep.equal({ authorization: 'Bearer first' });
    await write('token', 'second\n');
    connection.refresh();
    expect(await connection.headers()).to.deep.equal({ authorization: 'Bearer second' });
  });

  it('takes up a changed kubeconfig after a while, and keeps its connections when only the token changed', async () => {
    const connection = await connect(await kubeconfig({ token: 'abc' }));
    const { dispatcher, watchDispatcher } = connection;
    await kubeconfig({ token: 'def' });
    expect(await connection.headers()).to.deep.equal({ authorization: 'Bearer abc' });
    await clock.advance(30_000);
    expect(await connection.headers()).to.deep.equal({ authorization: 'Bearer def' });
    expect([connection.dispatcher, connection.watchDispatcher]).to.deep.equal([dispatcher, watchDispatcher]);
  });

  it('makes new connections when the certificate authority changed', async () => {
    await write('ca.crt', 'one');
    const connection = await connect(
      await kubeconfig({ token: 'abc' }, { 'certificate-authority': 'ca.crt' }),
    );
    const { dispatcher, watchDispatcher } = connection;
    await write('ca.crt', 'two');
    await clock.advance(30_000);
    await connection.headers();
    expect(connection.dispatcher).to.not.equal(dispatcher);
    expect(connection.watchDispatcher).to.not.equal(watchDispatcher);
  });

  it('makes new connections once when several calls of the same time suspect the old ones', async () => {
    const connection = await connect(await kubeconfig({ token: 'abc' }));
    await clock.advance(1000);
    const { dispatcher, watchDispatcher } = connection;
    const began = clock.monotonic();
    await clock.advance(1000);
    connection.suspect(began);
    const renewed = connection.dispatcher;
    expect(renewed).to.not.equal(dispatcher);
    expect(connection.watchDispatcher).to.not.equal(watchDispatcher);
    connection.suspect(began + 500);
    expect(connection.dispatcher).to.equal(renewed);
    await clock.advance(1000);
    connection.suspect(clock.monotonic());
    expect(connection.dispatcher).to.not.equal(renewed);
  });

  it('keeps what it has while the files cannot be read', async () => {
    const warn = sinon.spy();
    const path = await kubeconfig({ token: 'abc' });
    const connection = await connect(path, { logger: { ...silentLogger, warn } });
    await rm(path);
    await clock.advance(30_000);
    expect(await connection.headers()).to.deep.equal({ authorization: 'Bearer abc' });
    sinon.assert.calledOnce(warn);
  });

  it('runs an exec plugin, and again only when its credential was refused', async () => {
    const credential = {
      apiVersion: 'client.authentication.k8s.io/v1',
      kind: 'ExecCredential',
      status: { token: 't' },
    };
    const log = join(folder, 'calls');
    const script = `echo called >> ${log}; echo '${JSON.stringify(credential)}'`;
    const exec = {
      apiVersion: credential.apiVersion,
      command: 'sh',
      args: ['-c', script],
      interactiveMode: 'Never',
    };
    const connection = await connect(await kubeconfig({ exec }));
    await clock.advance(30_000);
    expect(await connection.headers()).to.deep.equal({ authorization: 'Bearer t' });
    expect(await readFile(log, 'utf8')).to.equal('called\n');
    connection.refresh();
    await connection.headers();
    expect(await readFile(log, 'utf8')).to.equal('called\ncalled\n');
  });

  it('goes through the proxy of the kubeconfig', async () => {
    const server = await ScriptedKube.start();
    server.script(json(200, widget('a')));
    const proxy = createServer();
    const tunnels: (string | undefined)[] = [];
    proxy.on('connect', (request: IncomingMessage, socket: Duplex) => {
      tunnels.push(request.url);
      const upstream = connectTcp(Number(new URL(server.url).port), '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n');
        socket.pipe(upstream).pipe(socket);
      });
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    const { port } = proxy.address() as AddressInfo;
    const cluster = {
      server: 'http://kube.invalid',
      'insecure-skip-tls-verify': true,
      'proxy-url': `http://127.0.0.1:${port}`,
    };
    const connection = await connect(await kubeconfig({ token: 'abc' }, cluster));
    expect(await clientOf(connection).get(widgets, 'default', 'a')).to.deep.equal(widget('a'));
    expect(tunnels).to.deep.equal(['kube.invalid:80']);
    await connection.close();
    await server.close();
    proxy.close();
  });

  const broken: readonly (readonly [string, object, object, string])[] = [
    ['a server that is no URL', {}, { server: 'nonsense' }, 'is not a URL'],
    [
      'a proxy of an unknown kind',
      {},
      { 'proxy-url': 'socks5://127.0.0.1:1' },
      'must be http or https, not socks5:',
    ],
    ['plain HTTP that it does not allow', {}, { server: 'http://kube.test' }, 'HTTP protocol is not allowed'],
  ];
  for (const [what, user, cluster, message] of broken) {
    it(`refuses ${what}`, async () => {
      const path = await kubeconfig(user, cluster);
      const error: unknown = await connect(path).catch((thrown: unknown) => thrown);
      expect(error).to.have.property('code', 'KUBE_CONFIG');
      expect(error).to.have.property('message').that.includes(message);
    });
  }

  it('says what is wrong with a file that is missing, no kubeconfig or without the context', async () => {
    const text = async (path: string, more = {}): Promise<string> =>
      connect(path, more).then(
        () => '',
        (error: unknown) => (error instanceof Error ? error.message : ''),
      );
    expect(await text(join(folder, 'missing'))).to.include('missing cannot be read');
    expect(await text(await write('list', '{'))).to.include('is not valid');
    expect(await text(await kubeconfig({}), { context: 'none' })).to.include(
      'no cluster for the context none',
    );
  });

  it('quotes nothing of a kubeconfig that is broken: a token may stand there', async () => {
    const broken = [
      'users:\n- name: me\n  user:\n    token: SECRET-VALUE\n   broken: [',
      'users: [{name: me, user: {token: SECRET-VALUE',
      'token: "SECRET-VALUE',
      'users: SECRET-VALUE',
      '- SECRET-VALUE',
    ];
    for (const source of broken) {
      const error: unknown = await connect(await write('broken', source)).catch((thrown: unknown) => thrown);
      expect(error).to.be.instanceOf(Error);
      expect(inspect(error, { depth: 9 }), source)
        .to.contain('broken')
        .and.not.contain('SECRET');
    }
  });

  it('says so when it is not in a pod', async () => {
    const error: unknown = await openConnection({ clock, logger: silentLogger }).catch(
      (thrown: unknown) => thrown,
    );
    expect(error).to.have.property('message').that.includes('not running in a pod');
  });

  describe('with the service account of a pod', () => {
    async function inPod(host: string): Promise<KubeConnection> {
      const serviceAccount = { host, port: '6443', folder };
      const connection = await openConnection({ serviceAccount, clock, logger: silentLogger });
      open.push(connection);
      return connection;
    }

    beforeEach(async () => {
      await write('token', 'first\n');
      await write('ca.crt', 'an authority');
    });

    it('takes server, token and authority from what the kubelet gives', async () => {
      const connection = await inPod('kube.test');
      expect(connection.baseUrl).to.equal('https://kube.test:6443');
      expect(await connection.headers()).to.deep.equal({ authorization: 'Bearer first' });
    });

    it('writes an address of the newer sort as URLs do', async () => {
      expect((await inPod('fd00::1')).baseUrl).to.equal('https://[fd00::1]:6443');
    });

    it('takes up a rotated token, and a rotated authority with new connections', async () => {
      const connection = await inPod('kube.test');
      const { dispatcher } = connection;
      await write('token', 'second');
      connection.refresh();
      expect(await connection.headers()).to.deep.equal({ authorization: 'Bearer second' });
      expect(connection.dispatcher).to.equal(dispatcher);
      await write('ca.crt', 'another authority');
      connection.refresh();
      await connection.headers();
      expect(connection.dispatcher).to.not.equal(dispatcher);
    });

    it('keeps the old token while a new one is being written', async () => {
      const connection = await inPod('kube.test');
      await write('token', '');
      connection.refresh();
      expect(await connection.headers()).to.deep.equal({ authorization: 'Bearer first' });
    });

    for (const name of ['token', 'ca.crt']) {
      it(`says so when ${name} is missing`, async () => {
        await rm(join(folder, name));
        const error: unknown = await inPod('kube.test').catch((thrown: unknown) => thrown);
        expect(error).to.have.property('code', 'KUBE_CONFIG');
        expect(error)
          .to.have.property('message')
          .that.includes(`${name} of the service account cannot be read`);
      });
    }
  });
});
