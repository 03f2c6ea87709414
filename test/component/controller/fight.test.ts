import { expect } from 'chai';
import { OPERATOR, OWNER } from '../../support/controller-coder.ts';
import { Loop, type LoopWorkspace } from '../../support/loop.ts';
import { has, messageOf } from '../../support/tenant.ts';

const BUDGET = 3;

/** The same over hours is in test/unit/controller/workspace/fight.test.ts. */
describe('a fight, through the running loop', function () {
  this.timeout(60_000);
  let loop: Loop;

  before(async () => {
    loop = await Loop.open();
  });

  after(async () => {
    // Absent when `before` has failed.
    await (loop as Loop | undefined)?.close();
  });

  const byOwner = ({ id }: LoopWorkspace, transition: string): void =>
    loop.coder.build(transition, OWNER.id, 'dashboard', { workspaceID: id });

  it('F35. ends when the budget is spent: the operator says so and sends nothing more', async () => {
    const w = await loop.applied('fought-over', { running: true });
    for (let i = 1; i <= BUDGET; i++) {
      byOwner(w, 'stop');
      await w.until((o) => has(o, 'Drifted', 'True', 'StoppedByUser'));
      const { status } = await w.untilWell();
      expect(status?.corrections).to.have.length(i);
    }
    const corrected = ['create', ...Array.from({ length: BUDGET }, () => 'start')];
    expect(w.calls).to.deep.equal(corrected);

    const spent = /as often as is allowed in an hour, and is again at 20\d\d-/;
    byOwner(w, 'stop');
    const object = await w.until((o) => spent.test(messageOf(o, 'Drifted')));
    expect(has(object, 'Drifted', 'True', 'StoppedByUser')).to.equal(true);
    expect(has(object, 'Reconciling', 'True', 'CorrectingDrift')).to.equal(true);
    expect(has(object, 'Ready', 'False', 'CorrectingDrift')).to.equal(true);
    expect(messageOf(object, 'Reconciling')).to.match(spent);
    await w.untilTold('Warning', 'StoppedByUser', spent);

    // Whoever goes on has it to himself: each of these stops is one that is not set right.
    for (let i = 0; i < 3; i++) {
      byOwner(w, 'start');
      await w.untilWell();
      byOwner(w, 'stop');
      await w.until((o) => spent.test(messageOf(o, 'Drifted')));
    }
    expect(w.calls).to.deep.equal(corrected);
    const ours = loop.coder.history.filter(
      ({ build }) => build.workspace_id === w.id && build.initiator_id === OPERATOR.id,
    );
    expect(ours.map(({ build }) => build.transition)).to.deep.equal(['start', 'start', 'start', 'start']);

    await w.ask('this once more');
    await w.untilWell();
    expect(w.calls).to.deep.equal([...corrected, 'start']);
  });

  it('has one budget for all that is fought over', async () => {
    const w = await loop.applied('settings', { running: true, ttlMillis: 3_600_000 });
    const ttl = (): void => loop.coder.changeSettings({ ttl: 60_000 }, w.id);
    for (const [meddle, reason] of [
      [ttl, 'SettingsChanged'],
      [() => byOwner(w, 'stop'), 'StoppedByUser'],
      [ttl, 'SettingsChanged'],
    ] as const) {
      meddle();
      await w.until((o) => has(o, 'Drifted', 'True', reason));
      await w.untilWell();
    }
    ttl();
    const object = await w.until((o) => messageOf(o, 'Drifted').includes('as often as is allowed'));
    expect(has(object, 'Ready', 'True', 'Running')).to.equal(true);
    await w.untilTold('Warning', 'SettingsChanged', 'as often as is allowed');
    expect(w.calls).to.deep.equal(['create', 'ttl 3600000', 'start', 'ttl 3600000']);
  });
});
