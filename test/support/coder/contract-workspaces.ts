import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import { isConflict, isGone, isInvalid, isNotFound } from '../../../src/coder/errors.ts';
import type { CreateWorkspaceRequest, Template, Workspace } from '../../../src/coder/types.ts';
import { expectFailure, faults, hasEnded, type Contract } from './contract.ts';

export function workspacesContract(c: Contract): void {
  let template: Template;
  let workspace: Workspace;

  before(async () => {
    template = await c.newTemplate();
    workspace = await c.newWorkspace(template);
  });

  it('begin with a start that waits its turn', async () => {
    const me = await c.client.me();
    const made = await c.create(template);
    expect(made).to.include({ owner_name: c.owner, template_id: template.id, outdated: false });
    const first = made.latest_build;
    expect(first).to.include({
      build_number: 1,
      transition: 'start',
      status: 'pending',
      reason: 'initiator',
    });
    expect(first).to.include({ initiator_id: me.id, template_version_id: template.active_version_id });
    expect(first.job.status).to.equal('pending');
    expect(first, 'an answer to a POST').not.to.have.property('template_version_name');
    const { latest_build: ended } = await c.settled(made.id);
    expect(ended).to.include({ id: first.id, status: 'running', initiator_name: me.username });
    expect(ended.job.status).to.equal('succeeded');
    expect(Date.parse(ended.job.completed_at ?? '')).to.be.at.least(Date.parse(ended.job.created_at));
    const version = await c.client.templateVersion(template.active_version_id);
    expect(ended.template_version_name).to.equal(version.name);
  });

  it('have no settings and are healthy if nobody says otherwise', () => {
    expect(workspace).not.to.have.any.keys('ttl_ms', 'autostart_schedule', 'dormant_at', 'deleting_at');
    expect(workspace).to.include({ automatic_updates: 'never', is_prebuild: false });
    expect(workspace.latest_build).not.to.have.any.keys('deadline', 'max_deadline');
    expect(workspace.health).to.deep.equal({ healthy: true, failing_agents: [] });
    expect(Date.parse(workspace.last_used_at ?? '')).to.be.at.least(Date.parse(workspace.created_at));
  });

  it('are found by id, by name in any case and by search', async () => {
    const byName = await c.client.workspaceByName(c.owner.toUpperCase(), workspace.name.toUpperCase());
    expect(byName).to.include({ id: workspace.id });
    const query = `id:${workspace.id},${randomUUID()}`;
    const { workspaces, count } = await c.client.workspaces({ query });
    expect(workspaces.map(({ id }) => id)).to.deep.equal([workspace.id]);
    expect(count).to.equal(1);
    const limited = await c.client.workspaces({ query: `owner:${c.owner}`, limit: 1 });
    expect(limited.workspaces).to.have.length(1);
    const ofTemplate = await c.client.workspaces({ query: `template:${template.name}` });
    expect(ofTemplate.workspaces.map(({ id }) => id)).to.include(workspace.id);
    await expectFailure(c.client.workspaces({ query: 'nonsense:1' }), isInvalid);
    await expectFailure(c.client.workspace(randomUUID()), isNotFound);
    await expectFailure(c.client.workspaceByName(c.owner, 'nothing'), isNotFound);
  });

  it('are streamed as they are listed', async () => {
    const streamed: Workspace[] = [];
    const query = `template:${template.name}`;
    await c.client.eachWorkspace((row) => streamed.push(row), { query });
    const { workspaces } = await c.client.workspaces({ query, limit: 0 });
    expect(streamed).to.have.deep.members([...workspaces]);
  });

  it('are listed in pages, each of which counts them all', async () => {
    const query = `template:${template.name}`;
    // The order changes while builds run.
    await c.newWorkspace(template);
    const all = await c.client.workspaces({ query, limit: 0 });
    expect(all.count).to.be.greaterThan(1);
    const pages = [];
    for (let offset = 0; offset <= all.count; offset++) {
      pages.push(await c.client.workspaces({ query, limit: 1, offset }));
    }
    expect(pages.map(({ count }) => count)).to.deep.equal(pages.map(() => all.count));
    const ids = pages.flatMap(({ workspaces }) => workspaces.map(({ id }) => id));
    expect(ids).to.have.members(all.workspaces.map(({ id }) => id));
  });

  it('do not share a name with another of their owner', async () => {
    const error = await expectFailure(c.create(template, { name: workspace.name.toUpperCase() }), isConflict);
    expect(error.unclear).to.equal(false);
    expect(faults(error)).to.deep.equal(['name']);
    const body = { name: workspace.name, template_id: template.id };
    const others = await c.client.createWorkspace(c.harness.owners[1], body);
    expect(others).to.include({ name: workspace.name, owner_name: c.harness.owners[1] });
  });

  it('are made of the version that is asked for', async () => {
    const version = await c.newVersion(template.id);
    const body = { name: c.nameOf('w'), template_version_id: version.id };
    const made = await c.client.createWorkspace(c.owner, body);
    expect(made).to.include({ template_id: template.id, outdated: true });
    expect(made.latest_build.template_version_id).to.equal(version.id);
  });

  const wrong: Readonly<Record<string, Partial<CreateWorkspaceRequest>>> = {
    'a template that does not exist': { template_id: randomUUID() },
    'a name that Coder does not allow': { name: 'under_score' },
    'a name that is too long': { name: 'x'.repeat(33) },
    'a reserved name': { name: 'new' },
    'a TTL below a minute': { ttl_ms: 59_999 },
    'a TTL above thirty days': { ttl_ms: 31 * 24 * 3_600_000 },
    'a wrong schedule': { autostart_schedule: 'every morning' },
    'unknown automatic updates': { automatic_updates: 'sometimes' },
  };
  for (const [what, body] of Object.entries(wrong)) {
    it(`are refused for ${what}`, async () => {
      expect((await expectFailure(c.create(template, body), isInvalid)).status).to.equal(400);
    });
  }

  it('are refused for no template, for two, and for a version that does not exist', async () => {
    const name = c.nameOf('w');
    await expectFailure(c.client.createWorkspace(c.owner, { name }), isInvalid);
    const both = { template_id: template.id, template_version_id: template.active_version_id };
    await expectFailure(c.client.createWorkspace(c.owner, { name, ...both }), isInvalid);
    const unknown = { name, template_version_id: randomUUID() };
    await expectFailure(c.client.createWorkspace(c.owner, unknown), isInvalid);
  });

  it('can be renamed, and keep their id', async () => {
    const { id, name } = await c.newWorkspace(template);
    const renamed = c.nameOf('renamed');
    await c.harness.rename(id, renamed);
    expect(await c.client.workspace(id)).to.include({ name: renamed });
    expect(await c.client.workspaceByName(c.owner, renamed)).to.include({ id });
    await expectFailure(c.client.workspaceByName(c.owner, name), isNotFound);
  });

  it('can come into other hands, as a prebuild does, and keep their id', async () => {
    const { id, name } = await c.newWorkspace(template);
    const [, owner] = c.harness.owners;
    await c.harness.changeOwner(id, owner);
    expect(await c.client.workspace(id)).to.include({ id, name, owner_name: owner });
    expect(await c.client.workspaceByName(owner, name)).to.include({ id });
    await expectFailure(c.client.workspaceByName(c.owner, name), isNotFound);
  });
}

