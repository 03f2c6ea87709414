import { createServer, type Server } from 'node:net';
import { expect } from 'chai';
import { systemClock } from '../../../src/base/clock.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import { checkBaseUrl } from '../../../src/coder/address.ts';
import { Transport } from '../../../src/coder/transport.ts';
import { openConnection } from '../../../src/kube/connection.ts';
import { apiserver } from '../../support/apiserver.ts';
import { HttpTestServer, sendJson } from '../../support/coder-http.ts';
import { clientOf } from '../../support/kube-server.ts';
import { runMain } from '../../support/program.ts';

const namespaces = { group: '', version: 'v1', plural: 'namespaces', kind: 'Namespace', namespaced: false };
const PROXIES = ['HTTP_PROXY', 'http_proxy', 'HTTPS_PROXY', 'https_proxy', 'ALL_PROXY', 'all_proxy'];

describe('the environment of the program', function () {
  this.timeout(60_000);

  for (const command of ['controller', 'apiserver', 'export']) {
    it(`does not let ${command} run without the check of certificates`, async () => {
      const { code, output } = await runMain([command], { env: { NODE_TLS_REJECT_UNAUTHORIZED: '0' } });
      expect(output).to.contain('NODE_TLS_REJECT_UNAUTHORIZED');
      expect(code).to.equal(2);
    });
  }

  describe('names a proxy', () => {
    let proxy: Server;
    let seen: number;
    let before: Readonly<Record<string, string | undefined>>;

    beforeEach(async () => {
      seen = 0;
      proxy = createServer((socket) => {
        seen++;
        socket.destroy();
      });
      await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
      const address = proxy.address();
      const url = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
      before = Object.fromEntries(PROXIES.map((name) => [name, process.env[name]]));
      for (const name of PROXIES) process.env[name] = url;
    });

    afterEach(async () => {
      for (const [name, value] of Object.entries(before)) {
        if (value === undefined) Reflect.deleteProperty(process.env, name);
        else process.env[name] = value;
      }
      await new Promise((resolve) => proxy.close(resolve));
    });

    it('that nothing for Coder goes through', async () => {
      const server = await HttpTestServer.start((_, response) => sendJson(response, 200, {}));
      const policy = { httpHosts: ['127.0.0.1'], allowLoopback: true };
      const transport = new Transport({
        policy,
        clock: systemClock,
        token: 'abc-def',
        baseUrl: checkBaseUrl(server.url(), policy),
      });
      await transport.json({ method: 'GET', route: '/buildinfo' });
      transport.close();
      expect([server.seen.length, seen]).to.deep.equal([1, 0]);
      await server.close();
    });

    it('that nothing for Kubernetes goes through', async () => {
      const { kubeconfig } = await apiserver();
      const connection = await openConnection({ kubeconfig, clock: systemClock, logger: silentLogger });
      const { items } = await clientOf(connection).list(namespaces, undefined, {});
      await connection.close();
      expect(items.length).to.be.above(0);
      expect(seen).to.equal(0);
    });
  });
});
