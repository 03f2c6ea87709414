import { expect } from 'chai';
import type { CoderTemplateStatus } from '../../../../src/api/generated.ts';
import { annotations, finalizers } from '../../../../src/api/kinds.ts';
import { decideTemplate } from '../../../../src/controller/template/decide.ts';
import type { TemplateFacts, TemplateStep } from '../../../../src/controller/template/input.ts';
import { DEPLOYMENT } from '../../../support/controller-coder.ts';
import {
  expectStep,
  gone,
  messageOf,
  pendingOperation,
  seen,
  shown,
  TEMPLATE_ID,
  templateInput,
  templateRecord,
  unavailable,
  unseen,
  VERSION_ID,
} from '../../../support/controller-records.ts';
import { controlPlane } from '../../../support/workspace-rules.ts';

const DELETED = { deletionTimestamp: '2026-01-02T03:00:00Z', finalizers: [finalizers.template] };
const created: CoderTemplateStatus = { id: TEMPLATE_ID, origin: 'Created', deploymentID: DEPLOYMENT };
const there: Partial<TemplateFacts> = { template: seen(templateRecord()) };
const unused = { workspaces: { count: 0, some: [] } };

interface Case {
  readonly policy?: 'Delete' | 'Retain';
  readonly status?: CoderTemplateStatus;
  readonly facts?: Partial<TemplateFacts>;
  readonly pendingForMs?: number;
  readonly metadata?: object;
}

function decide({ policy, status = created, facts, pendingForMs, metadata }: Case): TemplateStep {
  const spec = { files: { 'main.tf': '# one' }, deletionPolicy: policy };
  return decideTemplate(
    templateInput(
      { spec, status, metadata: { ...DELETED, ...metadata } },
      { crdTerminating: false, ...facts },
      pendingForMs,
    ),
  );
}

function released(step: TemplateStep): string | undefined {
  const finalizer = expectStep(step, 'finalizer');
  expect(finalizer.present).to.equal(false);
  return finalizer.event?.reason;
}

