import { createServer } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { expect } from 'chai';
import fc from 'fast-check';
import { FrontProxy, identityOf } from '../../../../src/apiserver/auth/frontproxy.ts';
import { CredentialsError, headerPairs } from '../../../../src/apiserver/auth/headers.ts';
import { silentAuthMetrics } from '../../../../src/apiserver/auth/metrics.ts';
import {
  NO_TRUST,
  parseTrust,
  type FrontProxyTrust,
  type Trust,
} from '../../../../src/apiserver/auth/trust.ts';
import type { UserInfo } from '../../../../src/apiserver/http/types.ts';
import { StatusError } from '../../../../src/apiserver/http/status.ts';
import { certify, certifyCA, NOW, trustData, type Issued } from '../../../support/auth-pki.ts';
import { FakeClock } from '../../../support/clock.ts';
import { LogBook } from '../../../support/log-book.ts';

const trust: FrontProxyTrust = {
  certificates: [],
  allowedNames: [],
  usernameHeaders: ['x-remote-user'],
  uidHeaders: [],
  groupHeaders: ['x-remote-group'],
  extraPrefixes: ['x-remote-extra-'],
};

const identity = (raw: readonly string[], more: Partial<FrontProxyTrust> = {}): UserInfo | undefined =>
  identityOf(headerPairs(raw), { ...trust, ...more });

