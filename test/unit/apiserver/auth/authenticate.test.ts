import { expect } from 'chai';
import { BEARER_PROTOCOL_PREFIX } from '../../../../src/apiserver/auth/bearer.ts';
import { DelegatedAuthenticator } from '../../../../src/apiserver/auth/authenticate.ts';
import { FrontProxy } from '../../../../src/apiserver/auth/frontproxy.ts';
import { silentAuthMetrics } from '../../../../src/apiserver/auth/metrics.ts';
import { Tokens } from '../../../../src/apiserver/auth/token.ts';
import { NO_TRUST, parseTrust, type Trust } from '../../../../src/apiserver/auth/trust.ts';
import { StatusError } from '../../../../src/apiserver/http/status.ts';
import type { UserInfo } from '../../../../src/apiserver/http/types.ts';
import { silentLogger } from '../../../../src/base/logger.ts';
import { certify, certifyCA, NOW, trustData, type Issued } from '../../../support/auth-pki.ts';
import { FakeClock } from '../../../support/clock.ts';
import { ReviewKube } from '../../../support/review-kube.ts';

const MASTERS = ['X-Remote-User', 'root', 'X-Remote-Group', 'system:masters'];
const bearer = (token: string): string[] => ['Authorization', `Bearer ${token}`];
const anonymous: UserInfo = { name: 'system:anonymous', groups: ['system:unauthenticated'], extra: {} };

