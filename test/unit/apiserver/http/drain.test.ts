import { expect } from 'chai';
import type { ServerLimits } from '../../../../src/apiserver/http/limits.ts';
import type { Answer, WatchSink } from '../../../../src/apiserver/http/types.ts';
import { FakeClock } from '../../../support/clock.ts';
import {
  ask,
  connectRaw,
  json,
  keepingAgent,
  startTestApi,
  stopTestApis,
  TestWatch,
  WORKSPACES,
  type RawClient,
  type TestApi,
} from '../../../support/apiserver-http.ts';
import { eventually } from '../../../support/eventually.ts';

const DELAY_MS = 15_000;

describe('ApiServer: leaving', () => {
  afterEach(stopTestApis);

  const watch = new TestWatch();
  let release: (() => void)[] = [];

  async function start(
    limits: Partial<ServerLimits> = {},
  ): Promise<{ readonly api: TestApi; readonly clock: FakeClock }> {
    release = [];
    const clock = new FakeClock();
    const api = await startTestApi({
      clock,
      limits,
      resources: ({ info }) => (info.verb === 'watch' ? watch : json({})),
      discovery: ({ info }) =>
        info.path !== '/slow'
          ? json({})
          : new Promise<Answer>((resolve) => release.push(() => resolve(json({})))),
    });
    return { api, clock };
  }

  async function openWatch(api: TestApi): Promise<{ readonly client: RawClient; readonly sink: WatchSink }> {
    const client = await connectRaw(api);
    const next = watch.next();
    client.socket.write(`GET ${WORKSPACES}?watch=1 HTTP/1.1\r\nHost: x\r\n\r\n`);
    return { client, sink: await next };
  }

  /** Moves time on until the promise has settled. */
  async function advanceUntil(clock: FakeClock, promise: Promise<unknown>, stepMs: number): Promise<number> {
    const outcome = { isSettled: false };
    void promise.finally(() => (outcome.isSettled = true));
    const started = clock.monotonic();
    while (!outcome.isSettled) await clock.advance(stepMs);
    return clock.monotonic() - started;
  }

  it('65. goes on answering during the delay, not ready, on connections that it closes', async () => {
    const { api, clock } = await start();
    const agent = keepingAgent(1);
    expect((await ask(api, WORKSPACES, { agent })).headers['connection']).to.equal('keep-alive');
    const { sink } = await openWatch(api);
    const drained = api.server.drain({ delayMs: DELAY_MS });
    const ready = await ask(api, '/readyz');
    expect([ready.status, ready.text]).to.deep.equal([
      500,
      '[+]ping ok\n[-]shutdown failed: reason withheld\nreadyz check failed\n',
    ]);
    expect((await ask(api, '/livez')).status).to.equal(200);
    await clock.advance(DELAY_MS - 1);
    for (const path of [WORKSPACES, '/apis']) {
      const { status, headers } = await ask(api, path, { agent });
      expect([status, headers['connection']]).to.deep.equal([200, 'close']);
    }
    expect(sink.signal.aborted).to.equal(false);
    const late = await openWatch(api);
    await advanceUntil(clock, drained, 50);
    expect(await late.client.closed()).to.match(/\r\n0\r\n\r\n$/);
  });

  it('65. turns new requests away after the delay, but not health and metrics, and ends watches cleanly', async () => {
    const { api, clock } = await start();
    const { client, sink } = await openWatch(api);
    sink.send(Buffer.from('{"type":"ADDED"}\n'));
    const slow = ask(api, '/slow');
    await eventually(() => release.length === 1);
    const drained = api.server.drain({ delayMs: DELAY_MS });
    await clock.advance(DELAY_MS);
    const received = await client.closed();
    expect(received)
      .to.contain('ADDED')
      .and.to.match(/\r\n0\r\n\r\n$/);

    for (const path of [WORKSPACES, `${WORKSPACES}?watch=1`, '/apis']) {
      const refused = await ask(api, path);
      expect(refused.status).to.equal(429);
      expect(refused.headers).to.include({ 'retry-after': '5', connection: 'close' });
      expect(refused.json()).to.deep.include({
        reason: 'TooManyRequests',
        details: { retryAfterSeconds: 5 },
      });
    }
    expect((await ask(api, '/livez')).status).to.equal(200);
    expect((await ask(api, '/readyz')).status).to.equal(500);
    expect((await ask(api, '/metrics')).status).to.equal(200);

    release[0]?.();
    expect((await slow).status).to.equal(200);
    await drained;
    const failure = await ask(api, '/livez').catch((error: unknown) => error);
    expect(failure).to.have.property('code', 'ECONNREFUSED');
  });

  it('65. closes idle connections after the delay, and not before', async () => {
    const { api, clock } = await start();
    const client = await connectRaw(api);
    client.socket.write('GET /livez HTTP/1.1\r\nHost: x\r\n\r\n');
    await client.until(/ok$/);
    const slow = ask(api, '/slow');
    await eventually(() => release.length === 1);
    const drained = api.server.drain({ delayMs: DELAY_MS });
    await clock.advance(DELAY_MS - 1);
    expect((await ask(api, '/livez')).status).to.equal(200);
    expect(client.isClosed).to.equal(false);
    await clock.advance(1);
    await client.closed();
    release[0]?.();
    await Promise.all([slow, drained]);
  });

  it('65. ends many watches bit by bit', async () => {
    const { api, clock } = await start();
    const sinks = await Promise.all(Array.from({ length: 30 }, async () => (await openWatch(api)).sink));
    const drained = api.server.drain({ delayMs: 0 });
    await clock.advance(0);
    const open = (): number => sinks.filter(({ signal }) => !signal.aborted).length;
    expect(open()).to.equal(20);
    await clock.advance(50);
    expect(open()).to.equal(10);
    await advanceUntil(clock, drained, 10);
    expect(open()).to.equal(0);
  });

  it('65. breaks off what has not ended in its time', async () => {
    const { api, clock } = await start({ requestMs: 300_000 });
    const slow = ask(api, '/slow').catch((error: unknown) => error);
    await eventually(() => release.length === 1);
    const drained = api.server.drain({ delayMs: DELAY_MS });
    expect(await advanceUntil(clock, drained, 1000)).to.be.within(DELAY_MS + 60_000, DELAY_MS + 61_000);
    expect(await slow).to.be.instanceOf(Error);
    expect(api.log.lines.map(({ message }) => message)).to.include('breaking off');
  });

  it('is over at once when nothing is open', async () => {
    const { api, clock } = await start();
    const drained = api.server.drain({ delayMs: 100 });
    await clock.advance(100);
    await drained;
    expect(clock.pending).to.equal(0);
  });
});
