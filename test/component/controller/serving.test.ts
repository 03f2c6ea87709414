import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { until } from '../../../hack/stack/wait.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { servingSettings } from '../../../src/controller/serving/decide.ts';
import { ServingKeeper } from '../../../src/controller/serving/keeper.ts';
import { apiServices, names, type ApiService } from '../../../src/controller/serving/objects.ts';
import { secrets, type Secret } from '../../../src/controller/secrets.ts';
import type { KubeClient } from '../../../src/kube/client.ts';
import { isForbidden, KubeError } from '../../../src/kube/errors.ts';
import { apiserver, type ApiServer } from '../../support/apiserver.ts';
import { eventually } from '../../support/eventually.ts';
import { handshake } from '../../support/handshake.ts';
import { clientOf } from '../../support/kube-server.ts';
import { LogBook } from '../../support/log-book.ts';
import { SERVER_NAME } from '../../support/serving-kube.ts';

const NAMESPACE = 'coder-operator';
const CONTROLLER = `system:serviceaccount:${NAMESPACE}:coder-operator-controller`;
const config = (path: string): string => fileURLToPath(new URL(`../../../config/${path}`, import.meta.url));
const both = [names.authoritySecret, names.servingSecret] as const;

/** Calls in the name of the controller's service account, which may do what `config` says. */
function asController({ connection }: ApiServer): KubeClient {
  return clientOf({
    get baseUrl() {
      return connection.baseUrl;
    },
    get dispatcher() {
      return connection.dispatcher;
    },
    get watchDispatcher() {
      return connection.watchDispatcher;
    },
    headers: async () => ({ ...(await connection.headers()), 'impersonate-user': CONTROLLER }),
    refresh: () => connection.refresh(),
    suspect: (since) => connection.suspect(since),
    close: () => Promise.resolve(),
  });
}

