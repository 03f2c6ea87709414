import { expect } from 'chai';
import type { CoderTemplate } from '../../src/api/kinds.ts';
import { isGone } from '../../src/coder/errors.ts';
import type { Template, Workspace } from '../../src/coder/types.ts';
import { tarOf } from '../support/archives.ts';
import { SERVERS_WITHIN_MS } from '../support/servers.ts';
import { coderWrites, has, isReady, messageOf, SMALL, Tenant } from '../support/tenant.ts';

describe('adoption of a workspace that was made in Coder', function () {
  this.timeout(90_000);
  let tenant: Tenant;
  let made: Workspace;
  const BY_HAND = {
    ttl_ms: 5_400_000,
    autostart_schedule: 'CRON_TZ=Europe/Berlin 30 9 * * 1-5',
    automatic_updates: 'always',
  } as const;

  before(async function () {
    this.timeout(SERVERS_WITHIN_MS);
    tenant = await Tenant.create();
    await tenant.apply(tenant.credentials(), tenant.controlPlane(), tenant.template());
    const template = await tenant.untilTemplate(isReady);
    made = await tenant.coder.createWorkspace(tenant.owner, {
      name: tenant.tag,
      template_id: template.status?.id ?? '',
      ...BY_HAND,
    });
  });

  after(async function () {
    this.timeout(150_000);
    // Absent when `before` has failed.
    await (tenant as Tenant | undefined)?.destroy();
  });

  const removeObject = (): Promise<string> =>
    tenant.kubectl('delete', 'cws', tenant.workspaceName(), '--timeout=30s');

  it('refuses a template that the workspace does not have', async () => {
    await tenant.apply(tenant.workspace({ templateName: 'another', running: true }));
    const stalled = await tenant.untilWorkspace((w) => has(w, 'Stalled', 'True', 'ImmutableFieldMismatch'));
    expect(messageOf(stalled, 'Ready')).to.contain(tenant.tag);
  });

  it('leaves what the manifest leaves out', async () => {
    await tenant.apply(tenant.workspace({ running: true }));
    const ready = await tenant.untilWorkspace(isReady);
    expect(ready.status).to.include({ id: made.id, origin: 'Adopted' });
    expect(ready.metadata.finalizers ?? []).to.deep.equal([]);
    expect(ready.status?.observed).to.deep.equal({
      ttlMillis: BY_HAND.ttl_ms,
      autostartSchedule: BY_HAND.autostart_schedule,
      automaticUpdates: 'Always',
    });
    expect(await tenant.coder.workspace(made.id)).to.include(BY_HAND);
    expect(await tenant.builds(made.id)).to.deep.equal(['start']);
  });

  it('keeps the workspace when the object is deleted', async () => {
    await removeObject();
    expect((await tenant.coder.workspace(made.id)).latest_build.status).to.equal('running');
  });

  it('keeps it also with deletionPolicy Delete, unless the control plane allows that', async () => {
    await tenant.apply(tenant.workspace({ deletionPolicy: 'Delete' }));
    await tenant.untilWorkspace(isReady);
    await tenant.untilCoder(
      () => tenant.events('Retained'),
      (messages) => messages.some((m) => m.includes('adoptedDeletion')),
    );
    await removeObject();
    expect((await tenant.coder.workspace(made.id)).latest_build.status).to.equal('running');
  });

  it('deletes it where both the object and the control plane say so', async () => {
    await tenant.apply(tenant.workspace({ deletionPolicy: 'Delete' }));
    await tenant.untilWorkspace(isReady);
    await tenant.apply(tenant.controlPlane({ adoptedDeletion: 'Allow' }));
    await tenant.untilWorkspace((w) => w.metadata.finalizers?.includes('coder.com/workspace') === true);
    await removeObject();
    const gone = await tenant.coder.workspace(made.id).catch((error: unknown) => error);
    expect(isGone(gone)).to.equal(true);
    expect(await tenant.events('Deleted')).to.have.length(1);
  });
});

describe('adoption of a template that was made in Coder', function () {
  this.timeout(90_000);
  let tenant: Tenant;
  let made: Template;
  const FILES = { ...SMALL, 'modules/net/main.tf': '# none yet\n' };
  const VERSION = 'by-hand';

  before(async function () {
    this.timeout(SERVERS_WITHIN_MS);
    tenant = await Tenant.create();
    await tenant.apply(tenant.credentials(), tenant.controlPlane());
    await tenant.untilControlPlane(isReady);
    const { coder, stack } = tenant;
    const organization = stack.coder.accounts.organizationId;
    const version = await coder.createTemplateVersion(organization, {
      name: VERSION,
      // Not the bytes that the operator would make of these files.
      file_id: await coder.uploadArchive(await tarOf(FILES, { prefix: './', folders: true })),
      provisioner: 'terraform',
    });
    await tenant.untilCoder(
      () => coder.templateVersion(version.id),
      ({ job }) => job.status === 'succeeded',
    );
    made = await coder.createTemplate(organization, {
      name: tenant.tag,
      template_version_id: version.id,
      description: 'made by hand',
    });
  });

  after(async function () {
    this.timeout(150_000);
    // Absent when `before` has failed.
    await (tenant as Tenant | undefined)?.destroy();
    const id = (made as Template | undefined)?.id;
    if (id !== undefined) await tenant.asAdmin('DELETE', `/templates/${id}`);
  });

  const activeName = (t: CoderTemplate): string => t.status?.activeVersion?.name ?? '';

  it('takes it as it is where the content is the same, and sends nothing', async () => {
    const before = await coderWrites();
    await tenant.apply(tenant.template({ files: FILES }));
    const ready = await tenant.untilTemplate(isReady);
    expect(ready.status).to.include({ id: made.id, origin: 'Adopted' });
    expect(ready.metadata.finalizers ?? []).to.deep.equal([]);
    expect(activeName(ready)).to.equal(VERSION);
    expect(messageOf(ready, 'Ready')).to.contain(VERSION);
    expect(await tenant.versions(made.id)).to.deep.equal([VERSION]);
    expect(await coderWrites()).to.deep.equal(before);
  });

  it('gives it other content where that is wished, and leaves its settings', async () => {
    await tenant.kubectl('delete', 'ctpl', `coder.${tenant.tag}`, '--timeout=30s');
    await tenant.apply(tenant.template({ files: SMALL }));
    const ready = await tenant.untilTemplate(isReady);
    expect(ready.status).to.include({ id: made.id, origin: 'Adopted' });
    expect(await tenant.versions(made.id)).to.deep.equal([VERSION, activeName(ready)]);
    const now = await tenant.coder.template(made.id);
    expect(now.active_version_id).to.equal(ready.status?.activeVersion?.id);
    expect(now.description).to.equal('made by hand');
  });

  it('stays in Coder when the object is deleted', async () => {
    await tenant.kubectl('delete', 'ctpl', `coder.${tenant.tag}`, '--timeout=30s');
    expect((await tenant.coder.template(made.id)).id).to.equal(made.id);
  });
});
