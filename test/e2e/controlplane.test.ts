import { expect } from 'chai';
import { workspaces } from '../../src/api/kinds.ts';
import { SERVERS_WITHIN_MS } from '../support/servers.ts';
import { has, isReady, messageOf, Tenant } from '../support/tenant.ts';

describe('the control plane', function () {
  this.timeout(90_000);
  let tenant: Tenant;
  let id: string;
  /** Tokens of the operator's user that nobody else uses. */
  let first: string;
  let second: string;

  before(async function () {
    this.timeout(SERVERS_WITHIN_MS);
    tenant = await Tenant.create();
    first = await newToken('first');
    second = await newToken('second');
    await tenant.apply(
      tenant.credentials({ token: first }),
      tenant.controlPlane(),
      tenant.template(),
      tenant.workspace({ running: true }),
    );
    const ready = await tenant.untilWorkspace(isReady, 60_000);
    id = ready.status?.id ?? '';
  });

  after(async function () {
    this.timeout(150_000);
    // Absent when `before` has failed.
    await (tenant as Tenant | undefined)?.destroy();
  });

  async function newToken(suffix: string): Promise<string> {
    const path = `/users/${tenant.stack.coder.operatorUser}/keys/tokens`;
    const made = await tenant.asAdmin('POST', path, { token_name: `${tenant.tag}${suffix}` });
    return (made as { readonly key: string }).key;
  }

  /** Asks for a look at the control plane, and waits until it is over. */
  async function look(): Promise<void> {
    const value = await tenant.request('ccp', 'coder');
    await tenant.untilControlPlane((c) => c.status?.lastHandledReconcileAt === value);
  }

  async function drive(running: boolean): Promise<void> {
    await tenant.apply(tenant.workspace({ running }));
    await tenant.untilWorkspace((w) => isReady(w) && w.status?.running === running);
  }

  describe('the token', () => {
    it('has an end, which is told', async () => {
      const { status } = await tenant.untilControlPlane(isReady);
      expect(Date.parse(status?.tokenExpiresAt ?? '')).to.be.greaterThan(Date.now());
    });

    it('F10. is replaced without a restart', async () => {
      await tenant.apply(tenant.credentials({ token: second }));
      await look();
      const path = `/users/${tenant.stack.coder.operatorUser}/keys/${first.split('-')[0] ?? ''}`;
      await tenant.asAdmin('DELETE', path);
      await drive(false);
      await look();
      expect(isReady(await tenant.getControlPlane())).to.equal(true);
    });

    it('stays in use while a new one is refused', async () => {
      const wrong = 'aaaaaaaaaa-bbbbbbbbbbbbbbbbbbbbbb';
      await tenant.apply(tenant.credentials({ token: wrong }));
      await tenant.request('ccp', 'coder');
      const refused = await tenant.untilControlPlane((c) => has(c, 'Reconciling', 'True', 'TokenRefused'));
      expect(has(refused, 'Synced', 'True')).to.equal(true);
      expect(messageOf(refused, 'Ready')).to.contain('The former token is still in use');
      await drive(true);
      await tenant.apply(tenant.credentials({ token: second }));
      await tenant.untilControlPlane(isReady);
      const all = await tenant.shown();
      for (const token of [first, second, wrong]) {
        expect(all.includes(token.split('-')[1] ?? ''), 'a token is shown').to.equal(false);
      }
    });
  });

  describe('suspend', () => {
    it('of a workspace keeps everything as it is, its deletion too', async () => {
      const builds = await tenant.builds(id);
      await tenant.apply(tenant.workspace({ running: false, ttlMillis: 3_600_000, suspend: true }));
      const suspended = await tenant.untilWorkspace((w) => has(w, 'Ready', 'False', 'Suspended'));
      expect(has(suspended, 'Suspended', 'True', 'SuspendedBySpec')).to.equal(true);
      expect(messageOf(suspended, 'Ready')).to.contain('spec.suspend is true: set it to false');
      expect(await tenant.builds(id)).to.deep.equal(builds);
      expect((await tenant.coder.workspace(id)).ttl_ms ?? 0).to.equal(0);

      await tenant.apply(tenant.workspace({ running: false }));
      await tenant.untilWorkspace((w) => isReady(w) && !has(w, 'Suspended', 'True'));
      expect(await tenant.builds(id)).to.deep.equal([...builds, 'stop']);
    });

    it('of a workspace holds its deletion', async () => {
      const name = `${tenant.tag}s`;
      await tenant.apply(tenant.workspace({ running: true }, name));
      const ready = await tenant.untilWorkspace(isReady, 30_000, name);
      await tenant.apply(tenant.workspace({ running: true, suspend: true }, name));
      await tenant.untilWorkspace((w) => has(w, 'Suspended', 'True'), 30_000, name);
      await tenant.kubectl('delete', 'cws', ready.metadata.name, '--wait=false');
      await tenant.untilWorkspace(
        (w) => w.metadata.deletionTimestamp !== undefined && has(w, 'Ready', 'False', 'Suspended'),
        30_000,
        name,
      );
      expect(await tenant.builds(ready.status?.id ?? '')).to.deep.equal(['start']);
      await tenant.apply(tenant.workspace({ running: true, suspend: false }, name));
      await tenant.untilGone(workspaces, ready.metadata.name);
      expect(await tenant.builds(ready.status?.id ?? '')).to.deep.equal(['start', 'delete']);
    });

    it('of the control plane holds all of its objects', async () => {
      const builds = await tenant.builds(id);
      await tenant.apply(tenant.controlPlane({ suspend: true }));
      const suspended = await tenant.untilControlPlane((c) => has(c, 'Suspended', 'True', 'SuspendedBySpec'));
      expect(isReady(suspended)).to.equal(true);
      await tenant.apply(tenant.workspace({ running: true }));
      const held = await tenant.untilWorkspace((w) => has(w, 'Ready', 'False', 'Suspended'));
      expect(has(held, 'Suspended', 'True', 'SuspendedByControlPlane')).to.equal(true);
      expect(await tenant.builds(id)).to.deep.equal(builds);
      await tenant.apply(tenant.controlPlane());
      const ready = await tenant.untilWorkspace((w) => isReady(w) && w.status?.running === true);
      expect(has(ready, 'Suspended', 'True')).to.equal(false);
      expect(await tenant.builds(id)).to.deep.equal([...builds, 'start']);
    });
  });

  describe('scope', () => {
    it('leaves everything out of it alone, and the deletion of an object too', async () => {
      const builds = await tenant.builds(id);
      await tenant.apply(tenant.controlPlane({ scope: { owners: ['somebody'] } }));
      await tenant.apply(tenant.workspace({ running: false }));
      const outside = await tenant.untilWorkspace((w) => has(w, 'Stalled', 'True', 'OutOfScope'));
      expect(messageOf(outside, 'Ready')).to.contain(tenant.owner);
      await tenant.untilControlPlane((c) => isReady(c) && c.status?.counts?.workspaces === 0);
      await tenant.kubectl('delete', 'cws', tenant.workspaceName(), '--timeout=20s');
      expect(await tenant.builds(id)).to.deep.equal(builds);
    });

    it('takes over again what comes into it', async () => {
      await tenant.apply(
        tenant.controlPlane({ scope: { owners: [tenant.owner], organizations: ['coder'] } }),
      );
      await tenant.apply(tenant.workspace({ running: true }));
      const ready = await tenant.untilWorkspace(isReady);
      expect(ready.status).to.include({ id, origin: 'Adopted' });
      await tenant.untilControlPlane((c) => isReady(c) && (c.status?.counts?.workspaces ?? 0) > 0);
      await tenant.coder.createBuild(id, { transition: 'delete' });
    });
  });
});
