import { expect } from 'chai';
import { Agent } from 'undici';
import type { KubeClient, KubeClientOptions } from '../../../src/kube/client.ts';
import type { KubeConnection } from '../../../src/kube/connection.ts';
import { isConflict, KubeError } from '../../../src/kube/errors.ts';
import type { KubeRequestRecord } from '../../../src/kube/transport.ts';
import { widget, widgets, type Widget } from '../../support/kube-objects.ts';
import { eventually } from '../../support/eventually.ts';
import {
  clientOf,
  failure,
  json,
  OpenWatch,
  page,
  plainConnection,
  ScriptedKube,
  type Answerer,
} from '../../support/kube-server.ts';

async function failed(call: Promise<unknown>): Promise<KubeError> {
  const error: unknown = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).to.be.instanceOf(KubeError);
  return error as KubeError;
}

describe('KubeClient', () => {
  let server: ScriptedKube;
  let connection: KubeConnection;
  let client: KubeClient;
  let records: KubeRequestRecord[];

  beforeEach(async () => {
    server = await ScriptedKube.start();
    connection = plainConnection(server.url);
    records = [];
    client = make();
  });

  afterEach(async () => {
    await connection.close();
    await server.close();
  });

  function make(more: Partial<KubeClientOptions> = {}): KubeClient {
    return clientOf(connection, { onRequest: (record) => records.push(record), ...more });
  }

  const sent = (index = 0): string => {
    const { method, url } = server.requests[index]!;
    return `${method} ${url.pathname}${url.search}`;
  };

  it('gets an object, says who asks and counts the exchange', async () => {
    server.script(json(200, widget('a')));
    expect(await client.get<Widget>(widgets, 'default', 'a')).to.deep.equal(widget('a'));
    expect(sent()).to.equal('GET /apis/test.coder.com/v1/namespaces/default/widgets/a');
    expect(server.requests[0]?.headers).to.include({
      'user-agent': 'coder-operator/test',
      accept: 'application/json',
    });
    expect(records.map(({ verb, resource, code }) => [verb, resource, code])).to.deep.equal([
      ['get', 'widgets', 200],
    ]);
  });

  it('lists one page with selectors', async () => {
    server.script(page([widget('a')], '5', 'more'));
    const options = {
      limit: 500,
      continue: 'token/1',
      labelSelector: 'a=b,c',
      fieldSelector: 'metadata.name=x',
    };
    const list = await client.list<Widget>(widgets, undefined, options);
    expect(list.metadata.continue).to.equal('more');
    expect(server.requests[0]?.url.pathname).to.equal('/apis/test.coder.com/v1/widgets');
    expect(Object.fromEntries(server.requests[0]!.url.searchParams)).to.deep.equal({
      ...options,
      limit: '500',
    });
  });

  it('writes no more of an object than its status', async () => {
    server.script(json(200, widget('a', { rv: 2 })));
    await client.putStatus(
      widgets,
      widget('a', { colour: 'red' }),
      { phase: 'Ready' },
      { fieldManager: 'us' },
    );
    expect(sent()).to.equal(
      'PUT /apis/test.coder.com/v1/namespaces/default/widgets/a/status?fieldManager=us',
    );
    expect(JSON.parse(server.requests[0]!.body)).to.deep.equal({
      apiVersion: 'test.coder.com/v1',
      kind: 'Widget',
      metadata: { namespace: 'default', name: 'a', uid: 'uid-a', resourceVersion: '1' },
      status: { phase: 'Ready' },
    });
  });

  it('creates, replaces, patches and deletes', async () => {
    server.script(...Array.from({ length: 4 }, () => json(200, widget('a'))));
    await client.create(widgets, { metadata: { name: 'a', namespace: 'default' } });
    await client.replace(widgets, widget('a'));
    await client.mergePatch(widgets, 'default', 'a', { metadata: { labels: { x: null } } });
    const preconditions = { uid: 'uid-a', resourceVersion: '1' };
    await client.delete(widgets, 'default', 'a', { preconditions, propagationPolicy: 'Background' });
    const path = '/apis/test.coder.com/v1/namespaces/default/widgets';
    expect([0, 1, 2, 3].map(sent)).to.deep.equal([
      `POST ${path}`,
      `PUT ${path}/a`,
      `PATCH ${path}/a`,
      `DELETE ${path}/a`,
    ]);
    expect(server.requests.map(({ headers }) => headers['content-type'])).to.deep.equal([
      'application/json',
      'application/json',
      'application/merge-patch+json',
      'application/json',
    ]);
    expect(JSON.parse(server.requests[0]!.body)).to.include({
      apiVersion: 'test.coder.com/v1',
      kind: 'Widget',
    });
    expect(JSON.parse(server.requests[3]!.body)).to.deep.include({
      preconditions,
      propagationPolicy: 'Background',
    });
  });

  it('maps what the API server refuses', async () => {
    server.script(failure(409, 'Conflict'));
    const error = await failed(client.putStatus(widgets, widget('a'), {}));
    expect(isConflict(error)).to.equal(true);
    expect(error.message).to.include('update widgets/status default/a');
  });

  it('waits as long as the API server asks', async () => {
    server.script(failure(429, 'TooManyRequests', {}, { 'retry-after': '7' }));
    expect((await failed(client.get(widgets, 'default', 'a'))).retryAfterMs).to.equal(7000);
  });

  it('reads again when a kept-alive connection was reset, but never writes again', async () => {
    server.script((response) => response.destroy(), json(200, widget('a')));
    await client.get(widgets, 'default', 'a');
    expect(records.map(({ code }) => code)).to.deep.equal([0, 200]);
    server.script((response) => response.destroy(), json(200, widget('a')));
    const error = await failed(client.mergePatch(widgets, 'default', 'a', {}));
    expect([error.code, error.retryable, error.unclear]).to.deep.equal(['KUBE_UNREACHABLE', true, true]);
    expect(server.requests).to.have.length(3);
  });

  it('gives up a read that is reset twice', async () => {
    server.script(
      (response) => response.destroy(),
      (response) => response.destroy(),
    );
    expect((await failed(client.get(widgets, 'default', 'a'))).code).to.equal('KUBE_UNREACHABLE');
    expect(server.requests).to.have.length(2);
  });

  it('suspects its connections after a reset or a silence, and after nothing else', async () => {
    let suspected = 0;
    client = make({ connection: { ...connection, suspect: () => suspected++ } });
    const reset: Answerer = (response) => response.destroy();
    server.script(reset, json(200, widget('a')), reset, failure(500, 'InternalError'));
    await client.get(widgets, 'default', 'a');
    expect(suspected).to.equal(1);
    await failed(client.replace(widgets, widget('a')));
    expect(suspected).to.equal(2);
    await failed(client.get(widgets, 'default', 'a'));
    expect(suspected).to.equal(2);
    await failed(client.get(widgets, 'default', 'a', { deadlineMs: 20 }));
    expect(suspected).to.equal(3);
  });

  it('refuses to take other JSON for an empty list', async () => {
    server.script(json(200, { message: 'hello' }), json(200, { metadata: {}, items: [] }));
    for (const answer of ['other JSON', 'no version']) {
      const error = await failed(client.list(widgets, 'default'));
      expect([error.code, error.retryable], answer).to.deep.equal(['KUBE_BAD_ANSWER', true]);
    }
  });

  it('asks for fresh credentials once after a 401, for writes as well', async () => {
    let token = 'old';
    const renewing: KubeConnection = {
      baseUrl: server.url,
      dispatcher: connection.dispatcher,
      watchDispatcher: connection.watchDispatcher,
      headers: () => Promise.resolve({ authorization: `Bearer ${token}` }),
      refresh: () => (token = 'new'),
      suspect: () => undefined,
      close: () => Promise.resolve(),
    };
    client = make({ connection: renewing });
    server.script(failure(401, 'Unauthorized'), json(201, widget('a')));
    await client.create(widgets, widget('a'));
    expect(server.requests.map(({ headers }) => headers.authorization)).to.deep.equal([
      'Bearer old',
      'Bearer new',
    ]);
    server.script(failure(401, 'Unauthorized'), failure(401, 'Unauthorized'));
    expect((await failed(client.get(widgets, 'default', 'a'))).status).to.equal(401);
  });

  it('ends at its deadline, whether headers or body are late', async () => {
    server.script(
      () => undefined,
      (response) => response.writeHead(200).write('{'),
    );
    for (const late of ['headers', 'body']) {
      const error = await failed(client.get(widgets, 'default', 'a', { deadlineMs: 30 }));
      expect([error.code, error.retryable], late).to.deep.equal(['KUBE_TIMEOUT', true]);
    }
  });

  it('ends at its deadline while it is still connecting', async () => {
    const nowhere = new Agent({ connect: () => undefined });
    client = make({ connection: { ...connection, dispatcher: nowhere } });
    expect((await failed(client.get(widgets, 'default', 'a', { deadlineMs: 20 }))).code).to.equal(
      'KUBE_TIMEOUT',
    );
    await nowhere.destroy();
  });

  it('counts the time for credentials into the deadline', async () => {
    const hanging = { ...connection, headers: () => new Promise<never>(() => undefined) };
    client = make({ connection: hanging });
    expect((await failed(client.get(widgets, 'default', 'a', { deadlineMs: 20 }))).code).to.equal(
      'KUBE_TIMEOUT',
    );
  });

  it("throws the caller's own reason when the caller aborts", async () => {
    const controller = new AbortController();
    const reason = new Error('shutting down');
    const call = client.get(widgets, 'default', 'a', { signal: controller.signal });
    await eventually(() => server.requests.length === 1);
    controller.abort(reason);
    expect(await call.catch((error: unknown) => error)).to.equal(reason);
  });

  it('does not take in more than it may', async () => {
    server.script(json(200, { metadata: {}, padding: 'x'.repeat(5000) }));
    const error = await failed(client.get(widgets, 'default', 'a', { maxBytes: 4096 }));
    expect(error.code).to.equal('KUBE_ANSWER_TOO_LARGE');
  });

  it('refuses an answer of success that is no JSON object', async () => {
    server.script((response) => response.end('<html>'));
    expect((await failed(client.get(widgets, 'default', 'a'))).code).to.equal('KUBE_BAD_ANSWER');
  });

  it("does not take a proxy's 404 for a missing object", async () => {
    server.script((response) => response.writeHead(404).end('404 page not found'));
    const error = await failed(client.get(widgets, 'default', 'a'));
    expect([error.status, error.reason]).to.deep.equal([404, '']);
  });

  it('uses few connections for many calls', async () => {
    const sockets = new Set<unknown>();
    const answer = json(200, widget('a'));
    server.script(
      ...Array.from(
        { length: 200 },
        () => (response: Parameters<typeof answer>[0], request: Parameters<typeof answer>[1]) => {
          sockets.add(response.socket);
          answer(response, request);
        },
      ),
    );
    await Promise.all(Array.from({ length: 200 }, () => client.get(widgets, 'default', 'a')));
    expect(sockets.size).to.be.within(1, 8);
  });

  describe('watch', () => {
    const options = { resourceVersion: '5', timeoutSeconds: 300, allowWatchBookmarks: true };

    async function read(stream: AsyncIterable<Uint8Array>): Promise<string> {
      let text = '';
      for await (const chunk of stream) text += Buffer.from(chunk).toString();
      return text;
    }

    it('streams what the server sends until it ends', async () => {
      const watch = new OpenWatch();
      server.script(watch.answer);
      const stream = await client.watch(widgets, undefined, options);
      watch.write('a\n');
      watch.write('b\n');
      watch.end();
      expect(await read(stream)).to.equal('a\nb\n');
      const query = Object.fromEntries(server.requests[0]!.url.searchParams);
      expect(query).to.deep.equal({
        watch: 'true',
        allowWatchBookmarks: 'true',
        resourceVersion: '5',
        timeoutSeconds: '300',
      });
    });

    it('fails when the stream is cut, silent or too long', async () => {
      const cut = new OpenWatch();
      const silent = new OpenWatch();
      const endless = new OpenWatch();
      server.script(cut.answer, silent.answer, endless.answer);
      const cutStream = await client.watch(widgets, undefined, options);
      cut.cut();
      expect((await failed(read(cutStream))).code).to.equal('KUBE_UNREACHABLE');
      const silentStream = await client.watch(widgets, undefined, { ...options, inactivityMs: 30 });
      expect((await failed(read(silentStream))).message).to.include('UND_ERR_BODY_TIMEOUT');
      const endlessStream = await client.watch(widgets, undefined, { ...options, deadlineMs: 500 });
      expect((await failed(read(endlessStream))).code).to.equal('KUBE_TIMEOUT');
    });

    it('is refused like any call', async () => {
      server.script(failure(410, 'Expired'));
      expect((await failed(client.watch(widgets, undefined, options))).status).to.equal(410);
    });
  });
});
