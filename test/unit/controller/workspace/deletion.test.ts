import { expect } from 'chai';
import { annotations, finalizers } from '../../../../src/api/kinds.ts';
import type { CoderWorkspaceStatus } from '../../../../src/api/generated.ts';
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
    expect(messageOf(step.status)).to.contain('spec.deletionPolicy to Retain');
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
        expect(messageOf(step.status)).to.contain('spec.deletionPolicy to Retain');
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
        .and.to.contain('spec.deletionPolicy to Retain');
    });

    it('begins anew when a person asks', () => {
      const metadata = { annotations: { [annotations.reconcileRequestedAt]: 'now' } };
      const step = expectStep(decide({ facts: failed, status: exhausted, metadata }), 'write');
      expect(step.status.lastHandledReconcileAt).to.equal('now');
      expect(step.status.failures).to.equal(undefined);
    });
  });
});
