import { expect } from 'chai';
import type { BuildRecord, WorkspaceRecord } from '../../../../src/controller/observer/record.ts';
import type { CoderWorkspaceStatus } from '../../../../src/api/generated.ts';
import { OPERATOR, richParameter } from '../../../support/controller-coder.ts';
import {
  build,
  byOwner,
  byStranger,
  expectStep,
  messageOf,
  NOW,
  shown,
} from '../../../support/controller-records.ts';
import {
  asks,
  built,
  decideBound,
  resolved,
  RUNNING,
  satisfied,
  STOPPED,
  SUSPENSIONS,
  type BoundCase,
} from '../../../support/workspace-rules.ts';

const COOLDOWN_MS = 300_000;
const FAILED = { jobStatus: 'failed', error: 'terraform says no' };
const overQuota = { ...RUNNING, jobStatus: 'failed', error: 'insufficient quota' };

interface Drifting {
  readonly row: string;
  readonly name: string;
  readonly running: boolean;
  readonly build: Partial<BuildRecord>;
  readonly record?: Partial<WorkspaceRecord>;
  /** Under Enforce; under OnChange everything is. */
  readonly isLeft: boolean;
  readonly reason: string;
}

const dormant = { dormantAt: '2026-01-01T00:00:00Z' };
const DRIFTS: readonly Drifting[] = [
  {
    row: 'D1',
    name: 'a start that the quota does not allow',
    running: true,
    build: { ...overQuota, ...byOwner },
    isLeft: true,
    reason: 'QuotaExceeded',
  },
  {
    row: 'D1',
    name: 'an autostart that the quota does not allow',
    running: true,
    build: { ...overQuota, ...byOwner, reason: 'autostart' },
    isLeft: true,
    reason: 'QuotaExceeded',
  },
  {
    row: 'D2',
    name: 'an autostart that failed',
    running: true,
    build: { ...RUNNING, ...FAILED, ...byOwner, reason: 'autostart' },
    isLeft: true,
    reason: 'BuildFailedInCoder',
  },
  {
    row: 'D2',
    name: 'an autostop that failed',
    running: true,
    build: { ...STOPPED, ...FAILED, ...byOwner, reason: 'autostop' },
    isLeft: true,
    reason: 'BuildFailedInCoder',
  },
  {
    row: 'D3',
    name: 'autostop after a TTL or the maximum lifetime, in the name of the owner',
    running: true,
    build: { ...STOPPED, ...byOwner, reason: 'autostop' },
    isLeft: true,
    reason: 'StoppedByAutostop',
  },
  {
    row: 'D3',
    name: 'autostop in our own name',
    running: true,
    build: { ...STOPPED, reason: 'autostop' },
    isLeft: true,
    reason: 'StoppedByAutostop',
  },
  {
    row: 'D3',
    name: 'autostart',
    running: false,
    build: { ...RUNNING, ...byOwner, reason: 'autostart' },
    isLeft: true,
    reason: 'StartedByAutostart',
  },
  {
    row: 'D3',
    name: 'the stop with which it became dormant',
    running: true,
    build: { ...STOPPED, ...byOwner, reason: 'dormancy' },
    record: dormant,
    isLeft: true,
    reason: 'StoppedByDormancy',
  },
  {
    row: 'D4',
    name: 'a stop by its owner, and it became dormant since',
    running: true,
    build: { ...STOPPED, ...byOwner },
    record: dormant,
    isLeft: true,
    reason: 'Dormant',
  },
  {
    row: 'D4',
    name: 'a failed start by its owner, and it is dormant',
    running: true,
    build: { ...RUNNING, ...FAILED, ...byOwner },
    record: dormant,
    isLeft: true,
    reason: 'BuildFailedInCoder',
  },
  {
    row: 'D5',
    name: 'a stop by Coder after a failed start',
    running: true,
    build: { ...STOPPED, ...byOwner, reason: 'failedstop' },
    isLeft: true,
    reason: 'StoppedByCoder',
  },
  {
    row: 'D5',
    name: 'a pause of a task',
    running: true,
    build: { ...STOPPED, ...byOwner, reason: 'task_auto_pause' },
    isLeft: true,
    reason: 'StoppedByCoder',
  },
  {
    row: 'D6',
    name: 'a start by its owner that failed',
    running: true,
    build: { ...RUNNING, ...FAILED, ...byOwner },
    isLeft: false,
    reason: 'BuildFailedInCoder',
  },
  {
    row: 'D6',
    name: 'a stop by another user that was cancelled',
    running: true,
    build: { ...STOPPED, jobStatus: 'canceled', ...byStranger },
    isLeft: false,
    reason: 'BuildFailedInCoder',
  },
  {
    row: 'D6',
    name: 'a deletion by its owner that failed',
    running: true,
    build: { transition: 'delete', ...FAILED, ...byOwner },
    isLeft: false,
    reason: 'BuildFailedInCoder',
  },
  {
    row: 'D7',
    name: 'a stop by its owner',
    running: true,
    build: { ...STOPPED, ...byOwner },
    isLeft: false,
    reason: 'StoppedByUser',
  },
  {
    row: 'D7',
    name: 'a stop by another user',
    running: true,
    build: { ...STOPPED, ...byStranger },
    isLeft: false,
    reason: 'StoppedByUser',
  },
  {
    row: 'D7',
    name: 'a start by its owner, from an editor',
    running: false,
    build: { ...RUNNING, ...byOwner, reason: 'vscode_connection' },
    isLeft: false,
    reason: 'StartedByUser',
  },
  {
    row: 'D7',
    name: 'a start of a dormant one that shall not run',
    running: false,
    build: { ...RUNNING, ...byOwner },
    record: dormant,
    isLeft: false,
    reason: 'StartedByUser',
  },
];

