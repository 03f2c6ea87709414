import { expect } from 'chai';
import { request, type Dispatcher } from 'undici';
import { HttpTestServer, sendJson } from '../../support/coder-http.ts';
import {
  coderRefusal,
  cutInHalf,
  delayed,
  FaultProxy,
  garble,
  loseAnswer,
  page,
  redirect,
  reset,
  stale,
  type Fault,
} from '../../support/fault-proxy.ts';

const TOKEN = 'coder-session-token';

describe('the fault proxy before a Coder', () => {
  let server: HttpTestServer;
  let proxy: FaultProxy;
  let writes: number;

  beforeEach(async () => {
    writes = 0;
    server = await HttpTestServer.start(({ method }, response) => {
      if (method === 'POST') writes++;
      response.setHeader('retry-after', '7');
      sendJson(response, method === 'POST' ? 201 : 200, { writes });
    });
    proxy = await FaultProxy.before(server.url());
  });

  afterEach(async () => {
    await proxy.close();
    await server.close();
  });

  const ask = (method: Dispatcher.HttpMethod = 'GET', path = '/api/v2/things'): ReturnType<typeof request> =>
    request(proxy.url + path, {
      method,
      headers: { [TOKEN]: 'secret' },
      body: method === 'POST' ? '{}' : null,
    });
  const failure = (asked: Promise<unknown>): Promise<string> =>
    asked.then(
      () => 'none',
      (error: unknown) => (error as { readonly code?: string }).code ?? String(error),
    );
  const broken = (fault: Fault, times?: number): ReturnType<FaultProxy['break']> =>
    proxy.break(() => true, fault, times);

  it('passes requests and answers on as they are', async () => {
    const answer = await ask('POST');
    expect(answer.statusCode).to.equal(201);
    expect(answer.headers['retry-after']).to.equal('7');
    expect(await answer.body.json()).to.deep.equal({ writes: 1 });
    expect(server.seen[0]?.headers[TOKEN]).to.equal('secret');
    expect(server.seen[0]?.body).to.equal('{}');
  });

  it('refuses connections, and takes them again at the same address', async () => {
    await proxy.refuse();
    expect(await failure(ask())).to.equal('ECONNREFUSED');
    await proxy.accept();
    expect((await ask()).statusCode).to.equal(200);
  });

  it('breaks a connection before the server has heard anything', async () => {
    broken(reset);
    expect(await failure(ask('POST'))).to.be.oneOf(['ECONNRESET', 'UND_ERR_SOCKET']);
    expect(writes).to.equal(0);
  });

  it('loses an answer after the server has acted', async () => {
    broken(loseAnswer);
    expect(await failure(ask('POST'))).to.be.oneOf(['ECONNRESET', 'UND_ERR_SOCKET']);
    expect(writes).to.equal(1);
  });

  it('cuts an answer in half', async () => {
    broken(cutInHalf);
    const read = async (): Promise<string> => (await ask()).body.text();
    expect(await failure(read())).to.not.equal('none');
  });

  it('garbles an answer', async () => {
    broken(garble);
    expect(await failure((await ask()).body.json())).to.not.equal('none');
  });

  it('holds a request up', async () => {
    broken(delayed(30));
    const before = performance.now();
    expect((await ask()).statusCode).to.equal(200);
    expect(performance.now() - before).to.be.greaterThan(25);
  });

  it('answers in place of the server', async () => {
    broken(redirect('https://elsewhere.example/'), 1);
    broken(coderRefusal(409, 'taken'), 1);
    broken(page(502, 'a canary'), 1);
    const html = await ask('POST');
    expect([html.statusCode, html.headers['content-type']]).to.deep.equal([502, 'text/html']);
    expect(await html.body.text()).to.contain('a canary');
    const refused = await ask('POST');
    expect([refused.statusCode, await refused.body.json()]).to.deep.equal([409, { message: 'taken' }]);
    const sent = await ask('POST');
    expect([sent.statusCode, sent.headers['location']]).to.deep.equal([302, 'https://elsewhere.example/']);
    await sent.body.dump();
    expect(writes).to.equal(0);
    expect((await ask('POST')).statusCode).to.equal(201);
  });

  it('shows what was there before a write until the rule ends', async () => {
    const rule = proxy.break(({ method }) => method === 'GET', stale());
    expect(await (await ask()).body.json()).to.deep.equal({ writes: 0 });
    await (await ask('POST')).body.dump();
    expect(await (await ask()).body.json()).to.deep.equal({ writes: 0 });
    expect(await (await ask('GET', '/api/v2/others')).body.json()).to.deep.equal({ writes: 1 });
    rule.end();
    expect(await (await ask()).body.json()).to.deep.equal({ writes: 1 });
  });
});
