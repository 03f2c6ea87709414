import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { templates, workspaces, type CoderWorkspace } from '../../src/api/kinds.ts';
import { archiveOf } from '../../src/coder/archive.ts';
import { isGone } from '../../src/coder/errors.ts';
import { echoFiles } from '../support/coder-echo.ts';
import { SERVERS_WITHIN_MS } from '../support/servers.ts';
import { has, isReady, messageOf, SMALL, Tenant } from '../support/tenant.ts';
import { undeletableFiles } from '../support/terraform.ts';

describe('deletion', function () {
  this.timeout(120_000);
  let tenant: Tenant;
  /** While it is there, no workspace of the test's Terraform template can be deleted. */
  let flag: string;

  before(async function () {
    this.timeout(SERVERS_WITHIN_MS);
    tenant = await Tenant.create();
    flag = join(tmpdir(), `coder-operator-${tenant.tag}`);
    await tenant.apply(
      tenant.credentials(),
      tenant.controlPlane({ requestsPerMinute: 10_000 }),
      tenant.template({ files: undeletableFiles(flag) }),
    );
    await tenant.untilTemplate(isReady);
  });

  after(async function () {
    this.timeout(150_000);
    rmSync(flag, { force: true });
    // Absent when `before` has failed.
    await (tenant as Tenant | undefined)?.destroy();
  });

  const name = (suffix: string): string => `${tenant.tag}${suffix}`;
  const isGoneInCoder = async (id: string): Promise<boolean> =>
    isGone(await tenant.coder.workspace(id).catch((error: unknown) => error));

  /** Applies workspaces that run, and gives what they are when they do. */
  async function running(suffixes: readonly string[], spec: object = {}): Promise<readonly CoderWorkspace[]> {
    await tenant.apply(...suffixes.map((s) => tenant.workspace({ running: true, ...spec }, name(s))));
    return Promise.all(suffixes.map((s) => tenant.untilWorkspace(isReady, 60_000, name(s))));
  }

  async function remove(...suffixes: readonly string[]): Promise<void> {
    const objects = suffixes.map((s) => tenant.workspaceName(name(s)));
    await tenant.kubectl('delete', 'cws', ...objects, '--wait=false');
  }

  it('keeps a workspace whose deletionPolicy is Retain, and deletes every other that was created', async () => {
    const [kept, gone] = await running(['kept', 'gone']);
    await tenant.apply(tenant.workspace({ running: true, deletionPolicy: 'Retain' }, name('kept')));
    const free = await tenant.untilWorkspace(
      (w) => isReady(w) && (w.metadata.finalizers ?? []).length === 0,
      30_000,
      name('kept'),
    );
    expect(free.status?.origin).to.equal('Created');
    await remove('kept', 'gone');
    await tenant.untilGone(workspaces, tenant.workspaceName(name('kept')));
    await tenant.untilGone(workspaces, tenant.workspaceName(name('gone')));
    expect(await isGoneInCoder(gone?.status?.id ?? '')).to.equal(true);
    const keptID = kept?.status?.id ?? '';
    expect((await tenant.coder.workspace(keptID)).latest_build.status).to.equal('running');
    await tenant.coder.createBuild(keptID, { transition: 'delete' });
  });

  it('F36. that fails says so, is tried again, and lets go of nothing by itself', async () => {
    const both = await running(['stuck', 'mended']);
    writeFileSync(flag, '');
    await remove('stuck', 'mended');
    for (const [i, suffix] of ['stuck', 'mended'].entries()) {
      const failed = await tenant.untilWorkspace(
        (w) => has(w, 'Reconciling', 'True', 'BuildFailed') && w.status?.failures?.count === 2,
        40_000,
        name(suffix),
      );
      expect(messageOf(failed, 'Ready')).to.match(/could not be deleted: .*still there.*Try 3 follows/s);
      expect(failed.status?.failures?.what).to.equal('delete');
      const id = both[i]?.status?.id ?? '';
      expect((await tenant.builds(id)).slice(0, 3)).to.deep.equal(['start', 'delete', 'delete']);
      expect(await isGoneInCoder(id)).to.equal(false);
    }
  });

  it('F36. is given up where the annotation holds the uid of the object', async () => {
    const stuck = await tenant.getWorkspace(name('stuck'));
    const { uid = '', name: object } = stuck.metadata;
    const annotate = (value: string): Promise<string> =>
      tenant.kubectl('annotate', '--overwrite', 'cws', object, `coder.com/force-release=${value}`);
    await annotate('yes');
    // The next try tells that this is no way out.
    await tenant.untilWorkspace((w) => w.status?.failures?.count === 3, 40_000, name('stuck'));
    await annotate(uid);
    await tenant.untilGone(workspaces, object);
    const id = stuck.status?.id ?? '';
    expect(await isGoneInCoder(id)).to.equal(false);
    await tenant.untilCoder(
      () => tenant.events('ForceReleased'),
      (messages) => messages.length === 1,
    );
  });

  it('F36. ends when what kept it from being done is mended', async () => {
    const mended = await tenant.getWorkspace(name('mended'));
    expect(existsSync(flag)).to.equal(true);
    rmSync(flag);
    await tenant.untilGone(workspaces, mended.metadata.name, 60_000);
    expect(await isGoneInCoder(mended.status?.id ?? '')).to.equal(true);
    const left = await tenant.coder.workspaceByName(tenant.owner, name('stuck'));
    await tenant.coder.createBuild(left.id, { transition: 'delete' });
  });

  it('of a template waits until no workspace uses it, whoever made that', async () => {
    const templateName = name('t');
    await tenant.apply(tenant.template({ files: SMALL }, templateName));
    const template = await tenant.untilTemplate(isReady, 30_000, templateName);
    const id = template.status?.id ?? '';
    const [ours] = await running(['u'], { templateName });
    const theirs = await tenant.coder.createWorkspace(tenant.owner, { name: name('v'), template_id: id });
    await tenant.untilCoder(
      () => tenant.coder.workspace(theirs.id),
      (w) => w.latest_build.status === 'running',
    );
    await tenant.kubectl('delete', 'ctpl', template.metadata.name, '--wait=false');
    const waiting = await tenant.untilTemplate(
      (t) => has(t, 'Reconciling', 'True', 'WorkspacesExist'),
      30_000,
      templateName,
    );
    const message = messageOf(waiting, 'Ready');
    expect(message).to.contain('no workspace uses it any more: there are 2 (');
    for (const suffix of ['u', 'v']) expect(message).to.contain(`${tenant.owner}/${name(suffix)}`);
    expect(waiting.status?.id).to.equal(id);

    await tenant.coder.createBuild(theirs.id, { transition: 'delete' });
    await tenant.untilCoder(
      () => isGoneInCoder(theirs.id),
      (gone) => gone,
    );
    await remove('u');
    await tenant.untilGone(workspaces, ours?.metadata.name ?? '');
    await tenant.untilGone(templates, template.metadata.name, 40_000);
    expect(await tenant.coder.deletedTemplateById(id)).to.include({ id });
  });

  it('of very many workspaces at once waits for the word of a person', async () => {
    const templateName = await quickTemplate();
    const suffixes = Array.from({ length: 21 }, (_, i) => `m${i}`);
    const all = await running(suffixes, { templateName });
    // In one request, as a prune or a wrong command would.
    const path = `/apis/coder.com/v1alpha1/namespaces/${tenant.namespace}/coderworkspaces`;
    await tenant.kubectl('delete', '--raw', path);

    const held = async (): Promise<readonly CoderWorkspace[]> => {
      const { items } = await tenant.kube.list<CoderWorkspace>(workspaces, tenant.namespace);
      return items.filter((w) => has(w, 'Reconciling', 'True', 'DeletionHeld'));
    };
    const [some] = await tenant.untilCoder(held, (objects) => objects.length > 0);
    if (some === undefined) throw new Error('nothing is held');
    expect(messageOf(some, 'Ready')).to.match(
      /which is more than 20 and may be a mistake.*coder\.com\/reconcile-requested-at of the control plane/,
    );
    const { latest_build: build } = await tenant.coder.workspace(some.status?.id ?? '');
    expect(build.transition).to.equal('start');

    await tenant.request('ccp', 'coder');
    for (const workspace of all) await tenant.untilGone(workspaces, workspace.metadata.name);
    for (const workspace of all) expect(await isGoneInCoder(workspace.status?.id ?? '')).to.equal(true);
  });

  /** A template whose builds take no time, for many workspaces. */
  async function quickTemplate(): Promise<string> {
    const organization = tenant.stack.coder.accounts.organizationId;
    const templateName = name('q');
    const version = await tenant.coder.createTemplateVersion(organization, {
      name: templateName,
      file_id: await tenant.coder.uploadArchive(await archiveOf(echoFiles({ note: templateName }))),
      provisioner: 'echo',
    });
    await tenant.untilCoder(
      () => tenant.coder.templateVersion(version.id),
      ({ job }) => job.status === 'succeeded',
    );
    await tenant.coder.createTemplate(organization, {
      name: templateName,
      template_version_id: version.id,
    });
    return templateName;
  }
});
