import { expect } from 'chai';
import { mirrorLabels } from '../../src/api/mirrors.ts';
import { templates, workspaces, type CoderTemplate, type CoderWorkspace } from '../../src/api/kinds.ts';
import type { KubeObject, ResourceType } from '../../src/api/meta.ts';
import type { Workspace } from '../../src/coder/types.ts';
import { SERVERS_WITHIN_MS } from '../support/servers.ts';
import { has, isReady, SMALL, Tenant } from '../support/tenant.ts';

describe('mirrors of what is in a real Coder', function () {
  this.timeout(120_000);
  let tenant: Tenant;
  let made: Workspace;

  before(async function () {
    this.timeout(SERVERS_WITHIN_MS);
    tenant = await Tenant.create();
    await tenant.apply(
      tenant.credentials(),
      tenant.controlPlane({ mirror: {} }),
      tenant.template({ files: SMALL, deletionPolicy: 'Retain' }),
    );
    const template = await tenant.untilTemplate(isReady);
    made = await tenant.coder.createWorkspace(tenant.owner, {
      name: tenant.tag,
      template_id: template.status?.id ?? '',
    });
  });

  after(async function () {
    this.timeout(150_000);
    // Absent when `before` has failed.
    await (tenant as Tenant | undefined)?.destroy();
  });

  /** Waits until there is an object of this name, and it is as `isSo` says. */
  async function untilShown<T extends KubeObject>(
    resource: ResourceType,
    name: string,
    isSo: (object: T) => boolean,
  ): Promise<T> {
    await tenant.untilCoder(
      () => tenant.kube.list<T>(resource, tenant.namespace),
      ({ items }) => items.some((o) => o.metadata.name === name),
    );
    return tenant.until<T>(resource, name, isSo);
  }

  const isMirrored = ({ status }: CoderTemplate | CoderWorkspace): boolean => status?.origin === 'Mirrored';
  const build = (transition: string): Promise<unknown> =>
    tenant.asAdmin('POST', `/workspaces/${made.id}/builds`, { transition });

  it('shows a workspace that somebody makes in Coder', async () => {
    const mirror = await untilShown<CoderWorkspace>(
      workspaces,
      tenant.workspaceName(),
      (w) => isMirrored(w) && w.status?.running === true && isReady(w),
    );
    expect(mirror.status).to.include({ id: made.id, ownerName: tenant.owner, templateName: tenant.tag });
    expect(has(mirror, 'Ready', 'True', 'Mirrored')).to.equal(true);
    expect(mirror.spec).to.deep.equal({});
    expect(mirror.metadata.finalizers ?? []).to.deep.equal([]);
    expect(mirror.metadata.labels).to.deep.equal({
      [mirrorLabels.mirror]: 'true',
      [mirrorLabels.organization]: 'coder',
      [mirrorLabels.owner]: tenant.owner,
      [mirrorLabels.template]: tenant.tag,
    });
    expect(await tenant.kubectl('get', 'cws', '-l', `coder.com/template=${tenant.tag}`)).to.match(
      /running\s+True\s+Mirrored/,
    );
  });

  it('follows what somebody does with it in the dashboard', async () => {
    await build('stop');
    await tenant.untilWorkspace((w) => w.status?.latestBuild?.status === 'stopped' && isReady(w));
    expect(await tenant.builds(made.id)).to.deep.equal(['start', 'stop']);
  });

  it('is taken over by a wish, and is there again when the object is deleted', async () => {
    await tenant.kubectl(
      'patch',
      'cws',
      tenant.workspaceName(),
      '--type=merge',
      '-p',
      '{"spec":{"running":true}}',
    );
    const adopted = await tenant.untilWorkspace((w) => w.status?.origin === 'Adopted' && isReady(w));
    expect(adopted.metadata.labels ?? {}).to.deep.equal({});
    expect(await tenant.builds(made.id)).to.deep.equal(['start', 'stop', 'start']);
    expect(await tenant.events('Adopted')).to.have.length(1);

    await tenant.kubectl('delete', 'cws', tenant.workspaceName(), '--timeout=30s');
    const again = await untilShown<CoderWorkspace>(workspaces, tenant.workspaceName(), isMirrored);
    expect(again.metadata.uid).to.not.equal(adopted.metadata.uid);
    expect((await tenant.coder.workspace(made.id)).latest_build.status).to.equal('running');
  });

  it('shows a template whose object was deleted, and its new name after a rename', async () => {
    await tenant.kubectl('delete', 'ctpl', `coder.${tenant.tag}`, '--timeout=30s');
    const mirror = await untilShown<CoderTemplate>(
      templates,
      `coder.${tenant.tag}`,
      (t) => isMirrored(t) && isReady(t),
    );
    expect(mirror.status).to.include({ workspaces: 1 });

    const renamed = `${tenant.tag}x`;
    await tenant.asAdmin('PATCH', `/templates/${mirror.status?.id ?? ''}`, { name: renamed });
    const next = await untilShown<CoderTemplate>(templates, `coder.${renamed}`, isMirrored);
    expect(next.status?.id).to.equal(mirror.status?.id);
    await tenant.untilGone(templates, `coder.${tenant.tag}`);
    await tenant.untilWorkspace((w) => w.metadata.labels?.[mirrorLabels.template] === renamed);
    await tenant.asAdmin('PATCH', `/templates/${mirror.status?.id ?? ''}`, { name: tenant.tag });
    await untilShown<CoderTemplate>(templates, `coder.${tenant.tag}`, isMirrored);
  });

  it('goes when the workspace goes, and nothing is created again', async () => {
    await build('delete');
    await tenant.untilGone(workspaces, tenant.workspaceName());
    await tenant.untilCoder(
      async () =>
        (await tenant.coder.workspaces({ query: `owner:${tenant.owner} name:${tenant.tag}` })).count,
      (count) => count === 0,
    );
  });

  it('goes when the control plane mirrors no more, and nothing goes in Coder', async () => {
    await tenant.apply(tenant.controlPlane());
    await tenant.untilCoder(
      async () => {
        const selector = { labelSelector: `${mirrorLabels.mirror}=true` };
        const left = await tenant.kube.list<KubeObject>(templates, tenant.namespace, selector);
        const others = await tenant.kube.list<KubeObject>(workspaces, tenant.namespace, selector);
        return left.items.length + others.items.length;
      },
      (count) => count === 0,
    );
    const template = `/organizations/coder/templates/${tenant.tag}`;
    const kept = (await tenant.asAdmin('GET', template)) as { readonly id: string };
    await tenant.asAdmin('DELETE', `/templates/${kept.id}`);
  });
});
