import { expect } from 'chai';
import { StatusError } from '../../../../src/apiserver/http/status.ts';
import type { Answer, ApiRequest } from '../../../../src/apiserver/http/types.ts';
import { FakeClock } from '../../../support/clock.ts';
import {
  ask,
  connectRaw,
  GROUP_PATH,
  GROUPS_HEADER,
  json,
  keepingAgent,
  startTestApi,
  stopTestApis,
  TestWatch,
  WORKSPACES,
  type TestAnswer,
  type TestApi,
  type TestApiOptions,
} from '../../../support/apiserver-http.ts';
import { eventually } from '../../../support/eventually.ts';

const MIB = 1024 * 1024;

/** Requests that are answered when the test says so. */
class Held {
  readonly waiting: { readonly request: ApiRequest; readonly answer: (answer: Answer) => void }[] = [];

  handle = (request: ApiRequest): Promise<Answer> =>
    new Promise((resolve) => this.waiting.push({ request, answer: resolve }));

  async count(count: number): Promise<void> {
    await eventually(() => this.waiting.length >= count);
  }

  answerAll(): void {
    for (const { answer } of this.waiting.splice(0)) answer(json({}));
  }
}

function statusOf(answer: TestAnswer): Record<string, unknown> {
  return answer.json() as Record<string, unknown>;
}

