import { expect } from 'chai';
import { annotations, finalizers } from '../../../../src/api/kinds.ts';
import type { CoderWorkspaceStatus } from '../../../../src/api/generated.ts';
import type { BuildRecord, WorkspaceRecord } from '../../../../src/controller/observer/record.ts';
import { decideWorkspace } from '../../../../src/controller/workspace/decide.ts';
import type { WorkspaceStep } from '../../../../src/controller/workspace/input.ts';
import { DEPLOYMENT } from '../../../support/controller-coder.ts';
import {
  build,
  byOwner,
  byStranger,
  expectStep,
  messageOf,
  seen,
  shown,
  VERSION_ID,
  WORKSPACE_ID,
  workspaceInput,
  workspaceRecord,
} from '../../../support/controller-records.ts';
import { decideBound, SUSPENSIONS, type BoundCase } from '../../../support/workspace-rules.ts';

interface Case {
  readonly running?: boolean | undefined;
  readonly build?: Partial<BuildRecord>;
  readonly record?: Partial<WorkspaceRecord>;
  readonly status?: Partial<CoderWorkspaceStatus>;
  readonly asked?: string;
  readonly fresh?: boolean;
  readonly generation?: number;
  /** Default OnChange. */
  readonly policy?: 'Enforce';
}

/** A workspace that the operator created and that is bound. */
function decide(given: Case): WorkspaceStep {
  const { running, asked, fresh = true, generation = 3 } = given;
  return decideWorkspace(
    workspaceInput(
      {
        spec: { templateName: 'docker', running, driftPolicy: given.policy ?? 'OnChange' },
        status: { id: WORKSPACE_ID, origin: 'Created', deploymentID: DEPLOYMENT, ...given.status },
        metadata: {
          generation,
          finalizers: [finalizers.workspace],
          ...(asked === undefined ? {} : { annotations: { [annotations.reconcileRequestedAt]: asked } }),
        },
      },
      { workspace: seen(workspaceRecord({ build: build(given.build), ...given.record }), fresh) },
    ),
  );
}

const satisfied = (running: boolean): Partial<CoderWorkspaceStatus> => ({
  power: { running, state: 'Satisfied', build: 1 },
});

const RUNNING = { transition: 'start', jobStatus: 'succeeded' };
const STOPPED = { transition: 'stop', jobStatus: 'succeeded' };

