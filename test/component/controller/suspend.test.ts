import { expect } from 'chai';
import { OWNER } from '../../support/controller-coder.ts';
import { Loop, type LoopWorkspace } from '../../support/loop.ts';
import { has, messageOf } from '../../support/tenant.ts';

const HOUR_MS = 3_600_000;

describe('suspending, through the running loop', function () {
  this.timeout(60_000);
  let loop: Loop;

  beforeEach(async () => {
    loop = await Loop.open();
  });

  afterEach(async () => {
    // Absent when `beforeEach` has failed.
    await (loop as Loop | undefined)?.close();
  });

  const byOwner = ({ id }: LoopWorkspace, transition: string): void =>
    loop.coder.build(transition, OWNER.id, 'dashboard', { workspaceID: id });

  const untilSuspended = (w: LoopWorkspace, text: string): ReturnType<LoopWorkspace['until']> =>
    w.until((o) => has(o, 'Ready', 'False', 'Suspended') && messageOf(o, 'Ready').includes(text));

  async function suspendControlPlane(): Promise<void> {
    await loop.patchControlPlane({ suspend: true });
    await loop.untilControlPlane((c) => has(c, 'Suspended', 'True', 'SuspendedBySpec'));
  }

  it('a workspace sends nothing while people meddle with it, and goes on after', async () => {
    const [w, other] = await Promise.all([
      loop.applied('suspended', { running: true, ttlMillis: HOUR_MS }),
      loop.applied('other', { running: true }),
    ]);
    await w.patch({ suspend: true });
    await w.until((o) => has(o, 'Ready', 'True') && has(o, 'Suspended', 'True', 'SuspendedBySpec'));
    const calls = w.calls;

    byOwner(w, 'stop');
    byOwner(other, 'stop');
    await untilSuspended(w, 'Starting the workspace again');
    loop.coder.changeSettings({ ttl: 2 * HOUR_MS }, w.id);
    await untilSuspended(w, `Setting spec.ttlMillis ${HOUR_MS} in Coder`);
    await w.patch({ autostartSchedule: '0 8 * * *', running: false });
    await w.until((o) => has(o, 'Suspended', 'True') && o.status?.power?.running === false);
    expect(w.object.status).not.to.have.any.keys('pendingOperation', 'corrections');
    expect(w.calls).to.deep.equal(calls);
    await other.until((o) => has(o, 'Ready', 'True') && o.status?.corrections?.length === 1);

    await w.patch({ suspend: null });
    const { status } = await w.untilWell();
    expect(has(w.object, 'Suspended', 'True')).to.equal(false);
    expect(status?.observed).to.include({ ttlMillis: HOUR_MS, autostartSchedule: '0 8 * * *' });
    expect(w.calls.slice(calls.length)).to.have.members([`ttl ${HOUR_MS}`, 'autostart 0 8 * * *']);
  });

  it('a control plane stops all of its workspaces, and those still to be made and deleted', async () => {
    const [stopped, deleted] = await Promise.all([
      loop.applied('stopped', { running: true }),
      loop.applied('deleted', { running: true }),
    ]);
    await suspendControlPlane();
    for (const w of [stopped, deleted]) {
      await w.until((o) => has(o, 'Suspended', 'True', 'SuspendedByControlPlane'));
    }
    const before = loop.server.changes.length;
    byOwner(stopped, 'stop');
    loop.coder.build('delete', OWNER.id, 'dashboard', { workspaceID: deleted.id });
    const wished = await loop.apply('wished', { running: true });
    await untilSuspended(wished, 'Not done while suspended');
    await untilSuspended(stopped, 'Starting the workspace again');
    await untilSuspended(deleted, 'Not done while suspended');
    expect(loop.server.changes.slice(before)).to.deep.equal([]);
    expect(wished.object.metadata.finalizers ?? []).to.deep.equal([]);

    await loop.patchControlPlane({ suspend: false });
    for (const w of [stopped, deleted, wished]) {
      await w.until((o) => has(o, 'Ready', 'True') && !has(o, 'Suspended', 'True'));
    }
    expect(stopped.calls).to.deep.equal(['create', 'start']);
    expect(deleted.calls).to.deep.equal(['create', 'create']);
    expect(wished.calls).to.deep.equal(['create']);
  });

  it('a control plane stops what is decided already: the announcement is taken back and nothing is sent', async () => {
    const w = await loop.applied('decided', { running: true });
    const announcements = (): number => w.statuses.filter((s) => s.pendingOperation?.type === 'Stop').length;
    // The last look before the stop, which was decided on the control plane as it was before.
    const look = loop.server.holdNext('GET', new RegExp(`/workspaces/${w.id}$`));
    await w.patch({ running: false });
    await look.arrived;
    await suspendControlPlane();
    expect(announcements()).to.equal(0);
    look.release();
    await untilSuspended(w, 'Stopping the workspace');
    expect(announcements(), 'announced, and taken back').to.be.at.least(1);
    expect(w.object.status).not.to.have.property('pendingOperation');
    expect(w.calls).to.deep.equal(['create']);

    await loop.patchControlPlane({ suspend: false });
    await w.untilWell();
    expect(w.calls).to.deep.equal(['create', 'stop']);
  });

  it('a workspace stops what is decided already: the announcement fails on the stale copy', async () => {
    const w = await loop.applied('stale', { running: true });
    const look = loop.server.holdNext('GET', new RegExp(`/workspaces/${w.id}$`));
    await w.patch({ running: false });
    await look.arrived;
    await w.patch({ suspend: true });
    look.release();
    await untilSuspended(w, 'Stopping the workspace');
    expect(
      w.statuses.filter((s) => s.pendingOperation !== undefined && s.pendingOperation.type !== 'Create'),
    ).to.deep.equal([]);
    expect(w.calls).to.deep.equal(['create']);

    await w.patch({ suspend: false });
    await w.untilWell();
    expect(w.calls).to.deep.equal(['create', 'stop']);
  });
});
