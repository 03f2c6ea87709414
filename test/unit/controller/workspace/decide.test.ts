import { expect } from 'chai';
import { annotations, finalizers } from '../../../../src/api/kinds.ts';
import { decideWorkspace } from '../../../../src/controller/workspace/decide.ts';
import type { WorkspaceFacts, WorkspaceStep } from '../../../../src/controller/workspace/input.ts';
import type { ConnectionFact } from '../../../../src/controller/facts.ts';
import { DEPLOYMENT, ORGANIZATION, OWNER, STRANGER } from '../../../support/controller-coder.ts';
import { wired } from '../../../support/controller-kube.ts';
import {
  build,
  byOwner,
  byStranger,
  creatable,
  expectStep,
  gone,
  messageOf,
  pendingOperation,
  seen,
  shown,
  TEMPLATE_ID,
  unavailable,
  unseen,
  VERSION_ID,
  WORKSPACE_ID,
  workspaceInput,
  workspaceRecord,
} from '../../../support/controller-records.ts';
import { controlPlane, decideBound, type BoundCase } from '../../../support/workspace-rules.ts';

const held = { finalizers: [finalizers.workspace] };
const asked = { annotations: { [annotations.reconcileRequestedAt]: 'again' } };
const bound = { id: WORKSPACE_ID, origin: 'Created', deploymentID: DEPLOYMENT } as const;
const adopted = { ...bound, origin: 'Adopted' } as const;

/** A report that leaves the status as it is, which need not hold conditions yet. */
function expectReport(step: WorkspaceStep): Extract<WorkspaceStep, { do: 'report' }> {
  if (step.do !== 'report') throw new Error(`expected a report, but it is ${step.do}`);
  return step;
}

