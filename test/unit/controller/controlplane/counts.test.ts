import { expect } from 'chai';
import { countsWithin, Counting, type Everything } from '../../../../src/controller/controlplane/counts.ts';
import { FakeClock } from '../../../support/clock.ts';

const all = { organizations: [], owners: [] };
const workspace = (organizationName: string, ownerName: string, isPrebuild = false): object => ({
  organizationName,
  ownerName,
  isPrebuild,
});
const everything = {
  workspaces: [
    workspace('acme', 'ann'),
    workspace('acme', 'bob'),
    workspace('other', 'ann'),
    workspace('acme', 'prebuilds', true),
  ],
  templates: [{ organizationName: 'acme' }, { organizationName: 'other' }],
} as Everything;

describe('countsWithin', () => {
  const cases: [string, readonly string[], readonly string[], number, number][] = [
    ['no scope counts all but prebuilds', [], [], 3, 2],
    ['an organization, whatever the case', ['ACME'], [], 2, 1],
    ['an owner, and all templates', [], ['Ann'], 2, 2],
    ['both', ['acme'], ['ann'], 1, 1],
    ['nothing', ['nowhere'], [], 0, 0],
  ];
  for (const [name, organizations, owners, workspaces, templates] of cases) {
    it(name, () => {
      expect(countsWithin({ organizations, owners }, everything)).to.deep.equal({ workspaces, templates });
    });
  }
});

describe('Counting', () => {
  it('counts at its rhythm, however often it is asked, and anew for another scope', async () => {
    const clock = new FakeClock();
    const counting = new Counting(clock);
    const more = { ...everything, templates: [...everything.templates, { organizationName: 'acme' }] };
    expect(counting.count('team', all, undefined, 60_000)).to.equal(undefined);
    expect(counting.count('team', all, everything, 60_000)?.templates).to.equal(2);
    await clock.advance(59_999);
    expect(counting.count('team', all, more, 60_000)?.templates).to.equal(2);
    expect(counting.count('elsewhere', all, more, 60_000)?.templates).to.equal(3);
    await clock.advance(1);
    expect(counting.count('team', all, more, 60_000)?.templates).to.equal(3);
    const scope = { ...all, organizations: ['other'] };
    expect(counting.count('team', scope, more, 60_000)?.templates).to.equal(1);
  });

  it('keeps what was counted while everything is looked at anew, and forgets it with the control plane', () => {
    const counting = new Counting(new FakeClock());
    counting.count('team', all, everything, 60_000);
    expect(counting.count('team', all, undefined, 60_000)?.workspaces).to.equal(3);
    counting.forget('team');
    expect(counting.count('team', all, undefined, 60_000)).to.equal(undefined);
  });
});
