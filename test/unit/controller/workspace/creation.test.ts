import { expect } from 'chai';
import type { CoderWorkspaceSpec, CoderWorkspaceStatus } from '../../../../src/api/generated.ts';
import { annotations, finalizers } from '../../../../src/api/kinds.ts';
import { decideWorkspace } from '../../../../src/controller/workspace/decide.ts';
import type {
  PinnedVersion,
  WorkspaceFacts,
  WorkspaceStep,
} from '../../../../src/controller/workspace/input.ts';
import { preset, richParameter } from '../../../support/controller-coder.ts';
import { wired } from '../../../support/controller-kube.ts';
import {
  build,
  byOwner,
  byStranger,
  creatable,
  expectStep,
  messageOf,
  seen,
  shown,
  TEMPLATE_ID,
  VERSION_ID,
  WORKSPACE_ID,
  workspaceInput,
  workspaceRecord,
} from '../../../support/controller-records.ts';
import { asks, controlPlane, resolved, SUSPENSIONS } from '../../../support/workspace-rules.ts';

const NINE = 'CRON_TZ=Europe/Berlin 30 9 * * 1-5';
const PIN = '0e000000-0000-4000-8000-00000000000a';
const pinned: PinnedVersion = {
  id: PIN,
  name: 'two',
  templateID: TEMPLATE_ID,
  jobStatus: 'succeeded',
  isArchived: false,
};
const cpu = richParameter({ name: 'cpu', type: 'number', default: '1', min: 1, max: 8 });
const region = richParameter({ name: 'region' });
const disk = richParameter({ name: 'disk', default: 'small', mutable: false });
const large = preset({ name: 'Large', values: { cpu: '8', disk: 'large' } });

interface Case {
  readonly spec?: CoderWorkspaceSpec;
  readonly facts?: Partial<WorkspaceFacts>;
  readonly status?: CoderWorkspaceStatus;
  readonly isHeld?: boolean;
  readonly asked?: string;
}

/** An object of which Coder has nothing yet. */
function decide({ spec, facts, status, isHeld = true, asked }: Case = {}): WorkspaceStep {
  return decideWorkspace(
    workspaceInput(
      {
        spec: { templateName: 'docker', ...spec },
        ...(status === undefined ? {} : { status }),
        metadata: {
          ...(isHeld ? { finalizers: [finalizers.workspace] } : {}),
          ...(asked === undefined ? {} : { annotations: { [annotations.reconcileRequestedAt]: asked } }),
        },
      },
      { ...creatable, ...facts },
    ),
  );
}

/** What a creation is asked for with, beside names. */
function created(step: WorkspaceStep): object {
  const { operation } = expectStep(step, 'write');
  const { type, owner, name, templateID, ...rest } = wired(operation) as Record<string, unknown>;
  expect({ type, owner, name, templateID }).to.deep.equal({
    type: 'Create',
    owner: 'ann',
    name: 'dev',
    templateID: TEMPLATE_ID,
  });
  return rest;
}

