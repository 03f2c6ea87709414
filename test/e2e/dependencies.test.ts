import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { until } from '../../hack/stack/wait.ts';
import { controlPlanes, workspaces } from '../../src/api/kinds.ts';
import { archiveOf } from '../../src/coder/archive.ts';
import { SERVERS_WITHIN_MS } from '../support/servers.ts';
import { has, isReady, messageOf, SMALL, Tenant } from '../support/tenant.ts';

/** What is wrong is said in a condition, and heals by itself once it is mended. */
describe('what is missing or wrong', function () {
  this.timeout(90_000);
  let tenant: Tenant;

  before(async function () {
    this.timeout(SERVERS_WITHIN_MS);
    tenant = await Tenant.create();
  });

  after(async function () {
    this.timeout(150_000);
    // Absent when `before` has failed.
    await (tenant as Tenant | undefined)?.destroy();
  });

  describe('credentials', () => {
    it('waits for a Secret that is not there', async () => {
      await tenant.apply(tenant.controlPlane());
      const waiting = await tenant.untilControlPlane((c) =>
        has(c, 'Reconciling', 'True', 'WaitingForDependency'),
      );
      expect(messageOf(waiting, 'Ready')).to.match(
        /There is no Secret coder: create it with the type coder.com\/credentials/,
      );
    });

    it('says which type the Secret must have', async () => {
      await tenant.apply(tenant.credentials({ type: 'Opaque' }));
      const wrong = await tenant.untilControlPlane((c) =>
        has(c, 'Reconciling', 'True', 'InvalidCredentials'),
      );
      expect(messageOf(wrong, 'Ready')).to.match(/is of the type Opaque and not coder.com\/credentials/);
      await tenant.kubectl('delete', 'secret', 'coder');
    });

    it('says which key the Secret lacks', async () => {
      await tenant.apply({
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: 'coder' },
        type: 'coder.com/credentials',
        stringData: { url: tenant.stack.coder.url },
      });
      await tenant.untilControlPlane((c) => messageOf(c, 'Ready') === 'The Secret coder lacks token');
    });

    it('says that Coder is not there', async () => {
      await tenant.apply(tenant.credentials({ url: 'http://127.0.0.1:1' }));
      const down = await tenant.untilControlPlane((c) => has(c, 'Synced', 'False', 'CoderUnreachable'));
      expect(messageOf(down, 'Ready')).to.contain('127.0.0.1');
    });

    it('refuses an address that it may not connect to', async () => {
      await tenant.apply(tenant.credentials({ url: 'http://169.254.169.254' }));
      await tenant.untilControlPlane((c) => has(c, 'Reconciling', 'True', 'InvalidCredentials'));
    });

    it('F10. says that the token is refused, and goes on when it is the right one', async () => {
      await tenant.apply(tenant.credentials({ token: 'aaaaaaaaaa-bbbbbbbbbbbbbbbbbbbbbb' }));
      const refused = await tenant.untilControlPlane((c) => has(c, 'Reconciling', 'True', 'TokenRefused'));
      expect(JSON.stringify(refused)).to.not.contain('bbbbbbbbbbbbbbbbbbbbbb');
      await tenant.apply(tenant.credentials());
      await tenant.untilControlPlane(isReady);
    });

    it('lets one control plane of a namespace work, the oldest', async () => {
      const second = {
        apiVersion: 'coder.com/v1alpha1',
        kind: 'CoderControlPlane',
        metadata: { name: 'second' },
        spec: { credentialsSecretRef: { name: 'coder' } },
      };
      await tenant.apply(second);
      const stalled = await tenant.until(controlPlanes, 'second', (c) =>
        has(c, 'Stalled', 'True', 'AnotherControlPlane'),
      );
      expect(messageOf(stalled, 'Ready')).to.contain('older control plane coder');
      await tenant.kubectl('delete', 'ccp', 'second');
      await tenant.untilControlPlane(isReady);
    });

    it('says how to let the operator read the Secret', async () => {
      await tenant.kubectl('delete', 'rolebinding', 'coder-operator-secrets');
      await tenant.kubectl('annotate', 'ccp', 'coder', 'coder.com/reconcile-requested-at=1');
      const forbidden = await tenant.untilControlPlane((c) => has(c, 'Stalled', 'True', 'SecretForbidden'));
      expect(messageOf(forbidden, 'Ready')).to.contain(
        `kubectl apply -n ${tenant.namespace} -k config/tenant`,
      );
      await tenant.kubectl('apply', '-k', 'config/tenant');
      await tenant.untilControlPlane(isReady);
    });
  });

  describe('templates', () => {
    it('needs content to create one', async () => {
      await tenant.apply(tenant.template({}));
      await tenant.untilTemplate((t) => has(t, 'Stalled', 'True', 'ContentMissing'));
    });

    it('shows why files cannot be imported, and takes mended ones', async () => {
      await tenant.apply(
        tenant.template({ files: { 'main.tf': 'resource "terraform_data" "x" { input = var.nothing }\n' } }),
      );
      const failed = await tenant.untilTemplate((t) => has(t, 'Stalled', 'True', 'ImportFailed'), 60_000);
      expect(messageOf(failed, 'Ready')).to.match(/failed 3 times: .+/);
      await tenant.apply(tenant.template());
      await tenant.untilTemplate(isReady);
    });

    it('makes a version that is named by its UUID the active one', async () => {
      const template = await tenant.untilTemplate(isReady);
      const first = template.status?.activeVersion?.id ?? '';
      await tenant.apply(tenant.template({ files: { ...SMALL, 'README.md': 'another' } }));
      await tenant.untilTemplate((t) => isReady(t) && t.status?.activeVersion?.id !== first);
      await tenant.apply(tenant.template({ versionID: first }));
      const back = await tenant.untilTemplate((t) => isReady(t) && t.status?.activeVersion?.id === first);
      expect((await tenant.coder.template(back.status?.id ?? '')).active_version_id).to.equal(first);
      await tenant.apply(tenant.template());
      await tenant.untilTemplate(isReady);
    });

    it('reports a version that somebody else promoted, and leaves it', async () => {
      const template = await tenant.untilTemplate(isReady);
      const name = `k8s-other-${tenant.tag}`;
      const file = await tenant.coder.uploadArchive(
        await archiveOf({ 'main.tf': 'resource "terraform_data" "b" {}\n' }),
      );
      const organization = tenant.stack.coder.accounts.organizationId;
      const id = template.status?.id ?? '';
      const version = await tenant.coder.createTemplateVersion(organization, {
        name,
        file_id: file,
        provisioner: 'terraform',
        template_id: id,
      });
      await until(
        async () =>
          (await tenant.coder.templateVersion(version.id)).job.status === 'succeeded' ? true : undefined,
        { withinMs: 30_000 },
      );
      await tenant.coder.promoteTemplateVersion(id, version.id);
      const drifted = await tenant.untilTemplate((t) => has(t, 'Drifted', 'True', 'ActiveVersionChanged'));
      expect(isReady(drifted)).to.equal(true);
      await tenant.kubectl('annotate', 'ctpl', `coder.${tenant.tag}`, 'coder.com/reconcile-requested-at=now');
      const again = await tenant.untilTemplate((t) => isReady(t) && t.status?.activeVersion?.name !== name);
      expect(again.status?.activeVersion?.id).to.equal(template.status?.activeVersion?.id);
    });
  });

  describe('workspaces', () => {
    it('waits for a template, and goes on when it is there', async () => {
      const later = `${tenant.tag}b`;
      await tenant.apply(tenant.workspace({ templateName: later, running: true }, later));
      const waiting = await tenant.untilWorkspace(
        (w) => has(w, 'Reconciling', 'True', 'WaitingForDependency'),
        30_000,
        later,
      );
      expect(messageOf(waiting, 'Ready')).to.contain(`Coder has no template ${later}`);
      await tenant.apply(tenant.template({ files: SMALL }, later));
      await tenant.untilWorkspace(isReady, 30_000, later);
    });

    const workspaceOf = (user: string): object => ({
      apiVersion: 'coder.com/v1alpha1',
      kind: 'CoderWorkspace',
      metadata: { name: `coder.${user}.dev` },
      spec: { templateName: tenant.tag, running: true },
    });
    const createUser = (user: string): Promise<unknown> =>
      tenant.asAdmin('POST', '/users', {
        email: `${user}@example.com`,
        username: user,
        login_type: 'none',
        organization_ids: [tenant.stack.coder.accounts.organizationId],
      });

    it('says that the user is unknown, and goes on when there is one', async () => {
      const user = `${tenant.tag}u`;
      const name = `coder.${user}.dev`;
      await tenant.apply(workspaceOf(user));
      const waiting = await tenant.until(workspaces, name, (w) =>
        has(w, 'Reconciling', 'True', 'WaitingForDependency'),
      );
      expect(messageOf(waiting, 'Ready')).to.contain(`Coder has no user ${user}`);
      await createUser(user);
      await tenant.until(workspaces, name, isReady);
    });

    it('says that the user is no member, and goes on when the user is', async () => {
      const user = `${tenant.tag}o`;
      const name = `coder.${user}.dev`;
      const member = `/organizations/${tenant.stack.coder.accounts.organizationId}/members/${user}`;
      await createUser(user);
      await tenant.asAdmin('DELETE', member);
      await tenant.apply(workspaceOf(user));
      const outside = await tenant.until(workspaces, name, (w) =>
        has(w, 'Stalled', 'True', 'OwnerNotMember'),
      );
      expect(messageOf(outside, 'Ready')).to.contain(`${user} is not a member of the organization coder`);
      await tenant.asAdmin('POST', member);
      await tenant.kubectl('annotate', 'cws', name, 'coder.com/reconcile-requested-at=1');
      await tenant.until(workspaces, name, isReady);
    });

    it('tries a start that fails again, and says why', async () => {
      const flag = join(tmpdir(), `coder-operator-${tenant.tag}`);
      const files = {
        'main.tf': `resource "terraform_data" "x" {
          provisioner "local-exec" { command = "test -e '${flag}' || { echo the flag is missing >&2; exit 1; }" }
        }\n`,
      };
      const name = `${tenant.tag}f`;
      await tenant.apply(tenant.template({ files }, name));
      await tenant.untilTemplate(isReady, 30_000, name);
      expect(existsSync(flag)).to.equal(false);
      await tenant.apply(tenant.workspace({ templateName: name, running: true }, name));
      const failed = await tenant.untilWorkspace(
        (w) => has(w, 'Reconciling', 'True', 'BuildFailed'),
        30_000,
        name,
      );
      expect(messageOf(failed, 'Ready')).to.match(/could not be started: .+ Try \d+ follows/s);
      writeFileSync(flag, '');
      const ready = await tenant.untilWorkspace(isReady, 60_000, name);
      expect(ready.status?.failures).to.equal(undefined);
      rmSync(flag);
    });

    it('takes an existing workspace over and leaves it when its object is deleted', async () => {
      const name = `${tenant.tag}a`;
      const template = await tenant.coder.templateByName('coder', tenant.tag);
      const made = await tenant.coder.createWorkspace(tenant.owner, { name, template_id: template.id });
      await tenant.apply(tenant.workspace({ running: true }, name));
      const ready = await tenant.untilWorkspace(isReady, 30_000, name);
      expect(ready.status?.origin).to.equal('Adopted');
      expect(ready.status?.id).to.equal(made.id);
      expect(ready.metadata.finalizers ?? []).to.deep.equal([]);
      expect(await tenant.builds(made.id)).to.deep.equal(['start']);

      await tenant.apply(tenant.workspace({ running: false }, name));
      await tenant.untilWorkspace((w) => isReady(w) && w.status?.running === false, 30_000, name);
      await tenant.kubectl('delete', 'cws', tenant.workspaceName(name), '--timeout=20s');
      expect((await tenant.coder.workspace(made.id)).latest_build.status).to.equal('stopped');
      await tenant.coder.createBuild(made.id, { transition: 'delete' });
    });

    it('reports what others did since, and leaves it under driftPolicy OnChange', async () => {
      await tenant.apply(tenant.workspace({ running: true, driftPolicy: 'OnChange' }));
      const ready = await tenant.untilWorkspace(isReady);
      const id = ready.status?.id ?? '';
      await tenant.coder.createBuild(id, { transition: 'stop' });
      const drifted = await tenant.untilWorkspace((w) => has(w, 'Drifted', 'True', 'StoppedByUser'));
      expect(has(drifted, 'Ready', 'True', 'YieldedToCoder')).to.equal(true);
      await tenant.kubectl('annotate', 'cws', ready.metadata.name, 'coder.com/reconcile-requested-at=again');
      const again = await tenant.untilWorkspace((w) => has(w, 'Ready', 'True', 'Running'));
      expect(again.status?.running).to.equal(true);
      expect(await tenant.builds(id)).to.deep.equal(['start', 'stop', 'start']);
    });

    it('looks afresh when it is asked to, and does not trust what it remembers', async () => {
      const ready = await tenant.untilWorkspace((w) => has(w, 'Ready', 'True', 'Running'));
      const id = ready.status?.id ?? '';
      const stop = await tenant.coder.createBuild(id, { transition: 'stop' });
      await until(
        async () => ((await tenant.coder.workspace(id)).latest_build.status === 'stopped' ? true : undefined),
        { withinMs: 30_000 },
      );
      // At once, before the operator looks at everything again.
      await tenant.kubectl(
        'annotate',
        '--overwrite',
        'cws',
        ready.metadata.name,
        'coder.com/reconcile-requested-at=soon',
      );
      const again = await tenant.untilWorkspace(
        (w) => has(w, 'Ready', 'True', 'Running') && (w.status?.latestBuild?.number ?? 0) > stop.build_number,
      );
      expect(again.status?.lastHandledReconcileAt).to.equal('soon');
    });

    it('starts with the mended template after the broken one made the start fail', async () => {
      const name = `${tenant.tag}m`;
      const broken = 'resource "terraform_data" "x" {\n provisioner "local-exec" { command = "exit 1" }\n}\n';
      await tenant.apply(tenant.template({ files: { 'main.tf': broken } }, name));
      await tenant.untilTemplate(isReady, 30_000, name);
      await tenant.apply(tenant.workspace({ templateName: name, running: true }, name));
      await tenant.untilWorkspace((w) => has(w, 'Reconciling', 'True', 'BuildFailed'), 30_000, name);
      await tenant.apply(tenant.template({ files: SMALL }, name));
      const template = await tenant.untilTemplate(
        (t) => isReady(t) && t.status?.observedGeneration === t.metadata.generation,
        30_000,
        name,
      );
      const ready = await tenant.untilWorkspace(isReady, 60_000, name);
      expect(ready.status?.latestBuild?.templateVersionID).to.equal(template.status?.activeVersion?.id);
    });

    it('says that a workspace was deleted in Coder, and creates it again when asked', async () => {
      const before = await tenant.untilWorkspace(isReady);
      await tenant.coder.createBuild(before.status?.id ?? '', { transition: 'delete' });
      await tenant.untilWorkspace((w) => has(w, 'Stalled', 'True', 'DeletedInCoder'));
      await tenant.kubectl(
        'annotate',
        '--overwrite',
        'cws',
        before.metadata.name,
        'coder.com/reconcile-requested-at=anew',
      );
      const after = await tenant.untilWorkspace(isReady);
      expect(after.status?.id).to.not.equal(before.status?.id);
    });
  });
});
