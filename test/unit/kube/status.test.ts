import { expect } from 'chai';
import sinon from 'sinon';
import { KubeError } from '../../../src/kube/errors.ts';
import { StatusWriter } from '../../../src/kube/status.ts';
import { widget, widgets, type Widget } from '../../support/kube-objects.ts';

describe('StatusWriter', () => {
  const putStatus = sinon.stub();
  const mergePatch = sinon.stub();
  const assume = sinon.spy();
  const writer = new StatusWriter({
    client: { putStatus, mergePatch },
    assume,
    fieldManager: 'coder-operator',
  });
  const answer = widget('a', { rv: 9 });

  beforeEach(() => {
    putStatus.reset();
    mergePatch.reset();
    assume.resetHistory();
    putStatus.resolves(answer);
    mergePatch.resolves(answer);
  });

  it('writes a status that differs, and hands the answer to the store', async () => {
    const object = widget('a');
    expect(await writer.write<Widget>(widgets, object, { phase: 'Ready' })).to.equal(answer);
    sinon.assert.calledOnceWithExactly(
      putStatus,
      widgets,
      object,
      { phase: 'Ready' },
      {
        fieldManager: 'coder-operator',
      },
    );
    sinon.assert.calledOnceWithExactly(assume, widgets, answer);
  });

  it('sends nothing when nothing changes', async () => {
    const object: Widget = { ...widget('a'), status: { phase: 'Ready' } };
    expect(await writer.write<Widget>(widgets, object, { phase: 'Ready' })).to.equal(undefined);
    sinon.assert.notCalled(putStatus);
    sinon.assert.notCalled(assume);
  });

  it('lets a conflict through and assumes nothing', async () => {
    const conflict = new KubeError('KUBE_REFUSED', 'stale', { status: 409, reason: 'Conflict' });
    putStatus.rejects(conflict);
    const failed: unknown = await writer
      .write<Widget>(widgets, widget('a'), { phase: 'x' })
      .catch((e: unknown) => e);
    expect(failed).to.equal(conflict);
    sinon.assert.notCalled(assume);
  });

  it('adds and removes its finalizer with uid and resourceVersion, keeping those of others', async () => {
    await writer.addFinalizer(widgets, widget('a', { finalizers: ['theirs'] }), 'ours');
    await writer.removeFinalizer(widgets, widget('a', { finalizers: ['theirs', 'ours'] }), 'ours');
    const [added, removed] = mergePatch.args.map((args) => args.slice(1, 4) as unknown[]);
    const guard = { uid: 'uid-a', resourceVersion: '1' };
    expect(added).to.deep.equal(['default', 'a', { metadata: { ...guard, finalizers: ['theirs', 'ours'] } }]);
    expect(removed).to.deep.equal(['default', 'a', { metadata: { ...guard, finalizers: ['theirs'] } }]);
    sinon.assert.calledTwice(assume);
  });

  it('sends nothing for a finalizer that is there or away already', async () => {
    const having = widget('a', { finalizers: ['ours'] });
    const lacking = widget('a');
    expect(await writer.addFinalizer(widgets, having, 'ours')).to.equal(having);
    expect(await writer.removeFinalizer(widgets, lacking, 'ours')).to.equal(lacking);
    sinon.assert.notCalled(mergePatch);
  });

  it('takes an object that is gone for one without the finalizer', async () => {
    mergePatch.rejects(new KubeError('KUBE_REFUSED', 'gone', { status: 404, reason: 'NotFound' }));
    expect(await writer.removeFinalizer(widgets, widget('a', { finalizers: ['ours'] }), 'ours')).to.equal(
      undefined,
    );
  });
});
