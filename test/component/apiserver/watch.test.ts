import { readdirSync, readlinkSync } from 'node:fs';
import { expect } from 'chai';
import { parseSeries, sum } from '../../../hack/bench/prometheus.ts';
import { controlPlanes, workspaces, type CoderControlPlane } from '../../../src/api/kinds.ts';
import { aggregated, AGGREGATED_WITHIN_MS, type Aggregated } from '../../support/aggregated.ts';
import {
  MASTERS,
  type Caller,
  type ListJson,
  type LiveWatch,
  type ViewJson,
  type WatchEvent,
} from '../../support/aggregated-calls.ts';
import { condition, createWorkspace, label, viewPath } from '../../support/aggregated-objects.ts';
import { settled } from '../../support/settled.ts';

const K9S_TABLE = 'application/json;as=Table;v=v1;g=meta.k8s.io, application/json';

describe('reading the endpoint through kube-apiserver', function () {
  this.timeout(60_000);
  const namespace = 'watch';
  const names = ['coder.alice.a', 'coder.alice.b', 'coder.alice.c'];
  let rig: Aggregated;
  let admin: Caller;

  before(async function () {
    this.timeout(AGGREGATED_WITHIN_MS);
    rig = await aggregated();
    await rig.namespace(namespace);
    for (const name of names) await createWorkspace(rig.kube, namespace, name);
    await settled(
      async () =>
        (await rig.through().json<ListJson>(viewPath(namespace))).items.length === 3 ? true : undefined,
      'all objects',
    );
  });
  beforeEach(() => (admin = rig.through()));
  afterEach(() => rig.tidy());

  const said = (events: readonly WatchEvent[]): readonly string[] =>
    events.map(({ type, object }) => `${type} ${object.metadata.name}`);

  it('40. a watch from nowhere begins with all that is there', async () => {
    for (const query of ['watch=1', 'watch=1&resourceVersion=0']) {
      const watch = await admin.watch(`${viewPath(namespace)}?${query}`);
      await watch.until(({ object }) => object.metadata.name === names[2], 'the last of the objects');
      expect(said(watch.events)).to.deep.equal(names.map((name) => `ADDED ${name}`));
      watch.close();
    }
  });

  it('41. initial events end with a bookmark that says so, and go on live', async () => {
    const query = 'watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true';
    const watch = await admin.watch(`${viewPath(namespace)}?${query}`);
    const bookmark = await watch.until(({ type }) => type === 'BOOKMARK', 'the bookmark');
    expect(said(watch.events)).to.have.length(4);
    expect(bookmark.object.metadata.annotations).to.deep.equal({ 'k8s.io/initial-events-end': 'true' });
    const changed = await label(rig.kube, namespace, names[0] ?? '', { live: 'yes' });
    const live = await watch.until(({ type }) => type === 'MODIFIED', 'the change');
    expect(live.object.metadata.resourceVersion).to.equal(changed.metadata.resourceVersion);
    expect(
      BigInt(bookmark.object.metadata.resourceVersion) < BigInt(live.object.metadata.resourceVersion),
    ).to.equal(true);
  });

  it('44. a watch from the future stays open and tells only what comes after it', async () => {
    const { metadata } = await rig.kube.list(workspaces, namespace);
    // Some writes from now: everything before has to be left out.
    const future = BigInt(metadata.resourceVersion) + 4n;
    const watch = await admin.watch(`${viewPath(namespace)}?watch=1&resourceVersion=${future}`);
    let last = 0n;
    for (let i = 0; last <= future; i++) {
      last = BigInt(
        (await label(rig.kube, namespace, names[1] ?? '', { i: String(i) })).metadata.resourceVersion ?? 0,
      );
    }
    const first = await watch.until(() => true, 'an event');
    expect(BigInt(first.object.metadata.resourceVersion) > future).to.equal(true);
    expect(watch.ended).to.equal(false);
  });

  it('50. a WebSocket gets the same events as a stream', async () => {
    const { metadata } = await admin.json<ListJson>(viewPath(namespace));
    const query = `?watch=1&resourceVersion=${metadata.resourceVersion}`;
    const stream = await admin.watch(viewPath(namespace) + query);
    const { watch } = await admin.webSocket(viewPath(namespace) + query);
    const name = 'coder.alice.socket';
    await createWorkspace(rig.kube, namespace, name);
    await label(rig.kube, namespace, name, { socket: 'grün \u2028'.replace(/[^a-z]/g, '') });
    await rig.kube.delete(workspaces, namespace, name);
    for (const each of [stream, watch])
      await each.until(({ type }) => type === 'DELETED', 'the end of the object');
    expect(watch.events).to.deep.equal(stream.events);
    expect(said(watch.events)).to.deep.equal([`ADDED ${name}`, `MODIFIED ${name}`, `DELETED ${name}`]);
  });

  describe('57. tools for people', () => {
    interface TableJson {
      readonly kind: string;
      readonly columnDefinitions: readonly { readonly name: string; readonly format: string }[];
      readonly rows: readonly { readonly cells: readonly unknown[]; readonly object: ViewJson }[];
    }

    /** What k9s asks for; it takes every answer for a table. */
    const table = async (path: string): Promise<TableJson> => {
      const read = await admin.json<TableJson>(`${path}?includeObject=Object`, ['accept', K9S_TABLE]);
      expect(read.kind).to.equal('Table');
      expect(read.columnDefinitions[0]).to.include({ name: 'Name', format: 'name' });
      for (const { cells, object } of read.rows) {
        expect(cells).to.have.length(read.columnDefinitions.length);
        expect(cells[0]).to.equal(object.metadata.name);
      }
      return read;
    };

    it('57. k9s loads tables of all, of a namespace and of one, with the whole objects', async () => {
      const { items } = await admin.json<ListJson>(viewPath(namespace));
      expect(items.map(({ metadata }) => metadata.name)).to.deep.equal(names);
      const all = (await table(viewPath())).rows.map(({ object }) => object);
      expect(all.filter(({ metadata }) => metadata.namespace === namespace)).to.deep.equal(items);
      const { rows } = await table(viewPath(namespace));
      expect(rows.map(({ object }) => object)).to.deep.equal(items);
      const one = await table(viewPath(namespace, names[1]));
      expect(one.rows.map(({ object }) => object)).to.deep.equal([items[1]]);
    });

    it('57. k9s sees a change when it loads its table again', async () => {
      const changed = await label(rig.kube, namespace, names[2] ?? '', { k9s: 'yes' });
      const { rows } = await settled(async () => {
        const read = await table(viewPath(namespace));
        const isNew = read.rows[2]?.object.metadata.resourceVersion === changed.metadata.resourceVersion;
        return isNew ? read : undefined;
      }, 'the change in the table');
      expect(rows[2]?.object.metadata.labels).to.include({ k9s: 'yes' });
    });

    /** A list and a watch from its version, as a user interface keeps what it shows. */
    async function followed(
      open: (query: string) => Promise<LiveWatch>,
      prefix: string,
    ): Promise<{ readonly shown: ReadonlyMap<string, ViewJson>; readonly seen: readonly string[] }> {
      const list = await admin.json<ListJson>(viewPath(namespace));
      const shown = new Map(list.items.map((item) => [item.metadata.name, item]));
      const watch = await open(`watch=1&resourceVersion=${list.metadata.resourceVersion}`);
      const [stays, goes] = [`coder.${prefix}.stays`, `coder.${prefix}.goes`];
      await createWorkspace(rig.kube, namespace, stays);
      await createWorkspace(rig.kube, namespace, goes);
      await label(rig.kube, namespace, stays, { by: prefix });
      await rig.kube.delete(workspaces, namespace, goes);
      await watch.until(({ type }) => type === 'DELETED', 'the end of an object');
      for (const { type, object } of watch.events) {
        if (type === 'DELETED') shown.delete(object.metadata.name);
        else shown.set(object.metadata.name, object);
      }
      const now = await admin.json<ListJson>(viewPath(namespace));
      expect([...shown.values()]).to.have.deep.members([...now.items]);
      expect(shown.get(stays)?.metadata.labels).to.deep.equal({ by: prefix });
      watch.close();
      await rig.kube.delete(workspaces, namespace, stays);
      return { shown, seen: said(watch.events).map((text) => text.replace(`coder.${prefix}.`, '')) };
    }
    const happened = ['ADDED stays', 'ADDED goes', 'MODIFIED stays', 'DELETED goes'];

    it('57. Headlamp lists, and follows through a WebSocket', async () => {
      const { seen, shown } = await followed(async (query) => {
        const protocols = ['base64.binary.k8s.io'];
        const { watch, protocol } = await admin.webSocket(`${viewPath(namespace)}?${query}`, protocols);
        expect(protocol).to.equal('base64.binary.k8s.io');
        return watch;
      }, 'headlamp');
      expect(seen).to.deep.equal(happened);
      // It takes objects of a list for complete, also where a list of another server would leave this to the list.
      for (const item of shown.values()) {
        expect(item).to.include({ kind: 'CoderWorkspace', apiVersion: 'aggregation.coder.com/v1alpha1' });
      }
    });

    it('57. Lens lists, and follows through a stream with bookmarks', async () => {
      const { seen } = await followed(
        (query) => admin.watch(`${viewPath(namespace)}?${query}&allowWatchBookmarks=true&timeoutSeconds=600`),
        'lens',
      );
      expect(seen).to.deep.equal(happened);
    });
  });

  it('51. watches that end leave nothing behind', async () => {
    const open = async (): Promise<number> => {
      const texts = await Promise.all(
        rig.replicas.map(
          async (replica) => (await rig.direct(replica).call('/metrics', { headers: MASTERS })).text,
        ),
      );
      return texts.reduce(
        (all, text) =>
          all + sum(parseSeries(text), 'apiserver_longrunning_requests', ({ verb }) => verb === 'WATCH'),
        0,
      );
    };
    const sockets = (): number => rig.replicas.reduce((all, { pid }) => all + socketsOf(pid ?? 0), 0);
    // Those of the test before may still be about to end; nobody else watches.
    await settled(async () => ((await open()) === 0 ? true : undefined), 'the end of earlier watches');
    const socketsBefore = sockets();
    const holder = rig.client('hold', ['--path', viewPath(namespace), '--count', '500']);
    await holder.until(({ event }) => event === 'open', 'open');
    expect(await open()).to.equal(500);
    const ended = holder.end();
    await settled(async () => ((await open()) === 0 ? true : undefined), 'the end of all watches', 5_000);
    await ended;
    // Each watch has a connection of its own, which kube-apiserver does not use again.
    await settled(
      () => Promise.resolve(sockets() <= socketsBefore + 20 || undefined),
      'the end of their connections',
    );
  });

  it('objects whose control plane is not in touch with Coder come with a warning', async () => {
    expect((await admin.call(viewPath(namespace))).headers['warning']).to.equal(undefined);
    const object = {
      metadata: { namespace, name: 'coder' },
      spec: { credentialsSecretRef: { name: 'coder' } },
    };
    const created = await rig.kube.create<CoderControlPlane>(controlPlanes, object);
    await rig.kube.putStatus(controlPlanes, created, { conditions: [condition('Synced', 'False')] });
    await settled(
      async () =>
        (await admin.call(viewPath(namespace))).headers['warning'] === undefined ? undefined : true,
      'the warning',
    );
    const { stderr } = await rig.tryKubectl([
      'get',
      'coderworkspaces.aggregation.coder.com',
      '-n',
      namespace,
    ]);
    expect(stderr).to.match(/^Warning: /);
    await rig.kube.delete(controlPlanes, namespace, 'coder');
  });
});

function socketsOf(pid: number): number {
  const folder = `/proc/${pid}/fd`;
  return readdirSync(folder).filter((name) => {
    try {
      return readlinkSync(`${folder}/${name}`).startsWith('socket:');
    } catch {
      return false;
    }
  }).length;
}