describe('ApiServer: the way of a request', () => {
  afterEach(stopTestApis);

  it('tells its handler what it is about', async () => {
    let seen: ApiRequest | undefined;
    const api = await startTestApi({
      resources(request) {
        seen = request;
        return json({});
      },
    });
    await ask(api, `${GROUP_PATH}/namespaces/a/coderworkspaces?labelSelector=a%3Db&x=1`, {
      headers: {
        accept: 'application/json;as=Table',
        'if-none-match': '"1"',
        'user-agent': 'kubectl/v1.36',
        [GROUPS_HEADER]: 'team',
      },
    });
    expect(seen).to.deep.include({
      method: 'GET',
      accept: 'application/json;as=Table',
      ifNoneMatch: '"1"',
      userAgent: 'kubectl/v1.36',
    });
    expect(seen?.info).to.deep.include({ verb: 'list', resource: 'coderworkspaces', namespace: 'a' });
    expect(seen?.query.get('labelSelector')).to.equal('a=b');
  });

  it('goes to the handler of resources for this group and version only', async () => {
    const api = await startTestApi({
      resources: () => json('resources'),
      discovery: () => json('discovery'),
    });
    const answers = await Promise.all(
      [
        WORKSPACES,
        `${GROUP_PATH}/unknown`,
        GROUP_PATH,
        '/apis',
        '/apis/aggregation.coder.com/v2/coderworkspaces',
        '/apis/coder.com/v1alpha1/coderworkspaces',
        '/api/v1/pods',
        '/nothing',
      ].map(async (path) => (await ask(api, path)).json()),
    );
    expect(answers.map((answer) => String(answer)[0]).join('')).to.equal('rrdddddd');
  });

  it('authenticates, then authorizes, then answers; each may refuse', async () => {
    const refuse = (reason: 'Unauthorized' | 'Forbidden') => () =>
      Promise.reject(new StatusError(reason, `no: ${reason}`));
    const failing: TestApiOptions = { resources: () => expect.fail('nothing was to be answered') };
    const unauthorized = await startTestApi({
      ...failing,
      authenticator: { authenticate: refuse('Unauthorized') },
      authorizer: { authorize: () => expect.fail('nobody was known') },
    });
    expect((await ask(unauthorized, WORKSPACES)).status).to.equal(401);
    const forbidden = await startTestApi({ ...failing, authorizer: { authorize: refuse('Forbidden') } });
    for (const path of [WORKSPACES, `${WORKSPACES}?watch=1`, '/metrics']) {
      const { status, headers } = await ask(forbidden, path);
      expect([status, headers['x-content-type-options']]).to.deep.equal([403, 'nosniff']);
    }
  });

  it('asks for rights with the user, what it is about, and the query', async () => {
    const asked: unknown[] = [];
    const api = await startTestApi({
      authorizer: {
        authorize(user, info, query) {
          asked.push([user.name, info.verb, info.path, query.get('fieldSelector')]);
          return Promise.resolve();
        },
      },
    });
    await ask(api, `${WORKSPACES}?fieldSelector=metadata.name%3Dw`);
    await ask(api, '/metrics');
    expect(asked).to.deep.equal([
      ['ann', 'list', WORKSPACES, 'metadata.name=w'],
      ['ann', 'get', '/metrics', null],
    ]);
  });

  describe('what cannot be read', () => {
    for (const path of ['/apis/%zz', `${WORKSPACES}/a%2Fb`, '/apis/../metrics']) {
      it(`62. ${path} is a 400 before anybody is asked anything`, async () => {
        const api = await startTestApi({
          authenticator: { authenticate: () => expect.fail('nobody was to be asked') },
        });
        const answer = await ask(api, path);
        expect(answer.status).to.equal(400);
        expect(statusOf(answer)).to.include({ kind: 'Status', reason: 'BadRequest' });
      });
    }
  });

  describe('bodies', () => {
    const start = (): Promise<TestApi> =>
      startTestApi({
        resources() {
          throw new StatusError('MethodNotAllowed', 'create is not supported');
        },
      });

    it('62. of more than 3 MiB are refused with 413, as announced', async () => {
      const answer = await ask(await start(), WORKSPACES, {
        method: 'POST',
        body: Buffer.alloc(3 * MIB + 1),
      });
      expect(answer.status).to.equal(413);
      expect(statusOf(answer)).to.include({ reason: 'RequestEntityTooLarge', code: 413 });
      expect(answer.headers['connection']).to.equal('close');
    });

    it('62. are refused before they are sent when their length says enough', async () => {
      const client = await connectRaw(await start());
      client.socket.write(`POST ${WORKSPACES} HTTP/1.1\r\nHost: x\r\nContent-Length: 4000000\r\n\r\n`);
      expect(await client.closed()).to.match(/^HTTP\/1\.1 413/);
    });

    it('62. of more than 3 MiB are refused with 413, in chunks', async () => {
      const client = await connectRaw(await start());
      client.socket.write(`POST ${WORKSPACES} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n`);
      const chunk = Buffer.concat([Buffer.from('100000\r\n'), Buffer.alloc(MIB, 'x'), Buffer.from('\r\n')]);
      for (let i = 0; i < 5 && !client.isClosed; i++) client.socket.write(chunk);
      expect(await client.until(/\r\n\r\n\{[^]*\}$/)).to.match(/^HTTP\/1\.1 413/);
    });

    it('62. within the limit are read, and the connection goes on', async () => {
      const api = await start();
      const agent = keepingAgent(1);
      for (const body of [Buffer.alloc(3 * MIB), Buffer.from('{}'), Buffer.alloc(0)]) {
        expect((await ask(api, WORKSPACES, { method: 'POST', body, agent })).status).to.equal(405);
      }
      expect((await ask(api, '/livez', { agent })).text).to.equal('ok');
    });

    for (const [what, type, body] of [
      ['malformed JSON', 'application/json', '{"a":'],
      ['protobuf', 'application/vnd.kubernetes.protobuf', 'k8s\0\x01'],
      ['CBOR', 'application/cbor', '\xd9\xd9\xf7'],
      ['no type at all', '', 'x'],
    ] as const) {
      it(`27. 62. of ${what} change nothing: the verb is refused first, as in Kubernetes`, async () => {
        const headers = type === '' ? {} : { 'content-type': type };
        const answer = await ask(await start(), WORKSPACES, { method: 'POST', body, headers });
        expect(answer.status).to.equal(405);
        expect(statusOf(answer)).to.include({ reason: 'MethodNotAllowed' });
      });
    }

    it('that are not read end the connection, so that they are not taken for the next request', async () => {
      const api = await startTestApi({
        authenticator: {
          authenticate: () => Promise.reject(new StatusError('Unauthorized', 'Unauthorized')),
        },
      });
      const client = await connectRaw(api);
      client.socket.write(
        `POST ${WORKSPACES} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nhalf of it`,
      );
      expect(await client.closed()).to.match(/^HTTP\/1\.1 401[^]*connection: close/i);
    });
  });

  describe('failures that nobody foresaw', () => {
    const places: readonly (readonly [string, TestApiOptions])[] = [
      ['authentication', { authenticator: { authenticate: () => Promise.reject(new Error('secret-7')) } }],
      ['authorization', { authorizer: { authorize: () => Promise.reject(new TypeError('secret-7')) } }],
      [
        'a handler',
        {
          resources() {
            throw new Error('secret-7');
          },
        },
      ],
      [
        'a header of an answer',
        { resources: () => ({ ...json({}), code: 200, headers: { 'x-a': 'secret-7\n' } }) },
      ],
    ];
    for (const [what, options] of places) {
      it(`62. of ${what} are a 500 for this request, a line in the log, and nothing else`, async () => {
        const api = await startTestApi(options);
        const answer = await ask(api, WORKSPACES, { headers: { 'audit-id': 'id-1' } });
        expect(answer.status).to.equal(500);
        expect(statusOf(answer)).to.include({ kind: 'Status', reason: 'InternalError', code: 500 });
        expect(answer.text).to.contain('id-1').and.to.not.contain('secret-7');
        const line = api.log.lines.find(({ level }) => level === 'error');
        expect(line?.fields).to.include({ auditId: 'id-1', verb: 'list' });
        expect((await ask(api, '/livez')).status).to.equal(200);
      });
    }
  });

  describe('overload', () => {
    it('63. is a 429 with Retry-After, for everybody but system:masters', async () => {
      const held = new Held();
      const api = await startTestApi({ resources: held.handle, limits: { inFlight: 3 } });
      const first = [1, 2, 3].map(() => ask(api, WORKSPACES));
      await held.count(3);
      const refused = await ask(api, WORKSPACES);
      expect(refused.status).to.equal(429);
      expect(refused.headers['retry-after']).to.equal('1');
      expect(statusOf(refused)).to.deep.include({
        reason: 'TooManyRequests',
        details: { retryAfterSeconds: 1 },
      });
      const terminations = await eventuallyOne(api.metrics.terminations);
      expect(terminations.labels).to.include({ code: '429', verb: 'LIST' });
      const master = ask(api, WORKSPACES, { headers: { [GROUPS_HEADER]: 'team,system:masters' } });
      await held.count(4);
      expect((await ask(api, '/livez')).status).to.equal(200);
      held.answerAll();
      for (const { status } of await Promise.all([...first, master])) expect(status).to.equal(200);
      const again = ask(api, WORKSPACES);
      await held.count(1);
      held.answerAll();
      expect((await again).status).to.equal(200);
    });

    it('63. does not count watches', async () => {
      const watch = new TestWatch();
      const held = new Held();
      const api = await startTestApi({
        resources: (request) => (request.info.verb === 'watch' ? watch : held.handle(request)),
        limits: { inFlight: 1 },
      });
      for (let i = 0; i < 3; i++) {
        const next = watch.next();
        const client = await connectRaw(api);
        client.socket.write(`GET ${WORKSPACES}?watch=1 HTTP/1.1\r\nHost: x\r\n\r\n`);
        await next;
      }
      const asked = ask(api, WORKSPACES);
      await held.count(1);
      held.answerAll();
      expect((await asked).status).to.equal(200);
    });

    it('63. frees the place of a client that has gone, and of one that takes its answer', async () => {
      const held = new Held();
      const api = await startTestApi({ resources: held.handle, limits: { inFlight: 1 } });
      const client = await connectRaw(api);
      client.socket.write(`GET ${WORKSPACES} HTTP/1.1\r\nHost: x\r\n\r\n`);
      await held.count(1);
      client.socket.destroy();
      await eventually(() => held.waiting[0]?.request.signal.aborted === true);
      for (let i = 0; i < 2; i++) {
        const asked = ask(api, WORKSPACES);
        await held.count(2);
        held.answerAll();
        held.waiting.length = 0;
        held.waiting.push({ request: {} as ApiRequest, answer: () => undefined });
        expect((await asked).status).to.equal(200);
      }
    });
  });

  describe('time', () => {
    async function startHeld(): Promise<{
      readonly api: TestApi;
      readonly clock: FakeClock;
      readonly held: Held;
    }> {
      const clock = new FakeClock();
      const held = new Held();
      return { api: await startTestApi({ clock, resources: held.handle }), clock, held };
    }

    it('64. that the client allows ends with 504', async () => {
      const { api, clock, held } = await startHeld();
      const asked = ask(api, `${WORKSPACES}?timeout=1s`);
      await held.count(1);
      await clock.advance(999);
      expect(held.waiting[0]?.request.signal.aborted).to.equal(false);
      await clock.advance(1);
      const answer = await asked;
      expect(answer.status).to.equal(504);
      expect(statusOf(answer)).to.include({
        reason: 'Timeout',
        message: 'Timeout: request did not complete within the allotted timeout',
      });
      expect(held.waiting[0]?.request.signal.aborted).to.equal(true);
      held.answerAll();
      expect((await ask(api, '/livez')).status).to.equal(200);
    });

    for (const [query, ms] of [
      ['', 60_000],
      ['?timeout=5m', 60_000],
      ['?timeout=0', 60_000],
      ['?timeout=0s', 60_000],
      ['?timeout=-1s', 60_000],
      ['?timeout=', 60_000],
      ['?timeout=1m30s', 60_000],
      ['?timeout=250ms', 250],
    ] as const) {
      it(`64. is ${ms} ms for ${query === '' ? 'no wish' : query}`, async () => {
        const { api, clock, held } = await startHeld();
        const asked = ask(api, `${WORKSPACES}${query}`);
        await held.count(1);
        await clock.advance(ms - 1);
        expect(held.waiting[0]?.request.signal.aborted).to.equal(false);
        await clock.advance(1);
        expect((await asked).status).to.equal(504);
      });
    }

    it('64. that cannot be read is a 400', async () => {
      const { api } = await startHeld();
      for (const text of ['x', '1', '1d']) {
        const answer = await ask(api, `${WORKSPACES}?timeout=${text}`);
        expect(answer.status).to.equal(400);
        expect(statusOf(answer)['message']).to.contain(`"${text}"`);
      }
    });

    it('64. runs while somebody is being found out about', async () => {
      const clock = new FakeClock();
      let isAsked = false;
      const authorizer = {
        authorize: () => {
          isAsked = true;
          return new Promise<void>(() => undefined);
        },
      };
      const api = await startTestApi({ clock, authorizer });
      const asked = ask(api, `${WORKSPACES}?timeout=1s`);
      await eventually(() => isAsked);
      await clock.advance(1000);
      expect((await asked).status).to.equal(504);
    });

    it('64. ends an answer that its client does not take', async () => {
      const clock = new FakeClock();
      const body = { bytes: 1e9, pieces: endless() };
      const api = await startTestApi({ clock, resources: () => ({ code: 200, body }) });
      const client = await connectRaw(api);
      client.socket.pause();
      client.socket.write(`GET ${WORKSPACES} HTTP/1.1\r\nHost: x\r\n\r\n`);
      await eventually(() => client.socket.readableLength > 0 || client.received !== '');
      await clock.advance(60_000);
      await eventually(async () => (await api.metrics.aborts.get()).values[0]?.value === 1);
    });

    it('64. means nothing to a watch', async () => {
      const clock = new FakeClock();
      const watch = new TestWatch();
      const api = await startTestApi({ clock, resources: () => watch });
      const client = await connectRaw(api);
      const next = watch.next();
      client.socket.write(`GET ${WORKSPACES}?watch=1&timeout=1s HTTP/1.1\r\nHost: x\r\n\r\n`);
      const sink = await next;
      await clock.advance(120_000);
      expect(sink.signal.aborted).to.equal(false);
    });
  });

  describe('the account', () => {
    it('has a line for each request, with neither headers nor query', async () => {
      const api = await startTestApi({ resources: () => json({}) });
      await ask(api, `${GROUP_PATH}/namespaces/a/coderworkspaces/w?secret=7`, {
        headers: { authorization: 'Bearer secret', 'x-remote-extra-a': 'secret', 'audit-id': 'id-1' },
      });
      await eventually(() => api.log.lines.length > 0);
      const line = api.log.lines.find(({ message }) => message === 'a request was answered');
      expect(line?.level).to.equal('debug');
      expect(line?.fields).to.include({
        auditId: 'id-1',
        user: 'ann',
        verb: 'get',
        resource: 'coderworkspaces',
        namespace: 'a',
        name: 'w',
        code: 200,
      });
      expect(JSON.stringify(api.log.lines)).to.not.contain('secret');
    });

    it('does not warn of a probe that is told what it asks for', async () => {
      const api = await startTestApi({ checks: [{ name: 'synced', isReady: () => false }] });
      for (const path of ['/readyz', '/readyz/synced']) {
        expect((await ask(api, path)).status).to.equal(500);
      }
      await eventually(() => api.log.lines.length === 2);
      expect(api.log.lines.map(({ level, fields }) => [level, fields['code']])).to.deep.equal([
        ['debug', 500],
        ['debug', 500],
      ]);
    });

    it('warns of answers from 500 on', async () => {
      const api = await startTestApi({
        resources() {
          throw new StatusError('ServiceUnavailable', 'not yet');
        },
      });
      await ask(api, WORKSPACES);
      await eventually(() =>
        api.log.lines.some(({ level, fields }) => level === 'warn' && fields['code'] === 503),
      );
    });

    it('counts requests as kube-apiserver does, and shows them at /metrics', async () => {
      const api = await startTestApi({ resources: () => json({}), discovery: () => json({}) });
      for (const path of [
        `${GROUP_PATH}/namespaces/a/coderworkspaces/w`,
        `${GROUP_PATH}/namespaces/a/coderworkspaces`,
        `${GROUP_PATH}/codertemplates?fieldSelector=metadata.name%3Da`,
        `${GROUP_PATH}/made-up-7`,
        '/apis',
        '/made-up-8',
        '/apis/made-up.io/v9/things',
      ]) {
        await ask(api, path);
      }
      await ask(api, WORKSPACES, { method: 'POST' });
      await eventually(async () => (await api.metrics.requests.get()).values.length >= 7);
      const { text, headers } = await ask(api, '/metrics');
      expect(headers['content-type']).to.match(/^text\/plain/);
      const series = (verb: string, resource: string, scope: string, subresource = ''): string => {
        const [group, version] = resource === '' ? ['', ''] : ['aggregation.coder.com', 'v1alpha1'];
        const labels = `verb="${verb}",group="${group}",version="${version}",resource="${resource}",subresource="${subresource}",scope="${scope}"`;
        return `apiserver_request_total{${labels},component="apiserver",dry_run="",code="200"} `;
      };
      for (const expected of [
        `${series('GET', 'coderworkspaces', 'resource')}1`,
        `${series('LIST', 'coderworkspaces', 'namespace')}1`,
        `${series('LIST', 'codertemplates', 'resource')}1`,
        `${series('POST', 'coderworkspaces', 'resource')}1`,
        `${series('GET', '', '', '/apis')}1`,
        `${series('LIST', '', '')}2`,
        `${series('GET', '', '')}1`,
      ]) {
        expect(text).to.contain(`${expected}\n`);
      }
      expect(text).to.not.contain('made-up');
      expect(text).to.contain('apiserver_request_duration_seconds_bucket{le="0.005"');
      expect(text).to.contain('apiserver_response_sizes_sum{');
      expect(text).to.contain('apiserver_current_inflight_requests{request_kind="readOnly"} 1\n');
    });

    it('shows /metrics to readers only', async () => {
      const api = await startTestApi();
      expect((await ask(api, '/metrics', { method: 'POST' })).status).to.equal(405);
    });
  });
});

/** The first value of a metric, once it has one. */
async function eventuallyOne<T>(metric: { get(): Promise<{ values: T[] }> }): Promise<T> {
  for (;;) {
    const [value] = (await metric.get()).values;
    if (value !== undefined) return value;
    await new Promise(setImmediate);
  }
}

function* endless(): Generator<Uint8Array> {
  for (;;) yield Buffer.alloc(64 * 1024, 'x');
}
