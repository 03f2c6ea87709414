import { expect } from 'chai';
import { annotations, finalizers } from '../../../../src/api/kinds.ts';
import type { CoderWorkspaceStatus } from '../../../../src/api/generated.ts';
import type { ConnectionFact } from '../../../../src/controller/facts.ts';
import type { BuildRecord } from '../../../../src/controller/observer/record.ts';
import { decideWorkspace } from '../../../../src/controller/workspace/decide.ts';
import type { WorkspaceFacts, WorkspaceStep } from '../../../../src/controller/workspace/input.ts';
import { DEPLOYMENT, STRANGER } from '../../../support/controller-coder.ts';
import {
  build,
  byOwner,
  byStranger,
  expectStep,
  gone,
  messageOf,
  pendingOperation,
  seen,
  shown,
  unavailable,
  unseen,
  WORKSPACE_ID,
  workspaceInput,
  workspaceRecord,
} from '../../../support/controller-records.ts';
import { controlPlane, SUSPENSIONS } from '../../../support/workspace-rules.ts';

const DELETED = { deletionTimestamp: '2026-01-02T03:00:00Z', finalizers: [finalizers.workspace] };
const created: CoderWorkspaceStatus = { id: WORKSPACE_ID, origin: 'Created', deploymentID: DEPLOYMENT };

interface Case {
  readonly policy?: 'Delete' | 'Retain';
  readonly status?: CoderWorkspaceStatus;
  readonly facts?: Partial<WorkspaceFacts>;
  readonly pendingForMs?: number;
  readonly metadata?: object;
}

function decide({ policy, status = created, facts, pendingForMs, metadata }: Case): WorkspaceStep {
  return decideWorkspace(
    workspaceInput(
      {
        spec: { templateName: 'docker', deletionPolicy: policy },
        status,
        metadata: { ...DELETED, ...metadata },
      },
      { crdTerminating: false, ...facts },
      pendingForMs,
    ),
  );
}

const withBuild = (parts: Partial<BuildRecord>): Partial<WorkspaceFacts> => ({
  workspace: seen(workspaceRecord({ build: build(parts) })),
});

function released(step: WorkspaceStep): string | undefined {
  const finalizer = expectStep(step, 'finalizer');
  expect(finalizer.present).to.equal(false);
  return finalizer.event?.reason;
}

