import { inspect } from 'node:util';
import { expect } from 'chai';
import { CredentialsError } from '../../../../src/apiserver/auth/headers.ts';
import { silentAuthMetrics } from '../../../../src/apiserver/auth/metrics.ts';
import { Tokens } from '../../../../src/apiserver/auth/token.ts';
import { StatusError } from '../../../../src/apiserver/http/status.ts';
import { silentLogger, type LogFields } from '../../../../src/base/logger.ts';
import { KubeError } from '../../../../src/kube/errors.ts';
import { FakeClock } from '../../../support/clock.ts';
import { ReviewKube } from '../../../support/review-kube.ts';

const ann = { username: 'ann', uid: '42', groups: ['g'], extra: { 'k/x': ['v'] } };
const forever = new AbortController().signal;

describe('Tokens', () => {
  let clock: FakeClock;
  let kube: ReviewKube;
  let tokens: Tokens;
  let codes: string[];
  let logged: (string | LogFields | undefined)[];

  beforeEach(() => {
    clock = new FakeClock();
    codes = [];
    logged = [];
    kube = new ReviewKube(({ spec }) =>
      spec['token'] === 'good' ? { authenticated: true, user: ann } : { authenticated: false, error: 'who?' },
    );
    tokens = new Tokens({
      client: kube.client,
      clock,
      logger: { ...silentLogger, warn: (message, fields) => logged.push(message, fields) },
      metrics: { ...silentAuthMetrics, tokenReviewed: (code) => codes.push(code) },
      random: () => 0,
    });
  });

  const failure = (token: string, signal = forever): Promise<unknown> =>
    tokens.authenticate(token, signal).catch((error: unknown) => error);

  it('learns who somebody is from a TokenReview without audiences', async () => {
    expect(await tokens.authenticate('good', forever)).to.deep.equal({
      name: 'ann',
      uid: '42',
      groups: ['g'],
      extra: { 'k/x': ['v'] },
    });
    expect(kube.asked).to.deep.equal([{ plural: 'tokenreviews', spec: { token: 'good' } }]);
    expect(codes).to.deep.equal(['201']);
  });

  it('8. reviews a token once in ten seconds, a bad one too', async () => {
    for (let i = 0; i < 5; i++) await tokens.authenticate('good', forever);
    for (let i = 0; i < 5; i++) expect(await failure('bad')).to.be.instanceOf(CredentialsError);
    expect(kube.asked).to.have.length(2);
    await clock.advance(10_000);
    kube.answer = () => ({ authenticated: false });
    expect(await failure('good')).to.be.instanceOf(CredentialsError);
  });

  it('reviews a token once for all who bring it at the same time', async () => {
    await Promise.all([1, 2, 3].map(() => tokens.authenticate('good', forever)));
    expect(kube.asked).to.have.length(1);
  });

  it('takes nobody for somebody without a name', async () => {
    for (const status of [
      {},
      { authenticated: true },
      { authenticated: true, user: { username: '' } },
      { authenticated: 'true', user: ann },
      { authenticated: false, user: ann },
    ]) {
      kube.answer = () => status;
      expect(await failure(JSON.stringify(status))).to.be.instanceOf(CredentialsError);
    }
  });

  it('bears what is left out or null, and keys that are traps', async () => {
    kube.answer = () => ({ authenticated: true, user: { username: 'bob', groups: null, extra: null } });
    expect(await tokens.authenticate('a', forever)).to.deep.equal({ name: 'bob', groups: [], extra: {} });
    kube.answer = () => ({
      authenticated: true,
      user: { username: 'bob', extra: JSON.parse('{"__proto__":["x"]}') as object },
    });
    const { extra } = await tokens.authenticate('b', forever);
    expect(JSON.stringify(extra)).to.equal('{"__proto__":["x"]}');
  });

  it('refuses a token that cannot be reviewed, as kube does, and reviews it again the next time', async () => {
    kube.answer = () => Promise.reject(new KubeError('KUBE_REFUSED', 'no right', { status: 403 }));
    const error = await failure('good');
    expect(error).to.be.instanceOf(CredentialsError);
    expect(codes).to.deep.equal(['403']);
    kube.answer = () => ({ authenticated: true, user: ann });
    expect((await tokens.authenticate('good', forever)).name).to.equal('ann');
  });

  it('counts an exchange without an answer', async () => {
    kube.answer = () => Promise.reject(new KubeError('KUBE_UNREACHABLE', 'no answer', { retryable: true }));
    const result = failure('good');
    await clock.advance(10_000);
    expect(await result).to.be.instanceOf(CredentialsError);
    expect(codes).to.deep.equal(new Array(5).fill('<error>'));
  });

  it('passes on that a caller has gone', async () => {
    kube.answer = () => new Promise(() => undefined);
    const controller = new AbortController();
    const left = failure('good', controller.signal);
    controller.abort(new Error('gone'));
    expect(await left).to.have.property('message', 'gone');
  });

  it('refuses a flood of unknown tokens, without asking for all of them', async () => {
    kube.answer = () => new Promise(() => undefined);
    const results = await Promise.all(
      Array.from({ length: 200 }, (_, i) =>
        Promise.race([
          failure(`guess-${i}`, new AbortController().signal),
          Promise.resolve().then(() => clock.advance(0)),
        ]),
      ),
    );
    expect(results.filter((result) => result instanceof StatusError)).to.have.length(200 - 64);
    expect(kube.asked).to.have.length(64);
  });

  it('holds no token in memory, in errors or in the log', async () => {
    await tokens.authenticate('good', forever);
    kube.answer = () => Promise.reject(new KubeError('KUBE_REFUSED', 'no right', { status: 403 }));
    const errors = [await failure('secret-one'), await failure('secret-two')];
    const seen = inspect([tokens, errors, logged], { depth: 12, showHidden: true });
    expect(logged).to.not.be.empty;
    expect(seen).to.not.match(/good|secret-/);
  });
});
