import { expect } from 'chai';
import sinon from 'sinon';
import { KubeError } from '../../../../src/kube/errors.ts';
import { LiveReads, type LiveRead } from '../../../../src/apiserver/reading/live.ts';
import type { ViewKind } from '../../../../src/apiserver/view/types.ts';
import { settle } from '../../../support/clock.ts';
import { widget } from '../../../support/kube-objects.ts';
import { PARTIAL, ReadingWorld, TABLE, type ReadItem } from '../../../support/reading.ts';
import { widgetView } from '../../../support/widget-view.ts';

const PATH = '/namespaces/default/widgets';

function world(live?: LiveRead): ReadingWorld {
  const made = new ReadingWorld(live === undefined ? {} : { live });
  made.widgets.put('a', { colour: 'green', created: '2025-12-31T23:00:00Z' }).put('b').list(10);
  return made;
}

describe('reads of one object', () => {
  it('answer the object as it is in memory, without a look elsewhere', async () => {
    const live = sinon.fake.resolves(undefined);
    const made = world(live);
    const { json } = await made.read<ReadItem>(`${PATH}/a`);
    expect(json).to.deep.equal({
      kind: 'Widget',
      apiVersion: 'aggregation.test.coder.com/v1alpha1',
      metadata: {
        name: 'a',
        namespace: 'default',
        uid: 'uid-a',
        resourceVersion: '1',
        creationTimestamp: '2025-12-31T23:00:00Z',
      },
      spec: { colour: 'green' },
      status: {},
    });
    expect(live.callCount).to.equal(0);
  });

  it('do so although a watch is asked of one object', async () => {
    expect((await world().read<ReadItem>(`${PATH}/a?watch=1`)).json.metadata?.name).to.equal('a');
  });

  it('26. answer a table of one row, with the version of the object', async () => {
    const { json } = await world().read(`${PATH}/a`, { accept: TABLE });
    expect(json).to.include({ kind: 'Table', apiVersion: 'meta.k8s.io/v1' });
    expect(json.metadata).to.deep.equal({ resourceVersion: '1' });
    expect(json.columnDefinitions.map(({ name }) => name)).to.deep.equal(['Name', 'Colour', 'Age']);
    expect(json.rows).to.have.length(1);
    expect(json.rows[0]?.cells).to.deep.equal(['a', 'green', '60m']);
    expect(json.rows[0]?.object?.kind).to.equal('PartialObjectMetadata');
    const refused = await world().refusal(`${PATH}/a?includeObject=Some`, { accept: TABLE });
    expect(refused).to.include({ code: 400 });
  });

  it('28. answer the metadata alone', async () => {
    const { json } = await world().read<ReadItem>(`${PATH}/b`, { accept: PARTIAL });
    expect(json).to.deep.equal({
      kind: 'PartialObjectMetadata',
      apiVersion: 'meta.k8s.io/v1',
      metadata: { name: 'b', namespace: 'default', uid: 'uid-b', resourceVersion: '2' },
    });
  });

  it('35. answer a 404 with its details for what does not exist', async () => {
    expect(await world().refusal(`${PATH}/none`)).to.deep.equal({
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message: 'widgets.aggregation.test.coder.com "none" not found',
      reason: 'NotFound',
      details: { name: 'none', group: 'aggregation.test.coder.com', kind: 'widgets' },
      code: 404,
    });
  });

  it('35. answer an object that was just created, in every shape, although memory does not know it yet', async () => {
    const live = sinon.fake.resolves(widget('new', { rv: 11, colour: 'red' }));
    const made = world(live);
    const { json } = await made.read<ReadItem>(`${PATH}/new`);
    expect(json).to.deep.include({ kind: 'Widget', spec: { colour: 'red' } });
    expect(json.metadata).to.include({ name: 'new', resourceVersion: '11' });
    expect(live.firstCall.args.slice(0, 3)).to.deep.equal([widgetView, 'default', 'new']);
    const { json: table } = await made.read(`${PATH}/new`, { accept: TABLE });
    expect(table.rows[0]?.cells).to.deep.equal(['new', 'red', '<unknown>']);
    const { json: partial } = await made.read<ReadItem>(`${PATH}/new`, { accept: PARTIAL });
    expect(partial.metadata?.resourceVersion).to.equal('11');
  });

  it('35. look again each time, so that no absence is remembered', async () => {
    const live = sinon.stub();
    live.onFirstCall().resolves(undefined);
    live.onSecondCall().resolves(widget('new'));
    const made = world(live);
    expect(await made.refusal(`${PATH}/new`)).to.include({ code: 404 });
    expect((await made.read<ReadItem>(`${PATH}/new`)).json.metadata?.name).to.equal('new');
    const { liveReads } = made.metrics;
    const counted = (await liveReads.get()).values.map(({ labels, value }) => [labels.result, value]);
    expect(counted).to.deep.equal([
      ['missing', 1],
      ['found', 1],
    ]);
  });

  it('35. never take a failure of the API server for an absence', async () => {
    const failure = new KubeError('KUBE_UNREACHABLE', 'secret words of the server', { retryable: true });
    const made = world(() => Promise.reject(failure));
    expect(await made.refusal(`${PATH}/none`)).to.deep.include({
      code: 503,
      reason: 'ServiceUnavailable',
      message: 'the API server does not tell whether widgets "none" exists',
      details: { retryAfterSeconds: 1 },
    });
  });

  it('31. wait for a version that has not come yet, and end with a 504', async () => {
    const made = world();
    const read = made.read<ReadItem>(`${PATH}/a?resourceVersion=11`);
    await made.clock.advance(1_000);
    made.widgets.put('a', { colour: 'blue' });
    expect((await read).json.metadata?.resourceVersion).to.equal('11');
    const refused = made.refusal(`${PATH}/a?resourceVersion=99`);
    await made.clock.advance(3_000);
    const { code, details } = await refused;
    expect([code, details?.causes?.[0]?.reason]).to.deep.equal([504, 'ResourceVersionTooLarge']);
  });

  it('31. take any version that is there', async () => {
    for (const version of ['0', '1', '10', '']) {
      const { json } = await world().read<ReadItem>(`${PATH}/a?resourceVersion=${version}`);
      expect(json.metadata?.name).to.equal('a');
    }
    expect(await world().refusal(`${PATH}/a?resourceVersion=abc`)).to.include({ code: 400 });
  });
});

