import { expect } from 'chai';
import { annotations } from '../../../../src/api/kinds.ts';
import { OWNER, SimulatedCoder } from '../../../support/controller-coder.ts';
import { Fleet } from '../../../support/fleet.ts';
import { has } from '../../../support/tenant.ts';

const OTHER_DEPLOYMENT = '0d000000-0000-4000-8000-000000000002';

describe('mirrors and another Coder behind the same address', () => {
  let fleet: Fleet;
  let first: SimulatedCoder;
  let other: SimulatedCoder;

  beforeEach(async () => {
    // The control plane itself looks once in ten minutes: until then it is the observer that has to notice.
    fleet = new Fleet({ pollInterval: '10m' });
    first = fleet.coder;
    first.addWorkspace(OWNER.username, 'dev', first.addTemplate());
    await fleet.looks(3);
    expect(names()).to.deep.equal(['acme.ann.dev']);
    other = new SimulatedCoder(fleet.clock);
    other.deploymentID = OTHER_DEPLOYMENT;
  });

  afterEach(async () => {
    await fleet.close();
  });

  function names(): readonly string[] {
    return fleet.mirrors.map(({ metadata }) => metadata.name);
  }

  it('show nothing of it, and are not taken from what it has under their names', async () => {
    const { uid } = fleet.mirrors[0]?.metadata ?? {};
    other.addWorkspace(OWNER.username, 'theirs', other.addTemplate('theirs'));
    other.addWorkspace(OWNER.username, 'dev', other.addTemplate('docker'));
    fleet.replaceCoder(other);
    // The feed of jobs tells of this one at once, and the next list of all.
    await fleet.pass(3_000);
    other.addWorkspace(OWNER.username, 'late', other.addTemplate('docker'));
    await fleet.pass(700_000);
    expect(has(fleet.controlPlane, 'Stalled', 'True', 'DeploymentMismatch')).to.equal(true);
    expect(fleet.mirrors.map(({ metadata }) => metadata.uid)).to.deep.equal([uid]);
    expect(fleet.templates.map(({ metadata }) => metadata.name)).to.deep.equal(['acme.docker']);
    expect(other.landed).to.deep.equal([]);

    fleet.replaceCoder(first);
    await fleet.looks(3);
    expect(has(fleet.controlPlane, 'Ready', 'True', 'Connected')).to.equal(true);
    expect(fleet.mirrors.map(({ metadata }) => metadata.uid)).to.deep.equal([uid]);
  });

  it('give way to what it has once a person has accepted it', async () => {
    other.addWorkspace(OWNER.username, 'theirs', other.addTemplate('theirs'));
    fleet.replaceCoder(other);
    await fleet.pass(700_000);
    fleet.annotate({ [annotations.acceptDeployment]: OTHER_DEPLOYMENT });
    await fleet.pass(60_000);
    expect(names()).to.deep.equal(['acme.ann.theirs']);
    expect(fleet.templates.map(({ metadata }) => metadata.name)).to.deep.equal(['acme.theirs']);
    expect(fleet.mirrors[0]?.status?.deploymentID).to.equal(OTHER_DEPLOYMENT);
    expect(first.present).to.have.length(1);
  });
});