export function agentsContract(c: Contract): void {
  let template: Template;

  before(async () => {
    template = await c.newTemplate({ agents: [{ name: 'main' }] });
  });

  it('are shown while the workspace runs, and may fail to connect', async () => {
    const agents = [{ name: 'main', connectionTimeoutSeconds: 1 }, { name: 'patient' }];
    const { id } = await c.newWorkspace(await c.newTemplate({ agents }));
    const late = await c.harness.until(
      () => c.client.workspace(id),
      ({ health }) => health?.healthy === false,
    );
    const shown = late.latest_build.resources.flatMap((resource) => resource.agents);
    expect(
      shown.map(({ name, status, lifecycle_state: state }) => [name, status, state]),
    ).to.have.deep.members([
      ['main', 'timeout', 'created'],
      ['patient', 'connecting', 'created'],
    ]);
    const main = shown.find(({ name }) => name === 'main');
    expect(late.health).to.deep.equal({ healthy: false, failing_agents: [main?.id] });
    await c.build(id, 'stop');
    const stopped = await c.client.workspace(id);
    expect(stopped.latest_build.resources.flatMap((resource) => resource.agents)).to.deep.equal([]);
    expect(stopped.health?.healthy).to.equal(true);
  });

  const states: readonly (readonly ['connected' | 'disconnected', string, boolean])[] = [
    ['connected', 'starting', true],
    ['connected', 'ready', true],
    ['connected', 'start_timeout', true],
    ['connected', 'start_error', false],
    ['connected', 'shutting_down', false],
    ['connected', 'off', false],
    ['disconnected', 'ready', false],
  ];
  for (const [status, lifecycle, isHealthy] of states) {
    it(`that are ${status} and ${lifecycle} are ${isHealthy ? 'healthy' : 'failing'}`, async () => {
      const { id } = await c.newWorkspace(template);
      await c.harness.agentsBecome(id, status, lifecycle);
      const { latest_build, health } = await c.client.workspace(id);
      const [agent] = latest_build.resources.flatMap((resource) => resource.agents);
      expect(agent).to.include({ name: 'main', status, lifecycle_state: lifecycle });
      expect(health).to.deep.equal({ healthy: isHealthy, failing_agents: isHealthy ? [] : [agent?.id] });
    });
  }
}

