import { expect } from 'chai';
import { isForbidden, isGone } from '../../../src/coder/errors.ts';
import type { Template, WorkspaceBuild } from '../../../src/coder/types.ts';
import { expectFailure, type Contract } from './contract.ts';

const HOUR_MS = 3_600_000;

export function automationContract(c: Contract): void {
  let template: Template;

  before(async () => {
    template = await c.newTemplate();
  });

  /** The build with this number, when it has ended. */
  async function automatic(id: string, number: number): Promise<WorkspaceBuild> {
    await c.harness.until(
      () => c.client.workspace(id, { includeDeleted: true }),
      ({ latest_build }) => latest_build.build_number >= number,
    );
    return (await c.settled(id)).latest_build;
  }

  it('stops at the deadline, in the name of the owner', async () => {
    const { id, owner_id } = await c.newWorkspace(template, { ttl_ms: HOUR_MS });
    await c.harness.passDeadline(id);
    expect(await automatic(id, 2)).to.include({
      build_number: 2,
      transition: 'stop',
      status: 'stopped',
      reason: 'autostop',
      initiator_id: owner_id,
    });
  });

  it('starts by the schedule, in the name of the owner and with the version of before', async () => {
    const { id, owner_id, latest_build } = await c.newWorkspace(template);
    await c.build(id, 'stop');
    await c.promoted(template.id);
    await c.client.setAutostart(id, '* * * * *');
    await c.harness.reachSchedule(id);
    expect(await automatic(id, 3)).to.include({
      build_number: 3,
      transition: 'start',
      status: 'running',
      reason: 'autostart',
      initiator_id: owner_id,
      template_version_id: latest_build.template_version_id,
    });
    await c.client.setAutostart(id, '');
  });

  it('starts with the active version where updates are automatic', async () => {
    const { id } = await c.newWorkspace(template, { automatic_updates: 'always' });
    await c.build(id, 'stop');
    const version = await c.promoted(template.id);
    await c.client.setAutostart(id, '* * * * *');
    await c.harness.reachSchedule(id);
    expect(await automatic(id, 3)).to.include({ reason: 'autostart', template_version_id: version.id });
    await c.client.setAutostart(id, '');
  });

  it('makes dormant and stops what nobody uses; a start by hand wakes it', async () => {
    const { id, last_used_at: before = '' } = await c.newWorkspace(template);
    await c.harness.becomeDormant(id);
    expect(await automatic(id, 2)).to.include({ transition: 'stop', status: 'stopped', reason: 'dormancy' });
    const dormant = await c.client.workspace(id);
    expect(Date.parse(dormant.dormant_at ?? '')).to.be.greaterThan(0);
    expect(Date.parse(dormant.deleting_at ?? '')).to.be.greaterThan(Date.parse(dormant.dormant_at ?? ''));
    expect(dormant.last_used_at).to.equal(before);
    const start = c.client.createBuild(id, { transition: 'start' });
    if (c.isBefore('2.30')) {
      // A workspace had to be woken before it could be started.
      await expectFailure(start, isForbidden);
      return;
    }
    await start;
    const awake = await c.client.workspace(id);
    expect(awake).not.to.have.any.keys('dormant_at', 'deleting_at');
    expect(Date.parse(awake.last_used_at ?? '')).to.be.greaterThan(Date.parse(before));
    expect((await c.settled(id)).latest_build).to.include({ status: 'running', reason: 'initiator' });
  });

  it('deletes what is dormant for too long, and says so', async () => {
    const { id, owner_id } = await c.newWorkspace(template);
    await c.harness.becomeDormant(id);
    await automatic(id, 2);
    await c.harness.autodelete(id);
    expect(await automatic(id, 3)).to.include({
      transition: 'delete',
      status: 'deleted',
      reason: 'autodelete',
      initiator_id: owner_id,
    });
    await expectFailure(c.client.workspace(id), isGone);
  });
}