/** The wish was reached with build 1, and this came after it. */
function caseOf({ running, build: parts, record }: Drifting, over: BoundCase = {}): BoundCase {
  return {
    ...over,
    spec: { running, ...over.spec },
    record: { ...record, build: build({ ...parts, number: 5 }) },
    status: { ...satisfied(running), ...over.status },
  };
}

/** It was noticed a cooldown ago. */
const cooled: Partial<CoderWorkspaceStatus> = {
  driftedAt: new Date(NOW.getTime() - COOLDOWN_MS).toISOString(),
};

const stopped: Drifting = DRIFTS.find((d) => d.name === 'a stop by its owner')!;

describe('decideDrift', () => {
  for (const given of DRIFTS) {
    const { row, name, running, isLeft, reason } = given;
    const left = [
      given.build.jobStatus === 'succeeded' ? 'Ready=True/YieldedToCoder' : 'Ready=False/BuildFailed',
      'Synced=True/SyncSucceeded',
      `Drifted=True/${reason}`,
    ];

    it(`D10 OnChange leaves ${name}: ${reason}`, () => {
      for (const status of [{}, cooled]) {
        const step = expectStep(
          decideBound(caseOf(given, { spec: { driftPolicy: 'OnChange' }, status })),
          'report',
        );
        expect(shown(step.status)).to.deep.equal(left);
        expect(messageOf(step.status)).to.contain('coder.com/reconcile-requested-at');
        expect(step.rest).to.deep.equal({ until: 'woken' });
        expect(step.status.driftedAt).to.equal(undefined);
      }
    });

    if (isLeft) {
      it(`${row} Enforce yields to ${name}: ${reason}`, () => {
        for (const status of [{}, cooled]) {
          const step = expectStep(decideBound(caseOf(given, { status })), 'report');
          expect(shown(step.status)).to.deep.equal(left);
          expect(step.status.power).to.deep.equal(satisfied(running).power);
          expect(step.rest).to.deep.equal({ until: 'woken' });
          expect(step.event).to.deep.include({ type: 'Normal', reason });
        }
      });
    } else {
      it(`${row}, D8 Enforce waits before it sets right ${name}: ${reason}`, () => {
        const step = expectStep(decideBound(caseOf(given)), 'report');
        expect(shown(step.status)).to.deep.equal([
          'Ready=False/CorrectingDrift',
          'Synced=True/SyncSucceeded',
          'Reconciling=True/CorrectingDrift',
          `Drifted=True/${reason}`,
        ]);
        expect(messageOf(step.status, 'Drifted')).to.contain('it is set right at 2026-01-02T03:09:05Z');
        expect(step.status.power).to.deep.equal(satisfied(running).power);
        expect(step.status.driftedAt).to.equal('2026-01-02T03:04:05Z');
        expect(step.rest).to.deep.equal({ until: 'time', afterMs: COOLDOWN_MS });
        const again = expectStep(decideBound(caseOf(given, { status: step.status, atMs: 1_000 })), 'report');
        expect(again.status, 'nothing is written meanwhile').to.deep.equal(step.status);
      });

      it(`${row}, D9 Enforce sets right ${name}`, () => {
        const step = expectStep(decideBound(caseOf(given, { status: cooled })), 'write');
        expect(step.operation).to.deep.include({ type: running ? 'Start' : 'Stop', afterBuildNumber: 5 });
        expect(step.status.corrections).to.deep.equal(['2026-01-02T03:04:05Z']);
        expect(step.status.driftedAt).to.equal(undefined);
        expect(step.status.power).to.deep.equal({ running, state: 'Pending', after: 5, build: 6 });
        expect(step.event?.message).to.match(/again: Build 5 .*by /);
      });
    }
  }

  it('D8 the cooldown begins anew when somebody has set it right in between', () => {
    const status = expectStep(decideBound(caseOf(stopped)), 'report').status;
    const reached = expectStep(
      decideBound({ spec: { running: true }, build: { ...RUNNING, ...byOwner, number: 6 }, status }),
      'report',
    );
    expect(shown(reached.status)).to.include('Ready=True/Running');
    expect(reached.status.driftedAt).to.equal(undefined);
    const again = decideBound({ ...caseOf(stopped, { status: reached.status }), atMs: 9 * COOLDOWN_MS });
    expect(expectStep(again, 'report').rest).to.deep.equal({ until: 'time', afterMs: COOLDOWN_MS });
  });

  const ends: [string, BoundCase][] = [
    ['a person asks', { asked: 'again' }],
    ['the wish changes', { status: satisfied(false) }],
  ];
  for (const drift of DRIFTS.filter((d) => d.isLeft && d.running)) {
    for (const [name, over] of ends) {
      it(`a yield to ${drift.name} ends when ${name}`, () => {
        expect(expectStep(decideBound(caseOf(drift, over)), 'write').operation.type).to.equal('Start');
      });
    }
  }

  it('a yield ends when anybody starts it: what its owner stops after that is set right', () => {
    const autostop = DRIFTS.find((d) => d.reason === 'StoppedByAutostop')!;
    const left = expectStep(decideBound(caseOf(autostop)), 'report').status;
    const started = { ...RUNNING, ...byOwner, number: 6 };
    const runs = expectStep(decideBound({ spec: { running: true }, build: started, status: left }), 'report');
    expect(shown(runs.status)).to.deep.equal(['Ready=True/Running', 'Synced=True/SyncSucceeded']);
    const step = expectStep(decideBound(caseOf(stopped, { status: runs.status })), 'report');
    expect(shown(step.status)).to.include('Reconciling=True/CorrectingDrift');
  });

  it('D9 a start that fails is repeated by the ladder and is one correction', () => {
    const sent = expectStep(decideBound(caseOf(stopped, { status: cooled })), 'write').status;
    const failed = { ...RUNNING, ...FAILED, number: 6 };
    const step = expectStep(decideBound({ spec: { running: true }, build: failed, status: sent }), 'report');
    expect(shown(step.status)).to.include('Reconciling=True/BuildFailed');
    expect(step.rest).to.deep.equal({ until: 'time', afterMs: 60_000 });
    const again = decideBound({ spec: { running: true }, build: failed, status: step.status, atMs: 60_000 });
    expect(expectStep(again, 'write').status.corrections).to.have.length(1);
  });

  it('D9 looks afresh before it builds, and counts only then', () => {
    expect(decideBound({ ...caseOf(stopped, { status: cooled }), fresh: false })).to.deep.equal({
      do: 'read',
      fact: 'freshWorkspace',
    });
  });

  describe('the budget', () => {
    const corrections = ['02:24:05', '02:44:05', '02:54:05'].map((t) => `2026-01-02T${t}Z`);
    const used = { ...cooled, corrections };

    it('D8, K3 is used up: it is said with a Warning, once, and waits for the oldest to be an hour old', () => {
      const noticed = expectStep(decideBound(caseOf(stopped, { status: { corrections } })), 'report');
      expect(noticed.event).to.deep.include({ type: 'Warning', reason: 'CorrectingDrift' });
      const given = { ...caseOf(stopped, { status: noticed.status }), atMs: COOLDOWN_MS };
      const step = expectStep(decideBound(given), 'report');
      expect(shown(step.status)).to.include('Drifted=True/StoppedByUser');
      expect(messageOf(step.status, 'Drifted')).to.contain('as often as is allowed in an hour');
      expect(messageOf(step.status, 'Drifted')).to.contain('2026-01-02T03:24:05Z');
      expect(step.event).to.deep.include({ type: 'Warning', reason: 'StoppedByUser' });
      expect(step.rest).to.deep.equal({ until: 'time', afterMs: 900_000 });
      const again = expectStep(
        decideBound({ ...given, status: step.status, atMs: COOLDOWN_MS + 1_000 }),
        'report',
      );
      expect(again.status, 'nothing is written meanwhile').to.deep.equal(step.status);
      expect(again.event).to.equal(undefined);
    });

    it('D9 has a place again then', () => {
      const step = decideBound({ ...caseOf(stopped, { status: used }), atMs: 1_200_000 });
      expect(expectStep(step, 'write').status.corrections).to.deep.equal([
        ...corrections.slice(1),
        '2026-01-02T03:24:05Z',
      ]);
    });

    it('a new wish does not need it', () => {
      const step = decideBound(caseOf(stopped, { status: used, asked: 'again' }));
      expect(expectStep(step, 'write').status.corrections).to.equal(undefined);
      const turned = decideBound(caseOf(stopped, { status: { ...used, ...satisfied(false) } }));
      expect(expectStep(turned, 'write').status.corrections).to.deep.equal(corrections);
    });
  });

  it('D10 a budget of 0 sets nothing right, writes nothing at rest and does not warn', () => {
    for (const drift of DRIFTS.filter((d) => !d.isLeft)) {
      const given = { ...caseOf(drift, { status: cooled }), settings: { driftBudget: 0 } };
      const step = expectStep(decideBound(given), 'report');
      expect(shown(step.status)).to.include(`Drifted=True/${drift.reason}`);
      expect(step.status).to.deep.include({ driftedAt: undefined, power: satisfied(drift.running).power });
      expect(step.status.corrections).to.equal(undefined);
      expect(step.event).to.deep.include({ type: 'Normal', reason: drift.reason });
      expect(step.rest).to.deep.equal({ until: 'woken' });
      const later = expectStep(
        decideBound({ ...given, status: step.status, atMs: 9 * COOLDOWN_MS }),
        'report',
      );
      expect(later.status).to.deep.equal(step.status);
      expect(later.event).to.equal(undefined);
    }
  });

  describe('what else is wished while yielding', () => {
    const autostop = DRIFTS.find((d) => d.reason === 'StoppedByAutostop')!;
    const spec = { running: true, parameters: [{ name: 'cpu', value: '4' }] };
    const cpu = richParameter({ name: 'cpu', type: 'number', default: '1', max: 8 });
    const yielding = (value: string, facts: BoundCase['facts'] = {}): BoundCase =>
      caseOf(autostop, {
        spec,
        facts: { values: resolved({ cpu: value }), ...built({ cpu: '1' }), ...asks([cpu]), ...facts },
      });

    for (const updatePolicy of [undefined, 'OnNextStart', 'Restart'] as const) {
      it(`U11 a new parameter waits for the next start, updatePolicy ${updatePolicy ?? 'left out'}`, () => {
        const given = yielding('4');
        const step = expectStep(decideBound({ ...given, spec: { ...spec, updatePolicy } }), 'report');
        expect(shown(step.status)).to.deep.equal([
          'Ready=True/YieldedToCoder',
          'Synced=True/SyncSucceeded',
          'Drifted=True/StoppedByAutostop',
        ]);
        expect(messageOf(step.status, 'Drifted'))
          .to.contain('Takes effect with the next start')
          .and.to.contain('parameter cpu');
      });
    }

    it('U9 a wrong one is Stalled', () => {
      const step = expectStep(decideBound(yielding('9')), 'report');
      expect(shown(step.status)).to.include('Stalled=True/InvalidParameters');
      expect(messageOf(step.status)).to.contain('"cpu" must not be above 8');
      expect(step.status.power, 'it is still yielded to').to.deep.equal(satisfied(true).power);
    });

    it('U7 a missing one is waited for', () => {
      const cause = { reason: 'WaitingForDependency', message: 'there is no Secret sizes' } as const;
      const step = decideBound(yielding('4', { values: { state: 'missing', cause } }));
      expect(shown(expectStep(step, 'report').status)).to.include('Reconciling=True/WaitingForDependency');
    });
  });

  describe('a build of ours that nobody saw end', () => {
    const pending = { power: { running: true, state: 'Pending', after: 3, build: 4 } } as const;
    const ours = build({ number: 4, initiatorID: OPERATOR.id });
    const given: BoundCase = {
      spec: { running: true },
      build: { ...STOPPED, ...byOwner, number: 5 },
      status: pending,
    };

    it('P9 is asked for', () => {
      expect(decideBound(given)).to.deep.equal({ do: 'read', fact: 'ownBuild' });
    });

    it('P9 had reached the wish: what came after it is drift', () => {
      const step = expectStep(decideBound({ ...given, facts: { ownBuild: { build: ours } } }), 'report');
      expect(shown(step.status)).to.include('Reconciling=True/CorrectingDrift');
      expect(step.status.power).to.deep.equal({ running: true, state: 'Satisfied', build: 4 });
      const onChange = { ...given, spec: { running: true, driftPolicy: 'OnChange' as const } };
      const left = expectStep(decideBound({ ...onChange, facts: { ownBuild: { build: ours } } }), 'report');
      expect(shown(left.status)).to.include('Ready=True/YieldedToCoder');
    });

    it('P9 had reached it: autostop after it is yielded to', () => {
      const autostop = { ...STOPPED, ...byOwner, reason: 'autostop', number: 5 };
      const step = decideBound({ ...given, build: autostop, facts: { ownBuild: { build: ours } } });
      expect(shown(expectStep(step, 'report').status)).to.include('Drifted=True/StoppedByAutostop');
    });

    const others: [string, BuildRecord | undefined][] = [
      ['failed', build({ ...ours, jobStatus: 'failed' })],
      ['was a stop', build({ ...ours, ...STOPPED })],
      ["is somebody else's", build({ ...ours, ...byStranger })],
      ['is not to be found', undefined],
    ];
    for (const [name, own] of others) {
      it(`P14 ${name}: the wish is still to be carried out`, () => {
        const step = decideBound({ ...given, facts: { ownBuild: { build: own } } });
        expect(expectStep(step, 'write').operation).to.deep.include({ type: 'Start', afterBuildNumber: 5 });
        expect(expectStep(step, 'write').status.corrections).to.equal(undefined);
      });
    }

    it('P14 is not asked for where there is none', () => {
      const status = { power: { running: true, state: 'Pending', after: 3 } } as const;
      expect(decideBound({ ...given, status }).do).to.equal('write');
      expect(decideBound({ ...given, build: { ...STOPPED, number: 5 } }).do).to.equal('write');
    });
  });

  for (const [name, reason, suspension] of SUSPENSIONS) {
    it(`Z2 suspended by ${name}: drift is told as ever`, () => {
      const step = expectStep(decideBound({ ...caseOf(stopped, suspension) }), 'report');
      expect(shown(step.status)).to.deep.equal([
        'Ready=False/CorrectingDrift',
        'Synced=True/SyncSucceeded',
        'Reconciling=True/CorrectingDrift',
        `Suspended=True/${reason}`,
        'Drifted=True/StoppedByUser',
      ]);
    });

    it(`Z1 suspended by ${name}: nothing is built or counted, and it is at once when that ends`, () => {
      const over = { ...suspension, status: cooled };
      const step = expectStep(decideBound(caseOf(stopped, over)), 'report');
      expect(shown(step.status))
        .to.include('Ready=False/Suspended')
        .and.to.include(`Suspended=True/${reason}`);
      expect(messageOf(step.status)).to.contain('Starting the workspace again: Build 5 by its owner');
      expect(step.status.corrections).to.equal(undefined);
      expect(step.status.power?.state).to.equal('Satisfied');
      expect(step.rest).to.deep.equal({ until: 'woken' });
      const later = { ...caseOf(stopped, { ...suspension, status: step.status }), atMs: COOLDOWN_MS };
      expect(
        expectStep(decideBound(later), 'report').status,
        'nothing is written while it lasts',
      ).to.deep.equal(step.status);
      expect(decideBound({ ...caseOf(stopped, { status: step.status }), atMs: COOLDOWN_MS }).do).to.equal(
        'write',
      );
    });
  }
});