describe('decideUnbound', () => {
  it('C2 one of the name in another organization is not even a lost one', () => {
    const workspaceByName = seen(workspaceRecord({ organizationName: 'other' }));
    const step = expectStep(decide({ facts: { workspaceByName } }), 'report');
    expect(shown(step.status)).to.include('Stalled=True/ImmutableFieldMismatch');
  });

  describe('a creation', () => {
    it('C19 with everything', () => {
      const spec: CoderWorkspaceSpec = {
        running: true,
        templateVersionName: 'two',
        presetName: 'Large',
        parameters: [{ name: 'region', value: 'eu' }],
        ttlMillis: 3_600_000,
        autostartSchedule: NINE,
        automaticUpdates: 'Always',
        updatePolicy: 'Restart',
        driftPolicy: 'OnChange',
        deletionPolicy: 'Retain',
      };
      const facts = {
        version: { version: pinned },
        presets: { versionID: PIN, presets: [preset({ name: 'Small', values: {} }), large] },
        values: resolved({ region: 'eu' }),
        ...asks([cpu, disk, region], PIN),
      };
      const step = decide({ spec, facts });
      expect(created(step)).to.deep.equal({
        templateVersionID: PIN,
        presetID: large.ID,
        parameters: [{ name: 'region', value: 'eu' }],
        ttlMillis: 3_600_000,
        autostartSchedule: NINE,
        automaticUpdates: 'Always',
      });
      const { status, event } = expectStep(step, 'write');
      expect(status.power).to.deep.equal({ running: true, state: 'Pending', after: 0, build: 1 });
      expect(JSON.stringify({ status, event }), 'no value is told').to.not.contain('"eu"');
    });

    const with_: [string, CoderWorkspaceSpec, Partial<WorkspaceFacts>, object][] = [
      ['nothing but the template', {}, {}, {}],
      [
        'a pin by id',
        { templateVersionID: PIN },
        { version: { version: pinned }, ...asks([], PIN) },
        { templateVersionID: PIN },
      ],
      ['the active version, where it is followed', { updatePolicy: 'Restart' }, {}, {}],
      [
        'cleared settings',
        { ttlMillis: 0, autostartSchedule: '', automaticUpdates: 'Never' },
        {},
        { ttlMillis: 0, autostartSchedule: '', automaticUpdates: 'Never' },
      ],
      ['no parameters, which is a wish', { parameters: [] }, { values: resolved({}) }, { parameters: [] }],
      [
        'a parameter that the preset overrules and that can be changed later',
        { presetName: 'Large', parameters: [{ name: 'cpu', value: '4' }] },
        {
          presets: { versionID: VERSION_ID, presets: [large] },
          values: resolved({ cpu: '4' }),
          ...asks([cpu, disk]),
        },
        { presetID: large.ID, parameters: [{ name: 'cpu', value: '4' }] },
      ],
      [
        'a preset that gives what is required',
        { presetName: 'Eu', parameters: [] },
        {
          presets: {
            versionID: VERSION_ID,
            presets: [{ ...large, Name: 'Eu', Parameters: [{ Name: 'region', Value: 'eu' }] }],
          },
          values: resolved({}),
          ...asks([region]),
        },
        { presetID: large.ID, parameters: [] },
      ],
    ];
    for (const [name, spec, facts, sent] of with_) {
      it(`C19 with ${name}`, () => {
        expect(created(decide({ spec, facts }))).to.deep.equal(sent);
      });
    }

    const powers: [boolean | undefined, CoderWorkspaceStatus['power']][] = [
      [true, { running: true, state: 'Pending', after: 0, build: 1 }],
      [false, { running: false, state: 'Pending', after: 0, build: undefined }],
      [undefined, undefined],
    ];
    for (const [running, power] of powers) {
      it(`C19 with running ${running ?? 'left out'} remembers the wish`, () => {
        expect(expectStep(decide({ spec: { running } }), 'write').status.power).to.deep.equal(power);
      });
    }

    it('C19 then it is stopped where it shall not run', () => {
      const { status } = expectStep(decide({ spec: { running: false } }), 'write');
      const bound = { ...status, id: WORKSPACE_ID, origin: 'Created' } as const;
      const at = (jobStatus: string): WorkspaceStep =>
        decide({
          spec: { running: false },
          status: bound,
          facts: { workspace: seen(workspaceRecord({ build: build({ jobStatus }) })) },
        });
      expect(shown(expectStep(at('running'), 'report').status)).to.include(
        'Reconciling=True/WaitingForBuild',
      );
      expect(expectStep(at('succeeded'), 'write').operation.type).to.equal('Stop');
    });

    const reads: [string, CoderWorkspaceSpec, Partial<WorkspaceFacts>, string][] = [
      ['C10 the pinned version', { templateVersionID: PIN }, {}, 'version'],
      ['C10 the version of that name', { templateVersionName: 'two' }, {}, 'version'],
      [
        'C11 what the active version asks for',
        {},
        { definitions: { state: 'known', versionID: 'older', parameters: [] } },
        'definitions',
      ],
      [
        'C11 what the pinned version asks for',
        { templateVersionID: PIN },
        { version: { version: pinned } },
        'definitions',
      ],
      ['C12 presets', { presetName: 'Large' }, {}, 'presets'],
      [
        'C12 presets of this version',
        { presetName: 'Large' },
        { presets: { versionID: 'older', presets: [large] } },
        'presets',
      ],
      ['C13 values', { parameters: [] }, {}, 'values'],
    ];
    for (const [name, spec, facts, fact] of reads) {
      it(`asks for ${name}`, () => {
        expect(decide({ spec, facts, isHeld: false })).to.deep.equal({ do: 'read', fact });
      });
    }

    it('C18 asks for a place when all else is there', () => {
      const facts = { buildSlot: undefined } as object;
      expect(decide({ facts })).to.deep.equal({ do: 'read', fact: 'buildSlot' });
    });

    const missing = { reason: 'WaitingForDependency', message: 'there is no Secret sizes' } as const;
    const forbidden = { reason: 'SecretForbidden', message: 'the Secret sizes may not be read' } as const;
    const presets = { presets: { versionID: VERSION_ID, presets: [large] } };
    const parameters = [{ name: 'cpu', value: '4' }];
    const importing = { state: 'importing', versionID: VERSION_ID } as const;
    const problems: [string, CoderWorkspaceSpec, Partial<WorkspaceFacts>, string, RegExp, object][] = [
      [
        'C9 a schedule that cannot be one',
        { autostartSchedule: 'daily' },
        {},
        'Stalled=True/InvalidParameters',
        /spec\.autostartSchedule/,
        { until: 'woken' },
      ],
      [
        'C10 a pin that is not there',
        { templateVersionID: PIN },
        { version: { version: undefined } },
        'Reconciling=True/WaitingForDependency',
        /no template version/,
        { until: 'backoff' },
      ],
      [
        'C10 a pin of another template',
        { templateVersionID: PIN },
        { version: { version: { ...pinned, templateID: 'other' } } },
        'Stalled=True/InvalidParameters',
        /spec\.templateVersionID.*another template/,
        { until: 'woken' },
      ],
      [
        'C10 a pin whose import failed',
        { templateVersionName: 'two' },
        { version: { version: { ...pinned, jobStatus: 'failed', isArchived: false } } },
        'Stalled=True/InvalidParameters',
        /spec\.templateVersionName.*failed/,
        { until: 'woken' },
      ],
      [
        'C10 a pin that is archived',
        { templateVersionName: 'two' },
        { version: { version: { ...pinned, isArchived: true } } },
        'Stalled=True/InvalidParameters',
        /spec\.templateVersionName.*archived/,
        { until: 'woken' },
      ],
      [
        'C10 a pin that is being imported',
        { templateVersionID: PIN },
        { version: { version: { ...pinned, jobStatus: 'running', isArchived: false } } },
        'Reconciling=True/WaitingForImport',
        /two is being imported/,
        { until: 'time', afterMs: 2_000 },
      ],
      [
        'C11 a version that is not to be seen',
        {},
        { definitions: { state: 'missing', versionID: VERSION_ID } },
        'Reconciling=True/WaitingForDependency',
        /no template version/,
        { until: 'backoff' },
      ],
      [
        'C11 a version that is being imported',
        {},
        { definitions: importing },
        'Reconciling=True/WaitingForImport',
        /being imported/,
        { until: 'time', afterMs: 2_000 },
      ],
      [
        'C12 a preset that is not there',
        { presetName: 'Huge' },
        presets,
        'Stalled=True/InvalidParameters',
        /no preset Huge; it has Large/,
        { until: 'woken' },
      ],
      [
        'C12 a preset where there are none',
        { presetName: 'Huge' },
        { presets: { versionID: VERSION_ID, presets: [] } },
        'Stalled=True/InvalidParameters',
        /has none/,
        { until: 'woken' },
      ],
      [
        'C12 a preset spelt otherwise',
        { presetName: 'large' },
        presets,
        'Stalled=True/InvalidParameters',
        /no preset large/,
        { until: 'woken' },
      ],
      [
        'C13 a missing value',
        { parameters },
        { values: { state: 'missing', cause: missing } },
        'Reconciling=True/WaitingForDependency',
        /no Secret sizes/,
        { until: 'time', afterMs: 10_000 },
      ],
      [
        'C13 a forbidden value',
        { parameters },
        { values: { state: 'forbidden', cause: forbidden } },
        'Stalled=True/SecretForbidden',
        /may not be read/,
        { until: 'time', afterMs: 10_000 },
      ],
      [
        'C13 a value out of its limits',
        { parameters },
        { values: resolved({ cpu: '9' }), ...asks([cpu]) },
        'Stalled=True/InvalidParameters',
        /spec\.parameters: "cpu" must not be above 8/,
        { until: 'woken' },
      ],
      [
        'C13 a required one that is missing',
        { parameters },
        { values: resolved({ cpu: '4' }), ...asks([cpu, region]) },
        'Stalled=True/InvalidParameters',
        /"region" is missing/,
        { until: 'woken' },
      ],
      [
        'C13 a required one that is missing, with no parameters at all',
        {},
        asks([region]),
        'Stalled=True/InvalidParameters',
        /"region" is missing/,
        { until: 'woken' },
      ],
      [
        'C13 one that the preset overrules for ever',
        { presetName: 'Large', parameters },
        { ...presets, values: resolved({ disk: 'small' }), ...asks([cpu, disk]) },
        'Stalled=True/InvalidParameters',
        /"disk" is given another value by the preset/,
        { until: 'woken' },
      ],
    ];
    for (const [name, spec, facts, condition, text, rest] of problems) {
      it(`${name}: nothing is created, nor even held`, () => {
        const step = expectStep(decide({ spec, facts, isHeld: false }), 'report');
        expect(shown(step.status)).to.include(condition);
        expect(messageOf(step.status)).to.match(text);
        expect(step.rest).to.deep.equal(rest);
      });
    }

    it('C18 waits for a place, held already', () => {
      const step = expectStep(decide({ facts: { buildSlot: 'none' } }), 'report');
      expect(shown(step.status)).to.deep.equal([
        'Ready=False/WaitingForBuildSlot',
        'Synced=True/SyncSucceeded',
        'Reconciling=True/WaitingForBuildSlot',
      ]);
      expect(messageOf(step.status)).to.contain('spec.maxConcurrentBuilds');
      expect(step.event).to.equal(undefined);
      expect(step.rest).to.deep.equal({ until: 'time', afterMs: 30_000 });
    });

    it('C14 a person asks: the count begins anew, and the request is remembered with what is sent', () => {
      const failures = {
        what: 'create',
        count: 6,
        at: '2026-01-02T03:04:05Z',
        generation: 3,
        templateVersionID: VERSION_ID,
      } as const;
      expect(shown(expectStep(decide({ status: { failures } }), 'report').status)).to.include(
        'Stalled=True/BuildRetriesExhausted',
      );
      const { status } = expectStep(decide({ status: { failures }, asked: 'x' }), 'write');
      expect(status.failures).to.equal(undefined);
      expect(status.lastHandledReconcileAt).to.equal('x');
    });

    for (const [who, reason, suspension] of SUSPENSIONS) {
      it(`Z1 suspended by ${who}: nothing is created, held, taken or heard`, () => {
        const facts = { ...suspension.facts, buildSlot: undefined } as object;
        const spec = { running: true, ...suspension.spec };
        const step = expectStep(decide({ spec, facts, isHeld: false, asked: 'x' }), 'report');
        expect(shown(step.status)).to.deep.equal([
          'Ready=False/Suspended',
          'Synced=True/SyncSucceeded',
          `Suspended=True/${reason}`,
        ]);
        expect(messageOf(step.status)).to.contain('Creating the workspace from the template docker');
        expect(step.status.lastHandledReconcileAt).to.equal(undefined);
        expect(step.status.power).to.equal(undefined);
      });

      it(`Z2 suspended by ${who}: what is wrong is told`, () => {
        const step = expectStep(
          decide({
            spec: { templateName: undefined, ...suspension.spec },
            ...(suspension.facts === undefined ? {} : { facts: suspension.facts }),
          }),
          'report',
        );
        expect(shown(step.status)).to.include('Stalled=True/TemplateNameMissing');
        expect(shown(step.status)).to.include(`Suspended=True/${reason}`);
      });

      it(`Z2 suspended by ${who}: what is there is taken over, and left as it is`, () => {
        const workspaceByName = seen(workspaceRecord({ build: build(byStranger) }));
        const facts = { ...suspension.facts, workspaceByName };
        const idle = expectStep(decide({ ...suspension, facts, isHeld: false }), 'report');
        expect(shown(idle.status))
          .to.include('Ready=True/PowerNotManaged')
          .and.to.include(`Suspended=True/${reason}`);
        expect(idle.status.origin).to.equal('Adopted');
        const spec = { running: false, ...suspension.spec };
        const wished = expectStep(decide({ spec, facts, isHeld: false }), 'report');
        expect(shown(wished.status)).to.include('Ready=False/Suspended');
        expect(wished.status).to.deep.include({
          id: WORKSPACE_ID,
          power: { running: false, state: 'Pending', after: 1 },
        });
      });
    }
  });

  describe('a lost status', () => {
    const spec: CoderWorkspaceSpec = {
      running: true,
      ttlMillis: 3_600_000,
      autostartSchedule: NINE,
      automaticUpdates: 'Always',
      templateVersionID: PIN,
      updatePolicy: 'Restart',
    };
    const version = { version: pinned };
    const runs = seen(workspaceRecord({ build: build(byOwner) }));
    const stopped = seen(workspaceRecord({ build: build({ transition: 'stop', ...byOwner }) }));

    for (const driftPolicy of ['Enforce', 'OnChange'] as const) {
      for (const [name, workspaceByName] of [
        ['runs', runs],
        ['is stopped', stopped],
      ] as const) {
        it(`C3 of one that ${name}, ${driftPolicy}: nothing is changed, and what differs is drift`, () => {
          const step = expectStep(
            decide({ spec: { ...spec, driftPolicy }, facts: { workspaceByName, version }, asked: 'x' }),
            'report',
          );
          expect(step.status).to.deep.include({
            id: WORKSPACE_ID,
            origin: 'Adopted',
            lastHandledReconcileAt: 'x',
            power: { running: true, state: 'Satisfied', build: 1 },
          });
          expect(step.status.applied).to.deep.include({
            ttlMillis: 3_600_000,
            autostartSchedule: NINE,
            automaticUpdates: 'Always',
          });
          const message = messageOf(step.status, 'Drifted');
          expect(message)
            .to.contain('spec.ttlMillis')
            .and.to.contain('spec.autostartSchedule')
            .and.to.contain('spec.automaticUpdates');
          if (name === 'runs') expect(message).to.contain(PIN);
          expect(step.event).to.deep.include({ type: 'Normal', reason: 'Adopted' });
          expect(step.rest).to.deep.equal({ until: 'time', afterMs: 1 });
          expect(step.status.driftedAt).to.equal(
            driftPolicy === 'Enforce' ? '2026-01-02T03:04:05Z' : undefined,
          );

          const facts = { workspace: workspaceByName, version };
          expect(
            decide({ spec: { ...spec, driftPolicy }, facts, status: step.status, asked: 'x' }),
          ).to.deep.equal({
            do: 'finalizer',
            present: false,
          });
          const next = decide({
            spec: { ...spec, driftPolicy },
            facts,
            status: step.status,
            asked: 'x',
            isHeld: false,
          });
          expect(expectStep(next, 'report').status.corrections).to.equal(undefined);
        });
      }
    }

    it('C3, F1 quotes no secret value from a build that failed', () => {
      const valueFrom = { secretKeyRef: { name: 'values', key: 'token' } };
      const failed = build({ jobStatus: 'failed', error: 'login with hunter2-hunter2 failed', ...byOwner });
      const given: Case = {
        spec: { running: true, parameters: [{ name: 'token', valueFrom }] },
        facts: { workspaceByName: seen(workspaceRecord({ build: failed })) },
      };
      const { status } = expectStep(decide(given), 'report');
      expect(JSON.stringify(status)).to.contain('log of build 1').and.to.not.contain('hunter2');
    });

    it("C3 does not make another object's workspace its own", () => {
      const facts = { workspaceByName: runs, claimedBy: () => 'acme.ann.older' };
      expect(shown(expectStep(decide({ facts }), 'report').status)).to.include('Stalled=True/DuplicateClaim');
    });
  });

  describe('another deployment that a person has accepted', () => {
    const status: CoderWorkspaceStatus = {
      id: 'old-id',
      origin: 'Created',
      deploymentID: 'old-deployment',
      lastHandledReconcileAt: 'x',
      power: { running: true, state: 'Satisfied', build: 9 },
      pendingOperation: { type: 'Stop', id: 'op', at: '2026-01-02T03:04:00Z', epoch: '1' },
      corrections: ['2026-01-02T03:00:00Z'],
    };
    const accepted = { connection: controlPlane({ isAccepted: true }) };

    it('B9 not accepted: nothing is done', () => {
      const step = expectStep(decide({ status }), 'report');
      expect(shown(step.status)).to.include('Stalled=True/DeploymentMismatch');
      expect(messageOf(step.status)).to.contain('coder.com/accept-deployment: 0d000000');
      expect(step.status.id).to.equal('old-id');
    });

    it('B10 looks for the name there, an open operation or not', () => {
      const facts = { ...accepted, workspaceByName: undefined } as object;
      expect(decide({ status, facts })).to.deep.equal({ do: 'read', fact: 'workspaceByName' });
    });

    it("B10 takes over what bears the name there, as somebody else's", () => {
      const facts = { ...accepted, workspaceByName: seen(workspaceRecord({ build: build(byStranger) })) };
      expect(decide({ status, facts })).to.deep.equal({ do: 'finalizer', present: false });
      const step = expectStep(decide({ status, facts, isHeld: false }), 'report');
      expect(step.status).to.deep.include({
        id: WORKSPACE_ID,
        origin: 'Adopted',
        lastHandledReconcileAt: 'x',
      });
      expect(step.status.pendingOperation).to.equal(undefined);
      expect(step.status.corrections).to.equal(undefined);
    });

    it('B10 creates what is not there', () => {
      const { status: next } = expectStep(decide({ status, facts: accepted }), 'write');
      expect(next.id).to.equal(undefined);
      expect(next.deploymentID).to.equal(undefined);
    });
  });
});
