import { expect } from 'chai';
import { SERVERS_WITHIN_MS } from '../support/servers.ts';
import { has, isReady, messageOf, SMALL, Tenant } from '../support/tenant.ts';

describe('template versions of a workspace', function () {
  this.timeout(90_000);
  let tenant: Tenant;
  let id: string;
  const OTHER = { ...SMALL, 'README.md': 'the other' };
  const THIRD = { ...SMALL, 'README.md': 'the third' };
  /** Names and ids of the versions, in the order in which they became active. */
  const versions: { readonly id: string; readonly name: string }[] = [];

  before(async function () {
    this.timeout(SERVERS_WITHIN_MS);
    tenant = await Tenant.create();
    await tenant.apply(tenant.credentials(), tenant.controlPlane());
    await activate(SMALL);
    await activate(OTHER);
  });

  after(async function () {
    this.timeout(150_000);
    // Absent when `before` has failed.
    await (tenant as Tenant | undefined)?.destroy();
  });

  async function activate(files: object): Promise<void> {
    await tenant.apply(tenant.template({ files }));
    const known = versions.map((v) => v.id);
    const ready = await tenant.untilTemplate(
      (t) => isReady(t) && !known.includes(t.status?.activeVersion?.id ?? ''),
    );
    const { id: versionID = '', name = '' } = ready.status?.activeVersion ?? {};
    versions.push({ id: versionID, name });
  }

  /** The version that Coder built last, and all builds until then. */
  async function inCoder(): Promise<{ readonly version: string; readonly builds: readonly string[] }> {
    const { latest_build: build } = await tenant.coder.workspace(id);
    return { version: build.template_version_id, builds: await tenant.builds(id) };
  }

  it('are pinned by name at the creation, whatever is active', async () => {
    await tenant.apply(tenant.workspace({ running: true, templateVersionName: versions[0]?.name }));
    const ready = await tenant.untilWorkspace(isReady);
    id = ready.status?.id ?? '';
    expect(ready.status?.outdated).to.equal(true);
    expect(ready.status?.latestBuild?.templateVersionName).to.equal(versions[0]?.name);
    expect(await inCoder()).to.deep.equal({ version: versions[0]?.id, builds: ['start'] });
  });

  it('wait for the next start, say so, and come with it', async () => {
    const pin = { templateVersionID: versions[1]?.id };
    await tenant.apply(tenant.workspace({ running: true, ...pin }));
    const waits = await tenant.untilWorkspace((w) => has(w, 'Drifted', 'True', 'WaitsForNextStart'));
    expect(isReady(waits)).to.equal(true);
    expect(messageOf(waits, 'Drifted')).to.match(/takes effect with the next start/i);

    await tenant.apply(tenant.workspace({ running: false, ...pin }));
    await tenant.untilWorkspace((w) => isReady(w) && w.status?.running === false);
    await tenant.apply(tenant.workspace({ running: true, ...pin }));
    const ready = await tenant.untilWorkspace((w) => isReady(w) && w.status?.running === true);
    expect(has(ready, 'Drifted', 'True')).to.equal(false);
    expect(await inCoder()).to.deep.equal({ version: versions[1]?.id, builds: ['start', 'stop', 'start'] });
  });

  it('restart the workspace once when that is wished', async () => {
    const pin = { templateVersionName: versions[0]?.name, updatePolicy: 'Restart' };
    await tenant.apply(tenant.workspace({ running: true, ...pin }));
    const ready = await tenant.untilWorkspace((w) => isReady(w) && w.status?.latestBuild?.number === 5);
    expect(ready.status?.running).to.equal(true);
    expect(await inCoder()).to.deep.equal({
      version: versions[0]?.id,
      builds: ['start', 'stop', 'start', 'stop', 'start'],
    });
  });

  it('follow the active one without a pin', async () => {
    await tenant.apply(tenant.workspace({ running: true, updatePolicy: 'Restart' }));
    await tenant.untilWorkspace((w) => isReady(w) && w.status?.latestBuild?.number === 7);
    expect((await inCoder()).version).to.equal(versions[1]?.id);
    await activate(THIRD);
    const ready = await tenant.untilWorkspace((w) => isReady(w) && w.status?.latestBuild?.number === 9);
    expect(ready.status?.outdated).to.equal(false);
    expect((await inCoder()).version).to.equal(versions[2]?.id);
  });

  it('of another template, or of none, are not built with', async () => {
    const before = await inCoder();
    await tenant.apply(tenant.workspace({ running: true, templateVersionName: 'nothing' }));
    const waiting = await tenant.untilWorkspace((w) => has(w, 'Reconciling', 'True', 'WaitingForDependency'));
    expect(messageOf(waiting, 'Ready')).to.contain('Coder has no template version nothing');
    await tenant.apply(tenant.workspace({ running: true }));
    await tenant.untilWorkspace(isReady);
    expect(await inCoder()).to.deep.equal(before);
  });
});