describe("the endpoint's certificates, with the rights of config/apiserver", function () {
  this.timeout(60_000);
  let server: ApiServer;
  let controller: KubeClient;
  let logger: LogBook;
  let stop: AbortController;
  let running: Promise<void>;

  const apply = (...args: readonly string[]): Promise<string> =>
    server.kubectl(['apply', ...args, '-k', config('apiserver')]);
  const secret = (name: string): Promise<Secret> => server.client.get<Secret>(secrets, NAMESPACE, name);
  const textOf = ({ data = {} }: Secret, key: string): string =>
    Buffer.from(data[key] ?? '', 'base64').toString();

  before(async () => {
    server = await apiserver();
    controller = asController(server);
    await server.kubectl(['apply', '-f', config('default/namespace.yaml')]);
    // As a controller left it that could create Secrets itself: its type is another one.
    const former: Secret = {
      metadata: { name: names.servingSecret, namespace: NAMESPACE },
      type: 'kubernetes.io/tls',
      data: { 'tls.crt': '', 'tls.key': '' },
    };
    await server.client.create<Secret>(secrets, former);
    await apply('--server-side');
    logger = new LogBook();
    stop = new AbortController();
    const keeper = new ServingKeeper({
      kube: controller,
      namespace: NAMESPACE,
      clock: systemClock,
      logger,
      settings: { ...servingSettings, lookEveryMs: 200, secretsEveryMs: 200 },
      events: { record: () => undefined },
      assertLeading: () => undefined,
    });
    running = keeper.run(stop.signal);
  });

  after(async () => {
    stop.abort(new Error('the test is over'));
    await running;
    // The API server is shared, and nothing answers behind this one.
    await server.kubectl(['delete', '--ignore-not-found', '-k', config('apiserver')]);
  });

  /** Waits until the API server would reach an endpoint that has what the Secret holds. */
  async function untilTrusted(): Promise<void> {
    let last: unknown;
    const look = async (): Promise<true | undefined> => {
      const serving = await secret(names.servingSecret);
      const { spec } = await server.client.get<ApiService>(apiServices, undefined, names.apiService);
      const ca = Buffer.from(spec.caBundle ?? '', 'base64').toString();
      const pair = { cert: textOf(serving, 'tls.crt'), key: textOf(serving, 'tls.key') };
      last = ca === '' || pair.cert === '' ? 'empty' : await handshake(pair, { ca, name: SERVER_NAME });
      return last === 'trusted' ? true : undefined;
    };
    expect(await until(look, { withinMs: 20_000, everyMs: 50 }), String(last)).to.equal(true);
  }

  it('2. fills the Secrets that the manifest brings, whatever type they have', async () => {
    await untilTrusted();
    expect((await secret(names.servingSecret)).type).to.equal('kubernetes.io/tls');
    expect((await secret(names.authoritySecret)).type).to.equal('Opaque');
  });

  for (const [how, ...args] of [['by the server', '--server-side'], ['by the client']] as const) {
    it(`keeps them when the manifest is applied again, ${how}`, async () => {
      await untilTrusted();
      const before = await Promise.all(both.map(secret));
      await apply(...args);
      const after = await Promise.all(both.map(secret));
      expect(after.map(({ data }) => data)).to.deep.equal(before.map(({ data }) => data));
      const diff = await server.kubectl(['diff', ...args, '-k', config('apiserver')]);
      expect(diff).to.equal('');
    });
  }

  it('fills one again that was deleted, once the manifest was applied', async () => {
    await untilTrusted();
    await server.kubectl(['delete', 'secret', '-n', NAMESPACE, names.servingSecret]);
    const missing = `there is no Secret ${NAMESPACE}/${names.servingSecret}`;
    await eventually(() => logger.of('warn').some((line) => line.includes(missing)));
    expect(await server.kubectl(['get', 'secrets', '-n', NAMESPACE, '-o', 'name'])).to.equal(
      `secret/${names.authoritySecret}\n`,
    );
    await apply('--server-side');
    await untilTrusted();
  });

  it('makes new keys when what it holds is taken away, and trusts no former one', async () => {
    await untilTrusted();
    const former = await Promise.all(both.map(secret));
    const empty = JSON.stringify({ data: { 'tls.crt': '', 'tls.key': '' } });
    for (const name of both)
      await server.kubectl(['patch', 'secret', '-n', NAMESPACE, name, '--type=merge', '-p', empty]);
    const remove = JSON.stringify([{ op: 'remove', path: '/spec/caBundle' }]);
    await server.kubectl(['patch', 'apiservice', names.apiService, '--type=json', '-p', remove]);
    await untilTrusted();
    const { spec } = await server.client.get<ApiService>(apiServices, undefined, names.apiService);
    const bundle = Buffer.from(spec.caBundle ?? '', 'base64').toString();
    const [authority, serving] = await Promise.all(both.map(secret));
    expect(bundle).to.equal(textOf(authority!, 'tls.crt'));
    for (const [i, one] of [authority!, serving!].entries())
      expect(textOf(one, 'tls.key')).to.not.equal(textOf(former[i]!, 'tls.key'));
  });

  describe('a controller that was taken over', () => {
    /** What the API server says to it. */
    async function refusal(call: Promise<unknown>): Promise<KubeError> {
      const error: unknown = await call.then(
        () => new Error('it was allowed'),
        (reason: unknown) => reason,
      );
      if (error instanceof KubeError) return error;
      throw error instanceof Error ? error : new Error(String(error));
    }

    const token = (name: string): Secret => ({
      metadata: {
        name,
        namespace: NAMESPACE,
        annotations: { 'kubernetes.io/service-account.name': 'coder-operator-apiserver' },
      },
      type: 'kubernetes.io/service-account-token',
    });

    it('gets no token of the endpoint by a Secret of its own', async () => {
      for (const name of ['mine', ...both]) {
        const error = await refusal(controller.create<Secret>(secrets, token(name)));
        expect(isForbidden(error), `${name}: ${error.message}`).to.equal(true);
      }
    });

    it('gets none by the Secrets that it may write either', async () => {
      for (const name of both) {
        const { metadata } = await controller.get<Secret>(secrets, NAMESPACE, name);
        const { resourceVersion = '' } = metadata;
        const changed = { ...token(name), metadata: { ...token(name).metadata, resourceVersion } };
        const error = await refusal(controller.replace<Secret>(secrets, changed));
        expect([error.status, error.message]).to.satisfy(
          ([status, message]: [number, string]) => status === 422 && message.includes('type'),
          error.message,
        );
        const gone = await refusal(controller.delete(secrets, NAMESPACE, name));
        expect(isForbidden(gone), gone.message).to.equal(true);
      }
    });

    it('reads no other Secret of its namespace', async () => {
      expect(isForbidden(await refusal(controller.get(secrets, NAMESPACE, 'mine')))).to.equal(true);
      expect(isForbidden(await refusal(controller.list(secrets, NAMESPACE)))).to.equal(true);
    });
  });
});
