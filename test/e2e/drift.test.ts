import { expect } from 'chai';
import type { CoderWorkspace } from '../../src/api/kinds.ts';
import { SERVERS_WITHIN_MS } from '../support/servers.ts';
import { has, isReady, messageOf, Tenant } from '../support/tenant.ts';

/** Somebody or something changes in Coder what a manifest wishes. The tests' operator cools down for 2 s. */
describe('drift', function () {
  this.timeout(120_000);
  let tenant: Tenant;
  const name = (suffix: string): string => `${tenant.tag}${suffix}`;
  /** By suffix. */
  const ids = new Map<string, string>();
  const idOf = (suffix: string): string => ids.get(suffix) ?? '';
  const TTL = 3_600_000;

  before(async function () {
    this.timeout(SERVERS_WITHIN_MS);
    tenant = await Tenant.create();
    await tenant.apply(
      tenant.credentials(),
      tenant.controlPlane(),
      tenant.template(),
      tenant.workspace({ running: true, ttlMillis: TTL }, name('auto')),
      tenant.workspace({ running: true }, name('user')),
      tenant.workspace({ running: true, ttlMillis: TTL }, name('ttl')),
    );
    for (const suffix of ['auto', 'user', 'ttl']) {
      const ready = await tenant.untilWorkspace(isReady, 60_000, name(suffix));
      ids.set(suffix, ready.status?.id ?? '');
    }
  });

  after(async function () {
    this.timeout(150_000);
    // Absent when `before` has failed.
    await (tenant as Tenant | undefined)?.destroy();
  });

  const untilIs = (
    suffix: string,
    isSo: (w: CoderWorkspace) => boolean,
    withinMs = 40_000,
  ): Promise<CoderWorkspace> => tenant.untilWorkspace(isSo, withinMs, name(suffix));

  describe('while the operator looks away', () => {
    before(async () => {
      const { latest_build: build } = await tenant.coder.workspace(idOf('auto'));
      expect(build.deadline, 'Coder has a deadline for the TTL').to.be.a('string');
      // Nobody has an hour: the deadline is over.
      await tenant.stack.coder.sql(
        `update workspace_builds set deadline = now() - interval '5 minutes' where id = '${build.id}'`,
      );
      await tenant.coder.createBuild(idOf('user'), { transition: 'stop' });
      await tenant.coder.setTTL(idOf('ttl'), 2 * TTL);
    });

    it("Coder's own autostop is told, and not fought", async () => {
      const drifted = await untilIs('auto', (w) => has(w, 'Drifted', 'True', 'StoppedByAutostop'));
      expect(has(drifted, 'Ready', 'True', 'YieldedToCoder')).to.equal(true);
      expect(has(drifted, 'Reconciling', 'True')).to.equal(false);
      expect(drifted.status?.latestBuild).to.include({ reason: 'autostop', initiator: 'Coder', number: 2 });
    });

    it("a user's stop is set right once after the cooldown", async () => {
      const again = await untilIs('user', (w) => isReady(w) && w.status?.latestBuild?.number === 3);
      expect(has(again, 'Ready', 'True', 'Running')).to.equal(true);
      expect(has(again, 'Drifted', 'True')).to.equal(false);
      expect(again.status?.latestBuild?.initiator).to.equal('Operator');
      expect(again.status?.corrections).to.have.length(1);
      // Coder's times of the stop's end and of the start: the cooldown lies between them.
      const [start, stop] = await tenant.coder.builds(idOf('user'));
      const pauseMs = Date.parse(start?.created_at ?? '') - Date.parse(stop?.job.completed_at ?? '');
      expect(pauseMs).to.be.greaterThan(1_000);
      await tenant.untilCoder(
        () => tenant.events('CorrectingDrift'),
        (messages) => messages.some((m) => /Build 2 by its owner stopped the workspace/.test(m)),
      );
    });

    it("a user's change of the TTL is set right too", async () => {
      await tenant.untilCoder(
        () => tenant.coder.workspace(idOf('ttl')),
        (w) => w.ttl_ms === TTL,
        40_000,
      );
      const again = await untilIs('ttl', (w) => isReady(w) && !has(w, 'Drifted', 'True'));
      expect(again.status?.corrections).to.have.length(1);
      expect(await tenant.builds(idOf('ttl'))).to.deep.equal(['start']);
    });

    it('needs no more builds than these', async () => {
      await tenant.untilLookedAgain();
      expect(await tenant.builds(idOf('auto'))).to.deep.equal(['start', 'stop']);
      expect(await tenant.builds(idOf('user'))).to.deep.equal(['start', 'stop', 'start']);
      expect((await tenant.coder.workspace(idOf('ttl'))).ttl_ms).to.equal(TTL);
    });
  });

  describe('after that', () => {
    before(async () => {
      await tenant.coder.createBuild(idOf('auto'), { transition: 'start' });
      await tenant.coder.createBuild(idOf('user'), { transition: 'delete' });
      // Coder allows it only when it is told to; its database does not ask.
      await tenant.stack.coder.sql(
        `update workspaces set name = '${name('other')}' where id = '${idOf('ttl')}'`,
      );
    });

    it('drift is over when somebody brings the workspace back', async () => {
      const running = await untilIs('auto', (w) => has(w, 'Ready', 'True', 'Running'));
      expect(has(running, 'Drifted', 'True')).to.equal(false);
      expect(running.status?.latestBuild).to.include({ initiator: 'Owner', number: 3 });
    });

    it('a rename changes nothing but what is told', async () => {
      const renamed = await untilIs('ttl', (w) => has(w, 'Drifted', 'True', 'RenamedInCoder'));
      expect(isReady(renamed)).to.equal(true);
      expect(renamed.status).to.include({ id: idOf('ttl'), workspaceName: name('other') });
      expect(messageOf(renamed, 'Drifted')).to.contain(name('other'));
    });

    it("a user's deletion is set right by a new workspace", async () => {
      const again = await untilIs('user', (w) => isReady(w) && w.status?.id !== idOf('user'));
      expect(again.status?.origin).to.equal('Created');
      expect(await tenant.builds(again.status?.id ?? '')).to.deep.equal(['start']);
    });
  });
});
