import { expect } from 'chai';
import sinon from 'sinon';
import { workspaces, type CoderWorkspace } from '../../../src/api/kinds.ts';
import type { CoderWorkspaceSpec, CoderWorkspaceStatus } from '../../../src/api/generated.ts';
import { RememberingWriter } from '../../../src/controller/writer.ts';
import { KubeError } from '../../../src/kube/errors.ts';
import { conflict, HeldObject } from '../../support/controller-kube.ts';
import { workspaceInput } from '../../support/controller-records.ts';
import { decideWorkspace } from '../../../src/controller/workspace/decide.ts';

function statusOf(): CoderWorkspaceStatus {
  const step = decideWorkspace(
    workspaceInput({ metadata: { generation: 1 } }, { connection: { state: 'none' } }),
  );
  if (step.do !== 'report') throw new Error('expected a report');
  return step.status;
}

describe('RememberingWriter', () => {
  let held: HeldObject<CoderWorkspaceSpec, CoderWorkspaceStatus>;
  beforeEach(() => {
    held = new HeldObject('acme.ann.dev', {});
  });
  const object = (): CoderWorkspace => {
    if (held.object === undefined) throw new Error('it is gone');
    return held.object;
  };

  it('knows the echo of its own last write from anything newer', async () => {
    const { writer } = held;
    expect(writer.isOwnWrite(workspaces, object())).to.equal(false);
    const written = await writer.writeStatus(workspaces, object(), statusOf());
    expect(writer.isOwnWrite(workspaces, written)).to.equal(true);
    held.apply((spec) => ({ ...spec, running: true }));
    expect(writer.isOwnWrite(workspaces, object())).to.equal(false);
    const holding = await writer.setFinalizer(workspaces, object(), 'coder.com/workspace', true);
    expect(holding !== undefined && writer.isOwnWrite(workspaces, holding)).to.equal(true);
    writer.forget(workspaces, object());
    expect(writer.isOwnWrite(workspaces, object())).to.equal(false);
  });

  it('writes nothing that is there already, and gives the very same object', async () => {
    const written = await held.writer.writeStatus(workspaces, object(), statusOf());
    const again = await held.writer.writeStatus(workspaces, written, { ...statusOf(), id: undefined });
    expect(again).to.equal(written);
    expect(held.writes).to.equal(1);
  });

  it('takes and leaves a finalizer, and knows when the object goes with it', async () => {
    const name = 'coder.com/workspace';
    await held.writer.setFinalizer(workspaces, object(), name, true);
    expect(object().metadata.finalizers).to.deep.equal([name]);
    held.delete();
    await held.writer.setFinalizer(workspaces, object(), name, false);
    expect(held.object).to.equal(undefined);
  });
});

