import { expect } from 'chai';
import fc from 'fast-check';
import type { CoderWorkspaceSpec, CoderWorkspaceStatus } from '../../../../src/api/generated.ts';
import { annotations } from '../../../../src/api/kinds.ts';
import { mirrorLabels } from '../../../../src/api/mirrors.ts';
import { decideWorkspace } from '../../../../src/controller/workspace/decide.ts';
import type {
  WorkspaceFacts,
  WorkspaceInput,
  WorkspaceStep,
} from '../../../../src/controller/workspace/input.ts';
import type { BuildRecord, WorkspaceRecord } from '../../../../src/controller/observer/record.ts';
import { DEPLOYMENT, OPERATOR, OWNER, STRANGER } from '../../../support/controller-coder.ts';
import {
  build,
  byStranger,
  expectStep,
  gone,
  messageOf,
  NOW,
  seen,
  shown,
  unavailable,
  unseen,
  VERSION_ID,
  WORKSPACE_ID,
  workspaceInput,
  workspaceRecord,
} from '../../../support/controller-records.ts';
import { runs } from '../../../support/histories.ts';
import { controlPlane, RUNNING, STOPPED } from '../../../support/workspace-rules.ts';

const labels = { [mirrorLabels.mirror]: 'true' };
const mirrored: CoderWorkspaceStatus = { id: WORKSPACE_ID, deploymentID: DEPLOYMENT, origin: 'Mirrored' };

interface Case {
  readonly build?: Partial<BuildRecord>;
  readonly record?: Partial<WorkspaceRecord>;
  readonly facts?: Partial<WorkspaceFacts>;
  readonly status?: CoderWorkspaceStatus;
  /** Value of the annotation by which a person asks. */
  readonly asked?: string | undefined;
  /** What a user wishes of it: then it is a mirror no more. */
  readonly spec?: CoderWorkspaceSpec;
}

function input({ facts, status = mirrored, asked, spec = {}, ...given }: Case): WorkspaceInput {
  const asking = asked === undefined ? {} : { annotations: { [annotations.reconcileRequestedAt]: asked } };
  return workspaceInput(
    { spec, status, metadata: { labels, ...asking } },
    { workspace: seen(workspaceRecord({ build: build(given.build), ...given.record })), ...facts },
  );
}

const decide = (given: Case = {}): WorkspaceStep => decideWorkspace(input(given));

describe('a mirror of a workspace', () => {
  const states: [string, Partial<BuildRecord>, string][] = [
    ['runs', RUNNING, 'running'],
    ['is stopped', STOPPED, 'stopped'],
  ];
  for (const [name, given, status] of states) {
    it(`of one that ${name} is Ready, and says how it is taken over`, () => {
      const step = expectStep(decide({ build: { ...given, ...byStranger } }), 'report');
      expect(shown(step.status)).to.deep.equal(['Ready=True/Mirrored', 'Synced=True/SyncSucceeded']);
      expect(messageOf(step.status))
        .to.contain(`is ${status} in Coder`)
        .and.to.contain('set any field of spec');
      expect(step.status.origin).to.equal('Mirrored');
      expect(step.event).to.equal(undefined);
      expect(step.rest).to.deep.equal({ until: 'woken' });
    });
  }

  it('of one whose build is under way is not Ready, and follows it', () => {
    const step = expectStep(decide({ build: { transition: 'start', jobStatus: 'running' } }), 'report');
    expect(shown(step.status)[0]).to.equal('Ready=False/Starting');
    expect(step.rest).to.deep.include({ until: 'build', workspaceID: WORKSPACE_ID });
  });

  it('of one whose build failed says so', () => {
    const step = expectStep(decide({ build: { jobStatus: 'failed' } }), 'report');
    expect(shown(step.status)[0]).to.equal('Ready=False/BuildFailed');
  });

  it('shows a rename', () => {
    const step = expectStep(decide({ record: { name: 'other' } }), 'report');
    expect(shown(step.status)).to.include('Drifted=True/RenamedInCoder');
  });

  for (const [name, sighting] of [
    ['not shown', unseen],
    ['gone', gone],
  ] as const) {
    it(`of one that is ${name} only says so, also when a person asks to create it`, () => {
      for (const asked of [undefined, 'again']) {
        const step = expectStep(decide({ facts: { workspace: sighting }, asked }), 'report');
        expect(shown(step.status)).to.deep.equal([
          'Ready=False/NotVisibleInCoder',
          'Synced=True/SyncSucceeded',
          'Reconciling=True/NotVisibleInCoder',
        ]);
        expect(messageOf(step.status)).to.contain('Its mirror stays until');
        expect(step.status).to.deep.include(mirrored);
        expect(step.rest).to.deep.equal({ until: 'woken' });
      }
    });
  }

  it('is not Ready any more when Coder does not answer for long, as any object', () => {
    const { status } = expectStep(decide(), 'report');
    const facts = { connection: unavailable(1_000) };
    expect(expectStep(decide({ status, facts }), 'report').status).to.equal(status);
    const late = { connection: unavailable(3_600_000) };
    expect(shown(expectStep(decide({ status, facts: late }), 'report').status)[0]).to.contain(
      'Ready=Unknown',
    );
  });

  const time = fc.constantFrom(undefined, '2026-01-01T00:00:00Z', '2026-02-01T00:00:00Z');
  const anyBuild: fc.Arbitrary<Partial<BuildRecord>> = fc.record({
    number: fc.constantFrom(1, 7),
    transition: fc.constantFrom('start', 'stop', 'delete'),
    jobStatus: fc.constantFrom('pending', 'running', 'canceling', 'succeeded', 'failed', 'canceled'),
    status: fc.constantFrom('pending', 'starting', 'running', 'stopping', 'stopped', 'failed', 'deleted'),
    reason: fc.constantFrom('initiator', 'dashboard', 'autostart', 'autostop', 'dormancy', 'autodelete'),
    initiatorID: fc.constantFrom(OPERATOR.id, OWNER.id, STRANGER.id),
    error: fc.constantFrom(undefined, 'insufficient quota', 'terraform says no'),
    deadline: time,
  });
  const anyRecord: fc.Arbitrary<Partial<WorkspaceRecord>> = fc.record({
    name: fc.constantFrom('dev', 'Dev', 'other'),
    ownerName: fc.constantFrom('ann', 'bob'),
    outdated: fc.boolean(),
    healthy: fc.boolean(),
    templateActiveVersionID: fc.constantFrom(VERSION_ID, 'v2'),
    ttlMillis: fc.constantFrom(0, 3_600_000),
    autostartSchedule: fc.constantFrom('', 'CRON_TZ=UTC 0 9 * * 1-5'),
    automaticUpdates: fc.constantFrom('Always', 'Never'),
    dormantAt: time,
    deletingAt: time,
    agents: fc.constantFrom([], [{ name: 'main', status: 'timeout', lifecycle: 'start_error' }]),
  });
  const anyCase = fc.record({
    build: anyBuild,
    record: anyRecord,
    asked: fc.option(fc.constantFrom('one', 'two'), { nil: undefined }),
    control: fc.record({ adoptedDeletion: fc.boolean(), suspended: fc.boolean(), isAccepted: fc.boolean() }),
    seenAs: fc.constantFrom('fresh', 'stale', 'unseen', 'gone'),
    isOlder: fc.boolean(),
  });

  it('never has anything sent nor a finalizer taken, whatever becomes of it', () => {
    fc.assert(
      fc.property(fc.array(anyCase, { minLength: 1, maxLength: 4 }), (cases) => {
        let status = mirrored;
        cases.forEach((one, i) => {
          const { control, seenAs, isOlder, ...given } = one;
          const record = workspaceRecord({ build: build(given.build), ...given.record });
          let facts: Partial<WorkspaceFacts> = {
            connection: controlPlane(control),
            claimedBy: () => (isOlder ? 'acme.ann.older' : undefined),
            workspace:
              seenAs === 'unseen' ? unseen : seenAs === 'gone' ? gone : seen(record, seenAs === 'fresh'),
          };
          const now = new Date(NOW.getTime() + i * 3_600_000);
          const again = (): WorkspaceStep => decideWorkspace({ ...input({ ...given, status, facts }), now });
          let step = again();
          if (step.do === 'read' && step.fact === 'freshWorkspace') {
            facts = { ...facts, workspace: seen(record) };
            step = again();
          }
          const report = expectStep(step, 'report');
          expect(report.status).to.include({ id: WORKSPACE_ID, origin: 'Mirrored' });
          ({ status } = report);
        });
      }),
      { numRuns: runs(3) },
    );
  });
});

