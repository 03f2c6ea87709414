import { findCondition, type Cause, type Verdict } from '../../api/conditions.ts';
import type { DriftReason } from '../../api/reasons.ts';
import { nextRung } from '../ladder.ts';
import { hasFailed, isActive, type BuildRecord, type WorkspaceRecord } from '../observer/record.ts';
import { newRequest, reconciling, report, stalled, synced, withVerdict } from '../report.ts';
import { MOST_FAILURES } from '../settings.ts';
import { after, untilWoken, type StepEvent } from '../step.ts';
import { failuresOf, oneMore } from './failures.ts';
import type { Bound, WorkspaceDraft, WorkspaceStep } from './input.ts';
import { initiatorOf, isRenamed } from './status.ts';

/**
 * Start, stop or leave alone.
 *
 * A wish is carried out once; when it was reached, that is recorded, and what others do afterwards is reported and left.
 * The wish counts as new when `spec.running` differs from the recorded one, or a person asks by annotation.
 */
export function decidePower(bound: Bound, record: WorkspaceRecord, fresh: boolean): WorkspaceStep {
  const { input } = bound;
  const wished = input.object.spec.running;
  const requested = newRequest(input);
  const before = bound.status.power;
  const isNew = before === undefined || before.running !== wished || requested !== undefined;
  // What is remembered may be a minute old: a new wish must not count as reached because of it.
  if (isNew && !fresh && (wished !== undefined || requested !== undefined)) {
    return { do: 'read', fact: 'freshWorkspace' };
  }
  const status: WorkspaceDraft = {
    ...bound.status,
    lastHandledReconcileAt: requested ?? bound.status.lastHandledReconcileAt,
    failures: requested === undefined ? bound.status.failures : undefined,
    power: wished === undefined ? undefined : isNew ? { running: wished, state: 'Pending' } : before,
  };
  const next: Bound = { ...bound, status };

  if (isActive(record.build)) return waitForBuild(next, record);
  if (wished === undefined) return notManaged(next, record);
  if (reaches(record.build, wished)) return reached(next, record, wished);
  if (status.power?.state === 'Satisfied') return yielded(next, record, wished);
  return drive(next, record, wished, fresh);
}

function reaches(build: BuildRecord, wished: boolean): boolean {
  return build.jobStatus === 'succeeded' && build.transition === (wished ? 'start' : 'stop');
}

function waitForBuild(bound: Bound, record: WorkspaceRecord): WorkspaceStep {
  const words = {
    start: { reason: 'Starting', message: 'Coder is starting the workspace' },
    stop: { reason: 'Stopping', message: 'Coder is stopping the workspace' },
    delete: { reason: 'Deleting', message: 'Coder is deleting the workspace' },
  } as const;
  const { build } = record;
  const doing =
    words[build.transition === 'start' || build.transition === 'stop' ? build.transition : 'delete'];
  const wished = bound.input.object.spec.running;
  const then =
    wished === false && build.transition === 'start'
      ? '; when that is done, it is stopped, as spec.running is false'
      : wished === true && build.transition === 'stop'
        ? '; when that is done, it is looked at again'
        : '';
  const message = `${doing.message} (build ${build.number} is ${build.jobStatus})${then}`;
  return reconciling(
    bound.input,
    bound.status,
    { reason: 'WaitingForBuild', message },
    { until: 'build', workspaceID: record.id },
    { ready: { reason: doing.reason, message } },
  );
}

/** `spec.running` is absent: say what is, and leave it. */
function notManaged(bound: Bound, record: WorkspaceRecord): WorkspaceStep {
  const { build } = record;
  const status = { ...bound.status, failures: undefined };
  if (hasFailed(build)) {
    return report(
      bound.input,
      status,
      {
        ready: {
          status: 'False',
          reason: 'BuildFailed',
          message: `Build ${build.number} (${build.transition}) failed${because(build)}. spec.running is left out, so the operator does not try again`,
        },
        synced,
        drifted: renamed(bound, record),
      },
      untilWoken,
    );
  }
  return ready(bound, record, status, {
    reason: 'PowerNotManaged',
    message: `The workspace is ${build.status}; spec.running is left out, so starting and stopping it is left to others`,
  });
}

function reached(bound: Bound, record: WorkspaceRecord, wished: boolean): WorkspaceStep {
  const before = bound.status.power;
  const status: WorkspaceDraft = {
    ...bound.status,
    failures: undefined,
    power:
      before?.state === 'Satisfied'
        ? before
        : { running: wished, state: 'Satisfied', build: record.build.number },
  };
  const cause: Cause = wished
    ? { reason: 'Running', message: `The workspace runs (build ${record.build.number})` }
    : { reason: 'Stopped', message: `The workspace is stopped, as wished (build ${record.build.number})` };
  return ready(
    bound,
    record,
    status,
    cause,
    before?.state !== 'Satisfied' ? { type: 'Normal', ...cause } : undefined,
  );
}

/** Ready, unless an agent of a running workspace fails. */
function ready(
  bound: Bound,
  record: WorkspaceRecord,
  status: WorkspaceDraft,
  cause: Cause,
  event?: StepEvent,
): WorkspaceStep {
  const failing = record.build.transition === 'start' && !record.healthy;
  const verdict: Verdict = {
    ready: failing
      ? {
          status: 'False',
          reason: 'AgentsUnhealthy',
          message: 'The workspace runs, but Coder reports an agent of it as failing',
        }
      : { status: 'True', ...cause },
    synced,
    drifted: renamed(bound, record),
  };
  return report(bound.input, status, verdict, untilWoken, event);
}

function renamed(bound: Bound, record: WorkspaceRecord): Verdict['drifted'] {
  return isRenamed(record, bound.name)
    ? {
        reason: 'RenamedInCoder',
        message: `In Coder the workspace is now ${record.ownerName}/${record.name}`,
      }
    : undefined;
}

