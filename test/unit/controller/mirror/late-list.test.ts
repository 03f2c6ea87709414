import { expect } from 'chai';
import { OWNER } from '../../../support/controller-coder.ts';
import { Fleet } from '../../../support/fleet.ts';
import { faultsOfMirrors } from '../../../support/mirror-rules.ts';

/** Longer than the name of a user's object stays free, so that nothing else keeps its mirror from coming. */
const LATE_MS = 15_000;

/** A list of ten thousand takes seconds, and says what was so when it was asked for. */
describe('mirrors and a list that comes late', () => {
  let fleet: Fleet;

  beforeEach(async () => {
    fleet = new Fleet();
    fleet.coder.addTemplate();
    await fleet.looks(2);
  });

  afterEach(async () => {
    await fleet.close();
  });

  /** While the next list is under way, this happens. */
  async function meanwhile(act: () => void): Promise<void> {
    const held = fleet.coder.holdNextList();
    await fleet.until(held.arrived);
    act();
    await fleet.pass(LATE_MS);
    held.release();
    await fleet.pass(1_000);
  }

  function faults(): readonly string[] {
    const { coder, workspaces, templates } = fleet;
    return faultsOfMirrors({ coder, workspaces, templates, owners: [], organizations: [] });
  }

  it('make no ghost of what the operator has deleted meanwhile', async () => {
    fleet.apply('acme.ann.own', { templateName: 'docker' });
    await fleet.looks(2);
    expect(fleet.coder.present).to.have.length(1);
    await meanwhile(() => fleet.delete('acme.ann.own'));
    expect(fleet.coder.present).to.deep.equal([]);
    expect(fleet.workspaces).to.deep.equal([]);
  });

  it('make no ghost of what somebody else has deleted meanwhile', async () => {
    const workspace = fleet.coder.addWorkspace(OWNER.username, 'dev', fleet.coder.addTemplate());
    await fleet.looks(2);
    expect(fleet.mirrors).to.have.length(1);
    await meanwhile(() => {
      fleet.coder.build('delete', OWNER.id, 'dashboard', { workspaceID: workspace?.id ?? '' });
    });
    expect(fleet.mirrors).to.deep.equal([]);
  });

  it('do not lose what was made meanwhile', async () => {
    await meanwhile(() => fleet.coder.addWorkspace(OWNER.username, 'dev', fleet.coder.addTemplate()));
    expect(fleet.mirrors.map(({ metadata }) => metadata.name)).to.deep.equal(['acme.ann.dev']);
    expect(faults()).to.deep.equal([]);
  });

  it('do not take back a new name', async () => {
    fleet.coder.addWorkspace(OWNER.username, 'dev', fleet.coder.addTemplate());
    await fleet.looks(2);
    await meanwhile(() => {
      fleet.coder.rename('renamed');
      // Only a build tells of it before the next list does.
      fleet.coder.build('start');
    });
    expect(faults()).to.deep.equal([]);
  });
});
