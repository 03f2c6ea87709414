import { expect } from 'chai';
import { SERVERS_WITHIN_MS } from '../support/servers.ts';
import { has, isReady, messageOf, Tenant } from '../support/tenant.ts';

describe('settings of a workspace', function () {
  this.timeout(90_000);
  let tenant: Tenant;
  let id: string;
  const WORKDAYS = 'CRON_TZ=Europe/Berlin 30 9 * * 1-5';
  const SUNDAYS = '0 22 * * 0';

  before(async function () {
    this.timeout(SERVERS_WITHIN_MS);
    tenant = await Tenant.create();
    await tenant.apply(tenant.credentials(), tenant.controlPlane(), tenant.template());
    await tenant.untilTemplate(isReady);
  });

  after(async function () {
    this.timeout(150_000);
    // Absent when `before` has failed.
    await (tenant as Tenant | undefined)?.destroy();
  });

  async function inCoder(): Promise<object> {
    const workspace = await tenant.coder.workspace(id);
    return {
      ttl: workspace.ttl_ms ?? 0,
      autostart: workspace.autostart_schedule ?? '',
      updates: workspace.automatic_updates,
    };
  }

  it('are given to a new workspace', async () => {
    await tenant.apply(
      tenant.workspace({
        running: true,
        ttlMillis: 3_600_000,
        autostartSchedule: WORKDAYS,
        automaticUpdates: 'Always',
      }),
    );
    const ready = await tenant.untilWorkspace(isReady);
    id = ready.status?.id ?? '';
    expect(await inCoder()).to.deep.equal({ ttl: 3_600_000, autostart: WORKDAYS, updates: 'always' });
    expect(ready.status?.observed).to.deep.equal({
      ttlMillis: 3_600_000,
      autostartSchedule: WORKDAYS,
      automaticUpdates: 'Always',
    });
  });

  it('are changed in Coder when the spec changes', async () => {
    await tenant.apply(
      tenant.workspace({
        running: true,
        ttlMillis: 7_200_000,
        autostartSchedule: SUNDAYS,
        automaticUpdates: 'Never',
      }),
    );
    await tenant.untilWorkspace(isReady);
    expect(await inCoder()).to.deep.equal({ ttl: 7_200_000, autostart: SUNDAYS, updates: 'never' });
  });

  it('are cleared by 0 and by the empty text', async () => {
    await tenant.apply(
      tenant.workspace({ running: true, ttlMillis: 0, autostartSchedule: '', automaticUpdates: 'Never' }),
    );
    const ready = await tenant.untilWorkspace(isReady);
    expect(await inCoder()).to.deep.equal({ ttl: 0, autostart: '', updates: 'never' });
    expect(ready.status?.observed).to.include({ ttlMillis: 0, autostartSchedule: '' });
  });

  it('are left to others when they are left out', async () => {
    await tenant.apply(tenant.workspace({ running: true }));
    await tenant.untilWorkspace(isReady);
    await tenant.coder.setTTL(id, 5_400_000);
    await tenant.coder.setAutostart(id, WORKDAYS);
    await tenant.coder.setAutomaticUpdates(id, 'always');
    // The status of what was changed tells that it was seen.
    const seen = await tenant.untilWorkspace(
      (w) => isReady(w) && w.status?.observed?.automaticUpdates === 'Always',
    );
    expect(seen.status?.observed).to.include({ ttlMillis: 5_400_000, autostartSchedule: WORKDAYS });
    // Nothing is waited for that would be set right later.
    expect(has(seen, 'Drifted', 'True')).to.equal(false);
    expect(seen.status?.driftedAt).to.equal(undefined);
    expect(await inCoder()).to.deep.equal({ ttl: 5_400_000, autostart: WORKDAYS, updates: 'always' });
  });

  it('are not sent when a schedule cannot be one', async () => {
    const refusedAtOnce = await tenant
      .apply(tenant.workspace({ running: true, autostartSchedule: 'every morning' }))
      .catch((error: unknown) => String(error));
    expect(refusedAtOnce).to.contain('must be empty or "[CRON_TZ=Area/City] minute hour * * days"');

    await tenant.apply(tenant.workspace({ running: true, autostartSchedule: 'CRON_TZ=Mars/Base 0 9 * * *' }));
    const stalled = await tenant.untilWorkspace((w) => has(w, 'Stalled', 'True', 'InvalidParameters'));
    expect(messageOf(stalled, 'Ready')).to.match(/spec\.autostartSchedule: .*Mars\/Base/);
    expect(await inCoder()).to.include({ autostart: WORKDAYS });
    await tenant.apply(tenant.workspace({ running: true, autostartSchedule: SUNDAYS }));
    await tenant.untilWorkspace(isReady);
    expect(await inCoder()).to.include({ autostart: SUNDAYS });
  });

  it('need no build', async () => {
    expect(await tenant.builds(id)).to.deep.equal(['start']);
  });
});
