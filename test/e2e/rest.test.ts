import { expect } from 'chai';
import { logTail } from '../../hack/stack/process.ts';
import { systemClock } from '../../src/base/clock.ts';
import { tarGzOf } from '../support/archives.ts';
import { ArtifactServer } from '../support/artifacts.ts';
import { FluxObject, installFluxCrds, removeFluxCrds } from '../support/flux.ts';
import { runningOperator, SERVERS_WITHIN_MS } from '../support/servers.ts';
import { coderWrites, isReady, SMALL, Tenant } from '../support/tenant.ts';
import { PARAMETERS } from '../support/terraform.ts';

describe('at rest', function () {
  this.timeout(150_000);
  let tenant: Tenant;
  let host: ArtifactServer;

  before(async function () {
    this.timeout(SERVERS_WITHIN_MS);
    tenant = await Tenant.create();
    host = await ArtifactServer.start();
    await installFluxCrds(tenant.kube);
    const source = await FluxObject.create(tenant.kube, tenant.namespace, 'GitRepository', 'templates');
    const bytes = await tarGzOf(SMALL);
    await source.publish({ url: host.serve('/template.tar.gz', bytes), bytes });
    await tenant.apply(
      tenant.credentials(),
      tenant.controlPlane(),
      tenant.template(),
      tenant.workspace({ running: true }),
      tenant.workspace({ running: false }, `${tenant.tag}b`),
      // All that may have to be set right again or read again, and is in order.
      tenant.template({ files: PARAMETERS }, `${tenant.tag}p`),
      tenant.template({ source: { sourceRef: source.ref } }, `${tenant.tag}f`),
      tenant.configMap('content', { 'main.tf': 'variable "password" {}\n' }),
      tenant.values('values', { password: 'correct horse' }),
      tenant.template(
        {
          source: { configMapRef: { name: 'content' } },
          variables: [{ name: 'password', valueFrom: { secretKeyRef: { name: 'values', key: 'password' } } }],
        },
        `${tenant.tag}c`,
      ),
      tenant.workspace(
        {
          templateName: `${tenant.tag}p`,
          running: true,
          parameters: [
            { name: 'password', valueFrom: { secretKeyRef: { name: 'values', key: 'password' } } },
            { name: 'cpus', value: '4' },
          ],
          ttlMillis: 7_200_000,
          autostartSchedule: 'CRON_TZ=Europe/Berlin 30 9 * * 1-5',
          automaticUpdates: 'Always',
          updatePolicy: 'Restart',
          driftPolicy: 'Enforce',
        },
        `${tenant.tag}p`,
      ),
    );
    await tenant.untilWorkspace(isReady);
    await tenant.untilWorkspace(isReady, 60_000, `${tenant.tag}b`);
    await tenant.untilWorkspace(isReady, 60_000, `${tenant.tag}p`);
    for (const suffix of ['f', 'c']) await tenant.untilTemplate(isReady, 60_000, `${tenant.tag}${suffix}`);
    // What Coder holds is counted once a look, so the last change of it is told a while later.
    const { count } = await tenant.coder.workspaces();
    await tenant.untilControlPlane((c) => isReady(c) && c.status?.counts?.workspaces === count, 60_000);
  });

  after(async function () {
    this.timeout(150_000);
    // Absent when `before` has failed.
    const { kube } = (tenant as Tenant | undefined) ?? {};
    if (kube !== undefined) await removeFluxCrds(kube);
    await (tenant as Tenant | undefined)?.destroy();
    await (host as ArtifactServer | undefined)?.close();
  });

  it('writes nothing for a minute, to Kubernetes or to Coder', async () => {
    // Events are sent a moment after the write that they tell of.
    await untilQuiet(() => tenant.operatorWrites().length);
    const kubernetes = tenant.operatorWrites();
    const coder = await coderWrites();
    expect(kubernetes.length, 'the audit log saw the writes that led here').to.be.greaterThan(5);
    expect(coder.length, 'so did the metrics').to.be.greaterThan(0);

    await systemClock.sleep(60_000);

    expect(tenant.operatorWrites().slice(kubernetes.length)).to.deep.equal([]);
    expect(await coderWrites()).to.deep.equal(coder);
  });

  it('F40. ends in order on SIGTERM, and a successor takes over at once and writes nothing', async () => {
    const operator = await runningOperator();
    await untilQuiet(() => tenant.operatorWrites().length);
    const before = tenant.operatorWrites();
    const builds = await coderWrites();
    expect(builds.length).to.be.greaterThan(0);

    const stopping = systemClock.monotonic();
    await operator.stop('SIGTERM');
    // What does not end by itself is killed after 30 seconds.
    expect(systemClock.monotonic() - stopping, 'it ended by itself').to.be.lessThan(30_000);
    expect(logTail(operator.logFile)).to.contain('the lease is released');
    await operator.start();
    // A request is carried out by whoever leads: then the successor has looked at everything.
    await tenant.kubectl('annotate', 'ccp', 'coder', 'coder.com/reconcile-requested-at=after-restart');
    await tenant.untilControlPlane((c) => c.status?.lastHandledReconcileAt === 'after-restart');
    await untilQuiet(() => tenant.operatorWrites().length);

    expect(tenant.operatorWrites().slice(before.length)).to.deep.equal(['update codercontrolplanes/coder']);
    expect(await coderWrites()).to.deep.equal([]);
    expect(host.requests('/template.tar.gz'), 'nor was anything fetched again').to.equal(1);
  });
});

/** Waits until a count has not moved for two seconds. */
async function untilQuiet(count: () => number): Promise<void> {
  for (let before = -1, i = 0; i < 20; i++) {
    const now = count();
    if (now === before) return;
    before = now;
    await systemClock.sleep(2_000);
  }
  throw new Error('the operator does not come to rest');
}
