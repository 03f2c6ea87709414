import { expect } from 'chai';
import { isGone } from '../../src/coder/errors.ts';
import { SERVERS_WITHIN_MS } from '../support/servers.ts';
import { has, isReady, Tenant } from '../support/tenant.ts';

describe('a namespace that is deleted with everything in it', function () {
  this.timeout(120_000);
  let tenant: Tenant;
  const templates: string[] = [];
  const workspaces: string[] = [];

  before(async function () {
    this.timeout(SERVERS_WITHIN_MS);
    tenant = await Tenant.create();
    await tenant.apply(
      tenant.credentials(),
      tenant.controlPlane(),
      tenant.template(),
      tenant.workspace({ running: true }),
      tenant.workspace({ running: false }, `${tenant.tag}b`),
    );
    for (const name of [tenant.tag, `${tenant.tag}b`]) {
      const ready = await tenant.untilWorkspace(isReady, 60_000, name);
      workspaces.push(ready.status?.id ?? '');
    }
    templates.push((await tenant.untilTemplate(isReady)).status?.id ?? '');
  });

  after(async function () {
    this.timeout(150_000);
    // Absent when `before` has failed.
    await (tenant as Tenant | undefined)?.destroy();
  });

  it('says that the Secret is gone, and then that it may not be read', async () => {
    await tenant.kubectl('delete', 'secret', 'coder');
    await tenant.request('ccp', 'coder');
    await tenant.untilControlPlane((c) => has(c, 'Reconciling', 'True', 'WaitingForDependency'));
    await tenant.kubectl('delete', 'rolebinding', '--all');
    await tenant.request('ccp', 'coder');
    await tenant.untilControlPlane((c) => has(c, 'Stalled', 'True', 'SecretForbidden'));
  });

  it('F26. is gone within half a minute, and all that was made for it in Coder', async () => {
    await tenant.stack.kubernetes.kubectl(['delete', 'namespace', tenant.namespace, '--timeout=30s']);
    for (const id of workspaces) {
      expect(isGone(await tenant.coder.workspace(id).catch((error: unknown) => error)), id).to.equal(true);
    }
    for (const id of templates) {
      expect((await tenant.coder.deletedTemplateById(id))?.id).to.equal(id);
    }
  });
});
