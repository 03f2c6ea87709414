import { expect } from 'chai';
import { isConflict, isGone, isNotFound, isUnknownUser } from '../../../src/coder/errors.ts';
import type { Template, UpdateTemplateRequest, Workspace } from '../../../src/coder/types.ts';
import { expectFailure, type Contract } from './contract.ts';
import { PREBUILDS } from './people.ts';

/** The row of the whole list. */
async function listed(c: Contract, id: string): Promise<Workspace | undefined> {
  const rows: Workspace[] = [];
  await c.client.eachWorkspace((row) => rows.push(row));
  return rows.find((row) => row.id === id);
}

/** What other people do to names and places of what is there. */
export function changesContract(c: Contract): void {
  let template: Template;

  before(async () => {
    template = await c.newTemplate();
  });

  /** A workspace of somebody who has nothing else. */
  async function workspaceOf(owner: string): Promise<Workspace> {
    await c.harness.newMember(owner);
    const { id } = await c.client.createWorkspace(owner, { name: c.nameOf('w'), template_id: template.id });
    return c.settled(id);
  }

  it('are listed with the new name of a workspace, which none of its owner may have', async () => {
    const [one, other] = [await c.newWorkspace(template), await c.newWorkspace(template)];
    expect(await c.harness.rename(one.id, other.name.toUpperCase())).to.equal(409);
    expect(await c.harness.rename(one.id, 'under_score')).to.equal(400);
    expect(await listed(c, one.id)).to.include({ name: one.name });
    const name = c.nameOf('Renamed');
    expect(await c.harness.rename(one.id, name)).to.equal(204);
    expect(await listed(c, one.id)).to.include({ id: one.id, name });
    // The same name in other letters is a rename, too.
    expect(await c.harness.rename(one.id, name.toLowerCase())).to.equal(204);
    expect(await listed(c, one.id)).to.include({ name: name.toLowerCase() });
    await c.build(other.id, 'delete');
    expect(await c.harness.rename(other.id, c.nameOf('w'))).to.equal(405);
    expect(await c.harness.rename(one.id, other.name)).to.equal(204);
  });

  it('are listed with the new name of their owner, who keeps his id', async () => {
    const [before, after] = [c.nameOf('user'), c.nameOf('user')];
    const workspace = await workspaceOf(before);
    expect(await c.harness.renameUser(before, c.owner.toUpperCase())).to.equal(409);
    expect(await c.harness.renameUser(before, after)).to.equal(200);
    expect(await listed(c, workspace.id)).to.include({ owner_name: after, owner_id: workspace.owner_id });
    expect(await c.client.workspace(workspace.id)).to.include({ owner_name: after });
    expect(await c.client.user(after)).to.include({ id: workspace.owner_id });
    expect(await c.client.workspaceByName(after, workspace.name)).to.include({ id: workspace.id });
    await expectFailure(c.client.user(before), isUnknownUser);
    await expectFailure(c.client.workspaceByName(before, workspace.name), isUnknownUser);
    const { workspaces } = await c.client.workspaces({ query: `owner:${after}` });
    expect(workspaces.map(({ id }) => id)).to.deep.equal([workspace.id]);
  });

  it('are listed with the new name of their template', async () => {
    const renamed = await c.newTemplate();
    const workspace = await c.newWorkspace(renamed);
    const name = c.nameOf('renamed');
    await c.client.updateTemplate(renamed.id, { ...settingsOf(renamed), name });
    expect(await listed(c, workspace.id)).to.include({ template_id: renamed.id, template_name: name });
    const { organization_name: organization } = renamed;
    expect(await c.client.templateByName(organization, name)).to.include({ id: renamed.id });
    await expectFailure(c.client.templateByName(organization, renamed.name), isNotFound);
    const taken = c.client.updateTemplate(renamed.id, { ...settingsOf(renamed), name: template.name });
    await expectFailure(taken, isConflict);
  });

  it('may have names from before there were rules', async () => {
    const owner = c.nameOf('user');
    const workspace = await workspaceOf(owner);
    const old = await c.newTemplate();
    const oldWorkspace = await c.newWorkspace(old);
    await c.harness.forceName(workspace.id, 'Twice--over');
    await c.harness.forceName(workspace.owner_id, 'under_score');
    await c.harness.forceName(old.id, 'new');
    expect(await listed(c, workspace.id)).to.include({ name: 'Twice--over', owner_name: 'under_score' });
    expect(await c.client.workspace(workspace.id)).to.include({ name: 'Twice--over' });
    expect(await c.client.workspaceByName('under_score', 'twice--over')).to.include({ id: workspace.id });
    expect((await c.client.templates()).find(({ id }) => id === old.id)).to.include({ name: 'new' });
    expect(await listed(c, oldWorkspace.id)).to.include({ template_name: 'new' });
    await c.harness.forceName(old.id, c.nameOf('t'));
    await c.harness.forceName(workspace.owner_id, owner);
  });

  it('that somebody else deletes are gone from the list, and their job tells which they were', async () => {
    const { id } = await c.newWorkspace(template);
    await c.harness.buildByHand(id, { transition: 'delete' });
    const { latest_build: last } = await c.settled(id);
    expect(await listed(c, id)).to.equal(undefined);
    await expectFailure(c.client.workspace(id), isGone);
    const [job] = await c.client.provisionerJobs(c.organizationID, { ids: [last.job.id] });
    expect(job?.metadata).to.include({ workspace_id: id });
  });

  it('are listed while they are dormant', async () => {
    const { id } = await c.newWorkspace(template);
    await c.harness.becomeDormant(id);
    expect((await listed(c, id))?.dormant_at).to.be.a('string');
  });

  it('are listed as prebuilds while nobody owns them', async () => {
    const { id } = await c.newWorkspace(template);
    await c.harness.changeOwner(id, PREBUILDS.username);
    const prebuild = { owner_id: PREBUILDS.id, owner_name: PREBUILDS.username, is_prebuild: true };
    expect(await listed(c, id)).to.include(prebuild);
    await c.harness.changeOwner(id, c.owner);
    expect(await listed(c, id)).to.include({ owner_name: c.owner, is_prebuild: false });
  });

  it('are of several organizations, whose templates may share names', async () => {
    const { otherOrganization: other } = c.harness;
    const moved = await c.newTemplate();
    const workspace = await c.newWorkspace(moved);
    await c.harness.moveTemplate(moved.id);
    const version = await c.harness.newVersion(undefined, {}, c.nameOf('v'));
    const same = await c.client.createTemplate(c.organizationID, {
      name: moved.name,
      template_version_id: version.id,
    });
    const templates = await c.client.templates();
    const namesakes = templates.filter(({ name }) => name === moved.name);
    expect(namesakes.map((t) => [t.id, t.organization_id, t.organization_name])).to.have.deep.members([
      [moved.id, other.id, other.name],
      [same.id, c.organizationID, c.harness.organization.name],
    ]);
    expect(await c.client.templateByName(other.name, moved.name)).to.include({ id: moved.id });
    const place = { organization_id: other.id, organization_name: other.name };
    expect(await listed(c, workspace.id)).to.include(place);
    const there = await c.client.workspaces({ query: `organization:${other.name}` });
    expect(there.workspaces.map(({ id }) => id)).to.include(workspace.id);
    // The name of a workspace is its owner's, whatever the organization.
    await expectFailure(c.create(same, { name: workspace.name }), isConflict);
    const { id: jobID } = workspace.latest_build.job;
    const jobsIn = async (organization: string): Promise<number> =>
      (await c.client.provisionerJobs(organization, { ids: [jobID] })).length;
    expect([await jobsIn(other.id), await jobsIn(c.organizationID)]).to.deep.equal([1, 0]);
  });
}

/** What is to be sent of a template's settings, so that they stay as they are. */
export function settingsOf(template: Template): UpdateTemplateRequest {
  return {
    default_ttl_ms: template.default_ttl_ms ?? 0,
    activity_bump_ms: template.activity_bump_ms ?? 0,
    allow_user_autostart: template.allow_user_autostart ?? true,
    allow_user_autostop: template.allow_user_autostop ?? true,
    allow_user_cancel_workspace_jobs: template.allow_user_cancel_workspace_jobs ?? false,
    failure_ttl_ms: template.failure_ttl_ms ?? 0,
    time_til_dormant_ms: template.time_til_dormant_ms ?? 0,
    time_til_dormant_autodelete_ms: template.time_til_dormant_autodelete_ms ?? 0,
    require_active_version: template.require_active_version ?? false,
  };
}