export function deletionContract(c: Contract): void {
  let template: Template;

  before(async () => {
    template = await c.newTemplate();
  });

  it('is proven by 410, which 404 is not, and shows its last build to who asks for deleted ones', async () => {
    const doomed = await c.deleted(template);
    await expectFailure(c.client.workspace(doomed.id), isGone);
    expect(doomed.latest_build).to.include({ build_number: 2, transition: 'delete', status: 'deleted' });
    expect(doomed.latest_build.reason).to.equal('initiator');
    expect(doomed.latest_build.initiator_id).to.equal((await c.client.me()).id);
    await expectFailure(c.client.workspaceByName(c.owner, doomed.name), isNotFound);
    const found = await c.client.workspaceByName(c.owner, doomed.name, { includeDeleted: true });
    expect(found).to.include({ id: doomed.id, name: doomed.name });
    const { workspaces } = await c.client.workspaces({ query: `id:${doomed.id}` });
    expect(workspaces).to.deep.equal([]);
  });

  it('frees the name, and the newest deleted one is found by it', async () => {
    const first = await c.deleted(template);
    const second = await c.newWorkspace(template, { name: first.name });
    expect(second.id).not.to.equal(first.id);
    const by = (): Promise<Workspace> =>
      c.client.workspaceByName(c.owner, first.name, { includeDeleted: true });
    expect(await by()).to.include({ id: second.id });
    await c.build(second.id, 'delete');
    expect(await by()).to.include({ id: second.id });
  });

  it('allows no start and no stop any more, but another deletion', async () => {
    const { id } = await c.deleted(template);
    await expectFailure(c.client.createBuild(id, { transition: 'start' }), isConflict);
    await expectFailure(c.client.createBuild(id, { transition: 'stop' }), isConflict);
    expect(await c.build(id, 'delete')).to.include({ build_number: 3, status: 'deleted' });
    await expectFailure(c.client.workspace(id), isGone);
  });

  it('leaves the settings open to change, for nobody', async () => {
    const { id } = await c.deleted(template);
    await c.client.setTTL(id, 3_600_000);
    await c.client.setAutomaticUpdates(id, 'always');
    await expectFailure(c.client.workspace(id), isGone);
  });

  it('that fails leaves the workspace there', async () => {
    const failing = await c.newTemplate({ builds: 'fail' });
    const { id } = await c.newWorkspace(failing);
    expect(await c.build(id, 'delete')).to.include({ transition: 'delete', status: 'failed' });
    expect(await c.client.workspace(id)).to.include({ id });
  });

  it('waits for the build under way', async () => {
    const hanging = await c.newTemplate({ builds: 'hang' });
    const { id } = await c.create(hanging);
    await c.harness.until(
      () => c.client.workspace(id),
      ({ latest_build }) => latest_build.status === 'starting',
    );
    await expectFailure(c.client.createBuild(id, { transition: 'delete' }), isConflict);
    await c.harness.cancel(id);
    const { latest_build } = await c.settled(id);
    expect(hasEnded(latest_build.job)).to.equal(true);
  });
}
