import { randomBytes } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import { gunzipSync, gzipSync } from 'node:zlib';
import { expect } from 'chai';
import { bytesBody, jsonBody, noBody } from '../../../../src/apiserver/http/body.ts';
import { acceptsGzip } from '../../../../src/apiserver/http/respond.ts';
import { StatusError } from '../../../../src/apiserver/http/status.ts';
import type { Body, WholeAnswer } from '../../../../src/apiserver/http/types.ts';
import {
  ask,
  connectRaw,
  keepingAgent,
  startTestApi,
  stopTestApis,
  type TestApi,
} from '../../../support/apiserver-http.ts';
import { eventually } from '../../../support/eventually.ts';

const KIB = 1024;
const GZIP = { 'accept-encoding': 'gzip' };

/** JSON of about so many bytes, in pieces that have nothing to do with those that are written. */
function jsonOf(
  bytes: number,
  pieceBytes = 10_000,
): Body & { readonly bytes: number; readonly whole: Buffer } {
  const items = Array.from({ length: Math.ceil(bytes / 100) }, (_, i) => ({ i, text: 'x'.repeat(75) }));
  const whole = Buffer.from(JSON.stringify(items));
  const pieces = function* (): Generator<Uint8Array> {
    for (let at = 0; at < whole.length; at += pieceBytes) yield whole.subarray(at, at + pieceBytes);
  };
  return { bytes: whole.length, pieces: { [Symbol.iterator]: pieces }, whole };
}

