import { expect } from 'chai';
import type { WatchSink } from '../../../../src/apiserver/http/types.ts';
import { FakeClock } from '../../../support/clock.ts';
import {
  ask,
  connectRaw,
  startTestApi,
  stopTestApis,
  TestWatch,
  WORKSPACES,
  type RawClient,
  type TestApi,
  type TestApiOptions,
} from '../../../support/apiserver-http.ts';
import { eventually } from '../../../support/eventually.ts';

const MIB = 1024 * 1024;
const REQUEST = `GET ${WORKSPACES}?watch=1 HTTP/1.1\r\nHost: x\r\n`;

function event(text: string): Buffer {
  return Buffer.from(`${JSON.stringify({ type: 'ADDED', object: text })}\n`);
}

/** What a chunked body holds, as far as it has come, and whether it has ended. */
function dechunked(received: string): { readonly body: string; readonly isEnded: boolean } {
  let rest = received.slice(received.indexOf('\r\n\r\n') + 4);
  let body = '';
  for (;;) {
    const match = /^([0-9a-f]+)\r\n/.exec(rest);
    if (match === null) return { body, isEnded: false };
    const length = parseInt(match[1] ?? '', 16);
    const start = match[0].length;
    if (length === 0) return { body, isEnded: rest === '0\r\n\r\n' };
    body += rest.slice(start, start + length);
    rest = rest.slice(start + length + 2);
  }
}

interface Opened {
  readonly client: RawClient;
  readonly sink: WatchSink;
}