describe('identityOf', () => {
  it('reads user, groups and extra as kube-apiserver sends them', () => {
    const raw = ['Host', 'here', 'X-Remote-User', 'ann', 'X-Remote-Group', 'b', 'X-Remote-Group', 'a'];
    raw.push('X-Remote-Extra-Scopes', 'one', 'X-Remote-Extra-Scopes', 'two');
    expect(identity(raw)).to.deep.equal({
      name: 'ann',
      groups: ['b', 'a'],
      extra: { scopes: ['one', 'two'] },
    });
  });

  it('11. takes a group with a comma for one group', () => {
    const raw = ['X-Remote-User', 'ann', 'X-Remote-Group', 'a, system:masters', 'X-Remote-Group', 'b,c'];
    expect(identity(raw)?.groups).to.deep.equal(['a, system:masters', 'b,c']);
    expect(identity(['X-Remote-User', 'ann, bob'])?.name).to.equal('ann, bob');
  });

  it('compares names of headers without case and exactly otherwise', () => {
    expect(identity(['x-rEMOTE-uSER', 'ann'])?.name).to.equal('ann');
    for (const name of [
      'X_Remote_User',
      'X-Remote-Users',
      'XX-Remote-User',
      'X-Remote-User-',
      'X-Remote',
      '',
    ])
      expect(identity([name, 'ann']), name).to.be.undefined;
    const groups = identity(['X-Remote-User', 'ann', 'X_Remote_Group', 'system:masters'])?.groups;
    expect(groups).to.deep.equal([]);
  });

  it('takes the first header that names somebody, in the order of the configuration', () => {
    const usernameHeaders = ['x-first', 'x-second'];
    const raw = ['X-Second', 'bob', 'X-First', 'ann'];
    expect(identity(raw, { usernameHeaders })?.name).to.equal('ann');
    expect(identity(['X-Second', 'bob', 'X-First', ''], { usernameHeaders })?.name).to.equal('bob');
    expect(identity(['X-Second', '', 'X-First', ''], { usernameHeaders })).to.be.undefined;
    expect(identity(['X-Remote-User', 'ann'], { usernameHeaders })).to.be.undefined;
  });

  it('takes groups of all headers in the order of the configuration, without empty ones', () => {
    const groupHeaders = ['x-first', 'x-second'];
    const raw = ['X-Remote-User', 'ann', 'X-Second', 'c', 'X-First', 'a', 'X-First', '', 'X-First', 'b'];
    expect(identity(raw, { groupHeaders })?.groups).to.deep.equal(['a', 'b', 'c']);
  });

  it('refuses a request that names two users or two UIDs in one header', () => {
    for (const raw of [
      ['X-Remote-User', 'ann', 'X-Remote-User', 'bob'],
      ['X-Remote-User', '', 'x-remote-user', 'bob'],
      ['X-Remote-User', 'ann', 'X-Remote-Uid', '1', 'X-Remote-Uid', '2'],
    ]) {
      expect(() => identity(raw, { uidHeaders: ['x-remote-uid'] }), raw.join()).to.throw(CredentialsError);
    }
    expect(identity(['X-Remote-User', 'ann', 'X-Remote-User', 'ann'])?.name).to.equal('ann');
  });

  it('12. takes the UID only where it is configured', () => {
    const raw = ['X-Remote-User', 'ann', 'X-Remote-Uid', '42'];
    expect(identity(raw)).to.not.have.property('uid');
    expect(identity(raw, { uidHeaders: ['x-remote-uid'] })?.uid).to.equal('42');
    expect(
      identity(['X-Remote-User', 'ann', 'X-Remote-Uid', ''], { uidHeaders: ['x-remote-uid'] }),
    ).to.not.have.property('uid');
  });

  it('12. decodes keys of extra, lower-cased, and keeps bad escapes as they are', () => {
    const raw = [
      ['X-Remote-Extra-Example.com%2fScopes', 'a'],
      ['x-remote-extra-example.com%2Fscopes', 'b, c'],
      ['X-Remote-Extra-50%', ''],
      ['X-Remote-Extra-Bad%zz%41', 'd'],
      ['X-Remote-Extra-Bytes%ff', 'e'],
      ['X-Remote-Extra-', 'f'],
      ['X-Remote-Extra-a+b', 'g'],
    ].flat();
    const extra = identity(['X-Remote-User', 'ann', ...raw])?.extra;
    expect({ ...extra }).to.deep.equal({
      'example.com/scopes': ['a', 'b, c'],
      '50%': [''],
      'bad%zz%41': ['d'],
      'bytes%ff': ['e'],
      '': ['f'],
      'a+b': ['g'],
    });
  });

  it('lets no key of extra reach the prototype of objects', () => {
    const raw = ['X-Remote-User', 'ann', 'X-Remote-Extra-__proto__', 'x', 'X-Remote-Extra-%5f_proto__', 'y'];
    const user = identity([...raw, 'X-Remote-Extra-constructor', 'z']);
    expect(JSON.stringify(user?.extra)).to.equal('{"__proto__":["x","y"],"constructor":["z"]}');
    expect(({} as Record<string, unknown>)['x']).to.be.undefined;
    expect(user?.extra).to.have.property('constructor').that.is.an('array');
    expect(Object.getPrototypeOf(user?.extra)).to.equal(null);
  });

  it('reads UTF-8, and refuses what is none', () => {
    const sent = (name: string): string => Buffer.from(name, 'utf8').toString('latin1');
    const raw = ['X-Remote-User', sent('ümit'), 'X-Remote-Group', sent('組'), 'X-Remote-Extra-K', sent('é')];
    expect(identity(raw)).to.deep.equal({ name: 'ümit', groups: ['組'], extra: { k: ['é'] } });
    for (const bad of ['\xff', 'a\xc3', '\xed\xa0\x80', '\u0144', '\xef\xbf']) {
      expect(() => identity(['X-Remote-User', bad]), bad).to.throw(CredentialsError);
      expect(() => identity(['X-Remote-User', 'a', 'X-Remote-Group', bad]), bad).to.throw(CredentialsError);
      expect(() => identity(['X-Remote-User', 'a', 'X-Remote-Extra-K', bad]), bad).to.throw(CredentialsError);
    }
  });

  it('gives back any identity that was sent in the way of kube-apiserver', () => {
    const name = fc.string({ unit: 'grapheme', minLength: 1 }).filter((text) => text.trim() !== '');
    const key = fc.string({ unit: 'grapheme' }).filter((text) => text === text.toLowerCase());
    const bytes = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');
    fc.assert(
      fc.property(
        name,
        fc.array(name),
        fc.dictionary(key, fc.array(name, { minLength: 1 })),
        (user, groups, extra) => {
          const raw = [
            'X-Remote-User',
            bytes(user),
            ...groups.flatMap((group) => ['X-Remote-Group', bytes(group)]),
          ];
          for (const [k, values] of Object.entries(extra)) {
            for (const value of values) raw.push(`X-Remote-Extra-${encodeURIComponent(k)}`, bytes(value));
          }
          const found = identity(raw);
          expect([found?.name, found?.groups]).to.deep.equal([user, groups]);
          expect(Object.entries(found?.extra ?? {}).sort()).to.deep.equal(Object.entries(extra).sort());
        },
      ),
    );
  });
});

