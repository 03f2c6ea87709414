import { expect } from 'chai';
import { DelegatedAuthorizer } from '../../../../src/apiserver/auth/authorize.ts';
import { silentAuthMetrics } from '../../../../src/apiserver/auth/metrics.ts';
import { StatusError } from '../../../../src/apiserver/http/status.ts';
import { parseTarget } from '../../../../src/apiserver/http/requestinfo.ts';
import type { RequestInfo, UserInfo } from '../../../../src/apiserver/http/types.ts';
import { silentLogger } from '../../../../src/base/logger.ts';
import { KubeError } from '../../../../src/kube/errors.ts';
import { FakeClock, settle } from '../../../support/clock.ts';
import { ReviewKube } from '../../../support/review-kube.ts';

const list = parseTarget('GET', '/apis/aggregation.coder.com/v1alpha1/namespaces/team/coderworkspaces').info;
const path = (name: string): Partial<RequestInfo> => ({
  ...{ path: name, verb: 'get', isResourceRequest: false, namespace: '' },
  ...{ apiGroup: '', apiVersion: '', resource: '' },
});
const ann: UserInfo = { name: 'ann', groups: ['system:authenticated'], extra: {} };

describe('DelegatedAuthorizer', () => {
  let clock: FakeClock;
  let kube: ReviewKube;
  let authorizer: DelegatedAuthorizer;
  let results: string[];
  let codes: string[];

  beforeEach(() => {
    clock = new FakeClock();
    results = [];
    codes = [];
    kube = new ReviewKube(() => ({ allowed: true }));
    authorizer = new DelegatedAuthorizer({
      client: kube.client,
      clock,
      logger: silentLogger,
      metrics: {
        ...silentAuthMetrics,
        authorized: (result) => results.push(result),
        accessReviewed: (code) => codes.push(code),
      },
      random: () => 0,
    });
  });

  const authorize = (
    info: Partial<RequestInfo> = {},
    user = ann,
    query = '',
    signal?: AbortSignal,
  ): Promise<void> =>
    authorizer.authorize(
      user,
      { ...list, ...info },
      new URLSearchParams(query),
      signal ?? new AbortController().signal,
    );

  const failure = async (...args: Parameters<typeof authorize>): Promise<StatusError> => {
    const error: unknown = await authorize(...args).then(
      () => new Error('it was allowed'),
      (reason: unknown) => reason,
    );
    if (error instanceof StatusError) return error;
    throw error instanceof Error ? error : new Error('no error');
  };

  it('asks the cluster, with everything that the request is about', async () => {
    await authorize({}, ann, 'labelSelector=a');
    const resourceAttributes = {
      ...{ verb: 'list', namespace: 'team', group: 'aggregation.coder.com', version: 'v1alpha1' },
      resource: 'coderworkspaces',
      labelSelector: { requirements: [{ key: 'a', operator: 'Exists' }] },
    };
    const spec = { user: 'ann', groups: ['system:authenticated'], resourceAttributes };
    expect(kube.asked).to.deep.equal([{ plural: 'subjectaccessreviews', spec }]);
    expect([results, codes]).to.deep.equal([['allowed'], ['201']]);
  });

  it('12. sends extra and UID as they came', async () => {
    const extra = JSON.parse('{"example.com/x":["a, b","c"],"__proto__":["d"]}') as UserInfo['extra'];
    await authorize({}, { ...ann, uid: '42', extra });
    expect(kube.asked[0]?.spec['uid']).to.equal('42');
    expect(JSON.stringify(kube.asked[0]?.spec['extra'])).to.equal(JSON.stringify(extra));
  });

  it('14. refuses what is not allowed, in the words and details of kube', async () => {
    for (const status of [{}, { allowed: false }, { denied: true }, { allowed: 'true' }]) {
      kube.answer = () => status;
      const error = await failure({ name: JSON.stringify(status) });
      expect(error.httpCode).to.equal(403);
    }
    kube.answer = () => ({ allowed: false, reason: 'not today' });
    const { message, details } = (await failure()).toStatus();
    expect(message).to.equal(
      'coderworkspaces.aggregation.coder.com is forbidden: User "ann" cannot list resource "coderworkspaces" in API group "aggregation.coder.com" in the namespace "team": not today',
    );
    expect(details).to.deep.equal({ group: 'aggregation.coder.com', kind: 'coderworkspaces' });
    expect(results).to.deep.equal(new Array(5).fill('denied'));
  });

  it('14. asks for each namespace and each name apart', async () => {
    kube.answer = ({ spec }) => ({
      allowed: (spec['resourceAttributes'] as { namespace?: string }).namespace === 'team',
    });
    await authorize();
    expect((await failure({ namespace: 'other' })).httpCode).to.equal(403);
    expect((await failure({ namespace: '' })).message).to.match(/at the cluster scope$/);
    await authorize({ name: 'a.b.c' });
    expect(kube.asked).to.have.length(4);
  });

  it('15. notices a grant and its withdrawal within ten seconds, and asks once until then', async () => {
    await authorize();
    kube.answer = () => ({ allowed: false });
    for (let i = 0; i < 9; i++) {
      await clock.advance(1000);
      await authorize();
    }
    expect(kube.asked).to.have.length(1);
    await clock.advance(1000);
    expect((await failure()).httpCode).to.equal(403);
    kube.answer = () => ({ allowed: true });
    await clock.advance(9_999);
    expect((await failure()).httpCode).to.equal(403);
    await clock.advance(1);
    await authorize();
    expect(kube.asked).to.have.length(3);
  });

  it('3. allows system:masters everything without asking, and nobody with a similar group', async () => {
    kube.answer = () => ({ allowed: false });
    await authorize({}, { ...ann, groups: ['a', 'system:masters'] });
    await authorize(path('/metrics'), { ...ann, groups: ['system:masters'] });
    expect(kube.asked).to.be.empty;
    for (const group of ['a, system:masters', 'system:masters ', 'System:masters', 'system:master'])
      expect((await failure({}, { ...ann, groups: [group] })).httpCode, group).to.equal(403);
  });

  it('16. asks about every path: those that are open to everybody never come here', async () => {
    kube.answer = () => ({ allowed: false });
    for (const closed of ['/metrics', '/', '/healthz', '//healthz', '/readyz/x', '/healthz/../metrics']) {
      const error = await failure(path(closed));
      expect(error.message).to.equal(`forbidden: User "ann" cannot get path "${closed}"`);
    }
  });

  it('asks once for all who ask the same at the same time, and lets callers go', async () => {
    let answer: (status: object) => void = () => undefined;
    kube.answer = () => new Promise((resolve) => (answer = resolve));
    const controller = new AbortController();
    const left = authorize({}, ann, '', controller.signal).catch((error: unknown) => error);
    const others = [authorize(), authorize()];
    await settle();
    controller.abort(new Error('gone'));
    expect(await left).to.have.property('message', 'gone');
    answer({ allowed: true });
    await Promise.all(others);
    expect(kube.asked).to.have.length(1);
  });

  it('answers a 500 when nobody could be asked, after some tries, without a word of the cause', async () => {
    kube.answer = () =>
      Promise.reject(new KubeError('KUBE_REFUSED', 'secret words', { status: 503, retryable: true }));
    const pending = failure();
    await clock.advance(10_000);
    const { code, reason, message } = (await pending).toStatus();
    expect([code, reason]).to.deep.equal([500, 'InternalError']);
    expect(message)
      .to.match(/^Internal error occurred: /)
      .and.not.match(/secret/);
    expect(codes).to.deep.equal(new Array(5).fill('503'));
    expect(results).to.deep.equal(['error']);
    kube.answer = () => ({ allowed: true });
    await authorize();
  });

  it('answers a 500 at once when the right to ask is missing, and when the answer contradicts itself', async () => {
    kube.answer = () => Promise.reject(new KubeError('KUBE_REFUSED', 'no right', { status: 403 }));
    expect((await failure()).httpCode).to.equal(500);
    kube.answer = () => ({ allowed: true, denied: true });
    expect((await failure()).httpCode).to.equal(500);
    expect(kube.asked).to.have.length(2);
  });

  it('63. puts off who has 256 questions open, and nobody else', async () => {
    let answer: (status: object) => void = () => undefined;
    kube.answer = () => new Promise((resolve) => (answer = resolve));
    const stranger = { ...ann, name: 'system:anonymous', groups: ['system:unauthenticated'] };
    for (let i = 0; i < 256; i++) authorize({ name: `n${i}` }, stranger).catch(() => undefined);
    const error = await failure({}, stranger);
    expect([error.httpCode, error.options.details]).to.deep.equal([429, { retryAfterSeconds: 1 }]);
    await authorize({}, { ...ann, groups: ['system:masters'] });
    const others = authorize();
    await settle();
    answer({ allowed: true });
    await others;
  });

  it('keeps no answer to a question with ten thousand bytes that the caller chose', async () => {
    const long = path(`/${'x'.repeat(10_000)}`);
    await authorize(long);
    await authorize(long);
    await authorize(
      {},
      ann,
      `labelSelector=a+in+(${Array.from({ length: 2_000 }, (_, i) => `v${i}`).join(',')})`,
    );
    await authorize(
      {},
      ann,
      `labelSelector=a+in+(${Array.from({ length: 2_000 }, (_, i) => `v${i}`).join(',')})`,
    );
    expect(kube.asked).to.have.length(4);
  });

  it('forgets the oldest of more than 8,192 answers', async () => {
    for (let i = 0; i <= 8_192; i++) await authorize({ name: `n${i}` });
    await authorize({ name: 'n8192' });
    expect(kube.asked).to.have.length(8_193);
    await authorize({ name: 'n0' });
    expect(kube.asked).to.have.length(8_194);
  });
});
