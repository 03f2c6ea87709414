import { expect } from 'chai';
import { STRANGER } from '../../support/controller-coder.ts';
import { Loop, type LoopWorkspace } from '../../support/loop.ts';
import { has, messageOf } from '../../support/tenant.ts';

const DAY_MS = 86_400_000;

describe('a workspace that is deleted in Coder, through the running loop', function () {
  this.timeout(60_000);
  let loop: Loop;

  before(async () => {
    loop = await Loop.open();
  });

  after(async () => {
    // Absent when `before` has failed.
    await (loop as Loop | undefined)?.close();
  });

  function deletedByUser({ id }: LoopWorkspace): void {
    loop.coder.build('delete', STRANGER.id, 'initiator', { workspaceID: id });
  }

  /** Coder finds it unused, and deletes what has been so for too long. */
  function deletedByCoder({ id }: LoopWorkspace): void {
    loop.coder.becomeDormant(DAY_MS, id);
    loop.coder.finishBuilds('succeeded', '', id);
    loop.coder.autodelete(id);
  }

  it('F8. by a user: is created again under Enforce, after the cooldown', async () => {
    const w = await loop.applied('enforced', { running: true });
    const first = w.id;
    deletedByUser(w);
    const waiting = await w.until((o) => has(o, 'Reconciling', 'True', 'CorrectingDrift'));
    expect(waiting.status).to.include({ id: first, running: false });
    expect(messageOf(waiting, 'Reconciling')).to.match(
      /ann\/enforced was deleted in Coder; it is set right at .*: it is created again from docker/,
    );
    expect(w.calls).to.deep.equal(['create']);
    await w.untilTold('Warning', 'CorrectingDrift', 'was deleted in Coder');
    const { status } = await w.untilWell();
    expect(status?.id).not.to.equal(first);
    expect(status).to.include({ origin: 'Created', running: true });
    expect(status?.corrections).to.have.length(1);
    expect(w.calls).to.deep.equal(['create', 'create']);
    expect(loop.coder.present.filter(({ name }) => name === w.name)).to.have.length(1);
  });

  it('F8. by a user: is left under OnChange, until a person asks', async () => {
    const w = await loop.applied('on-change', { running: true, driftPolicy: 'OnChange' });
    deletedByUser(w);
    const object = await w.until((o) => has(o, 'Stalled', 'True', 'DeletedInCoder'));
    expect(has(object, 'Ready', 'False', 'DeletedInCoder')).to.equal(true);
    expect(object.status).not.to.have.any.keys('driftedAt', 'corrections');
    await w.untilTold('Warning', 'DeletedInCoder');
    expect(w.calls).to.deep.equal(['create']);
    await w.ask('again');
    await w.untilWell();
    expect(w.calls).to.deep.equal(['create', 'create']);
  });

  for (const driftPolicy of ['Enforce', 'OnChange'] as const) {
    it(`F8, F33. by Coder's own automation: is left under ${driftPolicy}, until a person asks`, async () => {
      const w = await loop.applied(`auto-${driftPolicy.toLowerCase()}`, { running: true, driftPolicy });
      deletedByCoder(w);
      const object = await w.until((o) => has(o, 'Stalled', 'True', 'DeletedInCoder'));
      expect(messageOf(object, 'Stalled')).to.include(
        driftPolicy === 'Enforce' ? 'Coder itself' : 'in Coder',
      );
      expect(object.status).not.to.have.any.keys('driftedAt', 'corrections');
      await w.untilTold('Warning', 'DeletedInCoder');
      // What a user deleted later is there again: this one was not waited for.
      const later = await loop.applied(`later-${driftPolicy.toLowerCase()}`, { running: true });
      deletedByUser(later);
      await later.until((o) => has(o, 'Reconciling', 'True', 'CorrectingDrift'));
      await later.untilWell();
      expect(w.calls).to.deep.equal(['create']);
      await w.ask('again');
      await w.untilWell();
      expect(w.calls).to.deep.equal(['create', 'create']);
    });
  }
});