describe('taking over the mirror of a workspace', () => {
  const adopted = { type: 'Normal', reason: 'Adopted', message: 'Took over the workspace ann/dev' };
  const { status } = expectStep(decide({ build: RUNNING }), 'report');
  const taken = (spec: CoderWorkspaceSpec, more: Case = {}): WorkspaceStep =>
    decide({ build: RUNNING, spec, status, ...more });

  it('makes it adopted, and tells so once', () => {
    const step = expectStep(taken({ running: true }), 'report');
    expect(step.status).to.include({ id: WORKSPACE_ID, origin: 'Adopted' });
    expect(shown(step.status)[0]).to.equal('Ready=True/Running');
    expect(step.event).to.deep.equal(adopted);
    const next = expectStep(taken({ running: true }, { status: step.status }), 'report');
    expect(next.event).to.equal(undefined);
    expect(next.status).to.deep.equal(step.status);
  });

  it('carries a wish out that differs', () => {
    const step = expectStep(taken({ running: false }), 'write');
    expect(step.operation.type).to.equal('Stop');
    expect(step.status.origin).to.equal('Adopted');
  });

  it('only says so of what is suspended', () => {
    const step = expectStep(taken({ running: false, suspend: true }), 'report');
    expect(step.status.origin).to.equal('Adopted');
    expect(shown(step.status)).to.include('Suspended=True/SuspendedBySpec');
  });

  it('gives it no finalizer, unless deleting it is to delete the workspace and may', () => {
    const deletion: CoderWorkspaceSpec = { deletionPolicy: 'Delete' };
    // A warning comes once for a spec, and this is another one than the mirror's.
    const denied = expectStep(taken(deletion, { status: mirrored }), 'report');
    expect(denied.event?.message)
      .to.contain('Took over the workspace ann/dev. ')
      .and.to.contain('adoptedDeletion');
    expect(taken(deletion, { facts: { connection: controlPlane({ adoptedDeletion: true }) } })).to.deep.equal(
      {
        do: 'finalizer',
        present: true,
      },
    );
  });

  it('leaves the mirror of what an older object has to that one', () => {
    const step = expectStep(
      taken({ running: true }, { facts: { claimedBy: () => 'acme.ann.older' } }),
      'report',
    );
    expect(shown(step.status)).to.include('Stalled=True/DuplicateClaim');
    expect(step.status.origin, 'it is not taken over').to.equal('Mirrored');
    expect(step.event).to.not.deep.equal(adopted);
  });

  it('makes what is not there any more, with all that it says, a matter of the ordinary rules', () => {
    const facts = { workspace: unseen };
    const step = expectStep(taken({ running: true }, { facts }), 'report');
    expect(messageOf(step.status)).to.not.contain('Its mirror stays');
    expect(step.status.origin).to.equal('Adopted');
  });
});
