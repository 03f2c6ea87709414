import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import { isConflict, isForbidden, isGone, isInvalid } from '../../../src/coder/errors.ts';
import type { Template, WorkspaceBuild } from '../../../src/coder/types.ts';
import { expectFailure, refusalIn, type Contract } from './contract.ts';

/** What is under way and is to end early. */
export function cancelContract(c: Contract): void {
  let template: Template;
  /** Its builds go on until they are cancelled. As with the next, anybody may do that. */
  let hanging: Template;
  let mixed: Template;

  before(async () => {
    template = await c.newTemplate();
    const settings = { allow_user_cancel_workspace_jobs: true };
    hanging = await c.newTemplate({ builds: 'hang' }, settings);
    mixed = await c.newTemplate({}, settings);
  });

  const cancel = async (buildID: string, expected?: string): ReturnType<typeof c.ask> => {
    const query = expected === undefined ? '' : `?expect_status=${expected}`;
    return c.ask('PATCH', `/workspacebuilds/${buildID}/cancel${query}`);
  };

  /** The build that is under way, once a provisioner has it. */
  async function running(id: string): Promise<WorkspaceBuild> {
    const { latest_build } = await c.harness.until(
      () => c.client.workspace(id),
      ({ latest_build: last }) => last.job.status === 'running',
    );
    return latest_build;
  }

  it('is marked at once and ends as failed, as soon as its provisioner has noticed', async () => {
    const { id } = await c.create(hanging);
    const build = await running(id);
    expect(build.status).to.equal('starting');
    await expectFailure(c.client.createBuild(id, { transition: 'start' }), isConflict);
    expect(refusalIn(await cancel(build.id, 'pending')).status, 'expected elsewhere').to.equal(412);
    expect(refusalIn(await cancel(build.id, 'succeeded')).status, 'expected nowhere known').to.equal(400);
    expect(refusalIn(await cancel(randomUUID())).status).to.equal(404);
    expect((await c.client.workspace(id)).latest_build.status).to.equal('starting');
    expect((await cancel(build.id, 'running')).status).to.equal(200);
    const { latest_build: marked } = await c.client.workspace(id);
    expect(['canceling', 'failed'], 'canceled is what never ran').to.include(marked.status);
    const { latest_build: ended } = await c.settled(id);
    expect(ended).to.include({ id: build.id, status: 'failed', transition: 'start' });
    expect(ended.job).to.include({ status: 'failed', error: 'canceled' });
    expect(ended.job.completed_at).to.be.a('string');
    const again = refusalIn(await cancel(build.id));
    expect(again).to.include({ status: 400, message: 'Job has already completed!' });
    const version = await c.newVersion(hanging.id);
    const next = await c.build(id, 'stop', { template_version_id: version.id });
    expect(next).to.include({ build_number: 2, status: 'stopped' });
  });

  it('is no deletion: what was to be deleted is there, and may be deleted again', async () => {
    const { id, latest_build: first } = await c.newWorkspace(mixed);
    const version = await c.newVersion(mixed.id, { builds: 'hang' });
    await c.client.createBuild(id, { transition: 'delete', template_version_id: version.id });
    const deletion = await running(id);
    expect(deletion).to.include({ transition: 'delete', status: 'deleting' });
    await expectFailure(c.client.createBuild(id, { transition: 'delete' }), isConflict);
    expect((await cancel(deletion.id)).status).to.equal(200);
    expect((await c.settled(id)).latest_build).to.include({ transition: 'delete', status: 'failed' });
    expect(await c.client.workspace(id)).to.include({ id });
    await c.build(id, 'delete', { template_version_id: first.template_version_id });
    await expectFailure(c.client.workspace(id), isGone);
  });

  it('is for owners only, unless the template allows it', async () => {
    const strict = await c.newTemplate({ builds: 'hang' });
    const { id } = await c.create(strict);
    const build = await running(id);
    expect(refusalIn(await cancel(build.id)).status).to.equal(403);
    expect(refusalIn(await cancel(build.id, 'running')).status).to.equal(403);
    expect(refusalIn(await cancel(build.id, 'pending')).status, 'it has begun').to.equal(412);
    expect((await c.client.workspace(id)).latest_build.status).to.equal('starting');
    await c.harness.cancel(id);
    await c.settled(id);
  });

  it('is at once what has not begun, and leaves room for the next', async () => {
    const [{ id }, strict] = [await c.newWorkspace(mixed), await c.newWorkspace(template)];
    await c.harness.holdBuilds();
    try {
      const stop = await c.client.createBuild(id, { transition: 'stop' });
      await expectFailure(c.client.createBuild(id, { transition: 'start' }), isConflict);
      expect((await cancel(stop.id, 'pending')).status).to.equal(200);
      const { latest_build: last } = await c.client.workspace(id);
      expect(last).to.include({ id: stop.id, status: 'canceled', transition: 'stop', build_number: 2 });
      expect(last.job.completed_at).to.be.a('string');
      expect(last.job.error).to.equal(undefined);
      const next = await c.client.createBuild(id, { transition: 'stop' });
      expect(next).to.include({ build_number: 3, status: 'pending' });
      // Coder means to let everybody do this, and its database does not.
      const other = await c.client.createBuild(strict.id, { transition: 'stop' });
      expect((await cancel(other.id, 'pending')).status, 'where the template forbids it').to.equal(500);
      expect((await c.client.workspace(strict.id)).latest_build.status).to.equal('pending');
    } finally {
      await c.harness.releaseBuilds();
    }
    expect((await c.settled(id)).latest_build).to.include({ status: 'stopped', build_number: 3 });
    expect((await c.settled(strict.id)).latest_build).to.include({ status: 'stopped', build_number: 2 });
  });

  it('is also an import, which keeps its name and is of no use', async () => {
    const name = c.nameOf('v');
    const { id } = await c.newVersion(template.id, { imports: 'hang' }, name);
    const path = `/templateversions/${id}/cancel`;
    expect((await c.ask('PATCH', path)).status).to.equal(200);
    const { job } = await c.client.templateVersion(id);
    expect(job).to.include({ status: 'canceled' });
    expect(job).not.to.have.property('error');
    expect(job.completed_at).to.be.a('string');
    expect(refusalIn(await c.ask('PATCH', path)).status).to.equal(400);
    await expectFailure(c.client.promoteTemplateVersion(template.id, id), isForbidden);
    const workspace = { name: c.nameOf('w'), template_version_id: id };
    await expectFailure(c.client.createWorkspace(c.owner, workspace), isInvalid);
    const file_id = await c.upload({});
    const again = { template_id: template.id, name, file_id, provisioner: 'echo' } as const;
    await expectFailure(c.client.createTemplateVersion(c.organizationID, again), isConflict);
  });
}
