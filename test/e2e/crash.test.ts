import { expect } from 'chai';
import { until } from '../../hack/stack/wait.ts';
import type { Operator } from '../../hack/stack/operator.ts';
import { Gate, type Stop } from '../support/gate.ts';
import { runningOperator, SERVERS_WITHIN_MS } from '../support/servers.ts';
import { isReady, SMALL, Tenant } from '../support/tenant.ts';

/** Whatever breaks, the end is what was wished, and Coder saw each build once. */
describe('crashes', function () {
  this.timeout(120_000);
  let tenant: Tenant;
  let gate: Gate;
  let operator: Operator;

  before(async function () {
    this.timeout(SERVERS_WITHIN_MS);
    tenant = await Tenant.create();
    gate = await Gate.open(tenant.stack.coder.url);
    operator = await runningOperator();
    await tenant.apply(tenant.credentials({ url: gate.url }), tenant.controlPlane(), tenant.template());
    await tenant.untilTemplate(isReady);
  });

  after(async () => {
    await tenant.destroy();
    await gate.close();
  });

  const isCreate = (method: string, path: string): boolean =>
    method === 'POST' && /^\/api\/v2\/users\/[^/]+\/workspaces$/.test(path);
  const isBuild = (method: string, path: string): boolean =>
    method === 'POST' && /^\/api\/v2\/workspaces\/[^/]+\/builds$/.test(path);

  const moments: readonly { readonly stop: Stop; readonly text: string }[] = [
    { stop: 'before', text: 'before Coder gets the request' },
    { stop: 'after', text: 'after Coder has acted and before the answer is seen' },
  ];

  /** Kills the operator at the request and starts it again. */
  async function killAt(stopped: Promise<void>): Promise<void> {
    await stopped;
    await operator.kill();
    await operator.start();
  }

  for (const { stop, text } of moments) {
    it(`makes one workspace with one build when it is killed at create, ${text}`, async () => {
      const name = `${tenant.tag}${stop}`;
      const stopped = gate.stopNext(stop, isCreate);
      await tenant.apply(tenant.workspace({ running: true }, name));
      await killAt(stopped);

      const ready = await tenant.untilWorkspace(isReady, 90_000, name);
      expect(ready.status?.origin).to.equal('Created');
      expect(await tenant.builds(ready.status?.id ?? '')).to.deep.equal(['start']);
      const all = await tenant.coder.workspaces({ query: `owner:${tenant.owner} name:${name}` });
      expect(all.count).to.equal(1);
    });

    it(`builds once when it is killed at stop and at start, ${text}`, async () => {
      const name = `${tenant.tag}${stop}`;
      const stopStopped = gate.stopNext(stop, isBuild);
      await tenant.apply(tenant.workspace({ running: false }, name));
      await killAt(stopStopped);
      await tenant.untilWorkspace((w) => isReady(w) && w.status?.running === false, 90_000, name);

      const startStopped = gate.stopNext(stop, isBuild);
      await tenant.apply(tenant.workspace({ running: true }, name));
      await killAt(startStopped);
      const ready = await tenant.untilWorkspace(
        (w) => isReady(w) && w.status?.running === true,
        90_000,
        name,
      );
      expect(await tenant.builds(ready.status?.id ?? '')).to.deep.equal(['start', 'stop', 'start']);
    });

    it(`makes one template with one version when it is killed at its creation, ${text}`, async () => {
      const name = `${tenant.tag}t${stop}`;
      const stopped = gate.stopNext(stop, (method, path) => method === 'POST' && path.endsWith('/templates'));
      await tenant.apply(tenant.template({ files: SMALL }, name));
      await killAt(stopped);
      const ready = await tenant.untilTemplate(isReady, 90_000, name);
      expect(ready.status?.origin).to.equal('Created');
    });

    it(`imports a first version once when it is killed at its upload, ${text}`, async () => {
      const name = `${tenant.tag}v${stop}`;
      const stopped = gate.stopNext(
        stop,
        (method, path) => method === 'POST' && path.endsWith('/templateversions'),
      );
      const files = { 'main.tf': `resource "terraform_data" "${stop}" {}\n` };
      await tenant.apply(tenant.template({ files }, name));
      await killAt(stopped);
      const ready = await tenant.untilTemplate(isReady, 90_000, name);
      const jobs = await tenant.coder.provisionerJobs(tenant.stack.coder.accounts.organizationId, {
        limit: 100,
      });
      const imports = jobs.filter(
        (j) =>
          j.type === 'template_version_import' &&
          j.metadata?.template_version_name === ready.status?.activeVersion?.name,
      );
      expect(imports).to.have.length(1);
    });

    it(`deletes once when it is killed at delete, ${text}`, async () => {
      const name = `${tenant.tag}${stop}`;
      const before = await tenant.untilWorkspace(isReady, 30_000, name);
      const stopped = gate.stopNext(stop, isBuild);
      await tenant.kubectl('delete', 'cws', tenant.workspaceName(name), '--wait=false');
      await killAt(stopped);
      const deleted = await until(
        async () => {
          const w = await tenant.coder.workspace(before.status?.id ?? '', { includeDeleted: true });
          return w.latest_build.status === 'deleted' ? true : undefined;
        },
        { withinMs: 60_000 },
      );
      expect(deleted).to.equal(true);
      expect(await tenant.builds(before.status?.id ?? '')).to.deep.equal([
        'start',
        'stop',
        'start',
        'delete',
      ]);
    });
  }

  it('gets there when Coder is killed in the middle of a build and comes back', async () => {
    const name = `${tenant.tag}slow`;
    const files = {
      'main.tf': 'resource "terraform_data" "slow" {\n provisioner "local-exec" { command = "sleep 3" }\n}\n',
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
