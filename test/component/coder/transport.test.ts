import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { inspect } from 'node:util';
import { expect } from 'chai';
import { systemClock } from '../../../src/base/clock.ts';
import { checkBaseUrl, type HostPolicy } from '../../../src/coder/address.ts';
import { CoderError, UnexpectedResponseError, type CoderErrorKind } from '../../../src/coder/errors.ts';
import {
  Transport,
  type Call,
  type RequestReport,
  type TransportOptions,
} from '../../../src/coder/transport.ts';
import { buildInfoAnswer } from '../../support/coder-answers.ts';
import { HttpTestServer, sendJson, type Respond } from '../../support/coder-http.ts';
import { createAuthority, type TestAuthority } from '../../support/coder-pki.ts';

const TOKEN = 'abcdefghij-0123456789abcdefghijkl';
const LOCAL: HostPolicy = { httpHosts: ['127.0.0.1', 'localhost'], allowLoopback: true };
const READ: Call = { method: 'GET', route: '/users/{user}', params: { user: 'alice' } };
const WRITE: Call = {
  method: 'POST',
  route: '/workspaces/{id}/builds',
  params: { id: 'x' },
  body: { transition: 'start' },
};

describe('Transport', () => {
  const closing: (() => unknown)[] = [];
  let reports: RequestReport[];

  beforeEach(() => {
    reports = [];
  });

  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });

  async function serve(respond: Respond, tls?: { key: string; cert: string }): Promise<HttpTestServer> {
    const server = await HttpTestServer.start(respond, tls === undefined ? {} : { tls });
    closing.push(() => server.close());
    return server;
  }

  /** A server below HTTP, for what no HTTP server would do. */
  async function serveRaw(onConnection: (socket: Socket) => void): Promise<string> {
    const sockets = new Set<Socket>();
    const server: Server = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => undefined);
      onConnection(socket);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    closing.push(() => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(resolve));
    });
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  function connect(url: string, options: Partial<TransportOptions> = {}): Transport {
    const policy = options.policy ?? LOCAL;
    const transport = new Transport({
      policy,
      clock: systemClock,
      token: TOKEN,
      baseUrl: checkBaseUrl(url, policy),
      onRequest: (report) => reports.push(report),
      ...options,
    });
    closing.push(() => transport.close());
    return transport;
  }

  /** The error of a call that must fail, which must not hold the token anywhere. */
  async function failure(answer: Promise<unknown>): Promise<CoderError> {
    const error: unknown = await answer.then(
      (value) => expect.fail(`the call succeeded: ${inspect(value)}`),
      (thrown: unknown) => thrown,
    );
    expect(error).to.be.instanceOf(CoderError);
    expect(inspect(error, { depth: 20, showHidden: true })).not.to.include('0123456789abcdefghijkl');
    return error as CoderError;
  }

  async function expectFailure(
    answer: Promise<unknown>,
    kind: CoderErrorKind,
    unclear: boolean,
  ): Promise<CoderError> {
    const error = await failure(answer);
    expect({ kind: error.kind, unclear: error.unclear }, error.message).to.deep.equal({ kind, unclear });
    return error;
  }

  describe('what it sends', () => {
    it('is the token, a User-Agent, the path below the base and nothing that Coder would stumble over', async () => {
      const server = await serve((_, response) => sendJson(response, 200, { ok: true }));
      const { value } = await connect(`${server.url()}/prefix/`, { userAgent: 'coder-operator/1.2.3' }).json(
        READ,
      );
      expect(value).to.deep.equal({ ok: true });
      const [seen] = server.seen;
      expect(seen).to.include({ method: 'GET', path: '/prefix/api/v2/users/alice', body: '' });
      expect(seen?.headers).to.include({
        'coder-session-token': TOKEN,
        'user-agent': 'coder-operator/1.2.3',
      });
      expect(seen?.headers).not.to.have.any.keys(
        'cookie',
        'accept-encoding',
        'content-type',
        'authorization',
      );
    });

    it('is JSON, or bytes as they are under exactly the given type', async () => {
      const server = await serve((_, response) => sendJson(response, 201, {}));
      const transport = connect(server.url());
      await transport.json(WRITE);
      await transport.json({
        method: 'POST',
        route: '/files',
        body: Buffer.from('tar'),
        contentType: 'application/x-tar',
      });
      expect(server.seen.map(({ body, headers }) => [body, headers['content-type']])).to.deep.equal([
        ['{"transition":"start"}', 'application/json'],
        ['tar', 'application/x-tar'],
      ]);
    });

    it('holds no token when the call is anonymous', async () => {
      const server = await serve((_, response) => sendJson(response, 200, buildInfoAnswer()));
      await connect(server.url()).json({ method: 'GET', route: '/buildinfo', anonymous: true });
      expect(JSON.stringify(server.seen)).not.to.include(TOKEN);
    });

    it('goes over one connection, request after request', async () => {
      const server = await serve((_, response) => sendJson(response, 200, { pad: 'x'.repeat(100_000) }));
      const transport = connect(server.url());
      for (let i = 0; i < 5; i++) await transport.json(READ);
      expect(server.seen.map(({ connection }) => connection)).to.deep.equal([1, 1, 1, 1, 1]);
    });

    it('cannot be a token that would break the header', () => {
      for (const token of ['', 'abc\n', 'a b', 'abc\r\nX: y', 'tökén']) {
        expect(() => connect('http://127.0.0.1:1', { token }))
          .to.throw()
          .with.property('code', 'INVALID_TOKEN');
      }
    });
  });

  describe('reports', () => {
    it('every request by its route, never by its path', async () => {
      const server = await serve(({ path }, response) =>
        sendJson(response, path.endsWith('alice') ? 200 : 404, { message: 'no' }),
      );
      const transport = connect(server.url());
      await transport.json(READ);
      await failure(transport.json({ ...READ, params: { user: 'bob' } }));
      await server.close();
      await failure(transport.json(READ));
      expect(reports.map(({ method, route, code }) => [method, route, code])).to.deep.equal([
        ['GET', '/users/{user}', '200'],
        ['GET', '/users/{user}', '404'],
        ['GET', '/users/{user}', 'Unreachable'],
      ]);
      for (const { durationMs } of reports) expect(durationMs).to.be.within(0, 5000);
    });
  });

  describe('redirects', () => {
    for (const status of [301, 302, 303, 307, 308]) {
      it(`F16. are errors (${status}), and the other server sees nothing`, async () => {
        const other = await serve((_, response) => sendJson(response, 200, {}));
        const server = await serve((_, response) => {
          response.writeHead(status, { location: `${other.url('localhost')}/api/v2/users/alice` });
          response.end();
        });
        const transport = connect(server.url());
        const error = await expectFailure(transport.json(READ), 'Redirected', false);
        expect(error.message).not.to.include('localhost');
        await expectFailure(transport.json(WRITE), 'Redirected', false);
        expect(other.seen).to.deep.equal([]);
      });
    }
  });

  describe('answers that are not Coder’s', () => {
    const strange: [string, Respond][] = [
      [
        'an HTML page',
        (_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<html>hi</html>'),
      ],
      [
        'JSON under another type',
        (_, response) => response.writeHead(200, { 'content-type': 'text/plain' }).end('{}'),
      ],
      ['no type', (_, response) => response.writeHead(200).end('{}')],
      ['no body', (_, response) => response.writeHead(200, { 'content-type': 'application/json' }).end()],
      [
        'half a JSON',
        (_, response) => response.writeHead(200, { 'content-type': 'application/json' }).end('{"id":"abc'),
      ],
      [
        'a compressed body that nobody asked for',
        (_, response) =>
          response
            .writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' })
            .end(Buffer.from('1f8b0800', 'hex')),
      ],
    ];
    for (const [what, respond] of strange) {
      it(`F14. are unexpected: ${what}`, async () => {
        const server = await serve(respond);
        const transport = connect(server.url());
        const error = await expectFailure(transport.json(READ), 'UnexpectedResponse', false);
        expect(error).to.be.instanceOf(UnexpectedResponseError);
        expect(error.retryable).to.equal(true);
        expect(error.message).not.to.match(/html|abc/);
        await expectFailure(transport.json(WRITE), 'UnexpectedResponse', true);
        expect(reports.map(({ code }) => code)).to.deep.equal(['UnexpectedResponse', 'UnexpectedResponse']);
      });
    }

    it('are unexpected when a proxy refuses in its own words', async () => {
      const server = await serve((_, response) =>
        response.writeHead(404, { 'content-type': 'text/html' }).end('default backend - 404'),
      );
      const error = await expectFailure(connect(server.url()).json(READ), 'UnexpectedResponse', false);
      expect(error.status).to.equal(404);
      expect(error.message).not.to.include('backend');
    });

    it('say by which id Coder’s log knows the request', async () => {
      const server = await serve((_, response) => {
        response.setHeader('X-Coder-Request-Id', '0f0e0d0c-0000-4000-8000-000000000001');
        sendJson(response, 403, { message: 'Forbidden.' });
      });
      const error = await expectFailure(connect(server.url()).json(READ), 'Forbidden', false);
      expect(error.requestID).to.equal('0f0e0d0c-0000-4000-8000-000000000001');
      expect(error.coderMessage).to.equal('Forbidden.');
    });

    it('do not show the token when Coder repeats it', async () => {
      const server = await serve((_, response) => sendJson(response, 401, { message: `Bad token ${TOKEN}` }));
      const error = await expectFailure(connect(server.url()).json(READ), 'Unauthorized', false);
      expect(error.coderMessage).to.equal('Bad token [redacted]');
    });
  });

  describe('answers that are too large', () => {
    it('are given up as soon as it shows', async () => {
      let sent = 0;
      const server = await serve((_, response) => {
        response.writeHead(200, { 'content-type': 'application/json' });
        const more = (): void => {
          while (sent < 100_000_000) {
            sent += 100_000;
            if (!response.write(' '.repeat(100_000))) {
              response.once('drain', more);
              return;
            }
          }
          response.end();
        };
        more();
      });
      const transport = connect(server.url());
      const error = await expectFailure(transport.json(READ, { maxBytes: 1_000_000 }), 'TooLarge', false);
      expect(error.message).to.include('1000000 bytes');
      expect(sent).to.be.below(50_000_000);
    });

    it('are those above 8 MiB unless told', async () => {
      const body = JSON.stringify({ pad: 'x'.repeat(8 * 1024 * 1024) });
      const server = await serve((_, response) =>
        response.writeHead(200, { 'content-type': 'application/json' }).end(body),
      );
      const transport = connect(server.url());
      await expectFailure(transport.json(WRITE), 'TooLarge', true);
      const { value } = await transport.json(READ, { maxBytes: 9_000_000 });
      expect((value as { pad: string }).pad).to.have.length(8 * 1024 * 1024);
    });
  });

  describe('time', () => {
    it('limits the wait for an answer', async () => {
      const server = await serve(() => undefined);
      const transport = connect(server.url());
      await expectFailure(transport.json(READ, { timeoutMs: 500 }), 'Timeout', false);
      await expectFailure(transport.json(WRITE, { timeoutMs: 500 }), 'Timeout', true);
      expect(reports.map(({ code }) => code)).to.deep.equal(['Timeout', 'Timeout']);
    });

    it('limits a body that trickles', async () => {
      const server = await serve((_, response) => {
        response.writeHead(200, { 'content-type': 'application/json' });
        response.write('{"a":');
        const timer = setInterval(() => response.write(' '), 10);
        response.on('close', () => clearInterval(timer));
      });
      await expectFailure(connect(server.url(), { timeoutMs: 500 }).json(WRITE), 'Timeout', true);
    });

    it('ends when the caller gives up, before and while waiting', async () => {
      const controller = new AbortController();
      const server = await serve(() => controller.abort());
      const transport = connect(server.url());
      await expectFailure(transport.json(WRITE, { signal: controller.signal }), 'Aborted', true);
      await expectFailure(transport.json(WRITE, { signal: controller.signal }), 'Aborted', false);
      expect(server.seen).to.have.length(1);
    });
  });

  describe('broken connections', () => {
    it('are clear when nothing was sent: a port that refuses', async () => {
      const server = await serve(() => undefined);
      const url = server.url();
      await server.close();
      const error = await expectFailure(connect(url).json(WRITE), 'Unreachable', false);
      expect(error.retryable).to.equal(true);
      expect(error.message).to.include('refused');
    });

    it('are clear when nothing was sent: a name that does not exist', async () => {
      const error = await failure(connect('https://coder.invalid').json(WRITE));
      expect(error).to.include({ kind: 'Unreachable', unclear: false });
    });

    it('are clear when nothing was sent: no TLS behind https', async () => {
      const url = await serveRaw((socket) => socket.once('data', () => socket.destroy()));
      await expectFailure(connect(url.replace('http:', 'https:')).json(WRITE), 'Unreachable', false);
      const plain = await serveRaw((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
      await expectFailure(connect(plain.replace('http:', 'https:')).json(WRITE), 'Unreachable', false);
    });

    it('are clear when nothing was sent: a TLS handshake without end', async () => {
      const url = await serveRaw(() => undefined);
      const transport = connect(url.replace('http:', 'https:'), { connectTimeoutMs: 50 });
      await expectFailure(transport.json(WRITE), 'Unreachable', false);
    });

    it('are unclear for a change when the server closes before it answers', async () => {
      const url = await serveRaw((socket) => socket.once('data', () => socket.destroy()));
      await expectFailure(connect(url).json(WRITE), 'Unreachable', true);
      await expectFailure(connect(url).json(READ), 'Unreachable', false);
    });

    it('may be tried again when the server resets without having read anything', async () => {
      const url = await serveRaw((socket) => socket.resetAndDestroy());
      // Whether anything was sent before the reset came is a race; only the kind is certain.
      expect(await failure(connect(url).json(WRITE))).to.include({ kind: 'Unreachable', retryable: true });
    });

    it('are unclear for a change when the answer breaks off', async () => {
      const url = await serveRaw((socket) =>
        socket.once('data', () => {
          socket.end(
            'HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"id"',
          );
        }),
      );
      await expectFailure(connect(url).json(WRITE), 'Unreachable', true);
    });

    it('are unclear for a change when the answer is no HTTP', async () => {
      const url = await serveRaw((socket) =>
        socket.once('data', () => socket.end('SSH-2.0-OpenSSH_9.6\r\n')),
      );
      await expectFailure(connect(url).json(WRITE), 'Unreachable', true);
    });

    it('do not stop the calls after them', async () => {
      let count = 0;
      const server = await serve((_, response) => {
        if (count++ === 0) response.destroy();
        else sendJson(response, 200, { ok: true });
      });
      const transport = connect(server.url());
      await failure(transport.json(READ));
      expect((await transport.json(READ)).value).to.deep.equal({ ok: true });
    });
  });

  describe('certificates', () => {
    let authority: TestAuthority;
    before(async () => {
      authority = await createAuthority();
    });

    const ok: Respond = (_, response) => sendJson(response, 200, { ok: true });

    it('are trusted when the given CA has signed them', async () => {
      const server = await serve(ok, await authority.issue({ ip: '127.0.0.1' }));
      const other = await createAuthority();
      const caCertificates = `# two of them\n${other.caCertificate}\n${authority.caCertificate}\n`;
      const transport = connect(server.url(), { caCertificates });
      expect((await transport.json(READ)).value).to.deep.equal({ ok: true });
    });

    it('are refused, and the token stays here, when the CA is unknown or another one', async () => {
      const server = await serve(ok, await authority.issue({ ip: '127.0.0.1' }));
      const other = await createAuthority();
      for (const options of [{}, { caCertificates: other.caCertificate }]) {
        const error = await expectFailure(connect(server.url(), options).json(WRITE), 'Unreachable', false);
        expect(error.message).to.include('ca.crt');
      }
      expect(server.seen).to.deep.equal([]);
    });

    it('are refused when they are for another host', async () => {
      const server = await serve(ok, await authority.issue({ dns: 'coder.example.com' }));
      const transport = connect(server.url(), { caCertificates: authority.caCertificate });
      const error = await expectFailure(transport.json(WRITE), 'Unreachable', false);
      expect(error.message).to.include('another host');
      expect(server.seen).to.deep.equal([]);
    });

    for (const [what, caCertificates] of [
      ['is no PEM', 'garbage'],
      ['holds a broken certificate', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----'],
    ] as const) {
      it(`cannot be used at all when ca.crt ${what}`, () => {
        expect(() => connect('https://coder.example.com', { caCertificates }))
          .to.throw(/ca\.crt/)
          .with.property('code', 'INVALID_CA_CERTIFICATE');
      });
    }
  });

  describe('addresses', () => {
    it('are checked when the connection is made: a name that leads to loopback', async () => {
      const server = await serve((_, response) => sendJson(response, 200, {}));
      const strict = { ...LOCAL, allowLoopback: false };
      const error = await expectFailure(
        connect(server.url('localhost'), { policy: strict }).json(WRITE),
        'AddressRefused',
        false,
      );
      expect(error.message).to.include('loopback');
      expect(server.seen).to.deep.equal([]);
      await connect(server.url('localhost')).json(READ);
      expect(server.seen).to.have.length(1);
    });
  });

  describe('long lists', () => {
    const LIST: Call = { method: 'GET', route: '/workspaces' };

    function rows(transport: Transport, limits = {}): { done: Promise<unknown>; seen: unknown[] } {
      const seen: unknown[] = [];
      const list = {
        field: 'workspaces',
        maxRecordBytes: 1000,
        onRecord: (record: unknown) => seen.push(record),
      };
      return { done: transport.records(LIST, list, limits), seen };
    }

    it('are handed over row by row', async () => {
      const workspaces = Array.from({ length: 5000 }, (_, id) => ({ id, name: 'x'.repeat(100) }));
      const server = await serve((_, response) => sendJson(response, 200, { workspaces, count: 5000 }));
      const { done, seen } = rows(connect(server.url()));
      expect(await done).to.deep.include({ value: { workspaces: [], count: 5000 }, skipped: 0 });
      expect(seen).to.deep.equal(workspaces);
    });

    it('F14. that are cut short never pass for whole', async () => {
      const server = await serve((_, response) => {
        response.writeHead(200, { 'content-type': 'application/json' });
        response.end('{"workspaces":[{"id":1},{"id":2}');
      });
      const { done, seen } = rows(connect(server.url()));
      await expectFailure(done, 'UnexpectedResponse', false);
      expect(seen).to.have.length(2);
    });

    it('end at their limit, on a refusal and on what is no JSON', async () => {
      let body: [number, string, string] = [
        200,
        'application/json',
        `{"workspaces":[${'{},'.repeat(1000)}{}],"count":1}`,
      ];
      const server = await serve((_, response) =>
        response.writeHead(body[0], { 'content-type': body[1] }).end(body[2]),
      );
      const transport = connect(server.url());
      await expectFailure(rows(transport, { maxBytes: 1000 }).done, 'TooLarge', false);
      body = [403, 'application/json', '{"message":"Forbidden."}'];
      await expectFailure(rows(transport).done, 'Forbidden', false);
      body = [200, 'text/html', '<html>'];
      await expectFailure(rows(transport).done, 'UnexpectedResponse', false);
    });

    it('let an error of their reader through as it is', async () => {
      const server = await serve((_, response) => sendJson(response, 200, { workspaces: [{}], count: 1 }));
      const fault = new RangeError('reader');
      const list = {
        field: 'workspaces',
        maxRecordBytes: 1000,
        onRecord: () => {
          throw fault;
        },
      };
      const thrown: unknown = await connect(server.url())
        .records(LIST, list)
        .catch((error: unknown) => error);
      expect(thrown).to.equal(fault);
    });
  });
});