describe('FrontProxy', () => {
  let ca: Issued;
  let client: Issued;
  let clock: FakeClock;
  let current: Trust;
  let isRead: boolean;
  let logger: LogBook;
  let proxy: FrontProxy;

  const asAnn = headerPairs(['X-Remote-User', 'ann']);
  const asked = (...chain: readonly Issued[]): UserInfo | undefined =>
    proxy.authenticate(
      chain.map(({ der }) => der),
      asAnn,
    );

  before(async () => {
    ca = await certifyCA('CN=front-proxy-ca');
    client = await certify({ subject: 'CN=front-proxy-client', issuer: ca });
  });

  beforeEach(() => {
    clock = new FakeClock(new Date(NOW));
    current = parseTrust(trustData([ca]));
    isRead = true;
    logger = new LogBook();
    proxy = new FrontProxy({
      trust: {
        get current() {
          return current;
        },
        get isRead() {
          return isRead;
        },
      },
      clock,
      logger,
      metrics: silentAuthMetrics,
    });
  });

  it('asks whoever shows a certificate to come again while it is not known whom to trust', () => {
    isRead = false;
    expect(() => asked(client))
      .to.throw(StatusError)
      .and.to.deep.include({ reason: 'ServiceUnavailable', options: { details: { retryAfterSeconds: 1 } } });
    expect(asked()).to.be.undefined;
  });

  it('9. believes the headers of a proxy with the right name and CA', () => {
    expect(asked(client)?.name).to.equal('ann');
    expect(proxy.authenticate([client.der], headerPairs([]))).to.be.undefined;
  });

  it('9. believes nobody without a certificate, and nobody whose certificate is of another CA', async () => {
    const people = await certifyCA('CN=people-ca');
    expect(asked()).to.be.undefined;
    expect(asked(await certify({ subject: 'CN=ann', issuer: people }))).to.be.undefined;
    expect(asked(await certify({ subject: 'CN=front-proxy-client' }))).to.be.undefined;
  });

  it('9. refuses a certificate of the CA that has another name, or several', async () => {
    for (const subject of [
      'CN=ann',
      'CN=Front-Proxy-Client',
      'CN=front-proxy-client ',
      'O=front-proxy-client',
      'CN=a+CN=front-proxy-client',
    ]) {
      const other = await certify({ subject, issuer: ca });
      expect(() => asked(other), subject).to.throw(CredentialsError, /name that is not allowed/);
    }
  });

  it('9. believes any name of the CA where none is prescribed', async () => {
    current = parseTrust(trustData([ca], { 'requestheader-allowed-names': '[]' }));
    expect(asked(await certify({ subject: 'O=nameless', issuer: ca }))?.name).to.equal('ann');
  });

  it("10. does not believe a person's certificate with the name of the proxy", async () => {
    const people = await certifyCA('CN=people-ca');
    const impostor = await certify({ subject: 'CN=front-proxy-client', issuer: people });
    expect(asked(impostor)).to.be.undefined;
    // Nor with the real ones behind it.
    expect(asked(impostor, client, ca)).to.be.undefined;
    const namesake = await certifyCA('CN=front-proxy-ca');
    expect(asked(await certify({ subject: 'CN=front-proxy-client', issuer: namesake }), namesake)).to.be
      .undefined;
    const forged = await certify({ subject: 'CN=front-proxy-client', issuer: client });
    expect(asked(forged, client)).to.be.undefined;
  });

  it('refuses a certificate of the CA that has expired, also on a connection that was good', async () => {
    const short = await certify({ subject: 'CN=front-proxy-client', issuer: ca, notAfter: NOW + 5000 });
    expect(asked(short)?.name).to.equal('ann');
    await clock.advance(5001);
    expect(() => asked(short)).to.throw(CredentialsError, /has expired/);
  });

  it('notices that a certificate has become valid', async () => {
    const early = await certify({ subject: 'CN=front-proxy-client', issuer: ca, notBefore: NOW + 60_000 });
    expect(() => asked(early)).to.throw(CredentialsError, /not yet valid/);
    await clock.advance(70_000);
    expect(asked(early)?.name).to.equal('ann');
  });

  it('13. follows a change of the CA at once, also on connections that are open', async () => {
    expect(asked(client)?.name).to.equal('ann');
    const next = await certifyCA('CN=front-proxy-ca');
    const renewed = await certify({ subject: 'CN=front-proxy-client', issuer: next });
    expect(asked(renewed)).to.be.undefined;
    current = parseTrust(trustData([ca, next]));
    expect([asked(client)?.name, asked(renewed)?.name]).to.deep.equal(['ann', 'ann']);
    current = parseTrust(trustData([next]));
    expect([asked(client), asked(renewed)?.name]).to.deep.equal([undefined, 'ann']);
  });

  it('13. follows a change of names and headers at once', () => {
    expect(asked(client)?.name).to.equal('ann');
    current = parseTrust(trustData([ca], { 'requestheader-allowed-names': '["another"]' }));
    expect(() => asked(client)).to.throw(CredentialsError);
    current = parseTrust(trustData([ca], { 'requestheader-username-headers': '["X-User"]' }));
    expect(asked(client)).to.be.undefined;
    expect(proxy.authenticate([client.der], headerPairs(['X-User', 'bob']))?.name).to.equal('bob');
    current = NO_TRUST;
    expect(asked(client)).to.be.undefined;
  });

  it('verifies a chain once in a while, not for each request', () => {
    let verified = 0;
    const [certificate] = current.frontProxy?.certificates ?? [];
    const counting = { ...certificate!, publicKey: () => (verified++, certificate!.publicKey()) };
    current = { frontProxy: { ...current.frontProxy!, certificates: [counting] } };
    for (let i = 0; i < 100; i++) expect(asked(client)?.name).to.equal('ann');
    expect(verified).to.equal(1);
    expect(asked(client, ca)?.name).to.equal('ann');
    expect(verified).to.equal(2);
  });

  describe('says in the log why a client is not taken for the proxy that it would be', () => {
    const said = (): readonly unknown[] =>
      logger.texts.map(
        (line) => /^warn .* not trusted as the front proxy {"reason":"(.*)"}$/.exec(line)?.[1],
      );

    it('once a minute, for the CA of the proxy apart from all others', async () => {
      const other = await certify({ subject: 'CN=front-proxy-client', issuer: await certifyCA('CN=other') });
      const misnamed = await certify({ subject: 'CN=ann', issuer: ca });
      for (let i = 0; i < 100; i++) {
        asked(other);
        expect(() => asked(misnamed)).to.throw(CredentialsError);
      }
      expect(said()).to.deep.equal(['another CA signed it', 'its name is not allowed']);
      await clock.advance(59_999);
      asked(other);
      expect(logger.texts).to.have.length(2);
      await clock.advance(1);
      asked(other);
      expect(said().slice(2)).to.deep.equal(['another CA signed it']);
    });

    it('without a word of its headers or its certificate', async () => {
      const short = await certify({ subject: 'CN=front-proxy-client', issuer: ca, notAfter: NOW + 5000 });
      await clock.advance(5001);
      expect(() => asked(short)).to.throw(CredentialsError);
      expect(said()).to.deep.equal(['the certificate has expired']);
      expect(logger.texts.join()).to.not.match(/ann|X-Remote|front-proxy-client/i);
    });

    it('and nothing of a client that does not say who asks, or of a trusted one', async () => {
      const other = await certify({ subject: 'CN=ann', issuer: await certifyCA('CN=people-ca') });
      expect(proxy.authenticate([other.der], headerPairs(['Accept', '*/*']))).to.be.undefined;
      asked(client);
      expect(logger.texts).to.deep.equal([]);
    });
  });

  it('tells how long the certificate still holds', () => {
    const told: number[] = [];
    const metrics = { ...silentAuthMetrics, clientCertificateExpires: (s: number) => void told.push(s) };
    const measured = new FrontProxy({ trust: { current, isRead: true }, clock, logger, metrics });
    measured.authenticate([client.der], asAnn);
    expect(told).to.deep.equal([3600]);
  });
});