describe('deletion of a workspace', () => {
  it('is none of our business without our finalizer', () => {
    expect(decide({ metadata: { finalizers: ['example.com/other'] } })).to.deep.equal({ do: 'nothing' });
  });

  const released_: [string, Case, string][] = [
    ['created, to be kept', { policy: 'Retain' }, 'Retained'],
    ['adopted', { status: { ...created, origin: 'Adopted' } }, 'Retained'],
    [
      'adopted, Delete asked for',
      { status: { ...created, origin: 'Adopted' }, policy: 'Delete' },
      'Retained',
    ],
    ['of unknown origin, Delete asked for', { status: { id: WORKSPACE_ID }, policy: 'Delete' }, 'Retained'],
    [
      'adopted with an open start',
      {
        status: { ...created, origin: 'Adopted', pendingOperation: pendingOperation() },
        facts: { connection: unavailable() },
      },
      'Retained',
    ],
    ['never bound', { status: {}, policy: 'Delete' }, 'Released'],
    ['created, while the CRD is being removed', { facts: { crdTerminating: true } }, 'Retained'],
    [
      'created, while the CRD is being removed and Coder is away',
      { facts: { crdTerminating: true, connection: { state: 'none' } } },
      'Retained',
    ],
    ['created and proven to be gone', { facts: { workspace: gone } }, 'Deleted'],
    ['created and just deleted', { facts: withBuild({ transition: 'delete', number: 2 }) }, 'Deleted'],
  ];
  for (const [name, given, reason] of released_) {
    it(`${name}: released as ${reason}`, () => {
      expect(released(decide(given))).to.equal(reason);
    });
  }

  it('leaves what an older object drives to that one', () => {
    const step = decide({ facts: { claimedBy: () => 'acme.ann.other' } });
    expect(released(step)).to.equal('Retained');
  });

  it('leaves what another object is bound to, although its own creation may have made it', () => {
    const step = decide({
      status: { pendingOperation: pendingOperation({ type: 'Create' }) },
      facts: { workspaceByName: seen(workspaceRecord()), isClaimedByAnother: () => true },
    });
    expect(released(step)).to.equal('Retained');
  });

  it('lets go at once when Retain is wished, also while a creation is open and Coder is gone', () => {
    const step = decide({
      policy: 'Retain',
      status: { pendingOperation: pendingOperation({ type: 'Create' }) },
      facts: { connection: unavailable() },
    });
    expect(released(step)).to.equal('Retained');
  });

  it('asks whether the CRD itself is being removed', () => {
    const input = workspaceInput({ status: created, metadata: DELETED });
    expect(decideWorkspace(input)).to.deep.equal({ do: 'read', fact: 'crdTerminating' });
  });

  it('looks afresh, whatever is remembered', () => {
    for (const facts of [{}, { workspace: seen(workspaceRecord(), false) }]) {
      expect(decide({ facts })).to.deep.equal({ do: 'read', fact: 'freshWorkspace' });
    }
  });

  for (const transition of ['start', 'stop']) {
    for (const jobStatus of ['succeeded', 'failed', 'canceled']) {
      it(`announces and deletes after a ${transition} that ${jobStatus}`, () => {
        const step = expectStep(decide({ facts: withBuild({ transition, jobStatus, number: 4 }) }), 'write');
        expect(step.operation).to.deep.equal({
          type: 'Delete',
          workspaceID: WORKSPACE_ID,
          afterBuildNumber: 4,
        });
        expect(shown(step.status)).to.include('Ready=False/Deleting');
      });
    }
  }

  it('waits for a build under way, also for its own', () => {
    for (const transition of ['start', 'stop', 'delete']) {
      const step = expectStep(decide({ facts: withBuild({ transition, jobStatus: 'running' }) }), 'report');
      expect(shown(step.status)).to.deep.equal([
        'Ready=False/Deleting',
        'Synced=True/SyncSucceeded',
        'Reconciling=True/WaitingForBuild',
      ]);
      expect(step.rest).to.deep.equal({ until: 'build', workspaceID: WORKSPACE_ID });
    }
  });

  it('does not take what is not shown for deleted', () => {
    const step = expectStep(decide({ facts: { workspace: unseen } }), 'report');
    expect(shown(step.status)).to.include('Reconciling=True/NotVisibleInCoder');
    expect(messageOf(step.status)).to.contain('spec.deletionPolicy Retain');
  });

  describe('without a connection', () => {
    it('waits and says what to do', () => {
      for (const connection of [{ state: 'none' }, unavailable()] as const) {
        const step = expectStep(decide({ facts: { connection } }), 'report');
        expect(shown(step.status)).to.deep.equal([
          'Ready=False/Deleting',
          'Synced=False/ControlPlaneNotReady',
          'Reconciling=True/ControlPlaneNotReady',
        ]);
        expect(messageOf(step.status)).to.contain('spec.deletionPolicy Retain');
      }
    });

    it('uses the last one, as after its Secret was deleted', () => {
      const connection = unavailable(0, { deploymentID: DEPLOYMENT });
      const step = decide({ facts: { connection, ...withBuild({}) } });
      expect(expectStep(step, 'write').operation.type).to.equal('Delete');
    });

    it('deletes nothing in another deployment', () => {
      const connection = unavailable(0, { deploymentID: 'another' });
      const step = expectStep(decide({ facts: { connection, ...withBuild({}) } }), 'report');
      expect(shown(step.status)).to.include('Stalled=True/DeploymentMismatch');
    });
  });

  describe('with an announced creation', () => {
    const status = { pendingOperation: pendingOperation({ type: 'Create' }) };

    it('looks for what it may have made', () => {
      expect(decide({ status })).to.deep.equal({ do: 'read', fact: 'workspaceByName' });
    });

    it('waits until nothing can come any more', () => {
      const step = expectStep(
        decide({ status, facts: { workspaceByName: unseen }, pendingForMs: 10_000 }),
        'report',
      );
      expect(step.rest).to.deep.equal({ until: 'time', afterMs: 2_000 });
      expect(step.status.pendingOperation).to.deep.equal(status.pendingOperation);
    });

    it('is released then', () => {
      expect(released(decide({ status, facts: { workspaceByName: unseen }, pendingForMs: 35_000 }))).to.equal(
        'Released',
      );
    });

    it('deletes what it made', () => {
      const facts = { workspaceByName: seen(workspaceRecord()) };
      const step = expectStep(decide({ status, facts }), 'write');
      expect(step.operation.type).to.equal('Delete');
      expect(step.status).to.deep.include({ id: WORKSPACE_ID, origin: 'Created' });
    });

    it('keeps what it made when it is to be kept', () => {
      const facts = { workspaceByName: seen(workspaceRecord()) };
      expect(released(decide({ status, facts, policy: 'Retain' }))).to.equal('Retained');
    });

    it('asks who made the first build when there are more', () => {
      const facts = { workspaceByName: seen(workspaceRecord({ build: build({ number: 2, ...byOwner }) })) };
      expect(decide({ status, facts })).to.deep.equal({ do: 'read', fact: 'firstInitiator' });
      expect(released(decide({ status, facts: { ...facts, firstInitiator: STRANGER.id } }))).to.equal(
        'Retained',
      );
    });

    it("keeps a stranger's, and one of another organization", () => {
      for (const record of [
        workspaceRecord({ build: build(byStranger) }),
        workspaceRecord({ organizationName: 'other' }),
      ]) {
        expect(released(decide({ status, facts: { workspaceByName: seen(record) } }))).to.equal('Retained');
      }
    });
  });

  it('with an announced build looks until that cannot come any more', () => {
    const status = {
      ...created,
      pendingOperation: pendingOperation({ type: 'Delete', afterBuildNumber: 4 }),
    };
    const facts = withBuild({ number: 4 });
    const waiting = expectStep(decide({ status, facts, pendingForMs: 34_999 }), 'report');
    expect(waiting.status.pendingOperation).to.deep.equal(status.pendingOperation);
    expect(expectStep(decide({ status, facts, pendingForMs: 35_000 }), 'write').operation.type).to.equal(
      'Delete',
    );
    const landed = withBuild({ number: 5, transition: 'delete', jobStatus: 'running' });
    expect(expectStep(decide({ status, facts: landed }), 'report').status.pendingOperation).to.equal(
      undefined,
    );
  });

  describe('a delete that failed', () => {
    const failed = withBuild({ transition: 'delete', jobStatus: 'failed', number: 5 });

    it('is counted and tried again later', () => {
      const step = expectStep(decide({ facts: failed }), 'report');
      expect(step.status.failures).to.deep.include({ what: 'delete', count: 1, build: 5 });
      expect(shown(step.status)).to.deep.equal([
        'Ready=False/Deleting',
        'Synced=True/SyncSucceeded',
        'Reconciling=True/BuildFailed',
      ]);
      expect(step.rest).to.deep.equal({ until: 'time', afterMs: 60_000 });
    });

    it("is not counted when it is somebody else's", () => {
      const facts = withBuild({ transition: 'delete', jobStatus: 'failed', number: 5, ...byOwner });
      expect(decide({ facts }).do).to.equal('write');
    });

    const exhausted: CoderWorkspaceStatus = {
      ...created,
      failures: {
        what: 'delete',
        count: 6,
        at: '2026-01-02T03:04:05Z',
        build: 5,
        generation: 3,
        message: 'no',
      },
    };

    it('six times needs a person, and says what to do', () => {
      const step = expectStep(decide({ facts: failed, status: exhausted }), 'report');
      expect(shown(step.status)).to.include('Stalled=True/BuildRetriesExhausted');
      expect(messageOf(step.status))
        .to.contain('coder.com/reconcile-requested-at')
        .and.to.contain('spec.deletionPolicy Retain');
    });

    it('begins anew when a person asks', () => {
      const metadata = { annotations: { [annotations.reconcileRequestedAt]: 'now' } };
      const step = expectStep(decide({ facts: failed, status: exhausted, metadata }), 'write');
      expect(step.status.lastHandledReconcileAt).to.equal('now');
      expect(step.status.failures).to.equal(undefined);
    });
  });

  describe('let go of by a person', () => {
    const force = (uid: string): object => ({ annotations: { [annotations.forceRelease]: uid } });

    it('X3 with the uid of the object: without asking anybody, and with a Warning', () => {
      const cases: Case[] = [
        {},
        { facts: { connection: unavailable() } },
        { facts: { connection: { state: 'connecting' } } },
        { facts: { connection: { state: 'none' } } },
        { facts: { connection: controlPlane({ suspended: true }) } },
        { status: { ...created, deploymentID: 'another' } },
        { status: { pendingOperation: pendingOperation({ type: 'Create' }) } },
        { policy: 'Retain' },
      ];
      for (const given of cases) {
        const step = expectStep(decide({ ...given, metadata: force('uid-1') }), 'finalizer');
        expect(step.present).to.equal(false);
        expect(step.event).to.deep.include({ type: 'Warning', reason: 'ForceReleased' });
        expect(step.event?.message).to.contain('ann/dev').and.to.contain('may still be there');
      }
    });

    it('X3 not with another uid, as a copied manifest may hold', () => {
      for (const uid of ['uid-2', '', 'true']) {
        expect(decide({ metadata: force(uid) })).to.deep.equal({ do: 'read', fact: 'freshWorkspace' });
      }
    });

    it('X2 what is not bound is just released', () => {
      expect(released(decide({ status: {}, metadata: force('uid-1') }))).to.equal('Released');
    });
  });

  describe('what the operator did not create', () => {
    const adopted = { ...created, origin: 'Adopted' } as const;
    const allowed = { connection: controlPlane({ adoptedDeletion: true }) };

    it('X23 is deleted when object and control plane both say so', () => {
      const facts = { ...allowed, ...withBuild({}) };
      expect(
        expectStep(decide({ status: adopted, policy: 'Delete', facts }), 'write').operation.type,
      ).to.equal('Delete');
      const unknown = { id: WORKSPACE_ID, deploymentID: DEPLOYMENT };
      expect(decide({ status: unknown, policy: 'Delete', facts }).do).to.equal('write');
    });

    it('X4 is kept when the object does not say so', () => {
      expect(released(decide({ status: adopted, facts: allowed }))).to.equal('Retained');
    });

    it('X9 waits as long as nobody knows what the control plane allows', () => {
      for (const connection of [{ state: 'none' }, unavailable()] as const) {
        const step = expectStep(
          decide({ status: adopted, policy: 'Delete', facts: { connection } }),
          'report',
        );
        expect(shown(step.status)).to.include('Reconciling=True/ControlPlaneNotReady');
      }
      const connecting = decide({
        status: adopted,
        policy: 'Delete',
        facts: { connection: { state: 'connecting' } },
      });
      expect(connecting).to.deep.include({ do: 'report', status: adopted, rest: { until: 'woken' } });
    });

    it('X4 is kept at once without a connection when the object does not say so', () => {
      const facts = { connection: { state: 'none' } } as const;
      expect(released(decide({ status: adopted, facts }))).to.equal('Retained');
    });
  });

  it('X5 what is out of scope is kept, also by what was last known of the scope', () => {
    const scopes = [
      { organizations: ['other'], owners: [] },
      { organizations: [], owners: ['bob'] },
    ];
    for (const scope of scopes) {
      expect(released(decide({ facts: { connection: controlPlane({ scope }) } }))).to.equal('Retained');
      const known = controlPlane({ scope });
      if (known.state !== 'ready') throw new Error('it is ready');
      const last = { ...unavailable(), last: known } as ConnectionFact;
      expect(released(decide({ facts: { connection: last } }))).to.equal('Retained');
    }
  });

  describe('in another deployment', () => {
    const status = { ...created, deploymentID: 'another' };

    it('X11 nothing is deleted, and a person is told', () => {
      const step = expectStep(decide({ status, facts: withBuild({}) }), 'report');
      expect(shown(step.status)).to.include('Stalled=True/DeploymentMismatch');
      expect(messageOf(step.status)).to.contain('another').and.to.contain('coder.com/force-release');
    });

    it('X10 it is let go when a person has accepted this one', () => {
      const facts = { connection: controlPlane({ isAccepted: true }) };
      expect(released(decide({ status, facts }))).to.equal('Released');
    });
  });

  describe('many at once', () => {
    const facts = { ...withBuild({ number: 4 }), heldDeletions: () => 30 };

    it('X21 are held until a person releases them, and say how many', () => {
      const step = expectStep(decide({ facts: { ...facts, buildSlot: undefined } as object }), 'report');
      expect(shown(step.status)).to.deep.equal([
        'Ready=False/Deleting',
        'Synced=True/SyncSucceeded',
        'Reconciling=True/DeletionHeld',
      ]);
      expect(messageOf(step.status))
        .to.contain('30 workspaces')
        .and.to.contain('more than 20')
        .and.to.contain('spec.deletionPolicy to Retain');
      expect(step.event).to.deep.include({ type: 'Warning', reason: 'DeletionHeld' });
      expect(step.rest).to.deep.equal({ until: 'time', afterMs: 60_000 });
      const again = decide({ facts, status: step.status });
      expect(expectStep(again, 'report').event).to.equal(undefined);
    });

    it('X4, X15 hold nothing that is kept or gone already', () => {
      expect(released(decide({ facts, policy: 'Retain' }))).to.equal('Retained');
      expect(released(decide({ facts: { ...facts, workspace: gone } }))).to.equal('Deleted');
    });

    const { heldDeletions } = facts;
    const remembered = (parts: Partial<BuildRecord>): Partial<WorkspaceFacts> => ({
      heldDeletions,
      workspace: seen(workspaceRecord({ build: build(parts) }), false),
    });

    it('X21 are held by what is remembered: nothing is read afresh, no place is asked for', () => {
      expect(decide({ facts: { heldDeletions } })).to.deep.equal({ do: 'read', fact: 'workspace' });
      for (const parts of [{}, { transition: 'stop' }, { transition: 'delete', jobStatus: 'failed' }]) {
        const step = decide({ facts: { ...remembered(parts), buildSlot: undefined } as object });
        expect(shown(expectStep(step, 'report').status)).to.include('Reconciling=True/DeletionHeld');
      }
    });

    it('X15, X18 hold no deletion that is under way or done, which is looked at afresh', () => {
      for (const jobStatus of ['pending', 'running', 'succeeded']) {
        const step = decide({ facts: remembered({ transition: 'delete', jobStatus }) });
        expect(step).to.deep.equal({ do: 'read', fact: 'freshWorkspace' });
      }
      const sent = { ...facts, ...withBuild({ transition: 'delete', jobStatus: 'running' }) };
      expect(shown(expectStep(decide({ facts: sent }), 'report').status)).to.include(
        'Reconciling=True/WaitingForBuild',
      );
      const done = { ...facts, ...withBuild({ transition: 'delete' }) };
      expect(released(decide({ facts: done }))).to.equal('Deleted');
    });

    it('X17 look afresh at what was announced', () => {
      const status = { ...created, pendingOperation: pendingOperation({ type: 'Delete' }) };
      expect(decide({ status, facts: remembered({}) })).to.deep.equal({ do: 'read', fact: 'freshWorkspace' });
    });
  });

  it('X22 asks for a place, and waits for one', () => {
    const facts = withBuild({ number: 4 });
    expect(decide({ facts: { ...facts, buildSlot: undefined } as object })).to.deep.equal({
      do: 'read',
      fact: 'buildSlot',
    });
    const step = expectStep(decide({ facts: { ...facts, buildSlot: 'none' } }), 'report');
    expect(shown(step.status)).to.deep.equal([
      'Ready=False/Deleting',
      'Synced=True/SyncSucceeded',
      'Reconciling=True/WaitingForBuildSlot',
    ]);
    expect(step.rest).to.deep.equal({ until: 'time', afterMs: 30_000 });
  });

  for (const [who, reason, suspension] of SUSPENSIONS) {
    const decideSuspended = (given: Case): WorkspaceStep =>
      decideWorkspace(
        workspaceInput(
          {
            spec: { templateName: 'docker', deletionPolicy: given.policy, ...suspension.spec },
            status: given.status ?? created,
            metadata: { ...DELETED, ...given.metadata },
          },
          { crdTerminating: false, ...given.facts, ...suspension.facts },
        ),
      );

    it(`Z1 suspended by ${who}: nothing is deleted, and no place is taken`, () => {
      const facts = { ...withBuild({ number: 4 }), buildSlot: undefined } as object;
      const step = expectStep(decideSuspended({ facts }), 'report');
      expect(shown(step.status)).to.deep.equal([
        'Ready=False/Suspended',
        'Synced=True/SyncSucceeded',
        `Suspended=True/${reason}`,
      ]);
      expect(messageOf(step.status)).to.contain('Deleting the workspace in Coder');
    });

    it(`Z2 suspended by ${who}: what is to be kept or is gone is released all the same`, () => {
      expect(released(decideSuspended({ policy: 'Retain' }))).to.equal('Retained');
      expect(released(decideSuspended({ facts: { workspace: gone } }))).to.equal('Deleted');
    });
  }

  it('Z1 suspended by a control plane that cannot be reached now: nothing is deleted', () => {
    const known = controlPlane({ suspended: true });
    if (known.state !== 'ready') throw new Error('it is ready');
    const connection = { ...unavailable(), last: known } as ConnectionFact;
    const step = expectStep(decide({ facts: { connection, ...withBuild({}) } }), 'report');
    expect(shown(step.status)).to.include('Suspended=True/SuspendedByControlPlane');
  });

  it('X17 with an announced setting does not wait: that is no build', () => {
    const status = { ...created, pendingOperation: pendingOperation({ type: 'SetTTL', value: '0' }) };
    const step = expectStep(decide({ status, facts: withBuild({ number: 4 }) }), 'write');
    expect(step.status.pendingOperation).to.equal(undefined);
  });
});
