import { expect } from 'chai';
import { workspaces, type CoderWorkspace } from '../../../src/api/kinds.ts';
import type { CoderWorkspaceSpec, CoderWorkspaceStatus } from '../../../src/api/generated.ts';
import { isBeingUninstalled } from '../../../src/controller/context.ts';
import type { KubeClient } from '../../../src/kube/client.ts';
import { KubeError } from '../../../src/kube/errors.ts';
import { HeldObject } from '../../support/controller-kube.ts';
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

describe('isBeingUninstalled', () => {
  const answering = (answer: () => object): KubeClient =>
    ({ get: () => new Promise((resolve) => resolve(answer())) }) as unknown as KubeClient;
  const refuse =
    (status: number, reason: string): (() => never) =>
    () => {
      throw new KubeError('KUBE_REFUSED', 'x', { status, reason });
    };

  it('is so when the CRD is going or gone, and not when it is there', async () => {
    const metadata = { name: 'coderworkspaces.coder.com' };
    expect(
      await isBeingUninstalled(
        answering(() => ({ metadata })),
        workspaces,
      ),
    ).to.equal(false);
    const going = { metadata: { ...metadata, deletionTimestamp: 'now' } };
    expect(
      await isBeingUninstalled(
        answering(() => going),
        workspaces,
      ),
    ).to.equal(true);
    expect(await isBeingUninstalled(answering(refuse(404, 'NotFound')), workspaces)).to.equal(true);
  });

  it('is not guessed when the API server does not say', async () => {
    const asked = isBeingUninstalled(answering(refuse(403, 'Forbidden')), workspaces);
    expect(await asked.catch((error: unknown) => error)).to.be.instanceOf(KubeError);
  });
});