describe('LiveReads', () => {
  const kind = widgetView as unknown as ViewKind;
  const { metrics } = new ReadingWorld();

  it('makes a bounded number of reads at a time, lets others wait and refuses too many', async () => {
    const pending: (() => void)[] = [];
    const read = sinon.fake(
      () => new Promise<undefined>((resolve) => pending.push(() => resolve(undefined))),
    );
    const live = new LiveReads({ read, metrics, concurrency: 2, maxWaiting: 3 });
    const { signal } = new AbortController();
    const answers = Array.from({ length: 5 }, () => live.get(kind, 'default', 'x', signal));
    await settle();
    expect(read.callCount).to.equal(2);
    const refused = await live.get(kind, 'default', 'x', signal).catch((error: unknown) => error);
    expect(refused).to.deep.include({ reason: 'TooManyRequests' });
    expect((refused as { options: unknown }).options).to.deep.equal({ details: { retryAfterSeconds: 1 } });
    while (pending.length > 0) {
      pending.shift()?.();
      await settle();
    }
    expect(await Promise.all(answers)).to.deep.equal(Array(5).fill(undefined));
    expect(read.callCount).to.equal(5);
  });

  it('gives up a read whose client has gone, also one that waits', async () => {
    const read = sinon.fake(() => new Promise<undefined>(() => undefined));
    const live = new LiveReads({ read, metrics, concurrency: 1 });
    const gone = new AbortController();
    void live.get(kind, 'default', 'x', new AbortController().signal);
    const answer = live.get(kind, 'default', 'y', gone.signal).catch((error: unknown) => error);
    gone.abort(new Error('gone'));
    expect(await answer).to.have.property('message', 'gone');
    expect(read.callCount).to.equal(1);
  });
});
