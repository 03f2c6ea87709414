import { expect } from 'chai';
import type { KubeObject, ResourceType } from '../../../src/api/meta.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import { isGone, isNotFound, KubeError } from '../../../src/kube/errors.ts';
import { Reflector } from '../../../src/kube/reflector.ts';
import { Store } from '../../../src/kube/store.ts';
import { apiserver, type ApiServer } from '../../support/apiserver.ts';
import { eventually } from '../../support/eventually.ts';

interface ConfigMap extends KubeObject {
  readonly data?: Readonly<Record<string, string>>;
}

const configMaps: ResourceType = {
  group: '',
  version: 'v1',
  plural: 'configmaps',
  kind: 'ConfigMap',
  namespaced: true,
};
const unknownKind: ResourceType = {
  group: 'none.coder.com',
  version: 'v1',
  plural: 'nones',
  kind: 'None',
  namespaced: true,
};

describe('Reflector on a real API server', function () {
  this.timeout(60_000);
  const namespace = 'reflector';
  let server: ApiServer;
  let stop: AbortController;
  let running: Promise<void>;

  before(async () => {
    server = await apiserver();
    await server.kubectl(['create', 'namespace', namespace]);
    for (let i = 0; i < 5; i++) await write(`cm-${i}`, 'first');
  });

  beforeEach(() => {
    stop = new AbortController();
    running = Promise.resolve();
  });

  afterEach(async () => {
    stop.abort();
    await running;
  });

  function write(name: string, value: string): Promise<ConfigMap> {
    const object = { metadata: { name, namespace }, data: { value } };
    return server.client.create<ConfigMap>(configMaps, object);
  }

  function follow(store: Store<ConfigMap>, resource = configMaps): Reflector<ConfigMap> {
    const reflector = new Reflector<ConfigMap>({
      client: server.client,
      resource,
      namespace,
      store,
      clock: systemClock,
      logger: silentLogger,
      pageSize: 2,
    });
    running = reflector.run(stop.signal);
    return reflector;
  }

  const valueOf = (store: Store<ConfigMap>, name: string): string | undefined =>
    store.get(`${namespace}/${name}`)?.data?.['value'];

  it('lists in pages and follows every kind of change', async () => {
    const store = new Store<ConfigMap>();
    const reflector = follow(store);
    await store.hasSynced;
    expect(store.size).to.be.at.least(5);
    const listed = store.get(`${namespace}/cm-0`);
    expect(listed).to.include({ apiVersion: 'v1', kind: 'ConfigMap' });
    expect(listed?.metadata).to.not.have.property('managedFields');
    await eventually(() => reflector.state === 'watching', 10_000);

    await write('added', 'grün \u2028 日本');
    await eventually(() => valueOf(store, 'added') === 'grün \u2028 日本', 10_000);
    await server.client.mergePatch(configMaps, namespace, 'cm-1', { data: { value: 'second' } });
    await eventually(() => valueOf(store, 'cm-1') === 'second', 10_000);
    await server.client.delete(configMaps, namespace, 'cm-2');
    await eventually(() => store.get(`${namespace}/cm-2`) === undefined, 10_000);
    expect(reflector.stats()).to.deep.include({ lists: 1, watches: 1, events: 3, errors: 0 });
  });

  it('shows our own write at once, and the watch confirms it without a second event', async () => {
    const store = new Store<ConfigMap>();
    const reflector = follow(store);
    await eventually(() => reflector.state === 'watching', 10_000);
    const seen: string[] = [];
    store.subscribe(({ type, key }) => seen.push(`${type} ${key}`));
    store.assume(
      await server.client.mergePatch<ConfigMap>(configMaps, namespace, 'cm-3', { data: { value: 'mine' } }),
    );
    expect(valueOf(store, 'cm-3')).to.equal('mine');
    await write('after', 'x');
    await eventually(() => valueOf(store, 'after') === 'x', 10_000);
    expect(seen).to.deep.equal([`modified ${namespace}/cm-3`, `added ${namespace}/after`]);
  });

  it('never takes an unknown resource for an empty one', async () => {
    const store = new Store<ConfigMap>();
    const reflector = follow(store, unknownKind);
    await eventually(() => reflector.state === 'backoff', 10_000);
    expect(store.synced).to.equal(false);
    expect(reflector.stats().lastError).to.include('404');
  });

  it('meets the errors that it was written for', async () => {
    const caught = (call: Promise<unknown>): Promise<unknown> => call.catch((error: unknown) => error);
    expect(isNotFound(await caught(server.client.get(configMaps, namespace, 'none')))).to.equal(true);
    expect(isNotFound(await caught(server.client.get(unknownKind, namespace, 'none')))).to.equal(false);
    const badToken = await caught(
      server.client.list(configMaps, namespace, { limit: 1, continue: 'nonsense' }),
    );
    expect(badToken).to.be.instanceOf(KubeError).with.property('status', 400);
    // A version that etcd has never had: the API server says how far it has come.
    const { metadata } = await server.client.list(configMaps, namespace);
    const future = String(BigInt(metadata.resourceVersion) + 1_000_000n);
    const error = await caught(
      server.client.list(configMaps, namespace, { resourceVersion: future, deadlineMs: 20_000 }),
    );
    expect(isGone(error)).to.equal(false);
    expect(error).to.have.property('causes').that.deep.includes({
      reason: 'ResourceVersionTooLarge',
      message: 'Too large resource version',
    });
  });
});