describe('RememberingWriter, of objects of our own', () => {
  const create = sinon.stub();
  const mergePatch = sinon.stub();
  const putStatus = sinon.stub();
  const remove = sinon.stub();
  const assume = sinon.spy();
  let writer: RememberingWriter;
  beforeEach(() => {
    for (const call of [create, mergePatch, putStatus, remove]) call.reset();
    assume.resetHistory();
    const kube = { create, mergePatch, putStatus, delete: remove };
    writer = new RememberingWriter({ kube, fieldManager: 'coder-operator', assume });
  });
  const object = (resourceVersion: string): CoderWorkspace => ({
    metadata: { name: 'acme.ann.dev', namespace: 'team', uid: 'u1', resourceVersion },
    spec: {},
  });
  const mirror = { metadata: { name: 'acme.ann.dev', namespace: 'team' }, spec: {} };

  it('creates under the manager of mirrors, and knows the echo', async () => {
    create.resolves(object('7'));
    const created = await writer.create<CoderWorkspace>(workspaces, mirror, 'coder-operator-mirror');
    expect(created).to.deep.equal(object('7'));
    sinon.assert.calledOnceWithExactly(create, workspaces, mirror, { fieldManager: 'coder-operator-mirror' });
    sinon.assert.calledOnceWithExactly(assume, workspaces, created);
    expect(writer.isOwnWrite(workspaces, created)).to.equal(true);
    expect(writer.isOwnWrite(workspaces, object('8'))).to.equal(false);
  });

  it('sets and takes off labels of just the state that it knows', async () => {
    mergePatch.resolves(object('8'));
    const labels = { 'coder.com/mirror': null, 'coder.com/owner': 'bob' };
    const answer = await writer.setLabels(workspaces, object('7'), labels, 'coder-operator-mirror');
    sinon.assert.calledOnceWithExactly(
      mergePatch,
      workspaces,
      'team',
      'acme.ann.dev',
      { metadata: { uid: 'u1', resourceVersion: '7', labels } },
      { fieldManager: 'coder-operator-mirror' },
    );
    sinon.assert.calledOnceWithExactly(assume, workspaces, answer);
    expect(writer.isOwnWrite(workspaces, answer)).to.equal(true);
  });

  it('removes just the state that it knows, and takes one that is gone for removed', async () => {
    remove.resolves();
    await writer.remove(workspaces, object('7'));
    sinon.assert.calledOnceWithExactly(remove, workspaces, 'team', 'acme.ann.dev', {
      preconditions: { uid: 'u1', resourceVersion: '7' },
    });
    remove.rejects(new KubeError('KUBE_REFUSED', 'gone', { status: 404, reason: 'NotFound' }));
    await writer.remove(workspaces, object('7'));
  });

  it('lets a conflict through, and assumes nothing', async () => {
    const stale = conflict();
    for (const call of [create, mergePatch, remove]) call.rejects(stale);
    const failures = await Promise.all(
      [
        writer.create(workspaces, mirror, 'm'),
        writer.setLabels(workspaces, object('7'), {}, 'm'),
        writer.remove(workspaces, object('7')),
      ].map((write) => write.catch((error: unknown) => error)),
    );
    expect(failures).to.deep.equal([stale, stale, stale]);
    sinon.assert.notCalled(assume);
    expect(writer.isOwnWrite(workspaces, object('7'))).to.equal(false);
  });

  describe('afterWrite', () => {
    const writes: [string, sinon.SinonStub, () => Promise<unknown>][] = [
      ['create', create, () => writer.create(workspaces, mirror, 'm')],
      ['setLabels', mergePatch, () => writer.setLabels(workspaces, object('7'), {}, 'm')],
      ['setFinalizer', mergePatch, () => writer.setFinalizer(workspaces, object('7'), 'f', true)],
      ['writeStatus', putStatus, () => writer.writeStatus(workspaces, object('7'), statusOf())],
    ];
    /** From now on the call has no answer before the function that comes back gives it. */
    function answerLater(call: sinon.SinonStub): (answer: CoderWorkspace | Error) => void {
      let give: (answer: CoderWorkspace | Error) => void = () => undefined;
      const answer = new Promise<CoderWorkspace>((resolve, reject) => {
        give = (given): void => (given instanceof Error ? reject(given) : resolve(given));
      });
      call.returns(answer);
      return (given) => give(given);
    }

    it('waits for all that is under way', async () => {
      const first = answerLater(create);
      const second = answerLater(mergePatch);
      const creating = writer.create(workspaces, mirror, 'm');
      const setting = writer.setLabels(workspaces, object('7'), {}, 'm');
      let isTold = false;
      writer.afterWrite(workspaces, object('8'), () => (isTold = true));
      first(object('7'));
      await creating;
      expect(isTold).to.equal(false);
      second(object('8'));
      await setting;
      expect(isTold).to.equal(true);
    });

    for (const [name, call, write] of writes) {
      for (const ends of ['works', 'fails'] as const) {
        it(`calls back when ${name} ${ends}, and knows then whose the echo is`, async () => {
          const answer = answerLater(call);
          const told: [string, boolean][] = [];
          const tell = (resourceVersion: string): void => {
            writer.afterWrite(workspaces, object(resourceVersion), () =>
              told.push([resourceVersion, writer.isOwnWrite(workspaces, object(resourceVersion))]),
            );
          };
          const writing = write().catch(() => undefined);
          for (const version of ['8', '9']) tell(version);
          writer.afterWrite(workspaces, { metadata: { name: 'other', namespace: 'team' } }, () =>
            told.push(['other', false]),
          );
          expect(told, 'others do not wait').to.deep.equal([['other', false]]);
          answer(ends === 'works' ? object('8') : conflict());
          await writing;
          expect(told.slice(1)).to.deep.equal([
            ['8', ends === 'works'],
            ['9', false],
          ]);
          tell('9');
          expect(told, 'nothing is under way any more').to.have.length(4);
        });
      }
    }
  });
});
