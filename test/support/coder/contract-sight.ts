import { expect } from 'chai';
import { isForbidden, isGone, isNotFound, isUnknownUser } from '../../../src/coder/errors.ts';
import type { Template, Workspace } from '../../../src/coder/types.ts';
import { settingsOf } from './contract-changes.ts';
import { expectFailure, type Contract } from './contract.ts';

/** What a token is told of things that it may not see. */
export function sightContract(c: Contract): void {
  let template: Template;

  before(async () => {
    template = await c.newTemplate();
  });

  async function listedIDs(): Promise<readonly string[]> {
    return (await c.client.workspaces()).workspaces.map(({ id }) => id);
  }

  it('leaves a hidden workspace out of the list and its count, and says that it is not found', async () => {
    const { id, name } = await c.newWorkspace(template);
    const before = await c.client.workspaces();
    await c.harness.hide(id);
    const after = await c.client.workspaces();
    expect(after.workspaces.map((w) => w.id)).not.to.include(id);
    expect(after.count).to.equal(before.count - 1);
    await expectFailure(c.client.workspace(id), isNotFound);
    await expectFailure(c.client.workspace(id, { includeDeleted: true }), isNotFound);
    await expectFailure(c.client.workspaceByName(c.owner, name), isNotFound);
    await expectFailure(c.client.workspaceByName(c.owner, name, { includeDeleted: true }), isNotFound);
    await expectFailure(c.client.createBuild(id, { transition: 'stop' }), isNotFound);
    expect((await c.client.workspaces({ query: `id:${id}` })).count).to.equal(0);
    await c.harness.show(id);
    expect(await c.client.workspace(id)).to.include({ id });
    expect(await listedIDs()).to.include(id);
  });

  it('does not prove the end of what is hidden', async () => {
    const { id } = await c.deleted(template);
    await c.harness.hide(id);
    await expectFailure(c.client.workspace(id), isNotFound);
    await expectFailure(c.client.workspace(id, { includeDeleted: true }), isNotFound);
    await c.harness.show(id);
    await expectFailure(c.client.workspace(id), isGone);
  });

  it('counts what it leaves out because of a hidden template, which is not found', async () => {
    const hidden = await c.newTemplate();
    const { id, name } = await c.newWorkspace(hidden);
    await c.harness.hide(hidden.id);
    const ofThis = await c.client.workspaces({ query: `id:${id}` });
    expect(ofThis).to.deep.equal({ workspaces: [], count: 1 });
    expect(await listedIDs()).not.to.include(id);
    await expectFailure(c.client.workspace(id), isForbidden);
    await expectFailure(c.client.workspaceByName(c.owner, name), isNotFound);
    await expectFailure(c.client.template(hidden.id), isNotFound);
    await expectFailure(c.client.templateByName(c.harness.organization.name, hidden.name), isNotFound);
    expect((await c.client.templates()).map((t) => t.id)).not.to.include(hidden.id);
    await c.harness.show(hidden.id);
    expect(await listedIDs()).to.include(id);
  });

  it('does not prove the end of a hidden template either', async () => {
    const doomed = await c.newTemplate();
    await c.client.deleteTemplate(doomed.id);
    await c.harness.hide(doomed.id);
    expect(await c.client.deletedTemplateById(doomed.id)).to.equal(undefined);
    await c.harness.show(doomed.id);
    expect(await c.client.deletedTemplateById(doomed.id)).to.include({ id: doomed.id });
  });

  describe('without a role', () => {
    let own: Workspace;
    let others: Workspace;
    let gone: Workspace;

    before(async () => {
      const me = await c.client.me();
      const body = { name: c.nameOf('own'), template_id: template.id };
      own = await c.settled((await c.client.createWorkspace(me.username, body)).id);
      others = await c.newWorkspace(template);
      gone = await c.deleted(template);
      await c.harness.loseRole();
    });

    after(async () => {
      await c.harness.regainRole();
      expect(await c.client.workspace(others.id)).to.include({ id: others.id });
      expect(await listedIDs()).to.include(others.id);
    });

    it('is left only what is its own, in a list that is as short as it says', async () => {
      expect(await listedIDs()).to.deep.equal([own.id]);
      expect((await c.client.workspaces()).count).to.equal(1);
      expect(await c.client.workspace(own.id)).to.include({ id: own.id });
    });

    it('finds nothing else, there or deleted', async () => {
      for (const { id } of [others, gone]) {
        await expectFailure(c.client.workspace(id), isNotFound);
        await expectFailure(c.client.workspace(id, { includeDeleted: true }), isNotFound);
      }
      await expectFailure(c.client.createBuild(others.id, { transition: 'stop' }), isNotFound);
      await expectFailure(c.client.setTTL(others.id, 0), isNotFound);
    });

    it('may not read jobs', async () => {
      await expectFailure(c.client.provisionerJobs(c.organizationID), isNotFound);
    });

    it('still knows itself, its organization and the templates that all members may use', async () => {
      expect((await c.client.me()).organization_ids).to.include(c.organizationID);
      expect(await c.client.organization(c.organizationID)).to.include({ id: c.organizationID });
      expect((await c.client.templates()).map(({ id }) => id)).to.include(template.id);
    });

    it('knows nobody else, and may make nothing for others', async () => {
      await expectFailure(c.client.user(c.owner), isUnknownUser);
      await expectFailure(c.client.workspaceByName(c.owner, others.name), isNotFound);
      await expectFailure(c.client.buildParameters(others.latest_build.id), isNotFound);
      await expectFailure(c.create(template), c.isBefore('2.30') ? isNotFound : isForbidden);
    });

    it('may not change templates', async () => {
      const promoted = c.client.promoteTemplateVersion(template.id, template.active_version_id);
      await expectFailure(promoted, isForbidden);
      await expectFailure(c.client.updateTemplate(template.id, settingsOf(template)), isForbidden);
      const { id: template_id } = template;
      const file_id = await c.upload({});
      const version = { template_id, name: c.nameOf('v'), file_id, provisioner: 'echo' } as const;
      await expectFailure(c.client.createTemplateVersion(c.organizationID, version), isForbidden);
    });
  });
}