describe('decidePower', () => {
  describe('a wish is carried out once', () => {
    const cases: [
      string,
      Case,
      'Start' | 'Stop' | 'Running' | 'Stopped' | 'PowerNotManaged' | 'YieldedToCoder',
    ][] = [
      ['true, stopped', { running: true, build: STOPPED }, 'Start'],
      ['true, running', { running: true, build: RUNNING }, 'Running'],
      ['false, running', { running: false, build: RUNNING }, 'Stop'],
      ['false, stopped', { running: false, build: STOPPED }, 'Stopped'],
      ['left out, running', { build: RUNNING }, 'PowerNotManaged'],
      ['left out, stopped', { build: STOPPED }, 'PowerNotManaged'],
      [
        'true, satisfied and stopped since',
        { running: true, build: STOPPED, status: satisfied(true) },
        'YieldedToCoder',
      ],
      [
        'false, satisfied and started since',
        { running: false, build: RUNNING, status: satisfied(false) },
        'YieldedToCoder',
      ],
      ['turned to false', { running: false, build: RUNNING, status: satisfied(true) }, 'Stop'],
      ['turned to true', { running: true, build: STOPPED, status: satisfied(false) }, 'Start'],
      ['left out after it was satisfied', { build: STOPPED, status: satisfied(true) }, 'PowerNotManaged'],
      ['asked for again', { running: true, build: STOPPED, status: satisfied(true), asked: 'now' }, 'Start'],
      [
        'asked for again, long ago',
        {
          running: true,
          build: STOPPED,
          status: { ...satisfied(true), lastHandledReconcileAt: 'now' },
          asked: 'now',
        },
        'YieldedToCoder',
      ],
      [
        'asked for again and reached',
        { running: true, build: RUNNING, status: satisfied(true), asked: 'now' },
        'Running',
      ],
      [
        'another generation alone is no new wish',
        { running: true, build: STOPPED, status: satisfied(true), generation: 9 },
        'YieldedToCoder',
      ],
    ];
    for (const [name, given, outcome] of cases) {
      it(`${name}: ${outcome}`, () => {
        const step = decide(given);
        if (outcome === 'Start' || outcome === 'Stop') {
          expect(expectStep(step, 'write', given.generation).operation).to.deep.include({
            type: outcome,
            workspaceID: WORKSPACE_ID,
            afterBuildNumber: 1,
          });
        } else {
          const report = expectStep(step, 'report', given.generation);
          expect(shown(report.status)).to.include(`Ready=True/${outcome}`);
          expect(report.rest).to.deep.equal({ until: 'woken' });
        }
      });
    }

    it('starts what was stopped with the version that it had', () => {
      const record = { templateActiveVersionID: 'newer', build: build(STOPPED) };
      expect(expectStep(decide({ running: true, record }), 'write').operation).to.deep.include({
        templateVersionID: undefined,
      });
    });

    it('records with which build it was reached, and that the request was heard', () => {
      const { status } = expectStep(
        decide({ running: true, build: { ...RUNNING, number: 6 }, asked: 'now' }),
        'report',
      );
      expect(status.power).to.deep.equal({ running: true, state: 'Satisfied', build: 6 });
      expect(status.lastHandledReconcileAt).to.equal('now');
    });

    it('keeps that number while the state stays', () => {
      const { status } = expectStep(
        decide({ running: true, build: { ...RUNNING, number: 6 }, status: satisfied(true) }),
        'report',
      );
      expect(status.power?.build).to.equal(1);
    });

    it('forgets the wish with the field', () => {
      expect(expectStep(decide({ status: satisfied(true) }), 'report').status.power).to.equal(undefined);
    });

    it('reads the workspace afresh before it builds', () => {
      expect(decide({ running: true, build: STOPPED, fresh: false })).to.deep.equal({
        do: 'read',
        fact: 'freshWorkspace',
      });
    });

    it('does not take a remembered state for a new wish that is reached', () => {
      for (const given of [
        { running: true, build: RUNNING },
        { running: true, build: RUNNING, status: satisfied(true), asked: 'now' },
      ]) {
        expect(decide({ ...given, fresh: false })).to.deep.equal({ do: 'read', fact: 'freshWorkspace' });
      }
      expect(decide({ running: true, build: RUNNING, status: satisfied(true), fresh: false }).do).to.equal(
        'report',
      );
    });

    it('a request that can never be told from the kept one does not build for ever', () => {
      const asked = `${'x'.repeat(255)}💥`;
      const { status } = expectStep(
        decide({ running: true, build: STOPPED, status: satisfied(true), asked }),
        'write',
      );
      const kept = Buffer.from(status.lastHandledReconcileAt ?? '').toString();
      const again = decide({
        running: true,
        build: STOPPED,
        status: { ...satisfied(true), lastHandledReconcileAt: kept },
        asked,
      });
      expect(again.do).to.equal('report');
    });
  });

  describe('a busy workspace is not an error', () => {
    for (const jobStatus of ['pending', 'running', 'canceling']) {
      for (const running of [true, false, undefined]) {
        it(`waits for a build that is ${jobStatus}, wished ${running ?? 'nothing'}`, () => {
          const step = expectStep(
            decide({ running, build: { transition: 'stop', jobStatus, number: 4 } }),
            'report',
          );
          expect(shown(step.status)).to.deep.equal([
            'Ready=False/Stopping',
            'Synced=True/SyncSucceeded',
            'Reconciling=True/WaitingForBuild',
          ]);
          expect(step.rest).to.deep.equal({
            until: 'build',
            workspaceID: WORKSPACE_ID,
            afterMs: 1_800_000,
          });
          expect(messageOf(step.status)).to.contain(`build 4 is ${jobStatus}`);
        });
      }
    }

    it('says that a new workspace that shall not run is stopped afterwards', () => {
      const step = expectStep(decide({ running: false, build: { jobStatus: 'running' } }), 'report');
      expect(messageOf(step.status)).to.contain('it is stopped, as spec.running is false');
      expect(step.status.power).to.deep.equal({ running: false, state: 'Pending', after: 1 });
    });

    it('stops it then', () => {
      const status: Case['status'] = { power: { running: false, state: 'Pending' } };
      for (const jobStatus of ['succeeded', 'failed', 'canceled']) {
        const step = expectStep(decide({ running: false, build: { jobStatus }, status }), 'write');
        expect(step.operation.type).to.equal('Stop');
      }
    });

    it('hears a request meanwhile and keeps it', () => {
      const step = expectStep(
        decide({
          running: true,
          build: { transition: 'stop', jobStatus: 'running' },
          status: satisfied(true),
          asked: 'now',
        }),
        'report',
      );
      expect(step.status.lastHandledReconcileAt).to.equal('now');
      expect(step.status.power).to.deep.equal({ running: true, state: 'Pending', after: 1 });
    });
  });

  describe('health', () => {
    it('a running workspace with a failing agent is not ready, and is not built again', () => {
      const step = expectStep(decide({ running: true, record: { healthy: false } }), 'report');
      expect(shown(step.status)).to.deep.equal(['Ready=False/AgentsUnhealthy', 'Synced=True/SyncSucceeded']);
      expect(step.status.power?.state).to.equal('Satisfied');
    });

    it('of a stopped workspace does not matter', () => {
      const record = { healthy: false, build: build(STOPPED) };
      expect(shown(expectStep(decide({ running: false, record }), 'report').status)).to.include(
        'Ready=True/Stopped',
      );
    });
  });

  describe('drift is reported and left', () => {
    const drifts: [string, boolean, Partial<BuildRecord>, string][] = [
      ['the owner stops it', true, { ...STOPPED, ...byOwner }, 'StoppedByUser'],
      ['another user stops it', true, { ...STOPPED, ...byStranger }, 'StoppedByUser'],
      [
        'autostop, in the name of the owner',
        true,
        { ...STOPPED, ...byOwner, reason: 'autostop' },
        'StoppedByAutostop',
      ],
      ['autostop, in our own name', true, { ...STOPPED, reason: 'autostop' }, 'StoppedByAutostop'],
      ['dormancy', true, { ...STOPPED, ...byOwner, reason: 'dormancy' }, 'StoppedByDormancy'],
      ['the owner starts it', false, { ...RUNNING, ...byOwner }, 'StartedByUser'],
      [
        'the owner starts it from an editor',
        false,
        { ...RUNNING, ...byOwner, reason: 'vscode_connection' },
        'StartedByUser',
      ],
      ['autostart', false, { ...RUNNING, ...byOwner, reason: 'autostart' }, 'StartedByAutostart'],
    ];
    for (const [name, running, parts, reason] of drifts) {
      it(`${name}: ${reason}`, () => {
        const step = expectStep(
          decide({ running, build: { ...parts, number: 5 }, status: satisfied(running) }),
          'report',
        );
        expect(shown(step.status)).to.deep.equal([
          'Ready=True/YieldedToCoder',
          'Synced=True/SyncSucceeded',
          `Drifted=True/${reason}`,
        ]);
        expect(messageOf(step.status)).to.contain('coder.com/reconcile-requested-at');
        expect(step.event).to.deep.include({ type: 'Normal', reason });
      });
    }

    it('is told once for each build', () => {
      const given = { running: true, build: { ...STOPPED, ...byOwner, number: 5 } };
      const { status } = expectStep(decide({ ...given, status: satisfied(true) }), 'report');
      const later = { ...given, status, record: { outdated: true } };
      expect(expectStep(decide(later), 'report').event).to.equal(undefined);
      const next = { ...given, status, build: { ...given.build, number: 7 } };
      expect(expectStep(decide(next), 'report').event).to.not.equal(undefined);
    });

    it("a build of somebody else's that failed is not repeated", () => {
      const step = expectStep(
        decide({
          running: true,
          build: { transition: 'stop', jobStatus: 'failed', ...byOwner, number: 5 },
          status: satisfied(true),
        }),
        'report',
      );
      expect(shown(step.status)).to.deep.equal([
        'Ready=False/BuildFailed',
        'Synced=True/SyncSucceeded',
        'Drifted=True/BuildFailedInCoder',
      ]);
    });

    it('a failed build of a workspace that is not driven is told', () => {
      const step = expectStep(decide({ build: { jobStatus: 'failed' } }), 'report');
      expect(shown(step.status)).to.include('Ready=False/BuildFailed');
      expect(messageOf(step.status))
        .to.contain('terraform says no')
        .and.to.contain('spec.running is left out');
    });
  });

  describe('failed builds', () => {
    const pending = (running: boolean): CoderWorkspaceStatus['power'] => ({ running, state: 'Pending' });
    const failedStart = { transition: 'start', jobStatus: 'failed', number: 5 };

    it('are counted once each', () => {
      const first = expectStep(
        decide({ running: true, build: failedStart, status: { power: pending(true) } }),
        'report',
      );
      expect(first.status.failures).to.deep.include({
        what: 'start',
        count: 1,
        build: 5,
        generation: 3,
        templateVersionID: VERSION_ID,
        message: 'terraform says no',
      });
      const again = expectStep(decide({ running: true, build: failedStart, status: first.status }), 'report');
      expect(again.status.failures).to.deep.equal(first.status.failures);
      const next = { ...failedStart, number: 6 };
      const second = expectStep(decide({ running: true, build: next, status: first.status }), 'report');
      expect(second.status.failures?.count).to.equal(2);
    });

    it('that were cancelled count too', () => {
      const step = expectStep(
        decide({
          running: true,
          build: { ...failedStart, jobStatus: 'canceled' },
          status: { power: pending(true) },
        }),
        'report',
      );
      expect(step.status.failures?.count).to.equal(1);
    });

    it("of somebody else's do not count", () => {
      const step = expectStep(
        decide({ running: true, build: { ...failedStart, ...byOwner }, status: { power: pending(true) } }),
        'write',
      );
      expect(step.operation.type).to.equal('Start');
      expect(step.status.failures).to.equal(undefined);
    });

    const failures = (count: number, over: object = {}): Partial<CoderWorkspaceStatus> => ({
      power: pending(true),
      failures: {
        what: 'start',
        count,
        at: '2026-01-02T03:04:05Z',
        build: 5,
        generation: 3,
        templateVersionID: VERSION_ID,
        message: 'terraform says no',
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
      it(`after ${count} ${afterMs === 'never' ? 'nothing is tried any more' : `it waits ${afterMs / 60_000} min`}`, () => {
        const step = expectStep(
          decide({ running: true, build: failedStart, status: failures(count) }),
          'report',
        );
        expect(messageOf(step.status)).to.contain('terraform says no');
        if (afterMs === 'never') {
          expect(shown(step.status)).to.deep.equal([
            'Ready=False/BuildRetriesExhausted',
            'Synced=True/SyncSucceeded',
            'Stalled=True/BuildRetriesExhausted',
          ]);
        } else {
          expect(shown(step.status)).to.include('Reconciling=True/BuildFailed');
          expect(step.rest).to.deep.equal({ until: 'time', afterMs });
        }
      });
    }

    it('are tried again when the time has come', () => {
      const step = decide({
        running: true,
        build: failedStart,
        status: failures(1, { at: '2026-01-02T03:03:05Z' }),
      });
      expect(expectStep(step, 'write').operation).to.deep.include({ type: 'Start', afterBuildNumber: 5 });
    });

    const anew: [string, Case][] = [
      ['the spec changes', { generation: 4 }],
      [
        'the template gets another version',
        { record: { templateActiveVersionID: 'another', build: build(failedStart) } },
      ],
      ['a person asks', { asked: 'now' }],
    ];
    for (const [name, over] of anew) {
      it(`begin anew when ${name}`, () => {
        const given = { running: true, build: failedStart, status: failures(6), ...over };
        expect(expectStep(decide(given), 'write', given.generation).operation.type).to.equal('Start');
      });
    }

    it('are repeated with the version that the template has now', () => {
      const status = failures(6);
      const mended = { templateActiveVersionID: 'mended', build: build(failedStart) };
      const step = expectStep(decide({ running: true, record: mended, status }), 'write');
      expect(step.operation).to.deep.include({ type: 'Start', templateVersionID: 'mended' });
      const same = expectStep(decide({ running: true, build: failedStart, status, asked: 'now' }), 'write');
      expect(same.operation).to.deep.include({ type: 'Start', templateVersionID: undefined });
    });

    it('of a stop do not count for a start, nor the other way round', () => {
      const step = decide({
        running: false,
        build: failedStart,
        status: { ...failures(6), power: pending(false) },
      });
      expect(expectStep(step, 'write').operation.type).to.equal('Stop');
    });

    it('of a stop do not begin anew with the template', () => {
      const build5 = { transition: 'stop', jobStatus: 'failed', number: 5 };
      const status = {
        ...failures(6, { what: 'stop', templateVersionID: undefined }),
        power: pending(false),
      };
      const record = { templateActiveVersionID: 'another', build: build(build5) };
      expect(shown(expectStep(decide({ running: false, record, status }), 'report').status)).to.include(
        'Stalled=True/BuildRetriesExhausted',
      );
    });

    it('are forgotten when the wish is reached', () => {
      const step = expectStep(
        decide({ running: true, build: { ...RUNNING, number: 6 }, status: failures(3) }),
        'report',
      );
      expect(step.status.failures).to.equal(undefined);
    });
  });

  describe('a build that takes long', () => {
    const started = { transition: 'start', jobStatus: 'running', number: 4 };
    const limits: [string | undefined, number][] = [
      [undefined, 1_800_000],
      ['1m', 60_000],
      ['1h30m', 5_400_000],
    ];
    for (const [buildTimeout, limitMs] of limits) {
      it(`P1, P2 with buildTimeout ${buildTimeout ?? 'left out'} is told after ${limitMs / 60_000} min, and not cancelled`, () => {
        const given: BoundCase = { spec: { running: true, buildTimeout }, build: started };
        const early = expectStep(decideBound({ ...given, atMs: limitMs - 1 }), 'report');
        expect(shown(early.status)).to.include('Reconciling=True/WaitingForBuild');
        expect(early.rest).to.deep.equal({ until: 'build', workspaceID: WORKSPACE_ID, afterMs: 1 });
        expect(early.event).to.equal(undefined);

        const late = expectStep(decideBound({ ...given, status: early.status, atMs: limitMs }), 'report');
        expect(shown(late.status)).to.deep.equal([
          'Ready=False/Starting',
          'Synced=True/SyncSucceeded',
          'Reconciling=True/BuildTakesLong',
        ]);
        expect(messageOf(late.status, 'Reconciling'))
          .to.contain(`longer than ${buildTimeout ?? '30m'}`)
          .and.to.contain('https://coder.example.com/@ann/dev/builds/4');
        expect(late.event).to.deep.include({ type: 'Warning', reason: 'BuildTakesLong' });
        expect(late.rest).to.deep.equal({ until: 'build', workspaceID: WORKSPACE_ID, afterMs: undefined });
        const later = expectStep(decideBound({ ...given, status: late.status, atMs: 2 * limitMs }), 'report');
        expect(later.status, 'nothing is written meanwhile').to.deep.equal(late.status);
        expect(later.event).to.equal(undefined);
      });
    }

    it('P2 is waited for whoever made it, a deletion too', () => {
      const deleting = { transition: 'delete', jobStatus: 'pending', ...byOwner };
      const step = expectStep(decideBound({ spec: { running: true }, build: deleting }), 'report');
      expect(shown(step.status))
        .to.include('Ready=False/Deleting')
        .and.to.include('Reconciling=True/WaitingForBuild');
    });
  });

  describe('places for builds', () => {
    for (const [running, parts] of [
      [true, STOPPED],
      [false, RUNNING],
    ] as const) {
      const given: BoundCase = { spec: { running }, build: parts };

      it(`P13 ${running ? 'a start' : 'a stop'} asks for one, and waits where there is none`, () => {
        const asking = { ...given, facts: { buildSlot: undefined } as object };
        expect(decideBound(asking)).to.deep.equal({ do: 'read', fact: 'buildSlot' });
        const step = expectStep(decideBound({ ...given, facts: { buildSlot: 'none' } }), 'report');
        expect(shown(step.status)).to.deep.equal([
          'Ready=False/WaitingForBuildSlot',
          'Synced=True/SyncSucceeded',
          'Reconciling=True/WaitingForBuildSlot',
        ]);
        expect(step.status.power).to.deep.equal({ running, state: 'Pending', after: 1 });
        expect(step.rest).to.deep.equal({ until: 'time', afterMs: 30_000 });
        expect(step.event).to.equal(undefined);
      });

      for (const [who, reason, suspension] of SUSPENSIONS) {
        it(`Z1 suspended by ${who}: ${running ? 'a start' : 'a stop'} is not sent and takes no place`, () => {
          const facts = { ...suspension.facts, buildSlot: undefined } as object;
          const spec = { running, ...suspension.spec };
          const step = expectStep(decideBound({ ...given, spec, facts }), 'report');
          expect(shown(step.status)).to.deep.equal([
            'Ready=False/Suspended',
            'Synced=True/SyncSucceeded',
            `Suspended=True/${reason}`,
          ]);
          expect(step.status.power).to.deep.equal({ running, state: 'Pending', after: 1 });
          expect(step.rest).to.deep.equal({ until: 'woken' });
          const again = expectStep(
            decideBound({ ...given, spec, facts, status: step.status, atMs: 60_000 }),
            'report',
          );
          expect(again.status, 'nothing is written while it lasts').to.deep.equal(step.status);
          const resumed = decideBound({ ...given, status: step.status });
          expect(expectStep(resumed, 'write').operation.type).to.equal(running ? 'Start' : 'Stop');
        });

        it(`Z2 suspended by ${who}: what is as it shall be is Ready, and says that it is suspended`, () => {
          const spec = { running: !running, ...suspension.spec };
          const step = expectStep(decideBound({ ...given, ...suspension, spec }), 'report');
          expect(shown(step.status)).to.deep.equal([
            `Ready=True/${running ? 'Stopped' : 'Running'}`,
            'Synced=True/SyncSucceeded',
            `Suspended=True/${reason}`,
          ]);
        });
      }
    }
  });

  describe('another name or owner in Coder', () => {
    const renames: [string, Partial<WorkspaceRecord>, string | undefined][] = [
      ['another name', { name: 'else' }, 'RenamedInCoder'],
      ['another owner', { ownerName: 'bob' }, 'OwnerChangedInCoder'],
      ['the same in capitals', { name: 'DEV', ownerName: 'Ann' }, undefined],
    ];
    for (const [name, record, reason] of renames) {
      it(`${name}: ${reason ?? 'nothing'}, whatever else there is`, () => {
        const told = reason === undefined ? [] : [`Drifted=True/${reason}`];
        for (const parts of [
          RUNNING,
          { ...RUNNING, jobStatus: 'running' },
          { ...RUNNING, jobStatus: 'failed' },
        ]) {
          const step = expectStep(decideBound({ record: { ...record, build: build(parts) } }), 'report');
          expect(shown(step.status).filter((c) => c.startsWith('Drifted'))).to.deep.equal(told);
        }
      });
    }
  });

  it('P7 names the agents that fail, and how', () => {
    const agents = [
      { name: 'main', status: 'connected', lifecycle: 'start_error' },
      { name: 'side', status: 'connected', lifecycle: 'ready' },
      { name: 'gpu', status: 'timeout', lifecycle: undefined },
    ];
    const step = expectStep(decide({ running: true, record: { healthy: false, agents } }), 'report');
    expect(messageOf(step.status)).to.contain('main is connected (start_error), gpu is timeout');
    expect(messageOf(step.status)).to.not.contain('side');
  });
});
