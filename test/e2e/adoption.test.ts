import { expect } from 'chai';
import { isGone } from '../../src/coder/errors.ts';
import type { Workspace } from '../../src/coder/types.ts';
import { SERVERS_WITHIN_MS } from '../support/servers.ts';
import { has, isReady, messageOf, Tenant } from '../support/tenant.ts';

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
