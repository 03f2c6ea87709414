import { expect } from 'chai';
import type { CoderWorkspaceStatus } from '../../../../src/api/generated.ts';
import type { WorkspaceFacts, WorkspaceStep } from '../../../../src/controller/workspace/input.ts';
import {
  build,
  byOwner,
  byStranger,
  creatable,
  expectStep,
  gone,
  messageOf,
  NOW,
  seen,
  shown,
  unseen,
  WORKSPACE_ID,
  workspaceRecord,
} from '../../../support/controller-records.ts';
import { decideBound, satisfied, SUSPENSIONS, type BoundCase } from '../../../support/workspace-rules.ts';

const COOLDOWN_MS = 300_000;
const deletion = { transition: 'delete', jobStatus: 'succeeded', number: 5 };
const byPerson: Partial<WorkspaceFacts> = {
  ...creatable,
  workspace: gone,
  deletedWorkspace: { build: build({ ...deletion, ...byOwner }) },
};
const cooled: Partial<CoderWorkspaceStatus> = {
  driftedAt: new Date(NOW.getTime() - COOLDOWN_MS).toISOString(),
};

const decide = (facts: Partial<WorkspaceFacts>, over: BoundCase = {}): WorkspaceStep =>
  decideBound({
    ...over,
    status: { ...satisfied(true), ...over.status },
    spec: { running: true, ...over.spec },
    facts: { ...facts, ...over.facts },
  });

