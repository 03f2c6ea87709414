import {
  CustomObjectsApi,
  KubeConfig,
  makeInformer,
  type KubernetesListObject,
  type KubernetesObject,
} from '@kubernetes/client-node';
import { expect } from 'chai';
import type { ClientLine } from '../../../hack/stack/clients.ts';
import { workspaces, type CoderWorkspace } from '../../../src/api/kinds.ts';
import { aggregated, AGGREGATED_WITHIN_MS, type Aggregated } from '../../support/aggregated.ts';
import { MASTERS, type ListJson, type StatusJson } from '../../support/aggregated-calls.ts';
import {
  createWorkspace,
  label,
  OBJECT_WORKSPACES,
  RUNNING,
  versionsOf,
  viewPath,
  VIEW_WORKSPACES,
} from '../../support/aggregated-objects.ts';
import { settled } from '../../support/settled.ts';

const COUNT = 30;

describe('programs built on client-go, on the endpoint', function () {
  this.timeout(60_000);
  const namespace = 'clients';
  const scope = ['--resource', VIEW_WORKSPACES, '--namespace', namespace];
  let rig: Aggregated;

  before(async function () {
    this.timeout(AGGREGATED_WITHIN_MS);
    rig = await aggregated();
    await rig.namespace(namespace);
    for (let i = 0; i < COUNT; i++) {
      await createWorkspace(rig.kube, namespace, `coder.alice.w${i}`, i % 3 === 0 ? { status: RUNNING } : {});
    }
    await settled(async () => {
      const sizes = await Promise.all(
        rig.replicas.map(
          async (replica) =>
            (await rig.direct(replica).json<ListJson>(viewPath(namespace), MASTERS)).items.length,
        ),
      );
      return sizes.every((size) => size === COUNT) ? true : undefined;
    }, 'all objects in both replicas');
  });
  afterEach(() => rig.tidy());

  const present = (): Promise<Readonly<Record<string, string>>> => versionsOf(rig.kube, namespace);

  const eventsOf = (lines: readonly ClientLine[]): readonly unknown[] =>
    lines
      .filter(({ event }) => ['ADDED', 'MODIFIED', 'DELETED'].includes(event))
      .map((l) => [l.event, l['key'], l['resourceVersion']]);

  for (const client of ['dynamic', 'typed', 'metadata']) {
    for (const watchList of [true, false]) {
      it(`42. the ${client} informer syncs ${watchList ? 'by a watch alone' : 'by list and watch'} and follows`, async () => {
        const informer = rig.client(
          'informer',
          [...scope, '--client', client, '--kind', 'CoderWorkspace', '--requests'],
          { KUBE_FEATURE_WatchListClient: String(watchList) },
        );
        const synced = await informer.until(({ event }) => event === 'synced', 'synced');
        expect(synced['count']).to.equal(COUNT);
        expect(synced['ms']).to.be.below(2_000);
        const lists = informer.of('request').filter((l) => !('watch' in (l['query'] as object)));
        expect(lists).to.have.length(watchList ? 0 : 1);
        const { metadata } = await label(rig.kube, namespace, 'coder.alice.w1', {
          [client]: String(watchList),
        });
        await informer.until(
          (l) => l.event === 'modified' && l['resourceVersion'] === metadata.resourceVersion,
          'the change',
        );
        const set = await informer.ask('dump', 'set');
        expect(set['objects']).to.deep.equal(await present());
        expect(informer.of('watch-error')).to.deep.equal([]);
        await informer.end();
      });
    }
  }

  it('28. the metadata client gets, lists and watches', async () => {
    const { metadata } = await rig.kube.get<CoderWorkspace>(workspaces, namespace, 'coder.alice.w0');
    const [got] = await rig.run('metadata', [...scope, '--verb', 'get', '--name', 'coder.alice.w0']);
    expect(got).to.deep.include({ key: `${namespace}/coder.alice.w0`, uid: metadata.uid });
    const listed = await rig.run('metadata', [...scope, '--verb', 'list']);
    expect(listed.filter(({ event }) => event === 'object')).to.have.length(COUNT);
    const from = String(listed.at(-1)?.['resourceVersion']);
    const watch = rig.client('metadata', [...scope, '--verb', 'watch', '--from', from]);
    const changed = await label(rig.kube, namespace, 'coder.alice.w2', { metadata: 'yes' });
    const event = await watch.until((l) => l.event === 'MODIFIED', 'the change');
    expect(event).to.deep.include({
      uid: changed.metadata.uid,
      resourceVersion: changed.metadata.resourceVersion,
      labels: { metadata: 'yes' },
    });
  });

  it('28. metadata of one object is no answer for a list', async () => {
    const accept = 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1';
    const { status, text } = await rig.through().call(viewPath(namespace), { headers: ['accept', accept] });
    expect([status, (JSON.parse(text) as StatusJson).reason]).to.deep.equal([406, 'NotAcceptable']);
  });

  it('30. what one replica listed can be watched on the other', async () => {
    const [one, two] = rig.replicas.map((replica) => rig.direct(replica));
    const list = await one?.json<ListJson>(viewPath(namespace), MASTERS);
    const version = BigInt(list?.metadata.resourceVersion ?? 0);
    expect(version > 0n).to.equal(true);
    for (const { metadata } of list?.items ?? [])
      expect(BigInt(metadata.resourceVersion) <= version).to.equal(true);
    const watch = await two?.watch(`${viewPath(namespace)}?watch=1&resourceVersion=${version}`, MASTERS);
    const changes = [];
    for (let i = 0; i < 5; i++)
      changes.push(await label(rig.kube, namespace, `coder.alice.w${i}`, { round: String(i) }));
    const last = changes.at(-1)?.metadata.resourceVersion;
    await watch?.until(({ object }) => object.metadata.resourceVersion === last, 'the last change');
    expect(watch?.events.map(({ type, object }) => [type, object.metadata.resourceVersion])).to.deep.equal(
      changes.map(({ metadata }) => ['MODIFIED', metadata.resourceVersion]),
    );
  });

  it('32. the pager reads pages of one version while objects change', async () => {
    const pager = rig.client('pager', [...scope, '--limit', '7', '--step']);
    await pager.until(({ event }) => event === 'page', 'the first page');
    const before = await present();
    await rig.kube.delete(workspaces, namespace, 'coder.alice.w9');
    await createWorkspace(rig.kube, namespace, 'coder.alice.w99');
    const changed = await label(rig.kube, namespace, 'coder.alice.w8', { page: 'changed' });
    await settled(async () => {
      const { items } = await rig.through().json<ListJson>(viewPath(namespace));
      return items.some((o) => o.metadata.resourceVersion === changed.metadata.resourceVersion) || undefined;
    }, 'the changes in the endpoint');
    for (let i = 0; i < 4; i++) pager.send('');
    const set = (await pager.end()).find(({ event }) => event === 'set');
    expect(set).to.deep.include({ objects: before, duplicates: 0, count: COUNT, paged: true });
    expect(new Set(pager.of('page').map((l) => l['resourceVersion']))).to.have.property('size', 1);
    await rig.kube.delete(workspaces, namespace, 'coder.alice.w99');
    await createWorkspace(rig.kube, namespace, 'coder.alice.w9');
  });

  it('39. a RetryWatcher sees the same as on the objects themselves, in the same order', async () => {
    const { metadata } = await rig.through().json<ListJson>(viewPath(namespace));
    const from = ['--from', metadata.resourceVersion];
    const ours = rig.client('retrywatch', [...scope, ...from]);
    const theirs = rig.client('retrywatch', [
      '--resource',
      OBJECT_WORKSPACES,
      '--namespace',
      namespace,
      ...from,
    ]);
    const name = 'coder.alice.history';
    let object = await createWorkspace(rig.kube, namespace, name);
    for (let i = 0; i < 5; i++) object = await label(rig.kube, namespace, name, { i: String(i) });
    object = await rig.kube.putStatus<CoderWorkspace>(workspaces, object, RUNNING);
    await rig.kube.delete(workspaces, namespace, name);
    for (const watcher of [ours, theirs])
      await watcher.until(({ event }) => event === 'DELETED', 'the deletion');
    expect(eventsOf(ours.lines)).to.deep.equal(eventsOf(theirs.lines));
    const versions = ours.lines.map((l) => BigInt(String(l['resourceVersion'])));
    expect(versions).to.deep.equal([...new Set(versions)].sort((a, b) => (a < b ? -1 : 1)));
    expect((versions.at(-1) ?? 0n) > BigInt(object.metadata.resourceVersion ?? 0)).to.equal(true);
  });

  it('43. a version that is too old is an error in the stream, at which a RetryWatcher stops', async () => {
    const watch = await rig.through().watch(`${viewPath(namespace)}?watch=1&resourceVersion=1`);
    await watch.untilEnded();
    expect(watch.events.map(({ type, object }) => [type, object.code, object.reason])).to.deep.equal([
      ['ERROR', 410, 'Expired'],
    ]);
    const watcher = rig.client('retrywatch', [...scope, '--from', '1']);
    await watcher.until(({ event }) => event === 'stopped', 'stopped');
    const lines = await watcher.end();
    expect(lines.map(({ event }) => event)).to.deep.equal(['ERROR', 'stopped']);
    expect(lines[0]?.['status']).to.include({ code: 410, reason: 'Expired' });
  });

  it('55. a cache as that of Argo CD pages, follows and stays right', async () => {
    const cache = rig.client('listwatch', [...scope, '--limit', '11']);
    const listed = await cache.until(({ event }) => event === 'listed', 'listed');
    expect(listed).to.include({ count: COUNT });
    const last = await createWorkspace(rig.kube, namespace, 'coder.alice.argo');
    await cache.until((l) => l['resourceVersion'] === last.metadata.resourceVersion, 'the new object');
    await rig.kube.delete(workspaces, namespace, 'coder.alice.argo');
    await cache.until((l) => l.event === 'DELETED', 'its end');
    expect((await cache.ask('dump', 'set'))['objects']).to.deep.equal(await present());
    expect(cache.of('listed'), 'it never had to begin anew').to.have.length(1);
  });

  it('55. what marks an object as part of an application does not make the view part of it', async () => {
    const name = 'coder.alice.tracked';
    await createWorkspace(rig.kube, namespace, name, {
      metadata: {
        labels: { 'app.kubernetes.io/instance': 'app', team: 'red' },
        annotations: {
          'argocd.argoproj.io/tracking-id': 'app:coder.com/CoderWorkspace:clients/x',
          note: 'kept',
        },
      },
    });
    const { items } = await settled(async () => {
      const list = await rig.through().json<ListJson>(viewPath(namespace));
      return list.items.some((o) => o.metadata.name === name) ? list : undefined;
    }, 'the object in the endpoint');
    const view = items.find((o) => o.metadata.name === name);
    expect(view?.metadata.labels).to.deep.equal({ team: 'red' });
    expect(view?.metadata.annotations).to.deep.equal({ note: 'kept' });
    const selected = await rig
      .through()
      .json<ListJson>(`${viewPath(namespace)}?labelSelector=app.kubernetes.io/instance%3Dapp`);
    expect(selected.items).to.deep.equal([]);
    await rig.kube.delete(workspaces, namespace, name);
  });

  it('the informer of the JavaScript client lists and follows', async () => {
    const config = new KubeConfig();
    config.loadFromFile(rig.stack.kubernetes.adminKubeconfig);
    const api = config.makeApiClient(CustomObjectsApi);
    const what = {
      group: 'aggregation.coder.com',
      version: 'v1alpha1',
      namespace,
      plural: workspaces.plural,
    };
    const list = (): Promise<KubernetesListObject<KubernetesObject>> =>
      api.listNamespacedCustomObject(what) as Promise<KubernetesListObject<KubernetesObject>>;
    const informer = makeInformer<KubernetesObject>(config, viewPath(namespace), list);
    const seen: string[] = [];
    const errors: unknown[] = [];
    for (const verb of ['add', 'update', 'delete'] as const) {
      informer.on(verb, (object) => seen.push(`${verb} ${object.metadata?.name ?? ''}`));
    }
    let stopping = false;
    informer.on('error', (error: unknown) => {
      if (!stopping) errors.push(error);
    });
    try {
      await informer.start();
      expect(seen.filter((s) => s.startsWith('add '))).to.have.length(COUNT);
      await createWorkspace(rig.kube, namespace, 'coder.alice.js');
      await settled(
        () => Promise.resolve(seen.includes('add coder.alice.js') || undefined),
        'the new object',
      );
      await label(rig.kube, namespace, 'coder.alice.js', { js: 'yes' });
      await settled(() => Promise.resolve(seen.includes('update coder.alice.js') || undefined), 'its change');
      await rig.kube.delete(workspaces, namespace, 'coder.alice.js');
      await settled(() => Promise.resolve(seen.includes('delete coder.alice.js') || undefined), 'its end');
      expect(errors).to.deep.equal([]);
    } finally {
      stopping = true;
      await informer.stop();
    }
  });
});