/** The wish was reached once, and somebody has done something else since: report it and leave it. */
function yielded(bound: Bound, record: WorkspaceRecord, wished: boolean): WorkspaceStep {
  const { build } = record;
  const drift = driftOf(bound, record);
  const again =
    'Set the annotation coder.com/reconcile-requested-at to a new value to have the wish carried out again';
  if (hasFailed(build)) {
    return report(
      bound.input,
      bound.status,
      {
        ready: {
          status: 'False',
          reason: 'BuildFailed',
          message: `Build ${build.number} (${build.transition}), which the operator did not ask for, failed${because(build)}. ${again}`,
        },
        synced,
        drifted: {
          reason: 'BuildFailedInCoder',
          message: `Build ${build.number} (${build.transition}) failed`,
        },
      },
      untilWoken,
    );
  }
  return report(
    bound.input,
    bound.status,
    {
      ready: {
        status: 'True',
        reason: 'YieldedToCoder',
        message: `spec.running ${wished} was carried out with build ${bound.status.power?.build ?? 0}; since then the workspace was ${build.transition === 'start' ? 'started' : 'stopped'} in Coder, and is left so. ${again}`,
      },
      synced,
      drifted: drift,
    },
    untilWoken,
    // Events tell changes, not states.
    findCondition(bound.input.object.status?.conditions, 'Drifted')?.message === drift.message
      ? undefined
      : { type: 'Normal', ...drift },
  );
}

function driftOf(bound: Bound, record: WorkspaceRecord): Cause<DriftReason> {
  const { build } = record;
  const initiator = initiatorOf(build, record, bound.coder);
  const started = build.transition === 'start';
  const table: Record<string, DriftReason> = {
    autostart: 'StartedByAutostart',
    autostop: 'StoppedByAutostop',
    dormancy: 'StoppedByDormancy',
  };
  const byUser = started ? 'StartedByUser' : 'StoppedByUser';
  const reason =
    table[build.reason] ?? (initiator === 'Coder' ? (started ? 'StartedByCoder' : 'StoppedByCoder') : byUser);
  const who = {
    Operator: 'the operator',
    Owner: 'its owner',
    OtherUser: 'another user',
    Coder: 'Coder itself',
  }[initiator];
  return {
    reason,
    message: `Build ${build.number} by ${who} ${started ? 'started' : 'stopped'} the workspace, and spec.running is ${!started}`,
  };
}

/** The wish is not reached and nothing is under way: build, unless the last tries failed too recently or too often. */
function drive(bound: Bound, record: WorkspaceRecord, wished: boolean, fresh: boolean): WorkspaceStep {
  const { input } = bound;
  const { build } = record;
  const what = wished ? 'start' : 'stop';
  const attempt = {
    generation: input.object.metadata.generation ?? 0,
    ...(wished ? { templateVersionID: record.templateActiveVersionID } : {}),
  };
  const counted = failuresOf(bound.status, what, attempt);
  const isOurs = initiatorOf(build, record, bound.coder) === 'Operator';
  const isFresh =
    newRequest(input) === undefined &&
    hasFailed(build) &&
    isOurs &&
    build.transition === what &&
    build.number > lastBuild(bound);
  const failures = isFresh
    ? oneMore(counted, what, attempt, { message: build.error, build: build.number, now: input.now })
    : counted;
  const status = { ...bound.status, failures };
  const rung = nextRung(failures, input.settings.retryBaseMs, MOST_FAILURES, input.now);
  const why = failures?.message === undefined ? '' : `: ${failures.message}`;

  if (rung.climb === 'never') {
    return stalled(input, status, {
      reason: 'BuildRetriesExhausted',
      message: `The workspace could not be ${wished ? 'started' : 'stopped'} ${MOST_FAILURES + 1} times in a row${why}. Change the spec or the template, or set the annotation coder.com/reconcile-requested-at to a new value`,
    });
  }
  if (rung.climb === 'later') {
    return reconciling(
      input,
      status,
      {
        reason: 'BuildFailed',
        message: `The workspace could not be ${wished ? 'started' : 'stopped'}${why}. Try ${(failures?.count ?? 0) + 1} follows`,
      },
      after(rung.afterMs),
    );
  }
  if (!fresh) return { do: 'read', fact: 'freshWorkspace' };

  const doing = wished
    ? { reason: 'Starting' as const, message: 'Starting the workspace' }
    : { reason: 'Stopping' as const, message: 'Stopping the workspace' };
  return {
    do: 'write',
    operation: {
      type: wished ? 'Start' : 'Stop',
      workspaceID: record.id,
      afterBuildNumber: build.number,
      templateVersionID: wished ? mendedVersion(record) : undefined,
    },
    status: withVerdict(input, status, {
      ready: { status: 'False', ...doing },
      synced,
      reconciling: { reason: 'Progressing', message: doing.message },
    }),
    event: { type: 'Normal', ...doing },
  };
}

/**
 * The version to start with, or undefined to leave it to Coder, which takes that of the last build. After a start that
 * failed that would be the broken one again, so the template's active version is taken: it may be mended.
 */
function mendedVersion({ build, templateActiveVersionID }: WorkspaceRecord): string | undefined {
  const isMended = build.templateVersionID !== templateActiveVersionID && templateActiveVersionID !== '';
  return hasFailed(build) && build.transition === 'start' && isMended ? templateActiveVersionID : undefined;
}

/** Number of the last build that was counted as a failure, for whatever. */
function lastBuild(bound: Bound): number {
  return bound.status.failures?.build ?? 0;
}

function because(build: BuildRecord): string {
  return build.error === undefined ? '' : `: ${build.error}`;
}
