import { expect } from 'chai';
import { workspaces, type CoderWorkspace } from '../../src/api/kinds.ts';
import type { WorkspaceBuild } from '../../src/coder/types.ts';
import { SERVERS_WITHIN_MS } from '../support/servers.ts';
import { has, isReady, messageOf, Tenant } from '../support/tenant.ts';
import { slowFiles } from '../support/terraform.ts';

/** Wishes that come while Coder builds wait for their turn, and each is built once. */
describe('builds', function () {
  this.timeout(90_000);
  let tenant: Tenant;
  let id: string;
  const name = (suffix: string): string => `${tenant.tag}${suffix}`;
  /** The template whose builds take longer than a few changes of the wish do. */
  let slow: string;

  before(async function () {
    this.timeout(SERVERS_WITHIN_MS);
    tenant = await Tenant.create();
    slow = name('slow');
    await tenant.apply(
      tenant.credentials(),
      tenant.controlPlane(),
      tenant.template({ files: slowFiles(1) }),
      tenant.template({ files: slowFiles(5) }, slow),
    );
    await tenant.untilTemplate(isReady);
    await tenant.untilTemplate(isReady, 30_000, slow);
  });

  after(async function () {
    this.timeout(150_000);
    // Absent when `before` has failed.
    await (tenant as Tenant | undefined)?.destroy();
  });

  const isBuilding = (status: string) => (w: CoderWorkspace) => w.status?.latestBuild?.status === status;
  const isReadyWith = (running: boolean) => (w: CoderWorkspace) =>
    isReady(w) && w.status?.running === running;

  it('of a new workspace with running false are a start and a stop', async () => {
    await tenant.apply(tenant.workspace({ running: false }));
    const starting = await tenant.untilWorkspace(isBuilding('starting'));
    expect(messageOf(starting, 'Ready')).to.match(/when that is done, it is stopped/);
    const ready = await tenant.untilWorkspace(isReady);
    id = ready.status?.id ?? '';
    expect(has(ready, 'Ready', 'True', 'Stopped')).to.equal(true);
    expect(await tenant.builds(id)).to.deep.equal(['start', 'stop']);
    const [creating] = await tenant.untilCoder(
      () => tenant.events('Creating'),
      (messages) => messages.length > 0,
    );
    expect(creating).to.contain('it runs once and is then stopped');
  });

  it('wait for each other when the wish changes again and again', async () => {
    const wish = (spec: object): Promise<void> =>
      tenant.apply(tenant.workspace({ templateName: slow, ...spec }, name('c')));
    await wish({ running: true });
    await tenant.untilWorkspace(isBuilding('starting'), 30_000, name('c'));
    await wish({ running: false, ttlMillis: 3_600_000 });
    await wish({ running: true, ttlMillis: 3_600_000 });
    await wish({ running: false, ttlMillis: 7_200_000 });
    const ready = await tenant.untilWorkspace(isReadyWith(false), 30_000, name('c'));
    const changed = ready.status?.id ?? '';
    expect(await tenant.builds(changed)).to.deep.equal(['start', 'stop']);
    expect((await tenant.coder.workspace(changed)).ttl_ms).to.equal(7_200_000);
  });

  it('are not made for a wish that was taken back in time', async () => {
    const wish = (running: boolean): Promise<void> =>
      tenant.apply(tenant.workspace({ templateName: slow, running }, name('t')));
    await wish(true);
    await tenant.untilWorkspace(isBuilding('starting'), 30_000, name('t'));
    await wish(false);
    await tenant.untilWorkspace(
      (w) => w.status?.observedGeneration === w.metadata.generation,
      30_000,
      name('t'),
    );
    await wish(true);
    const ready = await tenant.untilWorkspace(isReadyWith(true), 30_000, name('t'));
    expect(await tenant.builds(ready.status?.id ?? '')).to.deep.equal(['start']);
  });

  it('of somebody else are waited for, and count for the wish', async () => {
    await tenant.apply(tenant.workspace({ running: true }));
    await tenant.untilWorkspace(isReadyWith(true));
    await tenant.coder.createBuild(id, { transition: 'stop' });
    await tenant.apply(tenant.workspace({ running: false }));
    const ready = await tenant.untilWorkspace(isReadyWith(false));
    expect(ready.status?.latestBuild?.initiator).to.equal('Owner');
    expect(await tenant.builds(id)).to.deep.equal(['start', 'stop', 'start', 'stop']);
  });

  it('are let end before a workspace is deleted', async () => {
    await tenant.apply(tenant.workspace({ running: true }));
    await tenant.untilWorkspace(isBuilding('starting'));
    await tenant.kubectl('delete', 'cws', tenant.workspaceName(), '--wait=false');
    await tenant.untilGone(workspaces, tenant.workspaceName());
    const builds = await tenant.coder.builds(id);
    expect(builds.slice(0, 2).map((b) => [b.transition, b.job.status])).to.deep.equal([
      ['delete', 'succeeded'],
      ['start', 'succeeded'],
    ]);
    expect(builds).to.have.length(6);
  });

  it('were all in order: no warning was given', async () => {
    const table = await tenant.kubectl('get', 'events', '--field-selector=type=Warning', '-o', 'name');
    expect(table).to.equal('');
  });

  it('are as many at the same time as the control plane says', async () => {
    const names = ['one', 'two', 'three'].map(name);
    await tenant.apply(tenant.controlPlane({ maxConcurrentBuilds: 1 }));
    await tenant.untilControlPlane(isReady);
    await tenant.apply(...names.map((each) => tenant.workspace({ running: true }, each)));
    const ids: string[] = [];
    for (const each of names) {
      ids.push((await tenant.untilWorkspace(isReady, 60_000, each)).status?.id ?? '');
    }
    await tenant.apply(...names.map((each) => tenant.workspace({ running: false }, each)));
    for (const each of names) await tenant.untilWorkspace(isReadyWith(false), 60_000, each);

    const builds = (await Promise.all(ids.map((one) => tenant.coder.builds(one)))).flat();
    expect(builds.map((b) => b.transition).sort()).to.deep.equal([
      ...['start', 'start', 'start'],
      ...['stop', 'stop', 'stop'],
    ]);
    expectOneAtATime(builds);
  });
});

/** By Coder's own times, each build was asked for after the one before had ended. */
function expectOneAtATime(builds: readonly WorkspaceBuild[]): void {
  const sorted = [...builds].sort((a, b) => Date.parse(a.created_at) - Date.parse(b.created_at));
  for (const [i, build] of sorted.entries()) {
    const before = sorted[i - 1]?.job.completed_at;
    if (before === undefined) continue;
    expect(Date.parse(build.created_at), `${build.transition} ${build.id}`).to.be.at.least(
      Date.parse(before),
    );
  }
}
