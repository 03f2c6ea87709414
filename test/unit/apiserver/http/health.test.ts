import { expect } from 'chai';
import { ask, notFound, startTestApi, stopTestApis, type TestApi } from '../../../support/apiserver-http.ts';

describe('ApiServer: health', () => {
  afterEach(stopTestApis);

  let isSynced = true;

  /** Nobody may do anything, and nobody can be found out. */
  function start(): Promise<TestApi> {
    isSynced = true;
    return startTestApi({
      authenticator: { authenticate: () => Promise.reject(new Error('nobody can be asked')) },
      authorizer: { authorize: () => Promise.reject(new Error('nobody can be asked')) },
      discovery: notFound,
      checks: [
        { name: 'objects', isReady: () => isSynced },
        {
          name: 'trust',
          isReady() {
            if (!isSynced) throw new Error('a reason that is nobody’s business');
            return true;
          },
        },
      ],
    });
  }

  for (const path of [
    '/livez',
    '/readyz',
    '/healthz',
    '/readyz/',
    '/livez/ping',
    '/readyz/objects',
    '/readyz/shutdown',
  ]) {
    it(`16. ${path} answers anybody with ok`, async () => {
      const { status, text, headers } = await ask(await start(), path);
      expect([status, text]).to.deep.equal([200, 'ok']);
      expect(headers['content-type']).to.equal('text/plain; charset=utf-8');
    });
  }

  it('16. tells each check when asked to', async () => {
    expect((await ask(await start(), '/readyz?verbose')).text).to.equal(
      '[+]ping ok\n[+]objects ok\n[+]trust ok\n[+]shutdown ok\nreadyz check passed\n',
    );
  });

  it('16. tells what fails, but not why, and still lives', async () => {
    const api = await start();
    isSynced = false;
    const { status, text } = await ask(api, '/readyz');
    expect(status).to.equal(500);
    expect(text).to.equal(
      '[+]ping ok\n[-]objects failed: reason withheld\n[-]trust failed: reason withheld\n[+]shutdown ok\nreadyz check failed\n',
    );
    expect((await ask(api, '/readyz/objects')).status).to.equal(500);
    expect((await ask(api, '/readyz/objects')).text).to.equal('[-]objects failed: reason withheld\n');
    expect((await ask(api, '/readyz/ping')).status).to.equal(200);
    for (const path of ['/livez', '/healthz']) expect((await ask(api, path)).status).to.equal(200);
  });

  it('16. leaves out what is excluded, and says what cannot be', async () => {
    const api = await start();
    isSynced = false;
    const { status, text } = await ask(api, '/readyz?verbose&exclude=objects&exclude=trust&exclude=other');
    expect(status).to.equal(200);
    expect(text).to.equal(
      '[+]ping ok\n[+]objects excluded: ok\n[+]trust excluded: ok\n[+]shutdown ok\n' +
        'warn: some health checks cannot be excluded: no matches for "other"\nreadyz check passed\n',
    );
  });

  it('is for reading only', async () => {
    const api = await start();
    const { status, json } = await ask(api, '/livez', { method: 'POST' });
    expect(status).to.equal(405);
    expect(json()).to.include({ reason: 'MethodNotAllowed' });
    expect((await ask(api, '/livez', { method: 'HEAD' })).status).to.equal(200);
  });

  for (const path of ['/readyz/unknown', '/readyz/objects/more', '/livez/objects', '/readyzz']) {
    it(`has no ${path}: that goes the way of every request`, async () => {
      expect((await ask(await start(), path)).status).to.equal(500);
    });
  }
});
