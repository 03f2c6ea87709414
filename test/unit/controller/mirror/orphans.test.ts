import { expect } from 'chai';
import { controlPlanes } from '../../../../src/api/kinds.ts';
import { OWNER } from '../../../support/controller-coder.ts';
import { Fleet } from '../../../support/fleet.ts';

describe('mirrors whose control plane is deleted', () => {
  let fleet: Fleet;

  beforeEach(async () => {
    fleet = new Fleet();
    fleet.coder.addWorkspace(OWNER.username, 'dev', fleet.coder.addTemplate());
    // Adopted: what the operator has made itself would hold the control plane until it is deleted.
    fleet.coder.addWorkspace(OWNER.username, 'own', fleet.coder.addTemplate());
    fleet.apply('acme.ann.own', { templateName: 'docker' });
    await fleet.looks(3);
    expect(fleet.mirrors).to.have.length(1);
    fleet.delete('coder', controlPlanes);
  });

  afterEach(async () => {
    await fleet.close();
  });

  it('go after half a minute, and leave Coder and the objects of users as they are', async () => {
    const [before, landed] = [fleet.coder.present, fleet.coder.landed.length];
    await fleet.pass(20_000);
    expect(fleet.mirrors).to.have.length(1);
    await fleet.pass(20_000);
    expect([fleet.mirrors, fleet.templates]).to.deep.equal([[], []]);
    expect(fleet.workspaces.map(({ metadata }) => metadata.name)).to.deep.equal(['acme.ann.own']);
    expect(fleet.coder.present).to.deep.equal(before);
    expect(fleet.coder.landed).to.have.length(landed);
  });

  it('go also when the operator has started again meanwhile', async () => {
    await fleet.pass(20_000);
    await fleet.restart();
    await fleet.pass(40_000);
    expect(fleet.mirrors).to.deep.equal([]);
  });
});
