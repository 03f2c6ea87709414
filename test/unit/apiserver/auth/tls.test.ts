import { webcrypto } from 'node:crypto';
import { createServer, request, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { DelegatedAuthenticator } from '../../../../src/apiserver/auth/authenticate.ts';
import { FrontProxy } from '../../../../src/apiserver/auth/frontproxy.ts';
import { silentAuthMetrics } from '../../../../src/apiserver/auth/metrics.ts';
import { Tokens } from '../../../../src/apiserver/auth/token.ts';
import { parseTrust } from '../../../../src/apiserver/auth/trust.ts';
import { Connections } from '../../../../src/apiserver/http/connection.ts';
import { systemClock } from '../../../../src/base/clock.ts';
import { silentLogger } from '../../../../src/base/logger.ts';
import {
  certify,
  certifyCA,
  trustData,
  type CertificateOptions,
  type Issued,
} from '../../../support/auth-pki.ts';
import { ReviewKube } from '../../../support/review-kube.ts';

const DAY_MS = 86_400_000;
/** By the machine's clock, which TLS itself goes by. */
const valid = { notBefore: Date.now() - DAY_MS, notAfter: Date.now() + DAY_MS };
const CLIENT = 'CN=front-proxy-client';

describe('authentication over TLS', () => {
  let ca: Issued;
  let people: Issued;
  let server: Server;

  const issued = (options: CertificateOptions): Promise<Issued> => certify({ ...valid, ...options });

  before(async () => {
    ca = await certifyCA('CN=front-proxy-ca', valid);
    people = await certifyCA('CN=people-ca', valid);
    const serving = await issued({ subject: 'CN=here' });
    const common = { clock: systemClock, logger: silentLogger, metrics: silentAuthMetrics };
    const trust = { current: parseTrust(trustData([ca], { 'client-ca-file': people.pem })), isRead: true };
    const authenticator = new DelegatedAuthenticator({
      ...common,
      frontProxy: new FrontProxy({ ...common, trust }),
      tokens: new Tokens({ ...common, client: new ReviewKube(() => ({ authenticated: false })).client }),
    });
    const connections = new Connections();
    server = createServer({
      key: await keyOf(serving),
      cert: serving.pem,
      requestCert: true,
      rejectUnauthorized: false,
    });
    server.on('request', (incoming, response) => {
      const { signal } = new AbortController();
      authenticator.authenticate(connections.of(incoming.socket), incoming.rawHeaders, signal).then(
        (user) => response.end(JSON.stringify([user.name, ...user.groups])),
        (error: unknown) => response.end(error instanceof Error ? error.message : ''),
      );
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });

  after(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  async function keyOf({ keys }: Issued): Promise<string> {
    const bytes = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
    return `-----BEGIN PRIVATE KEY-----\n${bytes.replace(/(.{64})/g, '$1\n')}\n-----END PRIVATE KEY-----\n`;
  }

  /** What the server takes a client for that says it speaks for a member of system:masters. */
  async function claim(...chain: readonly Issued[]): Promise<string> {
    const [leaf] = chain;
    const credentials =
      leaf === undefined ? {} : { key: await keyOf(leaf), cert: chain.map(({ pem }) => pem).join('') };
    return new Promise((resolve, reject) => {
      const asking = request({
        ...credentials,
        host: '127.0.0.1',
        port: (server.address() as AddressInfo).port,
        rejectUnauthorized: false,
        agent: false,
        headers: { 'X-Remote-User': 'root', 'X-Remote-Group': ['a, b', 'system:masters'] },
      });
      asking.on('error', reject).on('response', (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
        response.on('end', () => resolve(text));
      });
      asking.end();
    });
  }

  const believed = '["root","a, b","system:masters","system:authenticated"]';
  const anonymous = '["system:anonymous","system:unauthenticated"]';

  it('9. believes the proxy, directly under its CA or under an intermediate that it sends along', async () => {
    const upper = await issued({ subject: 'CN=upper', issuer: ca, ca: true });
    const lower = await issued({ subject: 'CN=lower', issuer: upper, ca: true });
    expect(await claim(await issued({ subject: CLIENT, issuer: ca, usages: ['clientAuth'] }))).to.equal(
      believed,
    );
    const deep = await issued({ subject: CLIENT, issuer: lower });
    expect(await claim(deep, lower, upper)).to.equal(believed);
    expect(await claim(deep, lower)).to.equal(anonymous);
  });

  it('9. believes neither who shows nothing nor who shows another name of the CA', async () => {
    expect(await claim()).to.equal(anonymous);
    expect(await claim(await issued({ subject: 'CN=ann', issuer: ca }))).to.equal('Unauthorized');
    const old = await issued({ subject: CLIENT, issuer: ca, notAfter: Date.now() - 1000 });
    expect(await claim(old)).to.equal('Unauthorized');
  });

  it("10. believes no person's certificate with the name of the proxy, whatever is sent along", async () => {
    const impostor = await issued({ subject: CLIENT, issuer: people });
    const genuine = await issued({ subject: CLIENT, issuer: ca });
    expect(await claim(impostor)).to.equal(anonymous);
    expect(await claim(impostor, people)).to.equal(anonymous);
    expect(await claim(impostor, genuine, ca)).to.equal(anonymous);
    const byGenuine = await issued({ subject: CLIENT, issuer: genuine });
    expect(await claim(byGenuine, genuine, ca)).to.equal(anonymous);
  });
});
