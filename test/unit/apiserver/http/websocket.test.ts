import { once } from 'node:events';
import { expect } from 'chai';
import { Agent, WebSocket, type CloseEvent, type MessageEvent } from 'undici';
import type { ApiRequest, WatchSink } from '../../../../src/apiserver/http/types.ts';
import {
  connectRaw,
  json,
  notFound,
  startTestApi,
  stopTestApis,
  TestWatch,
  testAuthority,
  WORKSPACES,
  type RawClient,
  type TestApi,
  type TestApiOptions,
} from '../../../support/apiserver-http.ts';
import { eventually } from '../../../support/eventually.ts';

const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
const HEAD = 'Host: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n';
const WATCH = `GET ${WORKSPACES}?watch=1 HTTP/1.1\r\n${HEAD}`;
const HANDSHAKE = `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${KEY}\r\n`;

function event(text: string): Buffer {
  return Buffer.from(`${JSON.stringify({ type: 'ADDED', object: text })}\n`);
}

/** A client that keeps what it is sent. */
class Client {
  readonly messages: unknown[] = [];
  readonly socket: WebSocket;
  readonly closed: Promise<CloseEvent>;

  constructor(socket: WebSocket) {
    this.socket = socket;
    socket.addEventListener('message', (message: MessageEvent) => this.messages.push(message.data));
    this.closed = new Promise((resolve) => {
      socket.addEventListener('close', resolve);
    });
    socket.addEventListener('error', () => undefined);
  }
}

