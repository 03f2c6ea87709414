import { expect } from 'chai';
import {
  countsWithin,
  Counting,
  type Counts,
  type Everything,
} from '../../../../src/controller/controlplane/counts.ts';
import type { Scope } from '../../../../src/controller/facts.ts';
import { FakeClock } from '../../../support/clock.ts';

const all: Scope = { organizations: [], owners: [] };
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

const none = { mirrored: 0, unmirrored: 0 };
/** Counts once a minute. */
function count(
  counting: Counting,
  what: Everything | undefined,
  scope = all,
  namespace = 'team',
  mirrored = (): typeof none | undefined => none,
): Counts | undefined {
  return counting.count(namespace, scope, what, 60_000, mirrored);
}

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
    expect(count(counting, undefined)).to.equal(undefined);
    expect(count(counting, everything)?.templates).to.equal(2);
    await clock.advance(59_999);
    expect(count(counting, more)?.templates).to.equal(2);
    expect(count(counting, more, all, 'elsewhere')?.templates).to.equal(3);
    await clock.advance(1);
    expect(count(counting, more)?.templates).to.equal(3);
    const scope = { ...all, organizations: ['other'] };
    expect(count(counting, more, scope)?.templates).to.equal(1);
  });

  it('keeps what was counted while everything is looked at anew, and forgets it with the control plane', () => {
    const counting = new Counting(new FakeClock());
    count(counting, everything);
    expect(count(counting, undefined)?.workspaces).to.equal(3);
    counting.forget('team');
    expect(count(counting, undefined)).to.equal(undefined);
  });

  it('says nothing of the mirrors as long as some are still to be made', () => {
    const counting = new Counting(new FakeClock());
    const counts = count(counting, everything, all, 'team', () => undefined);
    expect(counts).to.deep.equal({ workspaces: 3, templates: 2 });
  });

  it('counts the mirrors at the same moment as the rest, and not in between', async () => {
    const clock = new FakeClock();
    const counting = new Counting(clock);
    let mirrored = { mirrored: 2, unmirrored: 1 };
    const counted = (): Counts | undefined => count(counting, everything, all, 'team', () => mirrored);
    const first = { workspaces: 3, templates: 2, mirrored: 2, unmirrored: 1 };
    expect(counted()).to.deep.equal(first);
    mirrored = { mirrored: 5, unmirrored: 0 };
    await clock.advance(59_999);
    expect(counted()).to.deep.equal(first);
    await clock.advance(1);
    expect(counted()).to.deep.equal({ workspaces: 3, templates: 2, mirrored: 5, unmirrored: 0 });
  });
});
