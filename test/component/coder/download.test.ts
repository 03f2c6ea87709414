import { createHash } from 'node:crypto';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { inspect } from 'node:util';
import { gzipSync } from 'node:zlib';
import { expect } from 'chai';
import type { HostPolicy } from '../../../src/coder/address.ts';
import {
  download,
  DownloadError,
  type DownloadFault,
  type DownloadOptions,
} from '../../../src/coder/download.ts';
import { HttpTestServer, type Respond } from '../../support/coder-http.ts';
import { createAuthority } from '../../support/coder-pki.ts';

const LOCAL: HostPolicy = { httpHosts: ['127.0.0.1', 'localhost'], allowLoopback: true };
const FILE = Buffer.from('a template, packed');
const DIGEST = sha256(FILE);
/** In every URL below, and in no message. */
const QUERY = '?signature=topsecret';

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function send(
  status: number,
  body: string | Buffer = '',
  headers: Readonly<Record<string, string>> = {},
): Respond {
  return (_, response) => response.writeHead(status, headers).end(body);
}

describe('download', () => {
  const closing: (() => unknown)[] = [];

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
    const server = createServer((socket) => {
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

  function get(origin: string, options: Partial<DownloadOptions> = {}): Promise<Buffer> {
    return download({ url: `${origin}/dir/t.tar.gz${QUERY}`, sha256: DIGEST, policy: LOCAL, ...options });
  }

  /** The error of a download that must fail: a sentence for a status, without any secret. */
  async function expectFault(
    answer: Promise<unknown>,
    fault: DownloadFault,
    retryable: boolean,
  ): Promise<DownloadError> {
    const error: unknown = await answer.then(
      (value) => expect.fail(`the download succeeded: ${inspect(value)}`),
      (thrown: unknown) => thrown,
    );
    expect(error).to.be.instanceOf(DownloadError);
    const found = error as DownloadError;
    expect({ fault: found.fault, retryable: found.retryable }, found.message).to.deep.equal({
      fault,
      retryable,
    });
    expect(found.message).to.match(/\.$/);
    expect(inspect(error, { depth: 20, showHidden: true })).not.to.include('topsecret');
    return found;
  }

  describe('what it sends', () => {
    it('is one plain GET of the whole address, asking for the bytes as they are', async () => {
      const server = await serve(send(200, FILE));
      expect(await get(server.url(), { userAgent: 'coder-operator/1.2.3' })).to.deep.equal(FILE);
      expect(server.seen).to.have.length(1);
      const [seen] = server.seen;
      expect(seen).to.include({ method: 'GET', path: '/dir/t.tar.gz', body: '' });
      expect(seen?.query.get('signature')).to.equal('topsecret');
      expect(Object.keys(seen?.headers ?? {})).to.have.members([
        'accept',
        'accept-encoding',
        'connection',
        'host',
        'user-agent',
      ]);
      expect(seen?.headers).to.include({
        'accept-encoding': 'identity',
        'user-agent': 'coder-operator/1.2.3',
      });
    });

    it('goes past the proxies of the environment', async () => {
      const proxy = await serve(send(200, FILE));
      const server = await serve(send(200, FILE));
      const names = ['HTTP_PROXY', 'http_proxy', 'ALL_PROXY', 'all_proxy', 'HTTPS_PROXY', 'https_proxy'];
      const before = names.map((name) => [name, process.env[name]] as const);
      closing.push(() => {
        for (const [name, value] of before) {
          if (value === undefined) Reflect.deleteProperty(process.env, name);
          else process.env[name] = value;
        }
      });
      for (const name of names) process.env[name] = proxy.url();
      await get(server.url());
      expect([server.seen.length, proxy.seen.length]).to.deep.equal([1, 0]);
    });

    it('is nothing at all when the URL may not be used', async () => {
      const server = await serve(send(200, FILE));
      const error = await expectFault(
        get(server.url(), { policy: { ...LOCAL, httpHosts: [] } }),
        'InvalidUrl',
        false,
      );
      expect(error.message).to.include('http is allowed only').and.to.include('127.0.0.1');
      for (const url of [
        `http://user:topsecret@127.0.0.1:${server.port}/t.tar`,
        `${server.url()}/t.tar#a`,
        'ftp://127.0.0.1/t.tar',
        't.tar',
      ]) {
        await expectFault(get('', { url }), 'InvalidUrl', false);
      }
      expect(server.seen).to.deep.equal([]);
    });
  });

  describe('the digest', () => {
    it('may be written in upper case', async () => {
      const server = await serve(send(200, FILE));
      expect(await get(server.url(), { sha256: DIGEST.toUpperCase() })).to.deep.equal(FILE);
    });

    it('that is another one keeps the file back, and tells nothing of what came', async () => {
      const other = Buffer.from('something else');
      const server = await serve(send(200, other));
      const { message } = await expectFault(get(server.url()), 'WrongDigest', false);
      expect(message)
        .to.include(DIGEST)
        .and.to.include(`${server.url()}/dir/t.tar.gz`)
        .and.not.to.include(sha256(other))
        .and.not.to.include('something else');
    });

    it('is of the bytes as they are stored, also when the server calls their packing an encoding', async () => {
      const packed = gzipSync(FILE);
      const server = await serve(send(200, packed, { 'content-encoding': 'gzip' }));
      expect(await get(server.url(), { sha256: sha256(packed) })).to.deep.equal(packed);
      const { message } = await expectFault(get(server.url()), 'WrongDigest', false);
      expect(message).to.include('content-encoding');
    });

    it('holds for files that come in many pieces', async () => {
      const pieces = Array.from({ length: 50 }, (_, index) => Buffer.alloc(50_000, index));
      const server = await serve((_, response) => {
        for (const piece of pieces) response.write(piece);
        response.end();
      });
      const whole = Buffer.concat(pieces);
      expect((await get(server.url(), { sha256: sha256(whole) })).equals(whole)).to.equal(true);
    });
  });

  describe('an HTML page', () => {
    const pages: [string, string, string][] = [
      ['by its type', 'Please log in: topsecret', 'text/html; charset=utf-8'],
      ['by its doctype', '<!DOCTYPE html><p>topsecret', 'application/gzip'],
      ['by its beginning', '\uFEFF \n<HTML lang="en"><p>topsecret', 'application/octet-stream'],
    ];
    for (const [how, body, type] of pages) {
      it(`is known ${how}`, async () => {
        const server = await serve(send(200, body, { 'content-type': type }));
        const { message } = await expectFault(get(server.url()), 'NotAnArchive', false);
        expect(message).to.include('an HTML page, not an archive').and.to.include('log-in page');
      });
    }

    it('is none of an archive, also when the digest was taken of it', async () => {
      const page = Buffer.from('<!doctype html><title>Log in</title>');
      const server = await serve(send(200, page));
      await expectFault(get(server.url(), { sha256: sha256(page) }), 'NotAnArchive', false);
    });

    it('is not made of the right file by a wrong type', async () => {
      const server = await serve(send(200, FILE, { 'content-type': 'text/html' }));
      expect(await get(server.url())).to.deep.equal(FILE);
    });
  });

  describe('refusals', () => {
    const cases: [number, DownloadFault, boolean][] = [
      [400, 'Refused', false],
      [401, 'Refused', false],
      [403, 'Refused', false],
      [404, 'NotFound', true],
      [410, 'NotFound', true],
      [408, 'ServerError', true],
      [429, 'ServerError', true],
      [500, 'ServerError', true],
      [503, 'ServerError', true],
    ];
    for (const [status, fault, retryable] of cases) {
      it(`with status ${status} are ${fault}, and their body is not quoted`, async () => {
        const server = await serve(send(status, FILE));
        const error = await expectFault(get(server.url()), fault, retryable);
        expect(error.message)
          .to.include(`status ${status}`)
          .and.to.include(`${server.url()}/dir/t.tar.gz`)
          .and.not.to.include(FILE.toString());
        expect(error.retryAfterMs).to.equal(undefined);
        expect(server.seen).to.have.length(1);
      });
    }

    it('may say when to come back, in seconds or by the server’s own clock', async () => {
      const server = await serve(send(429, '', { 'retry-after': '7' }));
      expect((await expectFault(get(server.url()), 'ServerError', true)).retryAfterMs).to.equal(7000);
      server.respond = send(503, '', {
        date: 'Mon, 05 Jan 2015 10:00:00 GMT',
        'retry-after': 'Mon, 05 Jan 2015 10:00:30 GMT',
      });
      expect((await expectFault(get(server.url()), 'ServerError', true)).retryAfterMs).to.equal(30_000);
    });

    it('name a very long path only in part, and say to the end what to do', async () => {
      const server = await serve(send(404));
      const url = `${server.url()}/${'x'.repeat(5000)}`;
      const { message } = await expectFault(get('', { url }), 'NotFound', true);
      expect(Buffer.byteLength(message)).to.be.below(1024);
      expect(message).to.include('give another address');
    });
  });

  describe('redirects', () => {
    for (const status of [301, 302, 303, 307, 308]) {
      it(`are not followed (${status}): only the host is told, and that sees nothing`, async () => {
        const other = await serve(send(200, FILE));
        const server = await serve(
          send(status, '', { location: `http://me:topsecret@localhost:${other.port}/hidden?k=topsecret` }),
        );
        const { message } = await expectFault(get(server.url()), 'Redirected', false);
        expect(message)
          .to.include(`"localhost:${other.port}"`)
          .and.to.include('give the final address')
          .and.not.to.include('hidden');
        expect(other.seen).to.deep.equal([]);
      });
    }

    it('within the host are not followed either', async () => {
      const server = await serve(send(302, '', { location: '/hidden' }));
      const { message } = await expectFault(get(server.url()), 'Redirected', false);
      expect(message).to.include('on the same host').and.not.to.include('hidden');
      expect(server.seen).to.have.length(1);
    });

    it('without an address that can be read are redirects too', async () => {
      const server = await serve(send(302));
      await expectFault(get(server.url()), 'Redirected', false);
      server.respond = send(302, '', { location: 'http://[' });
      await expectFault(get(server.url()), 'Redirected', false);
    });
  });

  describe('sizes', () => {
    it('that are told and too large are refused before the body comes', async () => {
      const server = await serve((_, response) => {
        response.writeHead(200, { 'content-length': '101' });
        response.flushHeaders(); // and never a body
      });
      const { message } = await expectFault(get(server.url(), { maxBytes: 100 }), 'TooLarge', false);
      expect(message).to.include('larger than 100 bytes');
    });

    it('that are not told are met at the limit', async () => {
      let sent = 0;
      const server = await serve((_, response) => {
        response.writeHead(200);
        const more = (): void => {
          while (sent < 100_000_000) {
            sent += 100_000;
            if (!response.write(Buffer.alloc(100_000))) {
              response.once('drain', more);
              return;
            }
          }
          response.end();
        };
        more();
      });
      await expectFault(get(server.url(), { maxBytes: 1_000_000 }), 'TooLarge', false);
      expect(sent).to.be.below(50_000_000);
    });

    it('up to the very limit are good', async () => {
      const server = await serve(send(200, FILE));
      expect(await get(server.url(), { maxBytes: FILE.length })).to.deep.equal(FILE);
      await expectFault(get(server.url(), { maxBytes: FILE.length - 1 }), 'TooLarge', false);
    });

    it('are limited to 32 MiB unless told', async () => {
      const limit = 32 * 1024 * 1024;
      const server = await serve((_, response) => {
        response.writeHead(200, { 'content-length': String(limit + 1) });
        response.flushHeaders();
      });
      const { message } = await expectFault(get(server.url()), 'TooLarge', false);
      expect(message).to.include('larger than 32 MiB');
    });
  });

  describe('time', () => {
    it('limits the wait for an answer', async () => {
      const server = await serve(() => undefined);
      const { message } = await expectFault(get(server.url(), { timeoutMs: 500 }), 'Timeout', true);
      expect(message).to.include('within 0.5 s');
    });

    it('limits a body that stalls or trickles', async () => {
      const server = await serve((_, response) => {
        response.writeHead(200, { 'content-length': '1000' });
        response.write('x');
      });
      await expectFault(get(server.url(), { timeoutMs: 500 }), 'Timeout', true);
      server.respond = (_, response) => {
        const timer = setInterval(() => response.write('x'), 10);
        response.on('close', () => clearInterval(timer));
      };
      await expectFault(get(server.url(), { timeoutMs: 500 }), 'Timeout', true);
    });

    it('limits the connection on its own', async () => {
      const url = await serveRaw(() => undefined);
      const error = await expectFault(
        get(url.replace('http:', 'https:'), { connectTimeoutMs: 50 }),
        'Unreachable',
        true,
      );
      expect(error.message).to.include('no connection in time');
    });

    it('limits a name server that does not answer', async () => {
      const lookup = (() => undefined) as never;
      await expectFault(
        get('https://files.example.com', { connectTimeoutMs: 50, lookup }),
        'Unreachable',
        true,
      );
    });

    it('ends when the caller gives up: before, while waiting and in the middle of the body', async () => {
      const controller = new AbortController();
      const server = await serve(() => controller.abort());
      await expectFault(get(server.url(), { signal: controller.signal }), 'Aborted', true);
      await expectFault(get(server.url(), { signal: controller.signal }), 'Aborted', true);
      expect(server.seen).to.have.length(1);
      const inBody = new AbortController();
      server.respond = (_, response) => response.write('x', () => setImmediate(() => inBody.abort()));
      await expectFault(get(server.url(), { signal: inBody.signal }), 'Aborted', true);
    });
  });

  describe('connections', () => {
    it('that are refused', async () => {
      const server = await serve(send(200, FILE));
      const url = server.url();
      await server.close();
      const { message } = await expectFault(get(url), 'Unreachable', true);
      expect(message).to.include('refused').and.to.include(`${url}/dir/t.tar.gz`);
    });

    it('to a host that nobody knows', async () => {
      const unknown = Object.assign(new Error('getaddrinfo ENOTFOUND'), { code: 'ENOTFOUND' });
      const lookup = ((_host: string, _options: object, callback: (error: Error) => void) =>
        callback(unknown)) as never;
      const { message } = await expectFault(
        get('https://files.example.com', { lookup }),
        'Unreachable',
        true,
      );
      expect(message).to.include('the host name is not known');
    });

    it('that break in the middle of the body', async () => {
      const url = await serveRaw((socket) =>
        socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc')),
      );
      await expectFault(get(url), 'Unreachable', true);
      const chunked = await serveRaw((socket) =>
        socket.once('data', () =>
          socket.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n'),
        ),
      );
      await expectFault(get(chunked), 'Unreachable', true);
    });

    it('to something that speaks another protocol', async () => {
      const url = await serveRaw((socket) => socket.once('data', () => socket.end('SSH-2.0-x\r\n')));
      await expectFault(get(url), 'Unreachable', true);
    });

    it('are closed when the download has ended, however it ended', async () => {
      const closed: Promise<unknown>[] = [];
      const url = await serveRaw((socket) => {
        closed.push(once(socket, 'close'));
        socket.once('data', () =>
          socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${FILE.length}\r\n\r\n${FILE.toString()}`),
        );
      });
      await get(url);
      await expectFault(get(url, { maxBytes: 1 }), 'TooLarge', false);
      const refusing = await serveRaw((socket) => {
        closed.push(once(socket, 'close'));
        socket.once('data', () =>
          socket.write('HTTP/1.1 403 Forbidden\r\nContent-Length: 100\r\n\r\nmore to'),
        );
      });
      await expectFault(get(refusing), 'Refused', false);
      await Promise.all(closed);
      expect(closed).to.have.length(3);
    });
  });

  describe('addresses', () => {
    it('that are refused: loopback, written out or by name', async () => {
      const server = await serve(send(200, FILE));
      const policy = { ...LOCAL, allowLoopback: false };
      for (const host of ['127.0.0.1', 'localhost']) {
        const error = await expectFault(get(server.url(host), { policy }), 'AddressRefused', false);
        expect(error.message).to.include('loopback').and.to.include(host);
      }
      expect(server.seen).to.deep.equal([]);
    });

    it('that are refused: a name that resolves to a metadata service when connecting', async () => {
      const lookup = ((_host: string, _options: object, callback: (e: null, a: object[]) => void) =>
        callback(null, [{ address: '169.254.169.254', family: 4 }])) as never;
      const error = await expectFault(get('https://files.example.com', { lookup }), 'AddressRefused', false);
      expect(error.message).to.include('169.254.169.254').and.to.include('files.example.com');
    });

    it('of Flux’s source controller pass, as it writes them', async () => {
      const server = await serve(send(200, FILE));
      const lookup = ((_host: string, _options: object, callback: (e: null, a: object[]) => void) =>
        callback(null, [{ address: '127.0.0.1', family: 4 }])) as never;
      const host = 'source-controller.flux-system.svc.cluster.local.';
      const policy = { httpHosts: [], allowLoopback: true };
      expect(await get(server.url(host), { policy, lookup })).to.deep.equal(FILE);
      expect(server.seen[0]?.headers.host).to.equal(`${host}:${server.port}`);
    });
  });

  describe('certificates', () => {
    it('of an unknown CA are refused, and the message tells where to put it', async () => {
      const authority = await createAuthority();
      const server = await serve(send(200, FILE), await authority.issue({ ip: '127.0.0.1' }));
      const { message } = await expectFault(get(server.url()), 'Unreachable', true);
      expect(message).to.include('NODE_EXTRA_CA_CERTS').and.not.to.include('ca.crt');
      expect(server.seen).to.deep.equal([]);
    });

    it('of a CA that NODE_EXTRA_CA_CERTS names are trusted', async () => {
      const authority = await createAuthority();
      const server = await serve(send(200, FILE), await authority.issue({ ip: '127.0.0.1' }));
      const folder = await mkdtemp(join(tmpdir(), 'download-'));
      closing.push(() => rm(folder, { recursive: true }));
      await writeFile(join(folder, 'ca.pem'), authority.caCertificate);
      // Node reads the variable when a process starts.
      const child = spawn(
        process.execPath,
        [
          '--import=tsx',
          '--input-type=module',
          '--eval',
          `import { download } from ${JSON.stringify(new URL('../../../src/coder/download.ts', import.meta.url).href)};
           const file = await download(${JSON.stringify({ url: `${server.url()}/t.tar`, sha256: DIGEST, policy: LOCAL })});
           process.stdout.write(file);`,
        ],
        {
          env: { ...process.env, NODE_EXTRA_CA_CERTS: join(folder, 'ca.pem') },
          stdio: ['ignore', 'pipe', 'inherit'],
        },
      );
      expect(await text(child.stdout)).to.equal(FILE.toString());
    });
  });
});
