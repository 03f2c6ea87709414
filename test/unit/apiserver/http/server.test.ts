import { webcrypto } from 'node:crypto';
import { createConnection } from 'node:net';
import { connect } from 'node:tls';
import { expect } from 'chai';
import type { PeerConnection } from '../../../../src/apiserver/auth/authenticate.ts';
import { certify, type Issued } from '../../../support/auth-pki.ts';
import {
  ask,
  connectRaw,
  GROUP_PATH,
  json,
  keepingAgent,
  startTestApi,
  stopTestApis,
  testPair,
  TestWatch,
  WORKSPACES,
  type TestApi,
} from '../../../support/apiserver-http.ts';
import { eventually } from '../../../support/eventually.ts';

/** A connection on which nothing is ever sent; resolves when the server closes it. */
function connectPlain(port: number): Promise<void> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: '127.0.0.1', port });
    socket.resume();
    socket.on('error', () => undefined);
    socket.once('close', () => resolve());
  });
}

async function keyOf(issued: Issued): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', issued.keys.privateKey));
  return `-----BEGIN PRIVATE KEY-----\n${der.toString('base64')}\n-----END PRIVATE KEY-----\n`;
}

describe('ApiServer: connections', () => {
  afterEach(stopTestApis);

  /** A server that remembers what authentication was given. */
  async function startWatched(): Promise<TestApi & { readonly seen: PeerConnection[] }> {
    const seen: PeerConnection[] = [];
    const api = await startTestApi({
      authenticator: {
        authenticate(connection) {
          seen.push(connection);
          return Promise.resolve({ name: 'ann', groups: [], extra: {} });
        },
      },
      discovery: () => json({}),
    });
    return { ...api, seen };
  }

  describe('client certificates', () => {
    it('hands on the whole chain, leaf first, of a client that nobody vouches for', async () => {
      const root = await certify({ subject: 'CN=Root', ca: true });
      const middle = await certify({ subject: 'CN=Middle', issuer: root, ca: true });
      const leaf = await certify({
        subject: 'CN=front-proxy-client',
        issuer: middle,
        usages: ['clientAuth'],
      });
      const api = await startWatched();
      const cert = [leaf, middle, root].map(({ pem }) => pem).join('\n');
      expect((await ask(api, '/apis', { cert, key: await keyOf(leaf) })).status).to.equal(200);
      expect(api.seen[0]?.peerChain).to.deep.equal([leaf.der, middle.der, root.der]);
    });

    it('hands on nothing of a client without one', async () => {
      const api = await startWatched();
      await ask(api, '/apis');
      expect(api.seen[0]?.peerChain).to.deep.equal([]);
    });

    it('hands on the same object for all requests of a connection, and another one for the next', async () => {
      const api = await startWatched();
      const agent = keepingAgent(1);
      for (const path of ['/apis', '/version']) await ask(api, path, { agent });
      await ask(api, '/apis');
      const [first, second, third] = api.seen;
      expect(first).to.equal(second);
      expect(first).to.not.equal(third);
    });

    it('follows a chain for ten certificates at most', async () => {
      const issued = [await certify({ subject: 'CN=0', ca: true })];
      for (let i = 1; i <= 12; i++) {
        issued.unshift(await certify({ subject: `CN=${i}`, issuer: issued[0]!, ca: true }));
      }
      const api = await startWatched();
      const cert = issued.map(({ pem }) => pem).join('\n');
      await ask(api, '/apis', { cert, key: await keyOf(issued[0]!) });
      expect(api.seen[0]?.peerChain).to.have.lengthOf(10);
    });
  });

  describe('TLS', () => {
    it('6. speaks HTTP/1.1 to a client that offers HTTP/2 too', async () => {
      const api = await startTestApi();
      const client = await connectRaw(api, { ALPNProtocols: ['h2', 'http/1.1'] });
      expect(client.socket.alpnProtocol).to.equal('http/1.1');
      client.socket.write('GET /livez HTTP/1.1\r\nHost: x\r\n\r\n');
      expect(await client.until(/ok$/)).to.match(/^HTTP\/1\.1 200 OK\r\n/);
    });

    it('6. refuses a client that offers HTTP/2 only, and one of TLS 1.1, and counts them', async () => {
      const api = await startTestApi();
      const failure = await connectRaw(api, { ALPNProtocols: ['h2'] }).catch((error: unknown) => error);
      expect(failure).to.have.property('code', 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL');
      const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const;
      expect(await connectRaw(api, old).catch((error: unknown) => error)).to.be.instanceOf(Error);
      await eventually(async () => (await api.metrics.tlsHandshakeErrors.get()).values[0]?.value === 2);
    });

    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      it(`resumes no session of ${version}`, async () => {
        const api = await startTestApi();
        const first = await connectRaw(api, { minVersion: version, maxVersion: version });
        const sessions: Buffer[] = [];
        first.socket.on('session', (session: Buffer) => sessions.push(session));
        first.socket.write('GET /livez HTTP/1.1\r\nHost: x\r\n\r\n');
        await first.until(/ok$/);
        const session = sessions.at(-1) ?? first.socket.getSession();
        const second = await connectRaw(api, {
          minVersion: version,
          maxVersion: version,
          ...(session === undefined ? {} : { session }),
        });
        expect(second.socket.isSessionReused()).to.equal(false);
      });
    }

    it('fails handshakes until there is a certificate, then serves', async () => {
      const api = await startTestApi({ withoutCertificate: true });
      expect(await ask(api, '/livez').catch((error: unknown) => error)).to.be.instanceOf(Error);
      api.certificates.replace(await testPair());
      expect((await ask(api, '/livez')).text).to.equal('ok');
    });

    it('4. shows a new certificate to new handshakes, while open watches and kept connections live on', async () => {
      const watch = new TestWatch();
      const api = await startTestApi({ resources: () => watch, discovery: () => json({}) });
      const client = await connectRaw(api);
      client.socket.write(`GET ${WORKSPACES}?watch=1 HTTP/1.1\r\nHost: x\r\n\r\n`);
      const sink = await watch.next();
      const agent = keepingAgent(1);
      await ask(api, '/apis', { agent });
      const before = (await connectRaw(api)).socket.getPeerCertificate().serialNumber;
      expect(client.socket.getPeerCertificate().serialNumber).to.equal(before);

      api.certificates.replace(await testPair('new'));
      const after = (await connectRaw(api)).socket.getPeerCertificate();
      expect(after.serialNumber).to.not.equal(before);
      expect(after.subjectaltname).to.contain('DNS:new');
      sink.send(Buffer.from('{"type":"ADDED"}\n'));
      await client.until(/ADDED/);
      expect(client.received).to.match(/ADDED/);
      expect((await ask(api, '/apis', { agent })).status).to.equal(200);
      const { values } = await api.metrics.certificateExpires.get();
      expect(values[0]?.value).to.be.closeTo(Date.now() / 1000 + 3600, 60);
    });

    it('4. fails no request while certificates change', async () => {
      const api = await startTestApi({ discovery: () => json({}) });
      const pairs = [await testPair('a'), await testPair('b')];
      for (let i = 0; i < 10; i++) {
        const asked = [ask(api, GROUP_PATH), ask(api, GROUP_PATH)];
        api.certificates.replace(pairs[i % 2]!);
        for (const { status } of await Promise.all(asked)) expect(status).to.equal(200);
      }
    });

    it('keeps the certificate it has when the next one cannot be used, and says so', async () => {
      const api = await startTestApi();
      const [{ cert }, { key }] = [await testPair(), await testPair()];
      api.certificates.replace({ cert, key });
      expect((await ask(api, '/livez')).status).to.equal(200);
      expect(api.log.lines.map(({ message }) => message)).to.include(
        'the serving certificate cannot be used; the one before stays',
      );
    });
  });

  describe('limits', () => {
    it('7. takes a header of 400 long groups, in the order they came', async () => {
      const groups = Array.from({ length: 400 }, (_, i) => `team-${'x'.repeat(200)}-${i}`);
      let seen: readonly string[] = [];
      const api = await startTestApi({
        authenticator: {
          authenticate(_connection, rawHeaders) {
            seen = rawHeaders.filter((_, i) => rawHeaders[i - 1] === 'X-Remote-Group' && i % 2 === 1);
            return Promise.resolve({ name: 'ann', groups: seen, extra: {} });
          },
        },
        discovery: () => json({}),
      });
      const client = await connectRaw(api);
      const lines = groups.map((group) => `X-Remote-Group: ${group}\r\n`).join('');
      expect(lines.length).to.be.greaterThan(64 * 1024);
      client.socket.write(`GET /apis HTTP/1.1\r\nHost: x\r\n${lines}\r\n`);
      await client.until(/\{\}$/);
      expect(client.received).to.match(/^HTTP\/1\.1 200/);
      expect(seen).to.deep.equal(groups);
    });

    it('7. drops none of 9,000 fields, and refuses more than 10,000', async () => {
      let count = 0;
      const api = await startTestApi({
        authenticator: {
          authenticate(_connection, rawHeaders) {
            count = rawHeaders.length / 2;
            return Promise.resolve({ name: 'ann', groups: [], extra: {} });
          },
        },
        discovery: () => json({}),
      });
      const askWith = async (fields: number): Promise<string> => {
        const client = await connectRaw(api);
        const lines = Array.from({ length: fields - 2 }, (_, i) => `X-Remote-Group: g${i}\r\n`).join('');
        client.socket.write(`GET /apis HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${lines}\r\n`);
        return client.closed();
      };
      expect(await askWith(9_000)).to.match(/^HTTP\/1\.1 200/);
      expect(count).to.equal(9_000);
      const refused = await askWith(10_001);
      expect(refused).to.match(/^HTTP\/1\.1 400/);
      expect(refused).to.contain('more than 10000 header fields');
      expect(count).to.equal(9_000);
    });

    it('answers a header of more than 1 MiB with 431 and a Status', async () => {
      const api = await startTestApi();
      const client = await connectRaw(api);
      client.socket.write(`GET /apis HTTP/1.1\r\nHost: x\r\nX-Long: ${'x'.repeat(1024 * 1024)}\r\n\r\n`);
      const received = await client.closed();
      expect(received).to.match(/^HTTP\/1\.1 431 /);
      expect(JSON.parse(received.split('\r\n\r\n')[1] ?? '')).to.include({ kind: 'Status', code: 431 });
    });

    it('answers what is no HTTP with 400 and a Status', async () => {
      const api = await startTestApi();
      const client = await connectRaw(api);
      client.socket.write('NONSENSE\r\n\r\n');
      const received = await client.closed();
      expect(received).to.match(/^HTTP\/1\.1 400 /);
      expect(JSON.parse(received.split('\r\n\r\n')[1] ?? '')).to.include({ kind: 'Status', code: 400 });
    });

    it('writes nothing into an open watch when nonsense follows it', async () => {
      const watch = new TestWatch();
      const api = await startTestApi({ resources: () => watch });
      const client = await connectRaw(api);
      client.socket.write(`GET ${WORKSPACES}?watch=1 HTTP/1.1\r\nHost: x\r\n\r\n`);
      const sink = await watch.next();
      await client.until(/\r\n\r\n$/);
      client.socket.write('NONSENSE\r\n\r\n');
      expect(await client.closed()).to.not.contain('400');
      expect(sink.signal.aborted).to.equal(true);
    });

    it('gives up clients that do not get on with their handshake or their header', async () => {
      const api = await startTestApi({ limits: { handshakeMs: 100, headerMs: 100 } });
      const silent = connectPlain(api.port);
      const idle = await connectRaw(api);
      const slow = await connectRaw(api);
      slow.socket.write('GET /livez HTTP/1.1\r\nHost:');
      for (const client of [idle, slow]) {
        const received = await client.closed();
        expect(received).to.match(/^HTTP\/1\.1 408 /);
        expect(JSON.parse(received.split('\r\n\r\n')[1] ?? '')).to.include({ kind: 'Status', code: 408 });
      }
      await silent;
      await eventually(async () => (await api.metrics.tlsHandshakeErrors.get()).values[0]?.value === 1);
    });

    it('keeps idle connections for longer than the 90 s of Go’s client', async () => {
      const api = await startTestApi();
      const { headers } = await ask(api, '/livez', { agent: keepingAgent() });
      const [, seconds] = /timeout=(\d+)/.exec(String(headers['keep-alive'])) ?? [];
      expect(Number(seconds)).to.be.at.least(100);
    });

    it('refuses connections beyond its limit, counts them, and takes the next one after', async () => {
      const api = await startTestApi({ limits: { connections: 2 } });
      const first = await connectRaw(api);
      const second = await connectRaw(api);
      for (const client of [first, second]) client.socket.write('GET /livez HTTP/1.1\r\nHost: x\r\n');
      await new Promise((resolve) => {
        connect({ host: '127.0.0.1', port: api.port, rejectUnauthorized: false }).once('error', resolve);
      });
      expect((await api.metrics.connectionsRefused.get()).values[0]?.value).to.equal(1);
      first.socket.destroy();
      await eventually(() =>
        ask(api, '/livez').then(
          ({ status }) => status === 200,
          () => false,
        ),
      );
    });
  });

  it('ends what is open when it is closed', async () => {
    const watch = new TestWatch();
    const api = await startTestApi({ resources: () => watch, discovery: () => new Promise(() => undefined) });
    const client = await connectRaw(api);
    client.socket.write(`GET ${WORKSPACES}?watch=1 HTTP/1.1\r\nHost: x\r\n\r\n`);
    const sink = await watch.next();
    const asked = ask(api, '/apis').catch((error: unknown) => error);
    await eventually(async () => (await api.metrics.longRunning.get()).values[0]?.value === 1);
    await api.server.close();
    await client.closed();
    expect(sink.signal.aborted).to.equal(true);
    expect(await asked).to.be.instanceOf(Error);
  });
});
