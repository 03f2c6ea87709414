import { expect } from 'chai';
import { Counter, Registry } from 'prom-client';
import { startHealthServer, type HealthServer } from '../../../src/telemetry/health.ts';

describe('startHealthServer', () => {
  let server: HealthServer;
  let registry: Registry;
  let isReady = false;
  beforeEach(async () => {
    registry = new Registry();
    isReady = false;
    server = await startHealthServer({
      host: '127.0.0.1',
      port: 0,
      registry,
      checks: [
        { name: 'caches', isReady: () => isReady },
        { name: 'other', isReady: () => true },
      ],
    });
  });
  afterEach(() => server.close());

  const ask = async (
    path: string,
    method = 'GET',
  ): Promise<{ status: number; text: string; type: string | null }> => {
    const response = await fetch(`http://127.0.0.1:${server.port}${path}`, { method });
    return {
      status: response.status,
      text: await response.text(),
      type: response.headers.get('content-type'),
    };
  };

  it('is alive', async () => {
    for (const path of ['/livez', '/healthz', '/livez?verbose'])
      expect((await ask(path)).status).to.equal(200);
  });

  it('is ready when every check holds, and says which does not', async () => {
    expect(await ask('/readyz')).to.deep.include({ status: 503, text: '[-] caches\n[+] other\n' });
    isReady = true;
    expect(await ask('/readyz')).to.deep.include({ status: 200, text: '[+] caches\n[+] other\n' });
  });

  it('serves metrics in the format of Prometheus', async () => {
    new Counter({ name: 'things_total', help: 'Things.', registers: [registry] }).inc(3);
    const { status, text, type } = await ask('/metrics');
    expect(status).to.equal(200);
    expect(type).to.contain('text/plain').and.to.contain('version=0.0.4');
    expect(text).to.contain('things_total 3');
  });

  it('says so when the metrics cannot be collected', async () => {
    new Counter({
      name: 'broken_total',
      help: 'Broken.',
      registers: [registry],
      collect: () => {
        throw new Error('no');
      },
    });
    expect((await ask('/metrics')).status).to.equal(500);
  });

  it('serves nothing else', async () => {
    expect((await ask('/')).status).to.equal(404);
    expect((await ask('/livez', 'POST')).status).to.equal(405);
    expect(await ask('/livez', 'HEAD')).to.deep.include({ status: 200, text: '' });
  });

  it('fails when the address is taken', async () => {
    const second = startHealthServer({ host: '127.0.0.1', port: server.port, registry, checks: [] });
    expect(await second.catch((error: unknown) => error)).to.have.property('code', 'EADDRINUSE');
  });
});