describe("the headers of Node's parser", () => {
  /** What the server's parser made of it; `refused` when it did not take the request. */
  async function parsed(lines: string): Promise<readonly string[] | 'refused'> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      return await new Promise((resolve) => {
        server.once('request', (request) => resolve(request.rawHeaders.slice(2)));
        server.once('clientError', (_, socket) => {
          socket.destroy();
          resolve('refused');
        });
        const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
        socket.on('error', () => undefined);
        socket.write(Buffer.from(`GET / HTTP/1.1\r\nHost: here\r\n${lines}\r\n\r\n`, 'utf8'));
      });
    } finally {
      server.closeAllConnections();
      server.close();
    }
  }

  it('11. hold no header that was smuggled into a value', async () => {
    for (const lines of [
      'X-Remote-User: ann\r\n X-Remote-Group: system:masters',
      'X-Remote-User: ann\r\n\tsystem:masters',
      'X-Remote-User: ann\nX-Remote-Group: system:masters',
      'X-Remote-User: ann\rX-Remote-Group: system:masters',
      'X-Remote-User: a\0b',
      'X-Remote-User : ann',
      ' X-Remote-User: ann',
      ': ann',
    ]) {
      expect(await parsed(lines), JSON.stringify(lines)).to.equal('refused');
    }
  });

  it('11. come one by one, with repeated ones and bytes as they were sent', async () => {
    const raw = await parsed(
      'X-Remote-User: ümit\r\nX-Remote-Group: a, b\r\nx-remote-group:  c \r\nX-Remote-Group:',
    );
    if (raw === 'refused') throw new Error(raw);
    expect(identity(raw)).to.deep.equal({ name: 'ümit', groups: ['a, b', 'c'], extra: {} });
  });
});
