import { expect } from 'chai';
import { isConflict, isInvalid } from '../../../src/coder/errors.ts';
import type { Template } from '../../../src/coder/types.ts';
import { expectFailure, failure, jsonIn, refusalIn, said, type Contract } from './contract.ts';

interface ListedVersion {
  readonly id: string;
  readonly archived: boolean;
}

/** Versions that pile up, since none can be deleted. */
export function archiveContract(c: Contract): void {
  let template: Template;

  before(async () => {
    template = await c.newTemplate();
  });

  const listed = async (query = ''): Promise<readonly ListedVersion[]> =>
    jsonIn(await c.ask('GET', `/templates/${template.id}/versions${query}`)) as readonly ListedVersion[];
  const ids = async (query = ''): Promise<readonly string[]> => (await listed(query)).map(({ id }) => id);
  const archive = async (id: string, verb = 'archive'): Promise<number> =>
    (await c.ask('POST', `/templateversions/${id}/${verb}`)).status;

  it('are listed oldest first, the archived ones only to who asks for them', async () => {
    const first = template.active_version_id;
    const [second, third] = [await c.newVersion(template.id), await c.newVersion(template.id)];
    expect(await ids()).to.deep.equal([first, second.id, third.id]);
    expect(await archive(second.id)).to.equal(200);
    expect(await ids()).to.deep.equal([first, third.id]);
    const all = await listed('?include_archived=true');
    expect(all.map(({ id, archived }) => [id, archived])).to.deep.equal([
      [first, false],
      [second.id, true],
      [third.id, false],
    ]);
    expect(await archive(second.id), 'a second time').to.equal(400);
    expect(await archive(second.id, 'unarchive')).to.equal(200);
    expect(await archive(second.id, 'unarchive'), 'a second time').to.equal(400);
    expect(await ids()).to.deep.equal([first, second.id, third.id]);
  });

  it('are found by id and by name once archived, keep that name, and are of no use', async () => {
    const name = c.nameOf('v');
    const { id } = await c.newVersion(template.id, {}, name);
    await archive(id);
    expect(await c.client.templateVersion(id)).to.include({ id, name });
    const { organization_name: organization } = template;
    expect(await c.client.templateVersionByName(organization, template.name, name)).to.include({ id });
    const file_id = await c.upload({});
    const again = { template_id: template.id, name, file_id, provisioner: 'echo' } as const;
    await expectFailure(c.client.createTemplateVersion(c.organizationID, again), isConflict);
    await expectFailure(c.client.promoteTemplateVersion(template.id, id), isInvalid);
    const workspace = { name: c.nameOf('w'), template_version_id: id };
    expect((await failure(c.client.createWorkspace(c.owner, workspace))).status).to.equal(500);
  });

  it('cannot be archived while they are the active one, or a workspace is built of them', async () => {
    expect(await archive(template.active_version_id)).to.equal(500);
    const { id } = await c.newVersion(template.id);
    const body = { name: c.nameOf('w'), template_version_id: id };
    const workspace = await c.settled((await c.client.createWorkspace(c.owner, body)).id);
    expect(await archive(id)).to.equal(500);
    await c.build(workspace.id, 'delete');
    expect(await archive(id), 'once that is deleted').to.equal(200);
  });

  it('are archived together when their import has failed, or all that nobody uses', async () => {
    const path = `/templates/${template.id}/versions/archive`;
    const failed = await c.newVersion(template.id, { imports: 'fail' });
    const unused = await c.newVersion(template.id);
    const some = await c.ask('POST', path, { body: { all: false } });
    expect(some.status).to.equal(200);
    expect(said(some)).to.deep.equal({ template_id: template.id, archived_ids: [failed.id] });
    const all = await c.ask('POST', path, { body: { all: true } });
    expect(said(all)['archived_ids']).to.include(unused.id);
    expect(await ids()).to.deep.equal([template.active_version_id]);
  });

  it('may have another name, but none that is taken', async () => {
    const [one, other] = [await c.newVersion(template.id), await c.newVersion(template.id)];
    const rename = (name: string): ReturnType<typeof c.ask> =>
      c.ask('PATCH', `/templateversions/${one.id}`, { body: { name } });
    const taken = refusalIn(await rename(other.name));
    expect([taken.status, taken.fields]).to.deep.equal([400, ['name']]);
    expect(refusalIn(await rename('a..b')).status).to.equal(400);
    const name = c.nameOf('renamed');
    expect((await rename(name)).status).to.equal(200);
    expect(await c.client.templateVersion(one.id)).to.include({ name });
  });
}
