import { expect } from 'chai';
import { until } from '../../hack/stack/wait.ts';
import type { Operator } from '../../hack/stack/operator.ts';
import { versionName } from '../../src/coder/contenthash.ts';
import { keyOf } from '../support/controller-records.ts';
import { Gate, type GateRequest, type Stop } from '../support/gate.ts';
import { runningOperator, SERVERS_WITHIN_MS } from '../support/servers.ts';
import { isReady, SMALL, Tenant } from '../support/tenant.ts';

/**
 * Whatever breaks, the end is what was wished, and Coder saw each build once.
 *
 * Each crash is tried at two moments, on objects of their own: before Coder gets the request, and after Coder has acted
 * and before the answer is seen.
 */
describe('crashes', function () {
  this.timeout(400_000);
  const moments: readonly Stop[] = ['before', 'after'];
  let tenant: Tenant;
  let gate: Gate;
  let operator: Operator;
  const ids = new Map<Stop, string>();

  before(async function () {
    this.timeout(SERVERS_WITHIN_MS);
    tenant = await Tenant.create();
    gate = await Gate.open(tenant.stack.coder.url);
    operator = await runningOperator();
    await tenant.apply(tenant.credentials({ url: gate.url }), tenant.controlPlane(), tenant.template());
    await tenant.untilTemplate(isReady);
  });

  after(async function () {
    this.timeout(150_000);
    try {
      // Absent when `before` has failed.
      await (tenant as Tenant | undefined)?.destroy();
    } finally {
      await (gate as Gate | undefined)?.close();
    }
  });

  const nameOf = (stop: Stop): string => `${tenant.tag}${stop}`;
  const isBuildOf =
    (stop: Stop) =>
    ({ method, path }: GateRequest): boolean =>
      method === 'POST' && path === `/api/v2/workspaces/${ids.get(stop) ?? ''}/builds`;

  /** Kills the operator when every one of these requests was stopped, and starts it again. */
  async function killAt(stopped: readonly Promise<void>[]): Promise<void> {
    await Promise.all(stopped);
    await operator.kill();
    await operator.start();
  }

  function untilRunning(stop: Stop, running: boolean): ReturnType<Tenant['untilWorkspace']> {
    return tenant.untilWorkspace((w) => isReady(w) && w.status?.running === running, 90_000, nameOf(stop));
  }

  const post =
    (path: RegExp, text: string) =>
    (r: GateRequest): boolean =>
      r.method === 'POST' && path.test(r.path) && r.body.includes(text);

  it('F18. makes each workspace and template once when it is killed at their creation', async () => {
    const stopped = moments.flatMap((stop) => [
      gate.stopNext(stop, `create ${nameOf(stop)}`, post(/\/users\/[^/]+\/workspaces$/, `"${nameOf(stop)}"`)),
      gate.stopNext(stop, `create template t${stop}`, post(/\/templates$/, `"${tenant.tag}t${stop}"`)),
    ]);
    await tenant.apply(
      ...moments.map((stop) => tenant.workspace({ running: true }, nameOf(stop))),
      ...moments.map((stop) => tenant.template({ files: SMALL }, `${tenant.tag}t${stop}`)),
    );
    await killAt(stopped);
    for (const stop of moments) {
      const workspace = await untilRunning(stop, true);
      ids.set(stop, workspace.status?.id ?? '');
      expect(workspace.status?.origin).to.equal('Created');
      expect(await tenant.builds(workspace.status?.id ?? ''), stop).to.deep.equal(['start']);
      const all = await tenant.coder.workspaces({ query: `owner:${tenant.owner} name:${nameOf(stop)}` });
      expect(all.count, stop).to.equal(1);
      const template = await tenant.untilTemplate(isReady, 60_000, `${tenant.tag}t${stop}`);
      expect(template.status?.origin).to.equal('Created');
    }
  });

  it('imports a first version once when it is killed at its upload', async () => {
    const templateOf = (stop: Stop): string => `${tenant.tag}v${stop}`;
    const filesOf = (stop: Stop): Record<string, string> => ({
      'main.tf': `resource "terraform_data" "${stop}" {}\n`,
    });
    // The name follows from the files, and no other template has these.
    const versionOf = (stop: Stop): string => versionName(keyOf(filesOf(stop)), 1);
    const stopped = moments.map((stop) =>
      gate.stopNext(
        stop,
        `version of ${templateOf(stop)}`,
        post(/\/templateversions$/, `"${versionOf(stop)}"`),
      ),
    );
    await tenant.apply(...moments.map((stop) => tenant.template({ files: filesOf(stop) }, templateOf(stop))));
    await killAt(stopped);
    for (const stop of moments) {
      await tenant.untilTemplate(isReady, 60_000, templateOf(stop));
      const organization = tenant.stack.coder.accounts.organizationId;
      const jobs = await tenant.coder.provisionerJobs(organization, { limit: 100 });
      const imports = jobs.filter((j) => j.metadata?.template_version_name === versionOf(stop));
      expect(imports, `imports of ${stop}`).to.have.length(1);
    }
  });

  it('F19. stops once when it is killed at the stop', async () => {
    const stopped = moments.map((stop) => gate.stopNext(stop, `build of ${nameOf(stop)}`, isBuildOf(stop)));
    await tenant.apply(...moments.map((stop) => tenant.workspace({ running: false }, nameOf(stop))));
    await killAt(stopped);
    for (const stop of moments) {
      await untilRunning(stop, false);
      expect(await tenant.builds(ids.get(stop) ?? ''), stop).to.deep.equal(['start', 'stop']);
    }
  });

  it('F19. starts once when it is killed at the start', async () => {
    const stopped = moments.map((stop) => gate.stopNext(stop, `build of ${nameOf(stop)}`, isBuildOf(stop)));
    await tenant.apply(...moments.map((stop) => tenant.workspace({ running: true }, nameOf(stop))));
    await killAt(stopped);
    for (const stop of moments) {
      await untilRunning(stop, true);
      expect(await tenant.builds(ids.get(stop) ?? ''), stop).to.deep.equal(['start', 'stop', 'start']);
    }
  });

  it('deletes once when it is killed at the deletion', async () => {
    const stopped = moments.map((stop) => gate.stopNext(stop, `build of ${nameOf(stop)}`, isBuildOf(stop)));
    await tenant.kubectl(
      'delete',
      'cws',
      ...moments.map((stop) => tenant.workspaceName(nameOf(stop))),
      '--wait=false',
    );
    await killAt(stopped);
    for (const stop of moments) {
      const deleted = await until(
        async () => {
          const workspace = await tenant.coder.workspace(ids.get(stop) ?? '', { includeDeleted: true });
          return workspace.latest_build.status === 'deleted' ? true : undefined;
        },
        { withinMs: 60_000 },
      );
      expect(deleted, stop).to.equal(true);
      expect(await tenant.builds(ids.get(stop) ?? ''), stop).to.deep.equal([
        'start',
        'stop',
        'start',
        'delete',
      ]);
    }
  });

  it('gets there when Coder is killed in the middle of a build and comes back', async () => {
    const name = `${tenant.tag}slow`;
    const files = {
      'main.tf':
        'resource "terraform_data" "slow" {\n provisioner "local-exec" { command = "sleep 10" }\n}\n',
    };
    await tenant.apply(tenant.template({ files }, name));
    await tenant.untilTemplate(isReady, 60_000, name);
    await tenant.apply(tenant.workspace({ templateName: name, running: true }, name));
    const building = await tenant.untilWorkspace(
      (w) => w.status?.latestBuild?.status === 'starting',
      30_000,
      name,
    );

    await tenant.stack.coder.kill();
    await tenant.untilControlPlane(
      (c) => c.status?.conditions?.some((x) => x.type === 'Synced' && x.status === 'False') === true,
    );
    await tenant.stack.coder.start();
    // Coder fails an abandoned job after five minutes without a sign of life; let those be over.
    await tenant.stack.coder.sql(
      "update provisioner_jobs set updated_at = now() - interval '10 minutes' where completed_at is null and started_at is not null",
    );
    const ready = await tenant.untilWorkspace(isReady, 110_000, name);
    expect(ready.status?.id).to.equal(building.status?.id);
    expect(await tenant.builds(ready.status?.id ?? '')).to.deep.equal(['start', 'start']);
  });
});
