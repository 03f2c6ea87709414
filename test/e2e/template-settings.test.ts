import { expect } from 'chai';
import type { Template } from '../../src/coder/types.ts';
import { SERVERS_WITHIN_MS } from '../support/servers.ts';
import { has, isReady, messageOf, SMALL, Tenant } from '../support/tenant.ts';

/** Settings that a Coder without a licence honours. */
const SETTINGS = {
  displayName: 'Small machine',
  description: 'For trying things out',
  icon: '/icon/docker.png',
  defaultTTLMillis: 28_800_000,
  activityBumpMillis: 1_800_000,
  allowUserCancelWorkspaceJobs: true,
  corsBehavior: 'Passthru',
  useClassicParameterFlow: true,
};

describe('settings of a template', function () {
  this.timeout(90_000);
  let tenant: Tenant;
  let id: string;

  before(async function () {
    this.timeout(SERVERS_WITHIN_MS);
    tenant = await Tenant.create();
    await tenant.apply(tenant.credentials(), tenant.controlPlane());
  });

  after(async function () {
    this.timeout(150_000);
    // Absent when `before` has failed.
    await (tenant as Tenant | undefined)?.destroy();
  });

  const inCoder = (): Promise<Template> => tenant.coder.template(id);

  it('are given to a new template', async () => {
    await tenant.apply(tenant.template({ files: SMALL, ...SETTINGS }));
    const ready = await tenant.untilTemplate(isReady);
    id = ready.status?.id ?? '';
    expect(await inCoder()).to.include({
      display_name: 'Small machine',
      description: 'For trying things out',
      icon: '/icon/docker.png',
      default_ttl_ms: 28_800_000,
      activity_bump_ms: 1_800_000,
      allow_user_cancel_workspace_jobs: true,
      cors_behavior: 'passthru',
      use_classic_parameter_flow: true,
    });
    expect(ready.status?.observed).to.deep.include(SETTINGS);
  });

  it('are changed when the spec changes, and those that it leaves out stay as they are', async () => {
    await tenant.apply(tenant.template({ files: SMALL, description: '', defaultTTLMillis: 0 }));
    await tenant.untilTemplate(isReady);
    expect(await inCoder()).to.include({
      display_name: 'Small machine',
      description: '',
      default_ttl_ms: 0,
      activity_bump_ms: 1_800_000,
      allow_user_cancel_workspace_jobs: true,
      use_classic_parameter_flow: true,
    });
  });

  it('that need a licence are told, and sent no more', async () => {
    await tenant.apply(tenant.template({ files: SMALL, failureTTLMillis: 3_600_000 }));
    const drifted = await tenant.untilTemplate((t) => has(t, 'Drifted', 'True', 'SettingsNotHonoured'));
    expect(isReady(drifted)).to.equal(true);
    expect(messageOf(drifted, 'Drifted')).to.contain('failureTTLMillis');
    expect((await inCoder()).failure_ttl_ms).to.equal(0);
  });

  it('that somebody changes are set right again', async () => {
    await tenant.apply(tenant.template({ files: SMALL, displayName: 'Small machine' }));
    await tenant.untilTemplate((t) => isReady(t) && !has(t, 'Drifted', 'True'));
    await tenant.stack.coder.sql(`update templates set display_name = 'Other' where id = '${id}'`);
    await tenant.untilCoder(inCoder, (t) => t.display_name === 'Small machine', 60_000);
    const again = await tenant.untilTemplate((t) => isReady(t) && !has(t, 'Drifted', 'True'));
    expect(again.status?.corrections).to.have.length(1);
  });
});
