import { expect } from 'chai';
import sinon from 'sinon';
import { silentLogger } from '../../../src/base/logger.ts';
import { KubeError } from '../../../src/kube/errors.ts';
import { EventRecorder } from '../../../src/kube/events.ts';
import { FakeClock, settle } from '../../support/clock.ts';
import { widget } from '../../support/kube-objects.ts';

interface Posted {
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly message: string;
  readonly count: number;
  readonly [field: string]: unknown;
}

function refused(status: number, reason: string, cause?: string): KubeError {
  const causes = cause === undefined ? [] : [{ reason: cause }];
  return new KubeError('KUBE_REFUSED', reason, { status, reason, causes, retryable: status >= 500 });
}

describe('EventRecorder', () => {
  const clock = new FakeClock();
  const create = sinon.stub();
  const mergePatch = sinon.stub();
  const debug = sinon.spy();
  let events: EventRecorder;

  beforeEach(() => {
    for (const stub of [create, mergePatch]) stub.reset();
    create.resolves({});
    mergePatch.resolves({});
    debug.resetHistory();
    events = new EventRecorder({
      client: { create, mergePatch },
      component: 'coder-operator',
      instance: 'pod-1',
      clock,
      logger: { ...silentLogger, debug },
      capacity: 3,
    });
  });

  const argument = (stub: sinon.SinonStub, index: number): unknown[] => {
    const calls: readonly (readonly unknown[])[] = stub.args;
    return calls.map((args) => args[index]);
  };
  const posted = (): Posted[] => argument(create, 1) as Posted[];
  const counts = (): number[] => (argument(mergePatch, 3) as Posted[]).map(({ count }) => count);

  it('writes an event beside the object', async () => {
    events.record(widget('a.b', { rv: 7 }), 'Warning', 'BuildFailed', 'it failed');
    await events.flush(1000);
    const [event] = posted();
    expect(event?.metadata.namespace).to.equal('default');
    expect(event?.metadata.name).to.match(/^a\.b\.[0-9a-f]{16}$/);
    expect(event).to.deep.include({
      type: 'Warning',
      reason: 'BuildFailed',
      message: 'it failed',
      count: 1,
      source: { component: 'coder-operator' },
      reportingComponent: 'coder-operator',
      reportingInstance: 'pod-1',
      involvedObject: {
        apiVersion: 'test.coder.com/v1',
        kind: 'Widget',
        name: 'a.b',
        namespace: 'default',
        uid: 'uid-a.b',
        resourceVersion: '7',
      },
    });
    expect(event?.['lastTimestamp']).to.match(/^2026-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  });

  it('raises the count when the same happens again within ten minutes', async () => {
    const again = async (): Promise<void> => {
      events.record(widget('a'), 'Normal', 'Started', 'started');
      await settle();
    };
    await again();
    await again();
    await clock.advance(599_000);
    await again();
    expect(posted()).to.have.length(1);
    const { name } = posted()[0]!.metadata;
    expect(argument(mergePatch, 2)).to.deep.equal([name, name]);
    expect(counts()).to.deep.equal([2, 3]);
    await clock.advance(601_000);
    await again();
    expect(posted()).to.have.length(2);
  });

  it('tells objects, reasons and messages apart', async () => {
    events.record(widget('a'), 'Normal', 'Started', 'started');
    await settle();
    events.record(widget('b'), 'Normal', 'Started', 'started');
    events.record(widget('a'), 'Normal', 'Stopped', 'started');
    events.record(widget('a'), 'Normal', 'Started', 'started by hand');
    await settle();
    expect(posted()).to.have.length(4);
    sinon.assert.notCalled(mergePatch);
  });

  it('joins what is the same while it waits', async () => {
    for (let i = 0; i < 5; i++) events.record(widget('a'), 'Normal', 'Busy', 'busy');
    await events.flush(1000);
    const total = posted().reduce((sum, { count }) => sum + count, 0);
    expect(counts().at(-1) ?? total).to.equal(5);
    expect(create.callCount + mergePatch.callCount).to.be.below(3);
  });

  it('creates a new event when the API server has forgotten the old one', async () => {
    events.record(widget('a'), 'Normal', 'Started', 'started');
    await settle();
    mergePatch.rejects(refused(404, 'NotFound'));
    events.record(widget('a'), 'Normal', 'Started', 'started');
    await settle();
    expect(posted().map(({ count }) => count)).to.deep.equal([1, 1]);
  });

  it('lets one object have 25 at once and one more every five minutes', async () => {
    for (let i = 0; i < 30; i++) {
      events.record(widget('noisy'), 'Normal', 'Noise', `noise ${i}`);
      await settle();
    }
    expect(posted()).to.have.length(25);
    expect(events.dropped).to.equal(5);
    events.record(widget('quiet'), 'Normal', 'Noise', 'another object');
    await clock.advance(300_000);
    events.record(widget('noisy'), 'Normal', 'Noise', 'later');
    events.record(widget('noisy'), 'Normal', 'Noise', 'too soon');
    await settle();
    expect(
      posted()
        .map(({ message }) => message)
        .slice(25),
    ).to.deep.equal(['another object', 'later']);
  });

  it('drops the oldest when too many wait', async () => {
    create.callsFake(() => clock.sleep(1000));
    for (const name of ['a', 'b', 'c', 'd', 'e']) events.record(widget(name), 'Normal', 'R', 'm');
    await clock.advance(10_000);
    expect(posted().map(({ metadata }) => metadata.name[0])).to.deep.equal(['a', 'c', 'd', 'e']);
    expect(events.dropped).to.equal(1);
  });

  it('is patient with a busy API server, and gives up without a fuss', async () => {
    create.onFirstCall().rejects(refused(503, 'ServiceUnavailable'));
    events.record(widget('a'), 'Normal', 'R', 'm');
    await clock.advance(1000);
    sinon.assert.calledTwice(create);
    sinon.assert.notCalled(debug);
    create.rejects(refused(403, 'Forbidden'));
    events.record(widget('b'), 'Normal', 'R', 'm');
    await clock.advance(60_000);
    sinon.assert.calledThrice(create);
    sinon.assert.calledOnce(debug);
  });

  it('takes its own first attempt, whose answer was lost, for done', async () => {
    create.onFirstCall().rejects(new KubeError('KUBE_TIMEOUT', 'late', { retryable: true, unclear: true }));
    create.onSecondCall().rejects(refused(409, 'AlreadyExists'));
    events.record(widget('a'), 'Normal', 'R', 'm');
    await clock.advance(10_000);
    const [first, second] = posted();
    expect(second?.metadata.name).to.equal(first?.metadata.name);
    sinon.assert.notCalled(debug);
  });

  it('says nothing of a namespace that is being deleted', async () => {
    create.rejects(refused(403, 'Forbidden', 'NamespaceTerminating'));
    events.record(widget('a'), 'Normal', 'R', 'm');
    await clock.advance(60_000);
    sinon.assert.calledOnce(create);
    sinon.assert.notCalled(debug);
  });

  it('cuts messages at 1 KiB of UTF-8 and names at what the API server takes', async () => {
    events.record(widget('n'.repeat(253)), 'Normal', 'R', 'ü'.repeat(2000));
    await events.flush(1000);
    const [event] = posted();
    expect(Buffer.byteLength(event?.message ?? '')).to.be.within(1020, 1024);
    expect(event?.message).to.match(/^ü+…$/);
    expect(event?.metadata.name).to.have.length(253);
  });

  it('waits no longer than told for events that cannot be sent', async () => {
    create.returns(new Promise(() => undefined));
    events.record(widget('a'), 'Normal', 'R', 'm');
    let flushed = false;
    const flushing = events.flush(2000).then(() => (flushed = true));
    await clock.advance(1999);
    expect(flushed).to.equal(false);
    await clock.advance(1);
    await flushing;
    expect(flushed).to.equal(true);
  });
});
