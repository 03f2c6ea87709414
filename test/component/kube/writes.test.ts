import { expect } from 'chai';
import { stringify } from 'yaml';
import type { KubeObject, ResourceType } from '../../../src/api/meta.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import { isConflict, isNamespaceTerminating, isNotFound, isOtherUid } from '../../../src/kube/errors.ts';
import { EventRecorder } from '../../../src/kube/events.ts';
import { StatusWriter } from '../../../src/kube/status.ts';
import { apiserver, type ApiServer } from '../../support/apiserver.ts';
import { widgets, type Widget } from '../../support/kube-objects.ts';

const FINALIZER = 'test.coder.com/widget';
const open = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
const crd = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'widgets.test.coder.com' },
  spec: {
    group: widgets.group,
    scope: 'Namespaced',
    names: { plural: widgets.plural, kind: widgets.kind },
    versions: [
      {
        name: widgets.version,
        served: true,
        storage: true,
        subresources: { status: {} },
        schema: { openAPIV3Schema: { type: 'object', properties: { spec: open, status: open } } },
      },
    ],
  },
};

const events: ResourceType = { group: '', version: 'v1', plural: 'events', kind: 'Event', namespaced: true };

interface SeenEvent extends KubeObject {
  readonly reason: string;
  readonly message: string;
  readonly count: number;
  readonly involvedObject: { readonly uid: string };
}

describe('writes on a real API server', function () {
  this.timeout(60_000);
  const namespace = 'writes';
  const assumed: KubeObject[] = [];
  let server: ApiServer;
  let writer: StatusWriter;

  before(async () => {
    server = await apiserver();
    await server.kubectl(['create', 'namespace', namespace]);
    await server.kubectl(['apply', '-f', '-'], stringify(crd));
    await server.kubectl([
      'wait',
      '--for=condition=Established',
      'crd/widgets.test.coder.com',
      '--timeout=30s',
    ]);
    const assume = (_resource: ResourceType, object: KubeObject): unknown => assumed.push(object);
    writer = new StatusWriter({ client: server.client, assume, fieldManager: 'coder-operator' });
  });

  after(() => server.kubectl(['delete', 'crd', 'widgets.test.coder.com', '--wait=false']));

  const caught = (call: Promise<unknown>): Promise<unknown> => call.catch((error: unknown) => error);
  const make = (name: string): Promise<Widget> =>
    server.client.create<Widget>(widgets, { metadata: { name, namespace }, ...{ spec: { colour: 'red' } } });
  const read = (name: string): Promise<Widget> => server.client.get<Widget>(widgets, namespace, name);

  it('writes a status and nothing but the status', async () => {
    const created = await make('status');
    const written = await writer.write<Widget>(
      widgets,
      { ...created, spec: { colour: 'blue' } },
      { phase: 'Ready' },
    );
    expect(written).to.deep.include({ spec: { colour: 'red' }, status: { phase: 'Ready' } });
    expect(assumed.at(-1)).to.equal(written);
    const again = await writer.write<Widget>(widgets, written!, { phase: 'Ready' });
    expect(again).to.equal(undefined);
    expect((await read('status')).metadata.resourceVersion).to.equal(written?.metadata.resourceVersion);
  });

  it('refuses to write on a stale copy or a namesake', async () => {
    const first = await make('stale');
    await writer.write<Widget>(widgets, first, { phase: 'One' });
    expect(isConflict(await caught(writer.write<Widget>(widgets, first, { phase: 'Two' })))).to.equal(true);
    expect(isConflict(await caught(writer.addFinalizer(widgets, first, FINALIZER)))).to.equal(true);
    await server.client.delete(widgets, namespace, 'stale');
    const second = await make('stale');
    const confused = { ...second, metadata: { ...second.metadata, uid: first.metadata.uid! } };
    expect(isConflict(await caught(writer.write<Widget>(widgets, confused, { phase: 'Two' })))).to.equal(
      true,
    );
    expect(isOtherUid(await caught(writer.addFinalizer(widgets, confused, FINALIZER)))).to.equal(true);
  });

  it('holds an object by its finalizer, beside those of others, and lets it go', async () => {
    const created = await make('held');
    await server.client.mergePatch(widgets, namespace, 'held', {
      metadata: { finalizers: ['other.test/x'] },
    });
    const held = await writer.addFinalizer(widgets, await read('held'), FINALIZER);
    expect(held.metadata.finalizers).to.deep.equal(['other.test/x', FINALIZER]);
    await server.client.delete(widgets, namespace, 'held', { preconditions: { uid: created.metadata.uid! } });
    const deleting = await read('held');
    expect(deleting.metadata.deletionTimestamp).to.be.a('string');
    const left = await writer.removeFinalizer(widgets, deleting, FINALIZER);
    expect(left?.metadata.finalizers).to.deep.equal(['other.test/x']);
    await writer.removeFinalizer(widgets, left!, 'other.test/x');
    expect(isNotFound(await caught(read('held')))).to.equal(true);
    expect(await writer.removeFinalizer(widgets, left!, 'other.test/x')).to.equal(undefined);
  });

  it('deletes only the object that it means', async () => {
    const object = await make('meant');
    const { uid, resourceVersion } = object.metadata;
    await writer.write<Widget>(widgets, object, { phase: 'Changed' });
    const stale = { uid: uid!, resourceVersion: resourceVersion! };
    expect(
      isConflict(await caught(server.client.delete(widgets, namespace, 'meant', { preconditions: stale }))),
    ).to.equal(true);
    const other = { uid: '00000000-0000-0000-0000-000000000000' };
    expect(
      isConflict(await caught(server.client.delete(widgets, namespace, 'meant', { preconditions: other }))),
    ).to.equal(true);
    await server.client.delete(widgets, namespace, 'meant', { preconditions: { uid: uid! } });
    expect(isNotFound(await caught(read('meant')))).to.equal(true);
  });

  it('records events, and counts what happens again', async () => {
    const recorder = new EventRecorder({
      client: server.client,
      component: 'coder-operator',
      instance: 'test',
      clock: systemClock,
      logger: silentLogger,
    });
    const object = await make('eventful');
    recorder.record(object, 'Normal', 'Started', 'started');
    await recorder.flush(10_000);
    for (let i = 0; i < 3; i++) recorder.record(object, 'Normal', 'Started', 'started');
    recorder.record(object, 'Warning', 'BuildFailed', 'x'.repeat(5000));
    await recorder.flush(10_000);
    const fieldSelector = `involvedObject.uid=${object.metadata.uid!}`;
    const { items } = await server.client.list<SeenEvent>(events, namespace, { fieldSelector });
    expect(items.map(({ reason, count }) => [reason, count])).to.have.deep.members([
      ['Started', 4],
      ['BuildFailed', 1],
    ]);
    expect(await server.kubectl(['-n', namespace, 'events', '--for', 'widget/eventful'])).to.include(
      'Started',
    );
  });

  it('knows a namespace that is being deleted', async () => {
    await server.kubectl(['create', 'namespace', 'going']);
    // Without the namespace controller it stays so.
    await server.kubectl(['delete', 'namespace', 'going', '--wait=false']);
    const error = await caught(
      server.client.create(widgets, { metadata: { name: 'late', namespace: 'going' } }),
    );
    expect(isNamespaceTerminating(error)).to.equal(true);
  });
});