describe('ApiServer: watches by WebSocket', () => {
  const agents: Agent[] = [];
  const watch = new TestWatch();

  afterEach(async () => {
    await Promise.all(agents.splice(0).map((agent) => agent.destroy()));
    await stopTestApis();
  });

  function start(options: TestApiOptions = {}): Promise<TestApi> {
    return startTestApi({ resources: () => watch, ...options });
  }

  /** Opens one with another implementation of the protocol than ours. */
  async function open(
    api: TestApi,
    protocols: string[] = [],
  ): Promise<Client & { readonly sink: WatchSink }> {
    const { caCertificate: ca } = await testAuthority();
    const dispatcher = new Agent({ connect: { ca } });
    agents.push(dispatcher);
    const next = watch.next();
    const socket = new WebSocket(`wss://127.0.0.1:${api.port}${WORKSPACES}?watch=1`, {
      protocols,
      dispatcher,
    });
    const client = new Client(socket);
    await once(socket, 'open');
    return Object.assign(client, { sink: await next });
  }

  async function raw(api: TestApi, request: string): Promise<RawClient> {
    const client = await connectRaw(api);
    client.socket.write(request, 'latin1');
    return client;
  }

  it('50. sends each event as a text message, and ends with a close frame', async () => {
    const client = await open(await start());
    const events = [event('a'), event('ä'.repeat(100)), event('x'.repeat(100_000))];
    for (const one of events) client.sink.send(one);
    client.sink.end();
    const { code, wasClean } = await client.closed;
    expect(client.messages).to.deep.equal(events.map(String));
    expect([code, wasClean]).to.deep.equal([1000, true]);
    expect(client.sink.signal.aborted).to.equal(true);
  });

  it('50. shares its events with watches over plain HTTP', async () => {
    const api = await start();
    const client = await open(api);
    const next = watch.next();
    const plain = await raw(api, `GET ${WORKSPACES}?watch=1 HTTP/1.1\r\nHost: x\r\n\r\n`);
    const sink = await next;
    for (let i = 0; i < 5; i++) {
      const one = event(`${i}`);
      client.sink.send(one);
      sink.send(one);
    }
    for (const one of [client.sink, sink]) one.end();
    await client.closed;
    expect(client.messages).to.have.lengthOf(5);
    expect((await plain.closed()).match(/ADDED/g)).to.have.lengthOf(5);
  });

  it('50. takes whatever the client says for nothing, answers pings, and ends when the client closes', async () => {
    const api = await start();
    const client = await open(api);
    client.socket.send('x'.repeat(1_000_000));
    client.socket.send(new Uint8Array(1000));
    client.sink.send(event('a'));
    await eventually(() => client.messages.length === 1);
    client.socket.close(3000);
    expect((await client.closed).wasClean).to.equal(true);
    await eventually(() => client.sink.signal.aborted);
  });

  it('answers a ping with its payload', async () => {
    const client = await raw(await start(), `${WATCH}${HANDSHAKE}\r\n`);
    await client.until(/\r\n\r\n/);
    client.socket.write(Buffer.from('898500000000', 'hex'));
    client.socket.write('hello');
    expect((await client.until(/hello$/)).endsWith('\x8a\x05hello')).to.equal(true);
  });

  it('takes what came together with the request', async () => {
    const client = await raw(await start(), `${WATCH}${HANDSHAKE}\r\n\x89\x80\x00\x00\x00\x00`);
    await client.until((received) => received.endsWith('\x8a\x00'));
    expect(client.received.endsWith('\x8a\x00')).to.equal(true);
  });

  it('answers the handshake of RFC 6455’s example', async () => {
    const client = await raw(await start(), `${WATCH}${HANDSHAKE}Audit-ID: abc\r\n\r\n`);
    const head = (await client.until(/\r\n\r\n/)).split('\r\n');
    expect(head[0]).to.equal('HTTP/1.1 101 Switching Protocols');
    expect(head).to.include.members([
      'audit-id: abc',
      'upgrade: websocket',
      'connection: Upgrade',
      'sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=',
    ]);
    expect(head.join()).to.not.contain('sec-websocket-protocol');
  });

  it('50. chooses the first protocol that is offered, and never the one with a token', async () => {
    const api = await start();
    expect((await open(api, ['base64.binary.k8s.io'])).socket.protocol).to.equal('base64.binary.k8s.io');
    const token = 'base64url.bearer.authorization.k8s.io.c2VjcmV0';
    expect((await open(api, [token, 'v4.channel.k8s.io', 'other'])).socket.protocol).to.equal(
      'v4.channel.k8s.io',
    );
    const only = await raw(api, `${WATCH}${HANDSHAKE}Sec-WebSocket-Protocol: ${token}\r\n\r\n`);
    expect(await only.until(/\r\n\r\n/))
      .to.match(/^HTTP\/1\.1 101/)
      .and.to.not.contain('bearer');
  });

  it('authenticates and authorizes like every other request', async () => {
    let who: string | undefined;
    let seen: ApiRequest | undefined;
    const api = await startTestApi({
      authenticator: {
        authenticate: (_connection, rawHeaders) =>
          Promise.resolve({ name: rawHeaders.join(), groups: [], extra: {} }),
      },
      authorizer: {
        authorize({ name }) {
          who = name;
          return Promise.resolve();
        },
      },
      resources(request) {
        seen = request;
        return notFound();
      },
    });
    const client = await raw(api, `${WATCH}${HANDSHAKE}X-Mine: 7\r\n\r\n`);
    const received = await client.closed();
    expect(received).to.match(/^HTTP\/1\.1 404 Not Found\r\n/);
    expect(JSON.parse(received.split('\r\n\r\n')[1] ?? '')).to.include({
      kind: 'Status',
      reason: 'NotFound',
    });
    expect(who).to.contain('X-Mine,7');
    expect(seen?.info.verb).to.equal('watch');
  });

  it('aborts its signal when the connection breaks', async () => {
    const api = await start();
    const next = watch.next();
    const client = await raw(api, `${WATCH}${HANDSHAKE}\r\n`);
    const sink = await next;
    client.socket.destroy();
    await eventually(() => sink.signal.aborted);
    await eventually(async () => (await api.metrics.longRunning.get()).values[0]?.value === 0);
  });

  it('48. cuts off a reader that does not keep up', async () => {
    const api = await start({ limits: { maxUnsentBytes: 1024 * 1024 } });
    const next = watch.next();
    const client = await raw(api, `${WATCH}${HANDSHAKE}\r\n`);
    const sink = await next;
    client.socket.pause();
    while (!sink.signal.aborted) {
      sink.send(event('x'.repeat(100_000)));
      await new Promise(setImmediate);
    }
    expect((await api.metrics.terminatedWatchers.get()).values[0]?.value).to.equal(1);
  });

  it('sends what waits before it ends with a protocol error', async () => {
    const api = await start();
    const next = watch.next();
    const client = await raw(api, `${WATCH}${HANDSHAKE}\r\n`);
    const sink = await next;
    client.socket.pause();
    while (sink.unsent < 3 * 1024 * 1024) {
      sink.send(event('x'.repeat(100_000)));
      await new Promise(setImmediate);
    }
    client.socket.write(Buffer.from('8105', 'hex'));
    await eventually(() => sink.signal.aborted);
    client.socket.resume();
    const received = await client.closed();
    expect(received.endsWith('\n\x88\x02\x03\xea')).to.equal(true);
    expect(received.length).to.be.above(3 * 1024 * 1024);
  });

  it('ends with a protocol error when it is sent nonsense', async () => {
    const api = await start();
    const next = watch.next();
    const client = await raw(api, `${WATCH}${HANDSHAKE}\r\n`);
    const sink = await next;
    await client.until(/\r\n\r\n/);
    client.socket.write(Buffer.from('8105', 'hex'));
    expect((await client.closed()).endsWith('\x88\x02\x03\xea')).to.equal(true);
    expect(sink.signal.aborted).to.equal(true);
  });

  const refusals: readonly (readonly [string, string])[] = [
    ['another version', `${WATCH}Sec-WebSocket-Version: 8\r\nSec-WebSocket-Key: ${KEY}\r\n\r\n`],
    ['no key', `${WATCH}Sec-WebSocket-Version: 13\r\n\r\n`],
    ['a short key', `${WATCH}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: c2hvcnQ=\r\n\r\n`],
    ['a list instead of a watch', `GET ${WORKSPACES} HTTP/1.1\r\n${HEAD}${HANDSHAKE}\r\n`],
    ['a malformed path', `GET /%zz HTTP/1.1\r\n${HEAD}${HANDSHAKE}\r\n`],
    ['a document', `GET /apis HTTP/1.1\r\n${HEAD}${HANDSHAKE}\r\n`],
    ['a body', `${WATCH}${HANDSHAKE}Content-Length: 1\r\n\r\nx`],
    [
      'another protocol',
      `GET ${WORKSPACES}?watch=1 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n`,
    ],
  ];
  for (const [what, request] of refusals) {
    it(`50. refuses ${what} with 400 and a Status`, async () => {
      const client = await raw(await start({ discovery: () => json({}) }), request);
      const received = await client.closed();
      expect(received).to.match(/^HTTP\/1\.1 400 Bad Request\r\n/);
      expect(JSON.parse(received.split('\r\n\r\n')[1] ?? '')).to.include({ kind: 'Status', code: 400 });
    });
  }

  it('ends what is open when the server drains', async () => {
    const api = await start();
    const client = await open(api);
    await api.server.drain({ delayMs: 0 });
    expect((await client.closed).code).to.equal(1000);
  });
});
