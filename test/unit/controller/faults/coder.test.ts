import { expect } from 'chai';
import sinon from 'sinon';
import { annotations, workspaces, type CoderWorkspace } from '../../../../src/api/kinds.ts';
import { CoderError } from '../../../../src/coder/errors.ts';
import {
  OPERATOR,
  OTHER_ORGANIZATION,
  OWNER,
  PREBUILDS,
  SimulatedCoder,
  STRANGER,
} from '../../../support/controller-coder.ts';
import { shown } from '../../../support/controller-records.ts';
import { notImported } from '../../../support/coder/refusals.ts';
import { Fleet } from '../../../support/fleet.ts';
import { has, isReady, messageOf } from '../../../support/tenant.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DEV = 'acme.ann.dev';
const CHANGES = /^(create|update|promote|delete|upload|set)/;
const WITHOUT_MIRRORS = { mirror: { workspaces: 'Disabled', templates: 'Disabled' } } as const;
const OTHER_DEPLOYMENT = '0d000000-0000-4000-8000-000000000002';

/** The rows of docs/explanation/faults.md that are about Coder's own answers, on the whole operator in virtual time. */
describe('faults of Coder', function () {
  this.timeout(30_000);
  let fleet: Fleet;

  afterEach(async () => {
    await fleet.close();
  });

  async function open(controlPlane: ConstructorParameters<typeof Fleet>[0] = WITHOUT_MIRRORS): Promise<void> {
    fleet = new Fleet(controlPlane);
    fleet.coder.addTemplate('docker');
    await fleet.looks(1);
  }

  function apply(name = DEV, spec: object = {}): void {
    fleet.apply(name, { templateName: 'docker', running: true, ...spec });
  }

  async function running(...names: readonly string[]): Promise<void> {
    for (const name of names) apply(name);
    await fleet.looks(2);
    for (const name of names) expectReady(name);
  }

  function object(name = DEV): CoderWorkspace {
    const found = fleet.workspaces.find(({ metadata }) => metadata.name === name);
    if (found === undefined) throw new Error(`There is no ${name}`);
    return found;
  }

  function expectReady(name = DEV): void {
    expect(isReady(object(name)), JSON.stringify(object(name).status, undefined, 2)).to.equal(true);
  }

  /** How often Coder was asked for this. */
  const asked = (call: string): number => fleet.calls.filter((c) => c === call).length;
  /** What Coder was asked to change since. */
  const changesSince = (calls: number): readonly string[] =>
    fleet.calls.slice(calls).filter((c) => CHANGES.test(c));
  const builds = (initiator?: string): readonly string[] =>
    fleet.coder.history
      .filter(({ build }) => initiator === undefined || build.initiator_id === initiator)
      .map(({ build }) => build.transition);

  it('F6. waits for a build that somebody began at the same moment, and counts no failure', async () => {
    await open();
    await running(DEV);
    fleet.isBuilding = false;
    // Right before our stop, after all that we look at.
    fleet.coder.onRequest = () => {
      fleet.coder.onRequest = () => undefined;
      fleet.coder.build('start', OWNER.id);
    };
    fleet.apply(DEV, { running: false });
    await fleet.pass(MINUTE_MS);
    expect(asked('createBuild'), 'refused once with 409, and not tried again while it is active').to.equal(1);
    expect(has(object(), 'Reconciling', 'True', 'WaitingForBuild')).to.equal(true);
    expect(object().status).not.to.have.any.keys('failures', 'pendingOperation');
    fleet.isBuilding = true;
    await fleet.looks(2);
    expectReady();
    expect(builds()).to.deep.equal(['start', 'start', 'stop']);
    expect(asked('createBuild')).to.equal(2);
  });

  it('F7. takes over the workspace that somebody made under the name at the same moment', async () => {
    await open();
    fleet.coder.onRequest = () => {
      fleet.coder.onRequest = () => undefined;
      fleet.coder.addWorkspace(OWNER.username, 'dev', fleet.coder.addTemplate(), STRANGER.id);
    };
    apply();
    await fleet.looks(3);
    expectReady();
    expect(asked('createWorkspace')).to.equal(1);
    expect(fleet.coder.present).to.have.length(1);
    expect(object().status).to.include({ origin: 'Adopted', id: fleet.coder.present[0]?.id });
    expect(object().metadata.finalizers ?? [], 'what is not ours is not deleted with it').to.deep.equal([]);
    expect(object().status).not.to.have.any.keys('failures', 'pendingOperation');
  });

  it('F9. takes what the token may not see any more for hidden, not for gone', async () => {
    await open({});
    await running('acme.ann.one', 'acme.ann.two');
    const template = fleet.coder.addTemplate();
    for (let i = 0; i < 30; i++) fleet.coder.addWorkspace(STRANGER.username, `w-${i}`, template);
    await fleet.looks(4);
    const mirrors = fleet.mirrors.map(({ metadata }) => metadata.uid);
    expect(mirrors).to.have.length(30);
    const before = fleet.calls.length;
    fleet.coder.loseRole();
    fleet.apply('acme.ann.one', { running: false });
    await fleet.pass(20 * MINUTE_MS);
    expect(fleet.mirrors.map(({ metadata }) => metadata.uid)).to.deep.equal(mirrors);
    expect(has(object('acme.ann.one'), 'Reconciling', 'True', 'NotVisibleInCoder')).to.equal(true);
    expect(changesSince(before)).to.deep.equal([]);
    fleet.coder.regainRole();
    await fleet.pass(HOUR_MS);
    for (const { metadata } of fleet.workspaces) expectReady(metadata.name);
    expect(changesSince(before)).to.deep.equal(['createBuild']);
  });

  it('F11. asks seldom for what is forbidden, and goes on when it is allowed', async () => {
    await open();
    await running(DEV);
    const forbidden = new CoderError('Forbidden', 'Coder refuses: Unauthorized to start workspace.', {
      status: 403,
      coderMessage: 'Unauthorized to start workspace.',
      mayHaveChanged: true,
    });
    const refusing = sinon.stub(fleet.coder, 'createBuild').rejects(forbidden);
    fleet.apply(DEV, { running: false });
    await fleet.pass(HOUR_MS);
    expect(refusing.callCount).to.be.within(2, 40);
    expect(shown(object().status)).to.include.members([
      'Ready=False/Forbidden',
      'Reconciling=True/Forbidden',
      'Synced=False/Forbidden',
    ]);
    expect(object().status).not.to.have.property('failures');
    refusing.restore();
    await fleet.pass(6 * MINUTE_MS);
    expectReady();
    expect(builds()).to.deep.equal(['start', 'stop']);
  });

  it('F11. tries a start again and again that has no quota, ever more seldom, until there is some', async () => {
    await open();
    fleet.isBuilding = false;
    apply();
    for (let minutes = 0; minutes < 10; minutes++) {
      await fleet.pass(MINUTE_MS);
      fleet.coder.exceedQuota();
    }
    expect(builds().length).to.be.within(3, 5);
    expect(has(object(), 'Ready', 'False', 'BuildFailed')).to.equal(true);
    expect(messageOf(object(), 'Ready')).to.contain('insufficient quota');
    fleet.isBuilding = true;
    const before = builds().length;
    await fleet.pass(20 * MINUTE_MS);
    expectReady();
    expect(builds().length - before, 'one more').to.equal(1);
  });

  it('F12. waits for a version that is being imported, and counts no failure', async () => {
    await open();
    const create = sinon.stub(fleet.coder, 'createWorkspace').rejects(notImported('running'));
    apply();
    await fleet.pass(MINUTE_MS);
    expect(create.callCount, 'looked at every few seconds').to.be.within(5, 31);
    expect(has(object(), 'Reconciling', 'True', 'WaitingForImport')).to.equal(true);
    expect(object().status).not.to.have.any.keys('failures', 'pendingOperation');
    create.restore();
    await fleet.looks(2);
    expectReady();
    expect(builds()).to.deep.equal(['start']);
  });

  it('F29. makes nothing again that a restored database lacks, before a person says so', async () => {
    await open({});
    await running('acme.ann.one', 'acme.ann.two', 'acme.ann.three');
    const [before, yesterday] = [fleet.coder, new SimulatedCoder(fleet.clock)];
    yesterday.addTemplate('docker');
    fleet.replaceCoder(yesterday);
    await fleet.pass(HOUR_MS);
    expect(yesterday.landed).to.deep.equal([]);
    expect(fleet.workspaces).to.have.length(3);
    expect(fleet.workspaces.every(({ status }) => status?.id !== undefined)).to.equal(true);
    fleet.replaceCoder(before);
    await fleet.pass(HOUR_MS);
    for (const { metadata } of fleet.workspaces) expectReady(metadata.name);

    fleet.replaceCoder(yesterday);
    await fleet.pass(HOUR_MS);
    fleet.kube.patch(workspaces, 'acme.ann.one', {
      metadata: { annotations: { [annotations.reconcileRequestedAt]: 'restored' } },
    });
    await fleet.looks(3);
    expectReady('acme.ann.one');
    expect(yesterday.present.map(({ name }) => name)).to.deep.equal(['one']);
  });

  it('F30. sends neither the token nor a change to another Coder behind the URL', async () => {
    await open();
    await running('acme.ann.one', 'acme.ann.two');
    const [before, other] = [fleet.coder, new SimulatedCoder(fleet.clock)];
    other.deploymentID = OTHER_DEPLOYMENT;
    other.addTemplate('docker');
    fleet.replaceCoder(other);
    await fleet.looks(1);
    const known = fleet.calls.length;
    fleet.apply('acme.ann.one', { running: false });
    fleet.delete('acme.ann.two');
    apply('acme.ann.three');
    await fleet.pass(HOUR_MS);
    expect(new Set(fleet.calls.slice(known)), 'what needs no token').to.deep.equal(new Set(['buildInfo']));
    expect(other.landed).to.deep.equal([]);
    expect(has(fleet.controlPlane, 'Stalled', 'True', 'DeploymentMismatch')).to.equal(true);
    for (const { status } of fleet.workspaces) {
      expect(shown(status).some((c) => c.startsWith('Ready=True'))).to.equal(false);
    }
    fleet.replaceCoder(before);
    await fleet.pass(HOUR_MS);
    expect(fleet.workspaces.map(({ metadata }) => metadata.name)).to.have.members([
      'acme.ann.one',
      'acme.ann.three',
    ]);
    for (const { metadata } of fleet.workspaces) expectReady(metadata.name);
    expect(builds()).to.have.members(['start', 'start', 'stop', 'delete', 'start']);
  });

  it('F31. stays with its workspace when that gets another name, owner and organization', async () => {
    await open();
    await running(DEV);
    const { id } = object().status ?? {};
    const before = fleet.calls.length;
    fleet.coder.rename('web', id);
    fleet.coder.changeOwner(STRANGER.username, id);
    fleet.coder.moveTemplate(fleet.coder.addTemplate().id, OTHER_ORGANIZATION);
    await fleet.looks(5);
    expectReady();
    expect(object().status).to.include({ id, ownerName: STRANGER.username });
    expect(messageOf(object(), 'Drifted')).to.contain('bob/web');
    expect(changesSince(before)).to.deep.equal([]);
  });

  for (const outcome of ['is answered', 'loses its answer'] as const) {
    it(`F32. binds a workspace that was made in advance and is older than the wish (the claim ${outcome})`, async () => {
      await open();
      const prebuild = fleet.coder.addPrebuild(fleet.coder.addTemplate());
      await fleet.looks(30);
      // The real one does this where a preset matches, with a licence.
      const create = sinon.stub(fleet.coder, 'createWorkspace').callsFake(async (owner, { name }) => {
        fleet.coder.claimPrebuilds(OWNER, name);
        if (outcome === 'loses its answer') {
          throw new CoderError('Timeout', 'no answer', { mayHaveChanged: true });
        }
        return fleet.coder.workspaceByName(owner, name);
      });
      apply();
      await fleet.pass(2 * MINUTE_MS);
      expectReady();
      expect(create.callCount).to.equal(1);
      expect(fleet.coder.history[0]?.creator).to.equal(PREBUILDS.id);
      expect(object().status).to.include({
        id: prebuild?.id,
        // Without the answer nothing proves that it is ours, so deleting the object keeps it.
        origin: outcome === 'is answered' ? 'Created' : 'Adopted',
      });
      expect(fleet.coder.present).to.have.length(1);
    });
  }

  it('F34. does not start what its maximum lifetime ends, however often that happens', async () => {
    await open();
    await running(DEV);
    for (let i = 0; i < 10; i++) {
      fleet.coder.endLifetime();
      await fleet.looks(2);
      expect(shown(object().status)).to.include.members([
        'Ready=True/YieldedToCoder',
        'Drifted=True/StoppedByAutostop',
      ]);
      fleet.coder.build('start', OWNER.id);
      await fleet.looks(2);
      expectReady();
    }
    expect(builds(OPERATOR.id)).to.deep.equal(['start']);
  });

  it('F37. lets one of two objects drive a workspace, the older one', async () => {
    await open();
    await running(DEV);
    await fleet.pass(5_000);
    fleet.coder.rename('web', object().status?.id);
    apply('acme.ann.web', { running: false });
    await fleet.pass(HOUR_MS);
    expect(has(object('acme.ann.web'), 'Stalled', 'True', 'DuplicateClaim')).to.equal(true);
    expectReady();
    expect(builds()).to.deep.equal(['start']);
    fleet.delete('acme.ann.web');
    await fleet.looks(2);
    expect(fleet.workspaces).to.have.length(1);
    expect(builds(), 'nor is it deleted with the younger object').to.deep.equal(['start']);
  });

  it('F37. plays no ping-pong with another operator that has the same user in Coder', async () => {
    await open();
    await running(DEV);
    const hours = 3;
    for (let minutes = 0; minutes < hours * 60; minutes++) {
      const [workspace] = fleet.coder.present;
      // The other one wishes it stopped, and has neither cooldown nor budget.
      if (workspace?.latest_build.transition === 'start') {
        fleet.coder.build('stop', OPERATOR.id, 'initiator', { workspaceID: workspace.id });
      }
      await fleet.pass(MINUTE_MS);
    }
    // One more at its creation.
    expect(asked('createBuild')).to.be.within(1, 3 * hours);
    expect(has(object(), 'Drifted', 'True')).to.equal(true);
  });

  it('F38. believes no list that moves while it is read', async () => {
    await open({});
    const template = fleet.coder.addTemplate();
    for (let i = 0; i < 60; i++) fleet.coder.addWorkspace(STRANGER.username, `w-${i}`, template);
    await fleet.looks(4);
    const uids = fleet.mirrors.map(({ metadata }) => metadata.uid);
    expect(uids).to.have.length(60);
    let turn = 0;
    // A twentieth of the rows moves on to the page that was read before, others come twice.
    fleet.coder.ofList = (rows) => {
      turn++;
      return [
        ...rows.filter((_, i) => (i + turn) % 20 !== 0),
        ...rows.filter((_, i) => (i + turn) % 20 === 1),
      ];
    };
    const before = fleet.writes.length;
    await fleet.looks(100);
    expect(fleet.mirrors.map(({ metadata }) => metadata.uid)).to.deep.equal(uids);
    expect(
      fleet.writes.slice(before).filter(({ verb }) => verb === 'delete' || verb === 'create'),
    ).to.deep.equal([]);
    expect(fleet.calls.filter((c) => CHANGES.test(c))).to.deep.equal([]);
  });
});