describe('DelegatedAuthenticator', () => {
  let ca: Issued;
  let people: Issued;
  let proxy: Issued;
  let clock: FakeClock;
  let kube: ReviewKube;
  let trust: Trust;
  let results: string[];
  let authenticator: DelegatedAuthenticator;

  before(async () => {
    ca = await certifyCA('CN=front-proxy-ca');
    people = await certifyCA('CN=people-ca');
    proxy = await certify({ subject: 'CN=front-proxy-client', issuer: ca, usages: ['clientAuth'] });
  });

  beforeEach(() => {
    clock = new FakeClock(new Date(NOW));
    trust = parseTrust(trustData([ca], { 'client-ca-file': people.pem }));
    results = [];
    kube = new ReviewKube(({ spec }) =>
      spec['token'] === 'good'
        ? { authenticated: true, user: { username: 'ann', groups: ['team'] } }
        : { authenticated: false, error: 'invalid bearer token' },
    );
    const common = {
      clock,
      logger: silentLogger,
      metrics: { ...silentAuthMetrics, authenticated: (result: string) => void results.push(result) },
    };
    const source = {
      get current() {
        return trust;
      },
      isRead: true,
    };
    authenticator = new DelegatedAuthenticator({
      ...common,
      frontProxy: new FrontProxy({ ...common, trust: source }),
      tokens: new Tokens({ ...common, client: kube.client, random: () => 0 }),
    });
  });

  const who = (chain: readonly Issued[], headers: readonly string[] = []): Promise<UserInfo> =>
    authenticator.authenticate(
      { peerChain: chain.map(({ der }) => der) },
      headers,
      new AbortController().signal,
    );

  const code = async (chain: readonly Issued[], headers: readonly string[] = []): Promise<number> => {
    try {
      await who(chain, headers);
      return 200;
    } catch (error) {
      if (error instanceof StatusError) return error.httpCode;
      throw error;
    }
  };

  it('8. takes who brings nothing for anonymous', async () => {
    expect(await who([])).to.deep.equal(anonymous);
    expect(await who([], ['Accept', '*/*', 'Authorization', ''])).to.deep.equal(anonymous);
    expect(results).to.deep.equal(['success', 'success']);
  });

  it('8. knows the bearer of a good token, and refuses a bad one with a plain 401', async () => {
    expect(await who([], bearer('good'))).to.deep.equal({
      name: 'ann',
      groups: ['team', 'system:authenticated'],
      extra: {},
    });
    const error = await who([], bearer('bad')).catch((e: unknown) => e);
    expect((error as StatusError).toStatus()).to.deep.equal({
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message: 'Unauthorized',
      reason: 'Unauthorized',
      code: 401,
    });
    expect(results).to.deep.equal(['success', 'failure']);
  });

  it('8. never takes bad credentials for none', async () => {
    for (const headers of [
      bearer(''),
      ['Authorization', 'Basic YTpi'],
      ['Authorization', 'good'],
      [...bearer('good'), ...bearer('bad')],
      [...bearer('bad'), ...bearer('good')],
    ]) {
      expect(await code([], headers), headers.join(' ')).to.equal(401);
    }
    expect(kube.asked).to.be.empty;
  });

  it('9. trusts X-Remote-User with the right certificate only', async () => {
    const named = (subject: string, issuer?: Issued): Promise<Issued> =>
      certify({ subject, ...(issuer && { issuer }) });
    expect((await who([proxy], MASTERS)).name).to.equal('root');
    expect(await who([], MASTERS)).to.deep.equal(anonymous);
    expect(await who([await named('CN=ann', people)], MASTERS)).to.deep.equal(anonymous);
    expect(await who([await named('CN=front-proxy-client')], MASTERS)).to.deep.equal(anonymous);
    expect(await code([await named('CN=ann', ca)], MASTERS)).to.equal(401);
    trust = NO_TRUST;
    expect(await who([proxy], MASTERS)).to.deep.equal(anonymous);
  });

  it("10. does not take a person's certificate for the proxy's, whatever its name", async () => {
    const impostor = await certify({
      subject: 'CN=front-proxy-client',
      issuer: people,
      usages: ['clientAuth'],
    });
    for (const chain of [[impostor], [impostor, people], [impostor, proxy, ca], [impostor, ca]])
      expect(await who(chain, MASTERS)).to.deep.equal(anonymous);
    // Its owner may still be somebody by a token, and then is nobody else.
    expect((await who([impostor], [...MASTERS, ...bearer('good')])).groups).to.deep.equal([
      'team',
      'system:authenticated',
    ]);
  });

  it("is nobody's identity by a certificate alone", async () => {
    const ann = await certify({ subject: 'CN=ann,O=system:masters', issuer: people, usages: ['clientAuth'] });
    expect(await who([ann])).to.deep.equal(anonymous);
  });

  it('11. makes no second group of a comma, nor of other names and forms of a header', async () => {
    const user = await who(
      [proxy],
      [
        ...[
          'X-Remote-User',
          'ann',
          'X-Remote-Group',
          'a, system:masters',
          'X_Remote_Group',
          'system:masters',
        ],
        ...['X-Remote-Groups', 'system:masters', 'X-Remote-Extra-Group', 'system:masters'],
      ],
    );
    expect(user.groups).to.deep.equal(['a, system:masters', 'system:authenticated']);
  });

  it('11. refuses a request that names two users', async () => {
    expect(await code([proxy], [...MASTERS, 'X-Remote-User', 'ann'])).to.equal(401);
    expect(await code([proxy], ['x-remote-user', 'ann', ...MASTERS])).to.equal(401);
  });

  it('13. follows the trust at once on the same connection', async () => {
    expect((await who([proxy], MASTERS)).name).to.equal('root');
    trust = parseTrust(trustData([people]));
    expect(await who([proxy], MASTERS)).to.deep.equal(anonymous);
    trust = parseTrust(trustData([ca], { 'requestheader-username-headers': '["X-Name"]' }));
    expect(await who([proxy], MASTERS)).to.deep.equal(anonymous);
    expect((await who([proxy], ['X-Name', 'ann'])).name).to.equal('ann');
  });

  it('16. adds system:authenticated also where there was no group, as for the reader of OpenAPI', async () => {
    expect((await who([proxy], ['X-Remote-User', 'system:aggregator'])).groups).to.deep.equal([
      'system:authenticated',
    ]);
  });

  it('adds system:authenticated neither twice nor to who is not authenticated', async () => {
    const group = async (...headers: string[]): Promise<readonly string[]> =>
      (await who([proxy], headers)).groups;
    expect(await group('X-Remote-User', 'ann', 'X-Remote-Group', 'system:authenticated')).to.deep.equal([
      'system:authenticated',
    ]);
    expect(await group('X-Remote-User', 'ann', 'X-Remote-Group', 'system:unauthenticated')).to.deep.equal([
      'system:unauthenticated',
    ]);
    expect(await group('X-Remote-User', 'system:anonymous')).to.deep.equal([]);
  });

  it('asks the front proxy first, and no token where it names somebody', async () => {
    expect((await who([proxy], [...MASTERS, ...bearer('good')])).name).to.equal('root');
    expect(kube.asked).to.be.empty;
    expect((await who([proxy], bearer('good'))).name).to.equal('ann');
    expect(await who([proxy])).to.deep.equal(anonymous);
  });

  it('lets a good token count beside a certificate that is refused', async () => {
    const other = await certify({ subject: 'CN=other', issuer: ca });
    expect((await who([other], bearer('good'))).name).to.equal('ann');
    expect(await code([other])).to.equal(401);
  });

  it('knows the token of a WebSocket', async () => {
    const socket = ['Connection', 'Upgrade', 'Upgrade', 'websocket', 'Sec-WebSocket-Protocol'];
    const protocol = (token: string): string =>
      `${BEARER_PROTOCOL_PREFIX}${Buffer.from(token).toString('base64url')}, v4.channel.k8s.io`;
    expect((await who([], [...socket, protocol('good')])).name).to.equal('ann');
    expect(await code([], [...socket, protocol('bad')])).to.equal(401);
  });

  it('refuses impersonation, which only kube-apiserver can carry out', async () => {
    for (const header of ['Impersonate-User', 'impersonate-group', 'Impersonate-Extra-x', 'Impersonate-Uid'])
      expect(await code([], [...bearer('good'), header, 'bob'])).to.equal(403);
    expect(kube.asked).to.be.empty;
  });

  it('counts what is neither good nor bad as an error', async () => {
    kube.answer = () => new Promise(() => undefined);
    const controller = new AbortController();
    const left = authenticator.authenticate({ peerChain: [] }, bearer('good'), controller.signal);
    controller.abort(new Error('gone'));
    expect(await left.catch((error: unknown) => error)).to.have.property('message', 'gone');
    expect(results).to.deep.equal(['error']);
  });
});