describe('decideWorkspace', () => {
  it('refuses a name that the CRD lets through no more', () => {
    const step = expectStep(decideWorkspace(workspaceInput({ metadata: { name: 'acme.dev' } })), 'report');
    expect(shown(step.status)).to.deep.equal([
      'Ready=False/InvalidName',
      'Synced=False/InvalidName',
      'Stalled=True/InvalidName',
    ]);
  });

  describe('without a connection', () => {
    it('waits for a control plane, and does not claim to be in sync', () => {
      const step = expectStep(
        decideWorkspace(workspaceInput({}, { connection: { state: 'none' } })),
        'report',
      );
      expect(shown(step.status)).to.deep.equal([
        'Ready=False/WaitingForDependency',
        'Synced=False/WaitingForDependency',
        'Reconciling=True/WaitingForDependency',
      ]);
      expect(messageOf(step.status)).to.contain('no CoderControlPlane in the namespace team');
      expect(step.rest).to.deep.equal({ until: 'woken' });
    });

    it('says nothing before the control plane was talked to', () => {
      const connecting = { state: 'connecting' } as const;
      const step = expectReport(decideWorkspace(workspaceInput({}, { connection: connecting })));
      expect(step.status).to.deep.equal({});
      const status = { ...bound, observedGeneration: 2 };
      const metadata = { ...held, deletionTimestamp: '2026-01-02T03:00:00Z' };
      const facts = { connection: connecting, crdTerminating: false };
      for (const parts of [{ status }, { status, metadata }]) {
        const later = expectReport(decideWorkspace(workspaceInput(parts, facts)));
        expect(later).to.deep.include({ status, rest: { until: 'woken' } });
      }
    });

    const ready = decideWorkspace(
      workspaceInput({ status: adopted, spec: {} }, { workspace: seen(workspaceRecord()) }),
    );
    const status = expectStep(ready, 'report').status;

    it('keeps saying what was true for ten minutes when nothing is asked', () => {
      const input = workspaceInput({ status, spec: {} }, { connection: unavailable(60_000) });
      const step = expectStep(decideWorkspace(input), 'report');
      expect(step.status).to.equal(status);
      expect(step.rest).to.deep.equal({ until: 'time', afterMs: 540_000 });
    });

    it('does not know any more after ten minutes', () => {
      const input = workspaceInput({ status, spec: {} }, { connection: unavailable(600_000) });
      const step = expectStep(decideWorkspace(input), 'report');
      expect(shown(step.status)).to.deep.equal([
        'Ready=Unknown/ControlPlaneNotReady',
        'Synced=False/ControlPlaneNotReady',
        'Reconciling=True/ControlPlaneNotReady',
      ]);
      expect(step.status.running).to.equal(status.running);
    });

    const work: Record<string, Parameters<typeof workspaceInput>[0]> = {
      'the spec changed': { status, spec: {}, metadata: { generation: 4 } },
      'the object is new': {},
      'a person asked': { status, spec: {}, metadata: asked },
      'an operation is open': { status: { ...status, pendingOperation: pendingOperation() } },
      'a wish is not reached yet': { status: { ...status, power: { running: true, state: 'Pending' } } },
    };
    for (const [name, parts] of Object.entries(work)) {
      it(`says so at once when ${name}`, () => {
        const step = decideWorkspace(workspaceInput(parts, { connection: unavailable() }));
        const { generation } = workspaceInput(parts).object.metadata;
        expect(shown(expectStep(step, 'report', generation).status)).to.deep.equal([
          'Ready=False/ControlPlaneNotReady',
          'Synced=False/ControlPlaneNotReady',
          'Reconciling=True/ControlPlaneNotReady',
        ]);
      });
    }
  });

  it('does nothing for an object of another deployment', () => {
    const status = { ...bound, deploymentID: 'another' };
    const step = expectStep(decideWorkspace(workspaceInput({ status })), 'report');
    expect(shown(step.status)).to.include('Stalled=True/DeploymentMismatch');
    expect(messageOf(step.status)).to.contain('another').and.to.contain(DEPLOYMENT);
  });

  describe('creation', () => {
    const reads: [string, Partial<WorkspaceFacts>, string][] = [
      ['looks for the name first', {}, 'workspaceByName'],
      ['then for the owner', { workspaceByName: unseen }, 'owner'],
      ['then for the template', { workspaceByName: unseen, owner: creatable.owner! }, 'template'],
    ];
    for (const [name, facts, fact] of reads) {
      it(name, () => {
        expect(decideWorkspace(workspaceInput({}, facts))).to.deep.equal({ do: 'read', fact });
      });
    }

    const waits: [string, Partial<WorkspaceFacts>, string, string][] = [
      ['an owner who is not there', { owner: { user: undefined } }, 'WaitingForDependency', 'no user ann'],
      [
        'a template that is not there',
        { template: { template: undefined } },
        'WaitingForDependency',
        'no template docker',
      ],
    ];
    for (const [name, facts, reason, text] of waits) {
      it(`waits for ${name}`, () => {
        const step = expectStep(decideWorkspace(workspaceInput({}, { ...creatable, ...facts })), 'report');
        expect(shown(step.status)).to.deep.equal([
          `Ready=False/${reason}`,
          'Synced=True/SyncSucceeded',
          `Reconciling=True/${reason}`,
        ]);
        expect(messageOf(step.status)).to.contain(text);
        expect(step.rest).to.deep.equal({ until: 'backoff' });
      });
    }

    it('needs a templateName', () => {
      const step = expectStep(decideWorkspace(workspaceInput({ spec: {} }, creatable)), 'report');
      expect(shown(step.status)).to.include('Stalled=True/TemplateNameMissing');
      expect(messageOf(step.status)).to.contain('spec.templateName');
    });

    it('refuses an owner who is not a member, and looks again', () => {
      const owner = { user: { id: OWNER.id, organizationIDs: ['another'] } };
      const step = expectStep(decideWorkspace(workspaceInput({}, { ...creatable, owner })), 'report');
      expect(shown(step.status)).to.include('Stalled=True/OwnerNotMember');
      expect(step.rest).to.deep.equal({ until: 'backoff' });
      expect(step.event).to.deep.include({ type: 'Warning', reason: 'OwnerNotMember' });
    });

    it('takes the finalizer before anything else, also when the workspace shall be kept', () => {
      const spec = { templateName: 'docker', deletionPolicy: 'Retain' } as const;
      expect(decideWorkspace(workspaceInput({ spec }, creatable))).to.deep.equal({
        do: 'finalizer',
        present: true,
      });
    });

    it('then announces and creates', () => {
      const step = expectStep(decideWorkspace(workspaceInput({ metadata: held }, creatable)), 'write');
      expect(wired(step.operation)).to.deep.equal({
        type: 'Create',
        owner: 'ann',
        name: 'dev',
        templateID: TEMPLATE_ID,
      });
      expect(shown(step.status)).to.deep.equal([
        'Ready=False/Creating',
        'Synced=True/SyncSucceeded',
        'Reconciling=True/Progressing',
      ]);
    });

    it('says that a workspace that shall not run runs once', () => {
      const spec = { templateName: 'docker', running: false };
      const step = expectStep(decideWorkspace(workspaceInput({ spec, metadata: held }, creatable)), 'write');
      expect(messageOf(step.status)).to.contain('runs once and is then stopped');
    });

    const refused = (count: number, over = {}): object => ({
      failures: {
        what: 'create',
        count,
        at: '2026-01-02T03:04:05Z',
        message: 'no quota',
        generation: 3,
        templateVersionID: VERSION_ID,
        ...over,
      },
    });
    const ladder: [number, number | 'never'][] = [
      [1, 60_000],
      [2, 120_000],
      [3, 240_000],
      [4, 480_000],
      [5, 960_000],
      [6, 'never'],
    ];
    for (const [count, afterMs] of ladder) {
      it(`after ${count} refusals ${afterMs === 'never' ? 'gives up' : `waits ${afterMs / 60_000} min`}`, () => {
        const step = expectStep(
          decideWorkspace(workspaceInput({ metadata: held, status: refused(count) }, creatable)),
          'report',
        );
        if (afterMs === 'never') {
          expect(shown(step.status)).to.include('Stalled=True/BuildRetriesExhausted');
          expect(step.rest).to.deep.equal({ until: 'woken' });
        } else {
          expect(shown(step.status)).to.include('Reconciling=True/RefusedByCoder');
          expect(step.rest).to.deep.equal({ until: 'time', afterMs });
        }
        expect(messageOf(step.status)).to.contain('no quota');
      });
    }

    const anew: [string, Parameters<typeof workspaceInput>[0]][] = [
      ['another spec', { metadata: held, status: refused(6, { generation: 2 }) }],
      [
        'another version of the template',
        { metadata: held, status: refused(6, { templateVersionID: 'older' }) },
      ],
      ['a request by annotation', { metadata: { ...held, ...asked }, status: refused(6) }],
    ];
    for (const [name, parts] of anew) {
      it(`begins anew after ${name}`, () => {
        const step = expectStep(decideWorkspace(workspaceInput(parts, creatable)), 'write');
        expect(step.operation.type).to.equal('Create');
      });
    }

    it('remembers the request that it carries out', () => {
      const parts = { metadata: { ...held, ...asked }, status: refused(6) };
      const step = expectStep(decideWorkspace(workspaceInput(parts, creatable)), 'write');
      expect(step.status.lastHandledReconcileAt).to.equal('again');
      expect(step.status.failures).to.equal(undefined);
    });
  });

  describe('adoption', () => {
    const found = { workspaceByName: seen(workspaceRecord({ build: build(byStranger) })) };

    it('takes over what bears the name, without a finalizer', () => {
      const step = expectStep(decideWorkspace(workspaceInput({}, found)), 'report');
      expect(step.status).to.deep.include({ id: WORKSPACE_ID, origin: 'Adopted', deploymentID: DEPLOYMENT });
      expect(step.event).to.deep.include({ type: 'Normal', reason: 'Adopted' });
      expect(shown(step.status)).to.deep.equal(['Ready=True/PowerNotManaged', 'Synced=True/SyncSucceeded']);
    });

    it('needs no templateName', () => {
      const step = expectStep(decideWorkspace(workspaceInput({ spec: {} }, found)), 'report');
      expect(step.status.templateName).to.equal('docker');
    });

    it('carries the wish out', () => {
      const spec = { running: false };
      expect(expectStep(decideWorkspace(workspaceInput({ spec }, found)), 'write').operation).to.deep.include(
        {
          type: 'Stop',
          workspaceID: WORKSPACE_ID,
          afterBuildNumber: 1,
        },
      );
    });

    it('tells the takeover, and that Delete does not count, also when there is something to do at once', () => {
      const spec = { running: false, deletionPolicy: 'Delete' as const };
      const step = expectStep(decideWorkspace(workspaceInput({ spec }, found)), 'write');
      expect(step.event).to.deep.include({ type: 'Normal', reason: 'Stopping' });
      expect(step.notice).to.deep.include({ type: 'Warning', reason: 'Retained' });
      expect(step.notice?.message)
        .to.contain('Took over the workspace')
        .and.to.contain('deletionPolicy Delete does not count');
    });

    it('carries the wish out also when it had begun to create the workspace itself', () => {
      const conditions = expectStep(decideWorkspace(workspaceInput({ metadata: held }, creatable)), 'write')
        .status.conditions;
      const input = workspaceInput(
        { spec: { running: false }, metadata: held, status: { conditions } },
        found,
      );
      expect(decideWorkspace(input)).to.deep.equal({ do: 'finalizer', present: false });
      const next = workspaceInput({ spec: { running: false }, status: { conditions } }, found);
      expect(expectStep(decideWorkspace(next), 'write').operation.type).to.equal('Stop');
    });

    it('warns once that Delete does not count', () => {
      const spec = { deletionPolicy: 'Delete' } as const;
      const first = expectStep(
        decideWorkspace(workspaceInput({ spec, status: adopted }, { workspace: found.workspaceByName })),
        'report',
      );
      expect(first.event).to.deep.include({ type: 'Warning', reason: 'Retained' });
      const again = workspaceInput({ spec, status: first.status }, { workspace: found.workspaceByName });
      expect(expectStep(decideWorkspace(again), 'report').event).to.equal(undefined);
    });

    it('warns of that in the same breath in which it takes over', () => {
      const spec = { deletionPolicy: 'Delete' } as const;
      const step = expectStep(decideWorkspace(workspaceInput({ spec }, found)), 'report');
      expect(step.event).to.deep.include({ type: 'Warning', reason: 'Retained' });
      expect(step.event?.message).to.match(/^Took over the workspace .*deletionPolicy Delete does not count/);
    });

    it('tells both, once, also of one that runs as it is wished', () => {
      const spec = { running: true, deletionPolicy: 'Delete' } as const;
      const first = expectStep(decideWorkspace(workspaceInput({ spec }, found)), 'report');
      expect(shown(first.status)).to.include('Ready=True/Running');
      expect(first.event).to.deep.include({ type: 'Warning', reason: 'Retained' });
      expect(first.event?.message).to.match(
        /^Took over the workspace .*deletionPolicy Delete does not count/,
      );
      const next = workspaceInput({ spec, status: first.status }, { workspace: found.workspaceByName });
      const again = expectStep(decideWorkspace(next), 'report');
      expect(again.event).to.equal(undefined);
      expect(again.status).to.deep.equal(first.status);
    });

    it('leaves a workspace of that name in another organization alone', () => {
      const record = workspaceRecord({ organizationName: 'other' });
      const step = expectStep(
        decideWorkspace(workspaceInput({}, { workspaceByName: seen(record) })),
        'report',
      );
      expect(shown(step.status)).to.include('Stalled=True/ImmutableFieldMismatch');
      expect(step.status.id).to.equal(undefined);
    });

    it('compares names without case, as Coder does', () => {
      const record = workspaceRecord({
        name: 'Dev',
        ownerName: 'Ann',
        organizationName: 'Acme',
        templateName: 'Docker',
      });
      const step = expectStep(
        decideWorkspace(workspaceInput({}, { workspaceByName: seen(record) })),
        'report',
      );
      expect(shown(step.status)).to.deep.equal(['Ready=True/PowerNotManaged', 'Synced=True/SyncSucceeded']);
    });
  });

  describe('a lost status', () => {
    const spec = { templateName: 'docker', running: true, driftPolicy: 'OnChange' as const };
    const stopped = seen(workspaceRecord({ build: build({ transition: 'stop', ...byOwner }) }));
    const metadata = { ...held, ...asked };

    it('counts the wish as satisfied and is recorded before the finalizer goes', () => {
      const input = workspaceInput(
        { spec, metadata, status: { observedGeneration: -1 } },
        { workspaceByName: stopped },
      );
      const step = expectStep(decideWorkspace(input), 'report');
      expect(step.status).to.deep.include({
        origin: 'Adopted',
        lastHandledReconcileAt: 'again',
        power: { running: true, state: 'Satisfied', build: 1 },
      });
      expect(step.rest).to.deep.equal({ until: 'time', afterMs: 1 });
      const next = workspaceInput({ spec, metadata, status: step.status }, { workspace: stopped });
      expect(decideWorkspace(next)).to.deep.equal({ do: 'finalizer', present: false });
    });

    it('says what differs', () => {
      const input = workspaceInput({ spec, metadata: held }, { workspaceByName: stopped });
      const step = expectStep(decideWorkspace(input), 'report');
      expect(shown(step.status)).to.deep.equal([
        'Ready=True/YieldedToCoder',
        'Synced=True/SyncSucceeded',
        'Drifted=True/StoppedByUser',
      ]);
    });
  });

  describe('an announced creation', () => {
    const status = { pendingOperation: pendingOperation({ type: 'Create' }) };
    const parts = { metadata: held, status };
    const ours = workspaceRecord();

    it('is looked for first', () => {
      expect(decideWorkspace(workspaceInput(parts))).to.deep.equal({ do: 'read', fact: 'workspaceByName' });
    });

    it('found with a first build of ours: it is created', () => {
      const step = expectStep(
        decideWorkspace(workspaceInput(parts, { workspaceByName: seen(ours) })),
        'report',
      );
      expect(step.status).to.deep.include({ id: WORKSPACE_ID, origin: 'Created' });
      expect(step.status.pendingOperation).to.equal(undefined);
    });

    it("found with a stranger's first build: it is adopted, and the finalizer given up", () => {
      const record = workspaceRecord({ build: build(byStranger) });
      expect(decideWorkspace(workspaceInput(parts, { workspaceByName: seen(record) }))).to.deep.equal({
        do: 'finalizer',
        present: false,
      });
    });

    it('found with later builds: asks who made the first', () => {
      const record = workspaceRecord({ build: build({ number: 4 }) });
      const facts = { workspaceByName: seen(record) };
      expect(decideWorkspace(workspaceInput(parts, facts))).to.deep.equal({
        do: 'read',
        fact: 'firstInitiator',
      });
      const step = decideWorkspace(workspaceInput({ status }, { ...facts, firstInitiator: STRANGER.id }));
      expect(expectStep(step, 'report').status.origin).to.equal('Adopted');
    });

    it('found in another organization: it is another object that made it', () => {
      const record = workspaceRecord({ organizationName: 'other' });
      const step = expectStep(
        decideWorkspace(workspaceInput(parts, { workspaceByName: seen(record) })),
        'report',
      );
      expect(shown(step.status)).to.include('Stalled=True/ImmutableFieldMismatch');
      expect(step.status.id).to.equal(undefined);
    });

    it('not found: waits for our time-out and five seconds more', () => {
      for (const [pendingForMs, afterMs] of [
        [0, 2_000],
        [34_000, 1_000],
      ]) {
        const step = decideWorkspace(workspaceInput(parts, creatable, pendingForMs));
        const report = expectStep(step, 'report');
        expect(shown(report.status)).to.include('Reconciling=True/OutcomeUnknown');
        expect(report.status.pendingOperation).to.deep.equal(status.pendingOperation);
        expect(report.rest).to.deep.equal({ until: 'time', afterMs });
      }
    });

    it('not found then: creates again', () => {
      const step = expectStep(decideWorkspace(workspaceInput(parts, creatable, 35_000)), 'write');
      expect(step.operation.type).to.equal('Create');
    });
  });

  describe('an announced build', () => {
    const spec = { templateName: 'docker', running: true };
    const status = {
      ...bound,
      power: { running: true, state: 'Pending' },
      pendingOperation: pendingOperation({ afterBuildNumber: 4 }),
    } as const;
    const at = (number: number, transition: string): Partial<WorkspaceFacts> => ({
      workspace: seen(workspaceRecord({ build: build({ number, transition }) })),
    });
    const parts = { spec, status, metadata: held };

    it('is looked for in Coder, whatever is remembered', () => {
      const remembered = { workspace: seen(workspaceRecord(), false) };
      for (const facts of [{}, remembered]) {
        expect(decideWorkspace(workspaceInput(parts, facts))).to.deep.equal({
          do: 'read',
          fact: 'freshWorkspace',
        });
      }
    });

    it('is not there yet: waits', () => {
      const step = expectStep(decideWorkspace(workspaceInput(parts, at(4, 'stop'), 30_000)), 'report');
      expect(shown(step.status)).to.include('Reconciling=True/OutcomeUnknown');
      expect(step.status.pendingOperation).to.deep.equal(status.pendingOperation);
    });

    it('is not there after the time: builds', () => {
      const step = expectStep(decideWorkspace(workspaceInput(parts, at(4, 'stop'), 35_000)), 'write');
      expect(step.operation).to.deep.include({ type: 'Start', afterBuildNumber: 4 });
    });

    it('is there: goes on from it', () => {
      const step = expectStep(decideWorkspace(workspaceInput(parts, at(5, 'start'))), 'report');
      expect(step.status.pendingOperation).to.equal(undefined);
      expect(step.status.power).to.deep.equal({ running: true, state: 'Satisfied', build: 5 });
    });

    it("somebody else's build came instead: decides afresh", () => {
      const step = expectStep(decideWorkspace(workspaceInput(parts, at(5, 'stop'))), 'write');
      expect(step.operation).to.deep.include({ type: 'Start', afterBuildNumber: 5 });
    });

    it('the workspace is gone: says so', () => {
      const facts = { workspace: gone, deletedWorkspace: { build: build({ reason: 'autodelete' }) } };
      const step = expectStep(decideWorkspace(workspaceInput(parts, facts)), 'report');
      expect(shown(step.status)).to.include('Stalled=True/DeletedInCoder');
      expect(step.status.pendingOperation).to.equal(undefined);
    });
  });

  describe('an announced setting', () => {
    const spec = { templateName: 'docker', ttlMillis: 3_600_000 };
    const pending = pendingOperation({ type: 'SetTTL', value: '3600000' });
    const settle = (ttlMillis: number, over: Partial<BoundCase> = {}): ReturnType<typeof decideBound> =>
      decideBound({ spec, status: { pendingOperation: pending }, record: { ttlMillis }, ...over });

    it('S6 is looked for in Coder, whatever is remembered', () => {
      expect(settle(0, { fresh: false })).to.deep.equal({ do: 'read', fact: 'freshWorkspace' });
      expect(settle(0, { facts: {}, fresh: false, isAnswered: true }).do).to.equal('read');
    });

    it('S9 landed, sooner or later, or was there already: it counts as applied', () => {
      for (const over of [{ isAnswered: true }, {}, { pendingForMs: 90_000 }]) {
        const step = expectStep(settle(3_600_000, over), 'report');
        expect(step.status.pendingOperation).to.equal(undefined);
        expect(wired(step.status.applied)).to.deep.equal({ ttlMillis: 3_600_000 });
        expect(shown(step.status)).to.deep.equal(['Ready=True/PowerNotManaged', 'Synced=True/SyncSucceeded']);
      }
    });

    it('S10 was answered and made no difference: it is not honoured', () => {
      const step = expectStep(settle(0, { isAnswered: true }), 'report');
      expect(step.status.pendingOperation).to.equal(undefined);
      expect(wired(step.status.applied)).to.deep.equal({ ttlMillis: 3_600_000, notHonoured: ['ttlMillis'] });
      expect(shown(step.status)).to.include('Drifted=True/SettingsNotHonoured');
    });

    it('S12 is not there yet: waits, whatever else there is to do', () => {
      for (const [pendingForMs, afterMs] of [
        [0, 2_000],
        [34_000, 1_000],
      ] as const) {
        const step = expectStep(settle(0, { pendingForMs }), 'report');
        expect(shown(step.status)).to.include('Reconciling=True/OutcomeUnknown');
        expect(step.status.pendingOperation).to.deep.equal(pending);
        expect(step.rest).to.deep.equal({ until: 'time', afterMs });
      }
    });

    it('S11 is not there after the time: it is set again', () => {
      const step = expectStep(settle(0, { pendingForMs: 35_000 }), 'write');
      expect(step.operation).to.deep.include({ type: 'Set', field: 'ttlMillis', value: '3600000' });
    });

    it('S9 of a wish that was left out meanwhile is settled and forgotten', () => {
      const step = expectStep(settle(3_600_000, { spec: { templateName: 'docker' } }), 'report');
      expect(step.status.pendingOperation).to.equal(undefined);
      expect(step.status.applied).to.equal(undefined);
    });

    it('S9 an empty schedule was cleared', () => {
      const schedule = pendingOperation({ type: 'SetAutostart', value: '' });
      const step = expectStep(
        decideBound({ spec: { autostartSchedule: '' }, status: { pendingOperation: schedule } }),
        'report',
      );
      expect(step.status.applied?.autostartSchedule).to.equal('');
    });

    const more = { ...spec, running: true };
    const stopped = build({ transition: 'stop' });
    for (const [name, ttlMillis, notHonoured] of [
      ['S9, S13 honoured', 3_600_000, undefined],
      ['S10, S13 not honoured', 0, ['ttlMillis']],
    ] as const) {
      it(`${name}, with more to send: what came of it is written down first`, () => {
        const over = { spec: more, record: { ttlMillis, build: stopped } };
        const step = expectStep(settle(ttlMillis, { ...over, isAnswered: true }), 'report');
        expect(step.status.pendingOperation).to.equal(undefined);
        expect(step.status.applied?.notHonoured).to.deep.equal(notHonoured);
        expect(shown(step.status)).to.include('Reconciling=True/Progressing');
        expect(step.rest).to.deep.equal({ until: 'time', afterMs: 1 });
        const next = expectStep(decideBound({ ...over, status: step.status }), 'write');
        expect(next.operation.type).to.equal('Start');
      });
    }

    it('S6 the workspace is gone: says so', () => {
      const facts = { workspace: gone, deletedWorkspace: { build: build({ reason: 'autodelete' }) } };
      const step = expectStep(settle(0, { facts }), 'report');
      expect(shown(step.status)).to.include('Stalled=True/DeletedInCoder');
      expect(step.status.pendingOperation).to.equal(undefined);
    });
  });

  describe('scope', () => {
    const outside: [string, ConnectionFact, string][] = [
      [
        'organization',
        controlPlane({ scope: { organizations: ['other'], owners: [] } }),
        'spec.scope.organizations',
      ],
      ['owner', controlPlane({ scope: { organizations: ['acme'], owners: ['bob'] } }), 'spec.scope.owners'],
    ];
    for (const [name, connection, text] of outside) {
      it(`B8 of another ${name}: nothing is done, bound or not`, () => {
        for (const parts of [{}, { status: bound, metadata: held }]) {
          const step = expectStep(decideWorkspace(workspaceInput(parts, { connection })), 'report');
          expect(shown(step.status)).to.deep.equal([
            'Ready=False/OutOfScope',
            'Synced=True/SyncSucceeded',
            'Stalled=True/OutOfScope',
          ]);
          expect(messageOf(step.status)).to.contain(text);
        }
      });
    }

    it('B8 names are compared without case', () => {
      const connection = controlPlane({ scope: { organizations: ['other', 'Acme'], owners: ['ANN'] } });
      expect(decideWorkspace(workspaceInput({}, { connection }))).to.deep.equal({
        do: 'read',
        fact: 'workspaceByName',
      });
    });
  });

  describe('what the control plane allows for what it did not create', () => {
    const facts = { workspace: seen(workspaceRecord()), connection: controlPlane({ adoptedDeletion: true }) };
    const spec = { templateName: 'docker', deletionPolicy: 'Delete' as const };

    it('F4 Delete counts: it is held, and nothing is warned of', () => {
      expect(decideWorkspace(workspaceInput({ spec, status: adopted }, facts))).to.deep.equal({
        do: 'finalizer',
        present: true,
      });
      const step = expectStep(
        decideWorkspace(workspaceInput({ spec, status: adopted, metadata: held }, facts)),
        'report',
      );
      expect(step.event).to.equal(undefined);
    });

    it('F5 it does not count any more: it is let go', () => {
      const denied = { ...facts, connection: controlPlane() };
      expect(
        decideWorkspace(workspaceInput({ spec, status: adopted, metadata: held }, denied)),
      ).to.deep.equal({
        do: 'finalizer',
        present: false,
      });
    });

    it('F6 it is kept without Delete', () => {
      const kept = { spec: { templateName: 'docker' }, status: adopted };
      expectStep(decideWorkspace(workspaceInput(kept, facts)), 'report');
    });
  });

  describe('a bound workspace', () => {
    const parts = { status: bound, metadata: held };

    it('is looked for by its UUID', () => {
      expect(decideWorkspace(workspaceInput(parts))).to.deep.equal({ do: 'read', fact: 'workspace' });
    });

    it('proven to be deleted is not made again by itself under OnChange', () => {
      const spec = { templateName: 'docker', driftPolicy: 'OnChange' as const };
      const step = expectStep(
        decideWorkspace(workspaceInput({ ...parts, spec }, { workspace: gone })),
        'report',
      );
      expect(shown(step.status)).to.include('Stalled=True/DeletedInCoder');
      expect(step.status.running).to.equal(false);
      expect(step.rest).to.deep.equal({ until: 'woken' });
    });

    it('not shown any more is not taken for deleted', () => {
      const step = expectStep(decideWorkspace(workspaceInput(parts, { workspace: unseen })), 'report');
      expect(shown(step.status)).to.include('Reconciling=True/NotVisibleInCoder');
      expect(step.status.id).to.equal(WORKSPACE_ID);
    });

    for (const [name, workspace] of [
      ['deleted', gone],
      ['not shown', unseen],
    ] as const) {
      it(`${name} is made again when a person asks`, () => {
        const input = workspaceInput(
          { status: bound, metadata: { ...held, ...asked } },
          { workspace, ...creatable },
        );
        const step = expectStep(decideWorkspace(input), 'write');
        expect(step.operation.type).to.equal('Create');
        expect(step.status.id).to.equal(undefined);
        expect(step.status.lastHandledReconcileAt).to.equal('again');
      });
    }

    it('renamed in Coder stays bound', () => {
      const record = workspaceRecord({ name: 'else', ownerName: 'zoe' });
      const step = expectStep(decideWorkspace(workspaceInput(parts, { workspace: seen(record) })), 'report');
      expect(shown(step.status)).to.include('Drifted=True/OwnerChangedInCoder');
      expect(messageOf(step.status, 'Drifted')).to.contain('zoe/else');
    });

    it('of another template than wished is left alone', () => {
      const record = workspaceRecord({ templateName: 'nomad' });
      const step = expectStep(decideWorkspace(workspaceInput(parts, { workspace: seen(record) })), 'report');
      expect(shown(step.status)).to.include('Stalled=True/ImmutableFieldMismatch');
      expect(messageOf(step.status)).to.contain('spec.templateName is docker').and.to.contain('nomad');
    });

    it('claimed by an older object is left alone', () => {
      const facts = { workspace: seen(workspaceRecord()), claimedBy: () => 'acme.ann.older' };
      const step = expectStep(decideWorkspace(workspaceInput(parts, facts)), 'report');
      expect(shown(step.status)).to.include('Stalled=True/DuplicateClaim');
      expect(messageOf(step.status)).to.contain('acme.ann.older');
    });

    it('claimed from another namespace says no name', () => {
      const facts = { workspace: seen(workspaceRecord()), claimedBy: () => 'in another namespace' };
      const step = expectStep(decideWorkspace(workspaceInput(parts, facts)), 'report');
      expect(messageOf(step.status)).to.contain('An older object (in another namespace)');
    });

    it('claimed by an older object is not even bound', () => {
      const facts = { workspaceByName: seen(workspaceRecord()), claimedBy: () => 'acme.ann.older' };
      const step = expectStep(decideWorkspace(workspaceInput({}, facts)), 'report');
      expect(step.status.id).to.equal(undefined);
    });

    const holding: [string, 'Created' | 'Adopted', 'Delete' | 'Retain' | undefined, boolean][] = [
      ['created: held', 'Created', undefined, true],
      ['created, to be kept: not held', 'Created', 'Retain', false],
      ['adopted: not held', 'Adopted', undefined, false],
      ['adopted, Delete asked for: not held', 'Adopted', 'Delete', false],
    ];
    for (const [name, origin, deletionPolicy, present] of holding) {
      it(name, () => {
        const metadata = present ? {} : held;
        const spec = { templateName: 'docker', deletionPolicy };
        const input = workspaceInput(
          { spec, metadata, status: { ...bound, origin } },
          { workspace: seen(workspaceRecord()) },
        );
        expect(decideWorkspace(input)).to.deep.equal({ do: 'finalizer', present });
      });
    }

    it('shows what Coder has', () => {
      const record = workspaceRecord({
        outdated: true,
        build: build({ number: 7, jobStatus: 'failed', ...byOwner, startedAt: '2026-01-01T00:00:00Z' }),
      });
      const step = expectStep(decideWorkspace(workspaceInput(parts, { workspace: seen(record) })), 'report');
      expect(step.status).to.deep.include({
        ownerName: 'ann',
        organizationName: ORGANIZATION.name,
        templateName: 'docker',
        workspaceName: 'dev',
        url: 'https://coder.example.com/@ann/dev',
        running: false,
        healthy: true,
        outdated: true,
      });
      expect(step.status.latestBuild).to.deep.include({
        number: 7,
        transition: 'start',
        status: 'failed',
        initiator: 'Owner',
        reason: 'dashboard',
        error: 'terraform says no',
      });
    });
  });
});
