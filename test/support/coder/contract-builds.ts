import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import { isConflict, isInvalid, isNotFound } from '../../../src/coder/errors.ts';
import type { Template, Workspace } from '../../../src/coder/types.ts';
import { expectFailure, type Contract } from './contract.ts';

export function buildsContract(c: Contract): void {
  let template: Template;
  let workspace: Workspace;

  before(async () => {
    template = await c.newTemplate();
    workspace = await c.newWorkspace(template);
  });

  it('are made also when the workspace is in that state already', async () => {
    const { id } = await c.newWorkspace(template);
    const answer = await c.client.createBuild(id, { transition: 'stop' });
    expect(answer).to.include({ build_number: 2, transition: 'stop', status: 'pending', workspace_id: id });
    expect(answer).not.to.have.property('template_version_name');
    expect((await c.settled(id)).latest_build).to.include({ id: answer.id, status: 'stopped' });
    expect(await c.build(id, 'stop')).to.include({ build_number: 3, status: 'stopped' });
    expect(await c.build(id, 'start')).to.include({ build_number: 4, status: 'running' });
    const builds = await c.client.builds(id, { limit: 2 });
    expect(builds.map(({ build_number }) => build_number)).to.deep.equal([4, 3]);
  });

  it('say who made them', async () => {
    const me = await c.client.me();
    const { id } = await c.newWorkspace(template);
    await c.harness.buildByHand(id, { transition: 'stop' });
    const { latest_build: byHand } = await c.settled(id);
    expect(byHand).to.include({ build_number: 2, transition: 'stop', reason: 'initiator' });
    expect(byHand.initiator_id).to.not.equal(me.id);
    expect((await c.build(id, 'start')).initiator_id).to.equal(me.id);
  });

  it('keep the version of the build before, unless another is asked for', async () => {
    const { id, latest_build: first } = await c.newWorkspace(template);
    const version = await c.promoted(template.id);
    expect(await c.build(id, 'stop')).to.include({ template_version_id: first.template_version_id });
    expect(await c.build(id, 'start')).to.include({ template_version_id: first.template_version_id });
    const updated = await c.build(id, 'start', { template_version_id: version.id });
    expect(updated).to.include({ template_version_id: version.id, template_version_name: version.name });
    expect(await c.build(id, 'stop')).to.include({ template_version_id: version.id });
  });

  it('are refused for a version of another template, and for one that does not exist', async () => {
    const { active_version_id: strange } = await c.newTemplate();
    for (const version of [strange, randomUUID()]) {
      const start = { transition: 'start', template_version_id: version } as const;
      const error = await expectFailure(c.client.createBuild(workspace.id, start), isInvalid);
      expect(error.status).to.equal(400);
    }
  });

  it('are refused for what does not exist', async () => {
    await expectFailure(c.client.createBuild(randomUUID(), { transition: 'start' }), isNotFound);
    await expectFailure(c.client.buildParameters(randomUUID()), isNotFound);
    const orphan = { transition: 'start', orphan: true } as const;
    await expectFailure(c.client.createBuild(workspace.id, orphan), isInvalid);
  });

  it('that fail say why', async () => {
    const failing = await c.newTemplate({ builds: 'fail' });
    const { latest_build } = await c.newWorkspace(failing);
    expect(latest_build).to.include({ transition: 'start', status: 'failed' });
    expect(latest_build.job.status).to.equal('failed');
    expect(latest_build.job.error).to.include('terraform says no');
    expect(latest_build).not.to.have.property('deadline');
  });

  it('are made one at a time, and end as failed when they are cancelled while they run', async () => {
    const { id } = await c.create(await c.newTemplate({ builds: 'hang' }));
    const { latest_build: busy } = await c.harness.until(
      () => c.client.workspace(id),
      ({ latest_build }) => latest_build.job.status === 'running',
    );
    expect(busy.status).to.equal('starting');
    const error = await expectFailure(c.client.createBuild(id, { transition: 'stop' }), isConflict);
    expect(error.coderMessage).to.include('already active');
    const active = await c.client.provisionerJobs(c.organizationID, { status: ['pending', 'running'] });
    expect(active.map(({ metadata }) => metadata?.workspace_id)).to.include(id);
    await c.harness.cancel(id);
    const { latest_build: ended } = await c.settled(id);
    expect(ended).to.include({ id: busy.id, status: 'failed' });
    expect(ended.job).to.include({ status: 'failed', error: 'canceled' });
  });

  it('end as cancelled when they are cancelled before they run', async () => {
    await c.harness.holdBuilds();
    try {
      const { id } = await c.create(template);
      const { latest_build } = await c.client.workspace(id);
      expect(latest_build).to.include({ status: 'pending' });
      await c.harness.cancel(id);
      const { latest_build: ended } = await c.client.workspace(id);
      expect(ended).to.include({ status: 'canceled' });
      expect(ended.job.status).to.equal('canceled');
      expect(ended.job.error).to.equal(undefined);
    } finally {
      await c.harness.releaseBuilds();
    }
  });
}
