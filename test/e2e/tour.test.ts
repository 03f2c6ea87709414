import { expect } from 'chai';
import { until } from '../../hack/stack/wait.ts';
import { controlPlanes, templates, workspaces } from '../../src/api/kinds.ts';
import { isGone, isNotFound } from '../../src/coder/errors.ts';
import { SERVERS_WITHIN_MS } from '../support/servers.ts';
import { isReady, Tenant } from '../support/tenant.ts';

describe('the tour: a workspace from nothing to running to stopped to gone', function () {
  this.timeout(90_000);
  let tenant: Tenant;

  before(async function () {
    this.timeout(SERVERS_WITHIN_MS);
    tenant = await Tenant.create();
  });

  it('creates template and workspace in Coder, whatever the order they are applied in', async () => {
    await tenant.apply(
      tenant.workspace({ running: true }),
      tenant.template(),
      tenant.controlPlane(),
      tenant.credentials(),
    );

    const controlPlane = await tenant.untilControlPlane(isReady);
    expect(controlPlane.status?.user?.name).to.equal(tenant.stack.coder.operatorUser);
    expect(controlPlane.status?.deploymentID).to.not.equal(undefined);
    const template = await tenant.untilTemplate(isReady);
    expect(template.status?.origin).to.equal('Created');
    const workspace = await tenant.untilWorkspace(isReady);
    expect(workspace.status?.origin).to.equal('Created');
    expect(workspace.status?.running).to.equal(true);
    expect(workspace.status?.latestBuild?.initiator).to.equal('Operator');

    const real = await tenant.coder.workspace(workspace.status?.id ?? '');
    expect(real.latest_build.status).to.equal('running');
    expect(real.template_id).to.equal(template.status?.id);
    expect(await tenant.builds(real.id)).to.deep.equal(['start']);
  });

  it('shows people the state in kubectl get', async () => {
    const table = await tenant.kubectl('get', 'cws');
    expect(table.split('\n')[0]?.trim().split(/\s+/)).to.deep.equal([
      'NAME',
      'WANT',
      'STATE',
      'READY',
      'REASON',
      'AGE',
    ]);
    expect(table).to.match(/true\s+running\s+True\s+Running/);
    expect(await tenant.kubectl('get', 'coder')).to.contain('codercontrolplane.coder.com/coder');
  });

  it('tells in events what it did', async () => {
    const wanted = ['Connected', 'Importing', 'Creating', 'Running'];
    let reasons: string[] = [];
    // Events follow the status that they speak of, one after the other.
    await until(
      async () => {
        reasons = (await tenant.kubectl('get', 'events', '-o', 'jsonpath={.items[*].reason}')).split(' ');
        return wanted.every((reason) => reasons.includes(reason)) ? true : undefined;
      },
      { withinMs: 20_000 },
    );
    expect(reasons).to.include.members(wanted);
  });

  it('stops the workspace when spec.running is false, and starts it again', async () => {
    await tenant.apply(tenant.workspace({ running: false }));
    const stopped = await tenant.untilWorkspace(isReady);
    expect(stopped.status?.running).to.equal(false);
    expect((await tenant.coder.workspace(stopped.status?.id ?? '')).latest_build.status).to.equal('stopped');

    await tenant.apply(tenant.workspace({ running: true }));
    const running = await tenant.untilWorkspace(isReady);
    expect(running.status?.running).to.equal(true);
    expect(await tenant.builds(running.status?.id ?? '')).to.deep.equal(['start', 'stop', 'start']);
  });

  it('makes changed files the active version, once', async () => {
    const before = await tenant.untilTemplate(isReady);
    await tenant.apply(tenant.template({ files: { 'main.tf': 'resource "terraform_data" "other" {}\n' } }));
    const after = await tenant.untilTemplate(
      (t) => isReady(t) && t.status?.contentHash !== before.status?.contentHash,
    );
    const real = await tenant.coder.template(after.status?.id ?? '');
    expect(real.active_version_id).to.equal(after.status?.activeVersion?.id);
    expect(real.active_version_id).to.not.equal(before.status?.activeVersion?.id);
    // Going back finds the version that is there.
    await tenant.apply(tenant.template());
    const back = await tenant.untilTemplate(
      (t) => isReady(t) && t.status?.contentHash === before.status?.contentHash,
    );
    expect(back.status?.activeVersion).to.deep.equal(before.status?.activeVersion);
  });

  it('deletes all three at once, the Secret first, and leaves nothing in Coder', async () => {
    const workspace = await tenant.getWorkspace();
    const template = await tenant.untilTemplate(isReady);
    await tenant.kubectl('delete', 'secret', 'coder');
    await tenant.kubectl(
      'delete',
      'coderworkspaces,codertemplates,codercontrolplanes',
      '--all',
      '--wait=false',
    );
    await tenant.untilGone(workspaces, workspace.metadata.name);
    await tenant.untilGone(templates, template.metadata.name);
    await tenant.untilGone(controlPlanes, 'coder');

    const readWorkspace = await tenant.coder
      .workspace(workspace.status?.id ?? '')
      .catch((error: unknown) => error);
    expect(isGone(readWorkspace), 'the workspace is gone').to.equal(true);
    const readTemplate = await tenant.coder
      .template(template.status?.id ?? '')
      .catch((error: unknown) => error);
    expect(isNotFound(readTemplate), 'the template is gone').to.equal(true);
  });

  after(async function () {
    this.timeout(150_000);
    // Absent when `before` has failed.
    await (tenant as Tenant | undefined)?.destroy();
  });
});