describe('ApiServer: whole answers', () => {
  afterEach(stopTestApis);

  function serve(answer: Partial<WholeAnswer> | (() => WholeAnswer)): Promise<TestApi> {
    const make = typeof answer === 'function' ? answer : () => ({ code: 200, body: noBody, ...answer });
    return startTestApi({ discovery: make });
  }

  it('are JSON that nobody on the way may keep, with their length and the Audit-ID', async () => {
    const api = await serve({ body: jsonBody({ a: 'ä' }) });
    const { status, headers, text } = await ask(api, '/apis', { headers: { 'Audit-ID': 'abc-1' } });
    expect(status).to.equal(200);
    expect(text).to.equal('{"a":"ä"}');
    expect(headers).to.include({
      'content-type': 'application/json',
      'cache-control': 'no-cache, private',
      'content-length': '10',
      'audit-id': 'abc-1',
    });
    expect(headers).to.not.have.any.keys(
      'content-encoding',
      'vary',
      'x-content-type-options',
      'connection-close',
    );
  });

  it('have an Audit-ID of their own when the request brings none, or one that is not fit to print', async () => {
    const api = await serve({});
    const ids = await Promise.all(
      [undefined, 'with space', 'x'.repeat(200)].map(async (id) => {
        const { headers } = await ask(api, '/apis', { headers: id === undefined ? {} : { 'audit-id': id } });
        return headers['audit-id'];
      }),
    );
    for (const id of ids) expect(id).to.match(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    expect(new Set(ids).size).to.equal(3);
  });

  it('may say otherwise, and repeat a header', async () => {
    const headers = { 'cache-control': 'public', etag: '"1"', warning: ['299 - "a"', '299 - "b"'] };
    const api = await serve({ contentType: 'text/plain', headers, body: bytesBody(Buffer.from('hello')) });
    const client = await connectRaw(api);
    client.socket.write('GET /apis HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    const received = (await client.closed()).toLowerCase();
    expect(received).to.contain('content-type: text/plain\r\n');
    expect(received).to.contain('cache-control: public\r\n');
    expect(received).to.contain('warning: 299 - "a"\r\nwarning: 299 - "b"\r\n');
  });

  it('of 304 have neither body nor type', async () => {
    const api = await serve({ code: 304, headers: { etag: '"1"' } });
    const { status, headers, body } = await ask(api, '/apis');
    expect([status, headers['etag'], body.length]).to.deep.equal([304, '"1"', 0]);
    expect(headers).to.not.have.any.keys('content-type', 'content-length', 'transfer-encoding');
  });

  it('to HEAD have the headers only, of a small and of a large one', async () => {
    const large = jsonOf(500 * KIB);
    for (const body of [jsonBody([1]), large]) {
      const api = await serve({ body });
      const agent = keepingAgent(1);
      const { status, headers, body: received } = await ask(api, '/apis', { method: 'HEAD', agent });
      expect([status, headers['content-length'], received.length]).to.deep.equal([
        200,
        String(body.bytes),
        0,
      ]);
      expect((await ask(api, '/livez', { agent })).text).to.equal('ok');
    }
  });

  it('of any size arrive whole, over one kept connection', async () => {
    const agent = keepingAgent(1);
    for (const bytes of [0, 1, 127 * KIB, 129 * KIB, 3000 * KIB]) {
      const body = jsonOf(bytes);
      const api = await serve({ body });
      const { headers, body: received } = await ask(api, '/apis', { agent });
      expect(received.equals(body.whole)).to.equal(true);
      expect(headers['content-length']).to.equal(String(body.bytes));
    }
  });

  it('in one large piece or in very small ones arrive whole', async () => {
    const { whole } = jsonOf(2000 * KIB);
    const small = jsonOf(300 * KIB, 7);
    const oneApi = await serve({ body: bytesBody(whole) });
    expect((await ask(oneApi, '/apis')).body.equals(whole)).to.equal(true);
    const smallApi = await serve({ body: small });
    expect((await ask(smallApi, '/apis')).body.equals(small.whole)).to.equal(true);
  });

  describe('whose length only their making tells', () => {
    const unsized = (body: Body): Body => ({ bytes: undefined, pieces: body.pieces });

    it('are made whole when they are small, and have their length', async () => {
      for (const bytes of [0, 1, 100 * KIB]) {
        const body = jsonOf(bytes);
        const api = await serve({ body: unsized(body) });
        for (const headers of [{}, GZIP]) {
          const { headers: received, body: all } = await ask(api, '/apis', { headers });
          expect(received['content-length']).to.equal(String(body.bytes));
          expect(received).to.not.have.any.keys('transfer-encoding', 'content-encoding');
          expect(all.equals(body.whole)).to.equal(true);
        }
        const head = await ask(api, '/apis', { method: 'HEAD' });
        expect([head.headers['content-length'], head.body.length]).to.deep.equal([String(body.bytes), 0]);
      }
    });

    it('come in chunks when they are large, over one kept connection', async () => {
      const agent = keepingAgent(1);
      const body = jsonOf(3000 * KIB);
      const api = await serve({ body: unsized(body) });
      for (let i = 0; i < 2; i++) {
        const { headers, body: received } = await ask(api, '/apis', { agent });
        expect(headers).to.include({ 'transfer-encoding': 'chunked', vary: 'Accept-Encoding' });
        expect(headers).to.not.have.property('content-length');
        expect(received.equals(body.whole)).to.equal(true);
      }
      const head = await ask(api, '/apis', { method: 'HEAD', agent });
      expect(head.headers).to.not.have.property('content-length');
      expect((await ask(api, '/livez', { agent })).text).to.equal('ok');
    });

    it('come to a client of HTTP/1.0, which has no chunks, up to the end of the connection', async () => {
      const body = jsonOf(300 * KIB);
      const client = await connectRaw(await serve({ body: unsized(body) }));
      client.socket.write('GET /apis HTTP/1.0\r\nHost: x\r\n\r\n');
      const received = await client.closed();
      expect(received.toLowerCase()).to.not.contain('chunked');
      expect(received.endsWith(`\r\n\r\n${body.whole.toString()}`)).to.equal(true);
    });

    it('29. are compressed when asked for, and indented for people', async () => {
      const body = jsonOf(1000 * KIB);
      const api = await serve({ body: unsized(body) });
      const packed = await ask(api, '/apis', { headers: GZIP });
      expect(packed.headers).to.include({ 'content-encoding': 'gzip', vary: 'Accept-Encoding' });
      expect(gunzipSync(packed.body).equals(body.whole)).to.equal(true);
      const indented = JSON.stringify(JSON.parse(body.whole.toString()), null, 2);
      expect((await ask(api, '/apis?pretty=1')).text).to.equal(indented);
    });

    it('6. are made no faster than they are read', async () => {
      let made = 0;
      const endless: Body = {
        bytes: undefined,
        pieces: (function* () {
          for (;;) {
            made += 64 * KIB;
            yield randomBytes(64 * KIB);
          }
        })(),
      };
      const api = await serve(() => ({ code: 200, body: endless }));
      for (const headers of ['', 'Accept-Encoding: gzip\r\n']) {
        const client = await connectRaw(api);
        client.socket.pause();
        const before = made;
        client.socket.write(`GET /long HTTP/1.1\r\nHost: x\r\n${headers}\r\n`);
        await eventually(() => made > before);
        for (let last = -1; last !== made;) {
          last = made;
          for (let i = 0; i < 20; i++) expect((await ask(api, '/livez')).status).to.equal(200);
        }
        expect(made - before).to.be.below(20_000 * KIB);
        client.socket.destroy();
      }
    });
  });

  describe('compression', () => {
    it('29. only above 128 KiB, and only when asked for', async () => {
      const body = jsonOf(200 * KIB);
      const api = await serve({ body });
      const plain = await ask(api, '/apis');
      expect(plain.headers).to.not.have.property('content-encoding');
      expect(plain.headers['vary']).to.equal('Accept-Encoding');
      expect(plain.body.equals(body.whole)).to.equal(true);
      const packed = await ask(api, '/apis', { headers: GZIP });
      expect(packed.headers).to.include({ 'content-encoding': 'gzip', vary: 'Accept-Encoding' });
      expect(packed.body.length).to.be.lessThan(body.bytes / 5);
      expect(gunzipSync(packed.body).equals(body.whole)).to.equal(true);

      const smallApi = await serve({ body: bytesBody(Buffer.alloc(128 * KIB, 'x')) });
      const small = await ask(smallApi, '/apis', { headers: GZIP });
      expect(small.headers).to.not.have.any.keys('content-encoding', 'vary');
      expect(small.body.length).to.equal(128 * KIB);
    });

    it('29. takes what is compressed already, with its length', async () => {
      const body = jsonOf(400 * KIB);
      const packed = gzipSync(body.whole);
      let calls = 0;
      const gzip = (): Promise<readonly Uint8Array[]> => {
        calls++;
        return Promise.resolve([packed.subarray(0, 100), packed.subarray(100)]);
      };
      const api = await serve({ headers: { vary: 'Accept' }, body: { ...body, gzip } });
      const { headers, body: received } = await ask(api, '/apis', { headers: GZIP });
      expect(received.equals(packed)).to.equal(true);
      expect(headers['content-length']).to.equal(String(packed.length));
      expect(headers['vary']).to.equal('Accept, Accept-Encoding');
      await ask(api, '/apis');
      expect(calls).to.equal(1);
    });

    it('goes without when too many are being compressed, and with it again afterwards', async () => {
      const body = jsonOf(3000 * KIB);
      const api = await startTestApi({
        discovery: () => ({ code: 200, body }),
        limits: { compressions: 1 },
      });
      const answers = await Promise.all([1, 2, 3].map(() => ask(api, '/apis', { headers: GZIP })));
      const encodings = answers.map(({ headers }) => headers['content-encoding']);
      expect(encodings.filter((encoding) => encoding === 'gzip')).to.have.lengthOf(1);
      for (const { headers, body: received } of answers) {
        const bytes = headers['content-encoding'] === 'gzip' ? gunzipSync(received) : received;
        expect(bytes.equals(body.whole)).to.equal(true);
      }
      expect((await ask(api, '/apis', { headers: GZIP })).headers['content-encoding']).to.equal('gzip');
    });

    it('frees its place when the client goes in the middle', async () => {
      const long: Body = {
        bytes: 1e9,
        pieces: (function* () {
          for (;;) yield randomBytes(64 * KIB);
        })(),
      };
      const api = await startTestApi({
        discovery: ({ info }) => ({ code: 200, body: info.path === '/long' ? long : jsonOf(200 * KIB) }),
        limits: { compressions: 1 },
      });
      const client = await connectRaw(api);
      client.socket.write('GET /long HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n');
      await client.until(/content-encoding: gzip/i);
      client.socket.destroy();
      await eventually(
        async () => (await ask(api, '/apis', { headers: GZIP })).headers['content-encoding'] === 'gzip',
      );
    });

    const table: readonly (readonly [string | undefined, boolean])[] = [
      [undefined, false],
      ['', false],
      ['gzip', true],
      ['GZIP', true],
      ['deflate, gzip;q=0.5, br', true],
      ['gzip;q=0', false],
      ['gzip; q=0.000', false],
      ['gzip;q=0.001', true],
      ['x-gzip', false],
      ['*', false],
      ['identity', false],
    ];
    for (const [header, expected] of table) {
      it(`29. by Accept-Encoding ${header ?? '(none)'}: ${String(expected)}`, () => {
        expect(acceptsGzip(header)).to.equal(expected);
      });
    }
  });

  describe('for people', () => {
    const value = { kind: 'List', items: [{ a: 1 }, {}], more: [] };

    it('29. are indented for curl and by pretty=true, not for kubectl', async () => {
      const api = await serve({ body: jsonBody(value) });
      const texts = await Promise.all([
        ask(api, '/apis', { headers: { 'user-agent': 'curl/8.5.0' } }),
        ask(api, '/apis?pretty=true'),
        ask(api, '/apis', { headers: { 'user-agent': 'kubectl/v1.36.3' } }),
        ask(api, '/apis?pretty=0', { headers: { 'user-agent': 'curl/8.5.0' } }),
      ]);
      const indented = JSON.stringify(value, null, 2);
      const plain = JSON.stringify(value);
      expect(texts.map(({ text }) => text)).to.deep.equal([indented, indented, plain, plain]);
      expect(texts[0].headers['content-length']).to.equal(String(Buffer.byteLength(indented)));
    });

    it('29. are indented however large, also compressed', async () => {
      const body = jsonOf(1000 * KIB);
      const gzip = (): Promise<readonly Uint8Array[]> => Promise.reject(new Error('this is not indented'));
      const api = await serve({ body: { ...body, gzip } });
      const indented = JSON.stringify(JSON.parse(body.whole.toString()), null, 2);
      expect((await ask(api, '/apis?pretty=1')).text).to.equal(indented);
      const packed = await ask(api, '/apis?pretty=1', { headers: GZIP });
      expect(gunzipSync(packed.body).toString()).to.equal(indented);
    });

    it('leave everything but JSON as it is', async () => {
      const api = await serve({ contentType: 'text/plain', body: bytesBody(Buffer.from('{"a":1}')) });
      expect((await ask(api, '/apis?pretty=1')).text).to.equal('{"a":1}');
    });

    it('include failures', async () => {
      const api = await startTestApi();
      const { status, text } = await ask(api, '/nothing?pretty=1');
      expect(status).to.equal(404);
      expect(text).to.contain('\n  "reason": "NotFound"');
    });
  });

  describe('failures', () => {
    function fail(error: () => Error): Promise<TestApi> {
      return startTestApi({
        discovery: () => {
          throw error();
        },
      });
    }

    it('are a Status in JSON whatever was accepted, with Retry-After where there is one', async () => {
      const api = await fail(
        () => new StatusError('ServiceUnavailable', 'not yet', { details: { retryAfterSeconds: 3 } }),
      );
      const { status, headers, json } = await ask(api, '/apis', { headers: { accept: 'application/yaml' } });
      expect(status).to.equal(503);
      expect(headers).to.include({ 'retry-after': '3', 'content-type': 'application/json' });
      expect(json()).to.deep.equal({
        kind: 'Status',
        apiVersion: 'v1',
        metadata: {},
        status: 'Failure',
        message: 'not yet',
        reason: 'ServiceUnavailable',
        details: { retryAfterSeconds: 3 },
        code: 503,
      });
    });

    it('may have headers of their own; 403 forbids to guess its type', async () => {
      const api = await fail(() => new StatusError('Forbidden', 'no', { headers: { 'x-why': 'because' } }));
      const { headers } = await ask(api, '/apis');
      expect(headers).to.include({ 'x-why': 'because', 'x-content-type-options': 'nosniff' });
      expect(headers).to.not.have.property('retry-after');
    });

    it('62. of a body before its first byte become 500, and the connection lives', async () => {
      const pieces = {
        [Symbol.iterator](): Iterator<Uint8Array> {
          throw new Error('a fault in the making');
        },
      };
      const agent = keepingAgent(1);
      for (const bytes of [10, 1000 * KIB, undefined]) {
        const api = await serve({ headers: { etag: '"1"' }, body: { bytes, pieces } });
        for (const headers of [{}, GZIP]) {
          const { status, headers: received, json } = await ask(api, '/apis', { agent, headers });
          expect(status).to.equal(500);
          expect(received).to.not.have.any.keys('etag', 'content-encoding');
          expect(json()).to.include({ reason: 'InternalError', code: 500 });
        }
      }
    });

    it('62. of a body in the middle break the connection, and nothing else', async () => {
      const good = jsonOf(1000 * KIB);
      for (const bytes of [good.bytes, undefined]) {
        const bad: Body = {
          bytes,
          pieces: (function* () {
            yield good.whole.subarray(0, 600 * KIB);
            throw new Error('a fault in the making');
          })(),
        };
        const api = await serve({ body: bad });
        expect(await ask(api, '/apis').catch((error: unknown) => error)).to.be.instanceOf(Error);
        expect((await ask(api, '/livez')).text).to.equal('ok');
        await eventually(async () => (await api.metrics.aborts.get()).values[0]?.value === 1);
        expect(api.log.lines.filter(({ level }) => level === 'error')).to.have.lengthOf(1);
      }
    });

    it('62. of a body that is shorter or longer than it said break the connection', async () => {
      for (const bytes of [900 * KIB, 1100 * KIB]) {
        const api = await serve({ body: { bytes, pieces: [Buffer.alloc(1000 * KIB, 'x')] } });
        expect(await ask(api, '/apis').catch((error: unknown) => error)).to.be.instanceOf(Error);
      }
    });
  });

  it('6. that nobody reads hold nobody else up, and hold little memory', async () => {
    let made = 0;
    const endless: Body = {
      bytes: 50_000 * KIB,
      pieces: (function* () {
        for (let i = 0; i < 50_000; i++) {
          made += KIB;
          yield Buffer.alloc(KIB, 'x');
        }
      })(),
    };
    const api = await startTestApi({
      discovery: ({ info }) => ({ code: 200, body: info.path === '/long' ? endless : jsonOf(300 * KIB) }),
    });
    const client = await connectRaw(api);
    client.socket.pause();
    client.socket.write('GET /long HTTP/1.1\r\nHost: x\r\n\r\n');
    await eventually(() => made > 0);
    for (let i = 0; i < 10; i++) expect((await ask(api, '/apis')).status).to.equal(200);
    expect(made).to.be.lessThan(20_000 * KIB);
  });

  it('3. 20 clients that list 10,000 objects without pause leave the probe its answer', async () => {
    const list = jsonOf(20_000 * KIB, 500 * KIB);
    let lists = 0;
    const api = await startTestApi({
      discovery({ info }) {
        if (info.path !== '/list') return { code: 200, body: jsonBody({ groups: [] }) };
        lists++;
        return { code: 200, body: list };
      },
    });
    const clients = new Worker(LISTING, {
      eval: true,
      workerData: { port: api.port, path: '/list', clients: 20 },
    });
    try {
      await eventually(() => lists >= 20);
      const times: number[] = [];
      for (let i = 0; i < 10; i++) {
        const started = performance.now();
        expect((await ask(api, '/apis')).status).to.equal(200);
        times.push(performance.now() - started);
      }
      expect(Math.max(...times)).to.be.lessThan(1000);
    } finally {
      await clients.terminate();
    }
  }).timeout(60_000);
});

/** Clients in a thread of their own, so that only the server holds the loop of the test. */
const LISTING = `
  const { request } = require('node:https');
  const { workerData: { port, path, clients } } = require('node:worker_threads');
  const list = () => request({ host: '127.0.0.1', port, path, rejectUnauthorized: false, agent: false }, (response) => {
    response.resume();
    response.once('end', list);
  }).end();
  for (let i = 0; i < clients; i++) list();
`;