describe('decideGone', () => {
  it('G3 what is only not shown is waited for, whatever the policy', () => {
    for (const driftPolicy of ['Enforce', 'OnChange'] as const) {
      const step = expectStep(
        decide({ workspace: unseen }, { spec: { driftPolicy }, atMs: 9 * COOLDOWN_MS }),
        'report',
      );
      expect(shown(step.status)).to.deep.equal([
        'Ready=False/NotVisibleInCoder',
        'Synced=True/SyncSucceeded',
        'Reconciling=True/NotVisibleInCoder',
      ]);
      expect(step.status.id).to.equal(WORKSPACE_ID);
      expect(step.rest).to.deep.equal({ until: 'woken' });
    }
  });

  const left: [string, BoundCase['spec'], Partial<WorkspaceFacts>][] = [
    ['G4 under OnChange', { driftPolicy: 'OnChange' }, { workspace: gone }],
    ['G4 without a templateName', { templateName: undefined }, { workspace: gone }],
    [
      'G5 by Coder as dormant for long',
      {},
      { ...byPerson, deletedWorkspace: { build: build({ ...deletion, ...byOwner, reason: 'autodelete' }) } },
    ],
    [
      'G5 by Coder, in our own name',
      {},
      { ...byPerson, deletedWorkspace: { build: build({ ...deletion, reason: 'autodelete' }) } },
    ],
  ];
  for (const [name, spec, facts] of left) {
    it(`${name}: it is not created again`, () => {
      for (const status of [{}, cooled]) {
        const step = expectStep(decide(facts, { spec: { ...spec }, status }), 'report');
        expect(shown(step.status)).to.deep.equal([
          'Ready=False/DeletedInCoder',
          'Synced=True/SyncSucceeded',
          'Stalled=True/DeletedInCoder',
        ]);
        expect(messageOf(step.status)).to.contain('coder.com/reconcile-requested-at');
        expect(step.status).to.deep.include({ id: WORKSPACE_ID, running: false });
        expect(step.status.driftedAt, 'nothing is waited for').to.equal(undefined);
        expect(step.rest).to.deep.equal({ until: 'woken' });
      }
    });
  }

  it('G5 says that it was Coder, and why', () => {
    const facts = { ...byPerson, deletedWorkspace: { build: build({ ...deletion, reason: 'autodelete' }) } };
    expect(messageOf(expectStep(decide(facts), 'report').status))
      .to.contain('Coder itself')
      .and.to.contain('autodelete');
  });

  it('G5 asks who deleted it', () => {
    expect(decide({ workspace: gone })).to.deep.equal({ do: 'read', fact: 'deletedWorkspace' });
  });

  const people: [string, WorkspaceFacts['deletedWorkspace']][] = [
    ['its owner', { build: build({ ...deletion, ...byOwner }) }],
    ['another user', { build: build({ ...deletion, ...byStranger }) }],
    ['somebody who is not to be seen', { build: undefined }],
  ];
  for (const [name, deletedWorkspace] of people) {
    it(`G6, G7 by ${name}, under Enforce: it is created again after the cooldown`, () => {
      const facts = { ...byPerson, deletedWorkspace: deletedWorkspace! };
      const first = expectStep(decide(facts), 'report');
      expect(shown(first.status)).to.deep.equal([
        'Ready=False/CorrectingDrift',
        'Synced=True/SyncSucceeded',
        'Reconciling=True/CorrectingDrift',
      ]);
      expect(messageOf(first.status))
        .to.contain('ann/dev was deleted in Coder')
        .and.to.contain('2026-01-02T03:09:05Z');
      expect(first.status).to.deep.include({
        id: WORKSPACE_ID,
        running: false,
        driftedAt: '2026-01-02T03:04:05Z',
      });
      expect(first.rest).to.deep.equal({ until: 'time', afterMs: COOLDOWN_MS });
      expect(first.event).to.deep.include({ type: 'Warning', reason: 'CorrectingDrift' });

      const step = expectStep(decide(facts, { status: first.status, atMs: COOLDOWN_MS }), 'write');
      expect(step.operation).to.deep.include({ type: 'Create', owner: 'ann', name: 'dev' });
      expect(step.status.id).to.equal(undefined);
      expect(step.status.driftedAt).to.equal(undefined);
      expect(step.status.corrections).to.deep.equal(['2026-01-02T03:09:05Z']);
      expect(step.status.power).to.deep.equal({ running: true, state: 'Pending', after: 0, build: 1 });
    });
  }

  it('G7 takes over what bears the name by now', () => {
    const workspaceByName = seen(workspaceRecord({ id: 'another', build: build(byStranger) }));
    const step = decide(byPerson, { status: cooled, facts: { workspaceByName } });
    // It is somebody else's, so our finalizer goes first.
    expect(step).to.deep.equal({ do: 'finalizer', present: false });
  });

  it('G6 waits when the budget is used up', () => {
    const corrections = ['02:24:05', '02:44:05', '02:54:05'].map((t) => `2026-01-02T${t}Z`);
    const step = expectStep(decide(byPerson, { status: { ...cooled, corrections } }), 'report');
    expect(step.rest).to.deep.equal({ until: 'time', afterMs: 1_200_000 });
    expect(messageOf(step.status)).to.contain('as often as is allowed in an hour');
  });

  const ways: [string, Partial<WorkspaceFacts>][] = [
    ['gone', { ...creatable, workspace: gone }],
    ['not shown', { ...creatable, workspace: unseen }],
  ];
  for (const [name, facts] of ways) {
    it(`G2 ${name}, and a person asks: it is created again at once, whatever the policy and who deleted it`, () => {
      for (const driftPolicy of ['Enforce', 'OnChange'] as const) {
        const step = expectStep(decide(facts, { asked: 'again', spec: { driftPolicy } }), 'write');
        expect(step.operation.type).to.equal('Create');
        expect(step.status.lastHandledReconcileAt).to.equal('again');
        expect(step.status.corrections).to.equal(undefined);
      }
    });
  }

  it('G2 what it waits for is not asked for again', () => {
    const facts = { ...creatable, workspace: gone, template: { template: undefined } };
    const step = expectStep(decide(facts, { asked: 'again' }), 'report');
    expect(shown(step.status)).to.include('Reconciling=True/WaitingForDependency');
    expect(step.status).to.not.have.property('id');
    expect(step.status.lastHandledReconcileAt).to.equal('again');
  });

  for (const [who, reason, suspension] of SUSPENSIONS) {
    const waiting: [string, BoundCase][] = [
      ['G7 a deletion by a person', { status: cooled }],
      ["G2 a person's request", { asked: 'again' }],
    ];
    for (const [name, over] of waiting) {
      it(`Z1 suspended by ${who}: ${name} creates nothing, counts nothing and forgets nothing`, () => {
        const given = { ...over, ...suspension };
        const step = expectStep(decide(byPerson, given), 'report');
        expect(shown(step.status)).to.deep.equal([
          'Ready=False/Suspended',
          'Synced=True/SyncSucceeded',
          `Suspended=True/${reason}`,
        ]);
        expect(step.status.id).to.equal(WORKSPACE_ID);
        expect(step.status.corrections).to.equal(undefined);
        expect(step.status.lastHandledReconcileAt).to.equal(undefined);
        const again = decide(byPerson, { ...given, status: step.status, atMs: COOLDOWN_MS });
        expect(expectStep(again, 'report').status, 'nothing is written while it lasts').to.deep.equal(
          step.status,
        );
        const resumed = decide(byPerson, { ...over, status: step.status, atMs: COOLDOWN_MS });
        expect(expectStep(resumed, 'write').operation.type).to.equal('Create');
      });
    }

    it(`Z2 suspended by ${who}: one that bears the name by now is taken over all the same`, () => {
      const workspaceByName = seen(workspaceRecord({ id: 'another', build: build(byStranger) }));
      const step = decide({ ...byPerson, workspaceByName }, { ...suspension, asked: 'again' });
      expect(step).to.deep.equal({ do: 'finalizer', present: false });
    });
  }
});