describe('deletion of a template', () => {
  it('is none of our business without our finalizer', () => {
    expect(decide({ metadata: { finalizers: [] } })).to.deep.equal({ do: 'nothing' });
  });

  const releases: [string, Case, string][] = [
    ['created, to be kept', { policy: 'Retain' }, 'Retained'],
    [
      'adopted, Delete asked for',
      { status: { ...created, origin: 'Adopted' }, policy: 'Delete' },
      'Retained',
    ],
    ['of unknown origin', { status: { id: TEMPLATE_ID }, policy: 'Delete' }, 'Retained'],
    ['never bound', { status: {} }, 'Released'],
    [
      'never bound, with a version announced',
      { status: { pendingOperation: pendingOperation({ type: 'CreateVersion' }) } },
      'Released',
    ],
    ['while the CRD is being removed', { facts: { crdTerminating: true } }, 'Retained'],
    ['proven to be gone', { facts: { template: gone } }, 'Deleted'],
  ];
  for (const [name, given, reason] of releases) {
    it(`${name}: released as ${reason}`, () => {
      expect(released(decide(given))).to.equal(reason);
    });
  }

  it('looks afresh, then for workspaces that use it', () => {
    expect(decide({ facts: { template: seen(templateRecord(), false) } })).to.deep.equal({
      do: 'read',
      fact: 'freshTemplate',
    });
    expect(decide({ facts: there })).to.deep.equal({ do: 'read', fact: 'workspaces' });
  });

  it('announces and deletes what nobody uses', () => {
    const step = expectStep(decide({ facts: { ...there, ...unused } }), 'write');
    expect(step.operation).to.deep.equal({ type: 'Delete', templateID: TEMPLATE_ID });
  });

  it('waits for workspaces, and names the first three', () => {
    const workspaces = { count: 5, some: ['ann/a', 'ann/b', 'ann/c'] };
    const step = expectStep(decide({ facts: { ...there, workspaces } }), 'report');
    expect(shown(step.status)).to.deep.equal([
      'Ready=False/Deleting',
      'Synced=True/SyncSucceeded',
      'Reconciling=True/WorkspacesExist',
    ]);
    expect(messageOf(step.status)).to.contain('5 (ann/a, ann/b, ann/c, …)');
    expect(step.rest).to.deep.equal({ until: 'time', afterMs: 30_000 });
    const one = { count: 1, some: ['ann/a'] };
    expect(
      messageOf(expectStep(decide({ facts: { ...there, workspaces: one } }), 'report').status),
    ).to.contain('there is 1 (ann/a)');
  });

  it('does not take what is not shown for deleted', () => {
    const step = expectStep(decide({ facts: { template: unseen } }), 'report');
    expect(shown(step.status)).to.include('Reconciling=True/NotVisibleInCoder');
  });

  it('waits for the control plane, and uses the last connection', () => {
    for (const connection of [{ state: 'none' }, unavailable()] as const) {
      const step = expectStep(decide({ facts: { connection } }), 'report');
      expect(shown(step.status)).to.include('Reconciling=True/ControlPlaneNotReady');
      expect(messageOf(step.status)).to.contain('spec.deletionPolicy Retain');
    }
    const last = unavailable(0, { deploymentID: DEPLOYMENT });
    expect(decide({ facts: { connection: last, ...there, ...unused } }).do).to.equal('write');
    const another = unavailable(0, { deploymentID: 'another' });
    const step = decide({ facts: { connection: another, ...there, ...unused } });
    expect(shown(expectStep(step, 'report').status)).to.include('Stalled=True/DeploymentMismatch');
  });

  describe('with an announced creation', () => {
    const status = { pendingOperation: pendingOperation({ type: 'CreateTemplate', target: VERSION_ID }) };
    const ours: Partial<TemplateFacts> = { templateByName: seen(templateRecord()), ...unused };

    it('looks for what it may have made, for as long as it may land', () => {
      expect(decide({ status })).to.deep.equal({ do: 'read', fact: 'templateByName' });
      const facts = { templateByName: unseen };
      const waiting = expectStep(decide({ status, facts, pendingForMs: 34_999 }), 'report');
      expect(shown(waiting.status)).to.include('Reconciling=True/OutcomeUnknown');
      expect(waiting.status.pendingOperation).to.deep.equal(status.pendingOperation);
      expect(released(decide({ status, facts, pendingForMs: 35_000 }))).to.equal('Released');
    });

    it('deletes what stands on our version', () => {
      expect(expectStep(decide({ status, facts: ours }), 'write').operation.type).to.equal('Delete');
    });

    it('keeps it when it is to be kept, or stands on another version', () => {
      expect(released(decide({ status, facts: ours, policy: 'Retain' }))).to.equal('Retained');
      const stranger = { ...ours, templateByName: seen(templateRecord({ activeVersionID: 'another' })) };
      expect(released(decide({ status, facts: stranger }))).to.equal('Retained');
    });
  });

  it('a person lets go of it with its uid, whatever is known of Coder', () => {
    const metadata = { annotations: { [annotations.forceRelease]: 'uid-1' } };
    const away: Partial<TemplateFacts>[] = [
      { ...there, ...unused },
      { connection: { state: 'none' } },
      { connection: controlPlane({ suspended: true }) },
    ];
    for (const facts of away) {
      const step = expectStep(decide({ facts, metadata }), 'finalizer');
      expect(step.event).to.deep.include({ type: 'Warning', reason: 'ForceReleased' });
      expect(step.event?.message).to.contain('acme/docker');
    }
    const copied = { annotations: { [annotations.forceRelease]: 'uid-2' } };
    expect(decide({ metadata: copied, facts: { ...there, ...unused } }).do).to.equal('write');
  });

  it('deletes what it did not create when object and control plane both say so', () => {
    const status = { ...created, origin: 'Adopted' } as const;
    const facts = { ...there, ...unused, connection: controlPlane({ adoptedDeletion: true }) };
    expect(expectStep(decide({ status, facts, policy: 'Delete' }), 'write').operation.type).to.equal(
      'Delete',
    );
    expect(released(decide({ status, facts }))).to.equal('Retained');
    const unknown = expectStep(
      decide({ status, policy: 'Delete', facts: { connection: { state: 'none' } } }),
      'report',
    );
    expect(shown(unknown.status)).to.include('Reconciling=True/ControlPlaneNotReady');
  });

  it('keeps what is out of scope', () => {
    const connection = controlPlane({ scope: { organizations: ['other'], owners: [] } });
    expect(released(decide({ facts: { ...there, ...unused, connection } }))).to.equal('Retained');
  });

  it('lets go of what is in another deployment than the accepted one', () => {
    const status = { ...created, deploymentID: 'another' };
    expect(released(decide({ status, facts: { connection: controlPlane({ isAccepted: true }) } }))).to.equal(
      'Released',
    );
  });

  it('deletes nothing while the control plane is suspended, and lets go of what is to be kept', () => {
    const connection = controlPlane({ suspended: true });
    const step = expectStep(decide({ facts: { ...there, ...unused, connection } }), 'report');
    expect(shown(step.status)).to.deep.equal([
      'Ready=False/Suspended',
      'Synced=True/SyncSucceeded',
      'Suspended=True/SuspendedByControlPlane',
    ]);
    expect(messageOf(step.status)).to.contain('Deleting the template in Coder');
    expect(released(decide({ policy: 'Retain', facts: { connection } }))).to.equal('Retained');
  });
});