describe('ApiServer: watches', () => {
  afterEach(stopTestApis);

  const watch = new TestWatch();

  function start(options: TestApiOptions = {}): Promise<TestApi> {
    return startTestApi({ resources: () => watch, ...options });
  }

  async function open(api: TestApi, headers = ''): Promise<Opened> {
    const client = await connectRaw(api);
    const next = watch.next();
    client.socket.write(`${REQUEST}${headers}\r\n`);
    return { client, sink: await next };
  }

  async function value(metric: {
    get(): Promise<{ readonly values: readonly { readonly value: number }[] }>;
  }): Promise<number> {
    return (await metric.get()).values[0]?.value ?? 0;
  }

  it('38. sends the headers at once, without any event', async () => {
    const { client } = await open(await start());
    const head = (await client.until(/\r\n\r\n/)).toLowerCase();
    expect(head).to.match(/^http\/1\.1 200 ok\r\n/);
    expect(head).to.contain('content-type: application/json\r\n');
    expect(head).to.contain('transfer-encoding: chunked\r\n');
    expect(head).to.contain('cache-control: no-cache, private\r\n');
    expect(head).to.match(/audit-id: [0-9a-f-]{36}\r\n/);
    expect(head.split('\r\n\r\n')[1]).to.equal('');
  });

  it('38. sends each event as it comes, and ends cleanly', async () => {
    const { client, sink } = await open(await start());
    const events = [event('a'), event('ä\u2028'), event('x'.repeat(100_000))];
    for (const one of events) {
      const before = client.received.length;
      sink.send(one);
      await client.until((received) => received.length >= before + one.byteLength);
    }
    sink.end();
    expect(sink.signal.aborted).to.equal(true);
    const { body, isEnded } = dechunked(await client.closed());
    expect(isEnded).to.equal(true);
    expect(body).to.equal(Buffer.concat(events).toString('latin1'));
  });

  it('38. delivers what was sent right before the end, and nothing after it', async () => {
    const { client, sink } = await open(await start());
    sink.send(event('last'));
    sink.end();
    sink.send(event('late'));
    sink.end();
    const { body, isEnded } = dechunked(await client.closed());
    expect([body, isEnded]).to.deep.equal([event('last').toString(), true]);
  });

  it('29. is never compressed', async () => {
    const { client, sink } = await open(await start(), 'Accept-Encoding: gzip\r\n');
    sink.send(event('x'.repeat(200_000)));
    sink.end();
    const received = await client.closed();
    expect(received.toLowerCase()).to.not.contain('content-encoding');
    expect(dechunked(received).body).to.contain('x'.repeat(200_000));
  });

  it('writes the same event in the same order to everybody', async () => {
    const api = await start();
    const opened = await Promise.all(Array.from({ length: 8 }, () => open(api)));
    const events = Array.from({ length: 50 }, (_, i) => event(`event ${i}`));
    for (const one of events) for (const { sink } of opened) sink.send(one);
    for (const { sink } of opened) sink.end();
    for (const { client } of opened) {
      expect(dechunked(await client.closed()).body).to.equal(Buffer.concat(events).toString());
    }
    expect(await value(api.metrics.watchEventSizes)).to.be.greaterThan(0);
  });

  it('has headers of its own', async () => {
    const answer = {
      headers: { warning: ['299 - "a"', '299 - "b"'] },
      start: (sink: WatchSink) => sink.end(),
    };
    const client = await connectRaw(await startTestApi({ resources: () => answer }));
    client.socket.write(`${REQUEST}\r\n`);
    expect((await client.closed()).toLowerCase()).to.contain('warning: 299 - "a"\r\nwarning: 299 - "b"\r\n');
  });

  it('51. aborts its signal when the client goes, and forgets it', async () => {
    const api = await start();
    const { client, sink } = await open(api);
    await eventually(async () => (await value(api.metrics.longRunning)) === 1);
    const started = performance.now();
    const aborted = new Promise((resolve) => sink.signal.addEventListener('abort', resolve));
    client.socket.destroy();
    await aborted;
    expect(performance.now() - started).to.be.lessThan(1000);
    expect(await value(api.metrics.longRunning)).to.equal(0);
    sink.send(event('for nobody'));
    await sink.drained();
  });

  it('51. leaves nothing behind of 100 watches that were opened and left', async () => {
    const api = await start();
    for (let i = 0; i < 10; i++) {
      const opened = await Promise.all(Array.from({ length: 10 }, () => open(api)));
      for (const { client } of opened) client.socket.destroy();
      await eventually(() => opened.every(({ sink }) => sink.signal.aborted));
    }
    expect(await value(api.metrics.longRunning)).to.equal(0);
    // Nothing is left that draining would have to wait for.
    await api.server.drain({ delayMs: 0 });
    expect(api.log.lines.find(({ message }) => message === 'ending what is open')?.fields).to.deep.equal({
      watches: 0,
      requests: 0,
    });
  });

  it('the request’s own signal aborts with it', async () => {
    let signal: AbortSignal | undefined;
    const api = await startTestApi({
      resources(request) {
        signal = request.signal;
        return watch;
      },
    });
    const { client } = await open(api);
    expect(signal?.aborted).to.equal(false);
    client.socket.destroy();
    await eventually(() => signal?.aborted === true);
  });

  describe('a reader that does not keep up', () => {
    it('48. is cut off above its share and counted, while another one gets everything', async () => {
      const api = await start({ limits: { maxUnsentBytes: 2 * MIB } });
      const slow = await open(api);
      const quick = await open(api);
      slow.client.socket.pause();
      let sent = 0;
      while (!slow.sink.signal.aborted) {
        const one = event('x'.repeat(100_000));
        sent += one.byteLength;
        slow.sink.send(one);
        quick.sink.send(one);
        expect(slow.sink.unsent).to.be.at.most(2 * MIB);
        await quick.client.until((received) => received.length >= sent);
        expect(sent).to.be.lessThan(200 * MIB);
      }
      expect(await value(api.metrics.terminatedWatchers)).to.equal(1);
      expect(api.log.lines.map(({ message }) => message)).to.include(
        'a watch was cut off: its client does not keep up',
      );
      const before = quick.client.received.length;
      quick.sink.send(event('still there'));
      await quick.client.until((received) => received.length > before && received.includes('still there'));
      expect(quick.sink.signal.aborted).to.equal(false);
      slow.client.socket.resume();
      expect(dechunked(await slow.client.closed()).isEnded).to.equal(false);
    });

    it('48. is cut off when it is too many events behind, however small they are', async () => {
      const { client, sink } = await open(await start());
      client.socket.pause();
      const small = event('');
      let sent = 0;
      for (; !sink.signal.aborted; sent++) {
        sink.send(small);
        if (sent % 1_000 === 0) await new Promise(setImmediate);
        expect(sent).to.be.below(1_000_000);
      }
      expect(sent).to.be.above(16_000);
      client.socket.resume();
      expect(dechunked(await client.closed()).isEnded).to.equal(false);
    });

    it('48. shares what it waits for with the others: 50 of them hold little more than one', async () => {
      const api = await start();
      const opened = await Promise.all(Array.from({ length: 50 }, () => open(api)));
      for (const { client } of opened) client.socket.pause();
      const before = process.memoryUsage().rss;
      for (let i = 0; i < 5_000; i++) {
        const one = event('x'.repeat(2_000));
        for (const { sink } of opened) sink.send(one);
      }
      for (let i = 0; i < 20; i++) await new Promise(setImmediate);
      const grown = process.memoryUsage().rss - before;
      expect(opened.reduce((bytes, { sink }) => bytes + sink.unsent, 0)).to.be.above(200 * MIB);
      // Of the whole process, as sockets hold theirs outside of the heap: about 35 MiB, and 550 with a copy for each.
      expect(grown).to.be.below(250 * MIB);
    });

    it('48. gets all of it when it goes on to read', async () => {
      const { client, sink } = await open(await start());
      client.socket.pause();
      const events = Array.from({ length: 5_000 }, (_, i) => event(`${i} ${'x'.repeat(1_000)}`));
      for (const [i, one] of events.entries()) {
        sink.send(one);
        if (i % 500 === 0) await new Promise(setImmediate);
      }
      expect(sink.unsent).to.be.above(MIB);
      client.socket.resume();
      await eventually(() => sink.unsent === 0);
      sink.end();
      const { body, isEnded } = dechunked(await client.closed());
      expect([body.length, isEnded]).to.deep.equal([Buffer.concat(events).byteLength, true]);
      expect(body).to.equal(Buffer.concat(events).toString());
    });

    it('48. lets others have their events within 100 ms', async () => {
      const api = await start({ limits: { maxUnsentBytes: 64 * MIB } });
      const slow = await open(api);
      const quick = await open(api);
      slow.client.socket.pause();
      const times: number[] = [];
      for (let i = 0; i < 50; i++) {
        slow.sink.send(event('x'.repeat(500_000)));
        const started = performance.now();
        quick.sink.send(event(`small ${i}.`));
        await quick.client.until((received) => received.includes(`small ${i}.`));
        times.push(performance.now() - started);
      }
      expect(slow.sink.unsent).to.be.greaterThan(10 * MIB);
      expect(times.sort((a, b) => a - b)[25]).to.be.lessThan(100);
    });

    it('is broken off when it does not take the end in half a minute', async () => {
      const clock = new FakeClock();
      const api = await start({ clock });
      const { client, sink } = await open(api);
      client.socket.pause();
      while (sink.unsent < 4 * MIB) {
        sink.send(event('x'.repeat(100_000)));
        await new Promise(setImmediate);
      }
      sink.end();
      await clock.advance(29_999);
      expect(sink.unsent).to.be.greaterThan(0);
      await clock.advance(1);
      client.socket.resume();
      expect(dechunked(await client.closed()).isEnded).to.equal(false);
      // Its request is over too, and so is its timer.
      const drained = api.server.drain({ delayMs: 0 });
      await clock.advance(0);
      await drained;
      expect(clock.pending).to.equal(0);
    });

    it('is told nothing more once it was cut off', async () => {
      const api = await start({ limits: { maxUnsentBytes: 1000 } });
      const { client, sink } = await open(api);
      sink.send(event('x'.repeat(2000)));
      expect(sink.signal.aborted).to.equal(true);
      sink.send(event('more'));
      expect(dechunked(await client.closed())).to.deep.equal({ body: '', isEnded: false });
    });
  });

  describe('drained', () => {
    it('lets an initial list of 20 MB through to a reader that keeps reading', async () => {
      const api = await start();
      const { client, sink } = await open(api);
      let length = 0;
      client.socket.removeAllListeners('data');
      client.socket.on('data', (text: string) => (length += text.length));
      const one = event('x'.repeat(2000));
      let most = 0;
      for (let i = 0; i < 10_000; i++) {
        sink.send(one);
        if (sink.unsent < 64 * 1024) continue;
        most = Math.max(most, sink.unsent);
        await sink.drained();
      }
      sink.end();
      await client.closed();
      expect(length).to.be.greaterThan(10_000 * one.byteLength);
      expect(most).to.be.lessThan(100 * 1024);
    });

    it('resolves when the client goes meanwhile', async () => {
      const { client, sink } = await open(await start());
      client.socket.pause();
      while (sink.unsent < 4 * MIB) {
        sink.send(event('x'.repeat(100_000)));
        await new Promise(setImmediate);
      }
      const drained = sink.drained();
      client.socket.destroy();
      await drained;
      expect(sink.signal.aborted).to.equal(true);
    });

    it('resolves at once when little waits', async () => {
      const { sink } = await open(await start());
      sink.send(event('a'));
      await sink.drained();
      expect(sink.signal.aborted).to.equal(false);
    });
  });

  it('answers HEAD with the headers, and does not begin it', async () => {
    const api = await start();
    const before = watch.sinks.length;
    const { status, body } = await ask(api, `${WORKSPACES}?watch=1`, { method: 'HEAD' });
    expect([status, body.length, watch.sinks.length]).to.deep.equal([200, 0, before]);
  });

  it('is refused to HTTP/1.0, which has no chunks', async () => {
    const client = await connectRaw(await start());
    client.socket.write(`GET ${WORKSPACES}?watch=1 HTTP/1.0\r\nHost: x\r\n\r\n`);
    expect(await client.closed()).to.match(/^HTTP\/1\.1 400[^]*a watch needs HTTP\/1\.1/);
  });

  it('is refused on a connection on which an answer is outstanding', async () => {
    let finish: (() => void) | undefined;
    const api = await start({
      discovery: () =>
        new Promise((resolve) => {
          finish = () => resolve({ code: 304, body: { bytes: 0, pieces: [] } });
        }),
    });
    const client = await connectRaw(api);
    client.socket.write(`GET /apis HTTP/1.1\r\nHost: x\r\n\r\n${REQUEST}\r\n`);
    await eventually(() => finish !== undefined);
    finish?.();
    expect(await client.until(/outstanding/)).to.match(/304[^]*HTTP\/1\.1 400/);
  });

  it('62. whose start fails ends, and so does nothing else', async () => {
    const api = await startTestApi({
      resources: () => ({
        start() {
          throw new Error('a fault of the handler');
        },
      }),
    });
    const client = await connectRaw(api);
    client.socket.write(`${REQUEST}\r\n`);
    expect(dechunked(await client.closed())).to.deep.equal({ body: '', isEnded: true });
    expect((await ask(api, '/livez')).status).to.equal(200);
    expect(api.log.lines.find(({ level }) => level === 'error')?.message).to.equal('a watch failed');
  });
});
