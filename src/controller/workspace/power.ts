import type { Cause } from '../../api/conditions.ts';
import { buildTimeoutOf } from '../../api/effective.ts';
import { isMirror } from '../../api/mirrors.ts';
import { nextRung } from '../ladder.ts';
import { hasFailed, isActive, type BuildRecord, type WorkspaceRecord } from '../observer/record.ts';
import { noted } from '../notes.ts';
import { synced, unlessSuspended, withVerdict } from '../report.ts';
import { MOST_FAILURES } from '../settings.ts';
import { after, untilWoken, type StepEvent } from '../step.ts';
import { decideDrift } from './drift.ts';
import { failuresOf, oneMore, type Failures } from './failures.ts';
import type { Found, WorkspaceDraft, WorkspaceStep } from './input.ts';
import { say, sayStalled, sayWaiting } from './say.ts';
import { waitForSlot } from './slot.ts';
import { because, initiatorOf, isRenamed } from './status.ts';
import { buildWith, sayProblem, withHash, type BuildWith, type Compared } from './update.ts';
import { decideUpdate, withUpdate } from './updating.ts';

/**
 * Start, stop or leave alone. `status.power` says how far the wish has come: Pending until it was reached once.
 *
 * | build under way | `spec.running` | newest build | power | then |
 * |---|---|---|---|---|
 * | yes | | | | wait for it |
 * | no | left out | | | say what is |
 * | no | set | reaches it | | Ready; a version or parameters that differ: see updating.ts |
 * | no | set | does not | Satisfied | somebody changed it: see drift.ts |
 * | no | set | does not, and is somebody's on top of ours that did | Pending | the same |
 * | no | set | does not | Pending | build, by the ladder of failures |
 */
export function decidePower(before: Found): WorkspaceStep {
  const found = withRename(before);
  const { input, record, status } = found;
  const wished = input.object.spec.running;
  if (isActive(record.build)) return waitForBuild(found);
  if (wished === undefined) return withUpdate(found, (next, update) => notManaged(next, update));
  if (reaches(record.build, wished)) return reached(found, wished);
  if (status.power?.state === 'Satisfied') return decideDrift(found, wished, drive);

  const ours = status.power?.build;
  const isOthers = initiatorOf(record.build, record, found.coder) !== 'Operator';
  if (ours !== undefined && record.build.number > ours && isOthers) {
    const fact = input.facts.ownBuild;
    if (fact === undefined) return { do: 'read', fact: 'ownBuild' };
    const isReached =
      fact.build !== undefined &&
      fact.build.initiatorID === found.coder.userID &&
      reaches(fact.build, wished);
    if (isReached) {
      const power = { running: wished, state: 'Satisfied' as const, build: ours };
      return decideDrift({ ...found, status: { ...status, power } }, wished, drive);
    }
  }
  return drive(found, wished);
}

/** Whether a build brought the workspace where it is wished. */
function reaches(build: BuildRecord, wished: boolean): boolean {
  return build.jobStatus === 'succeeded' && build.transition === (wished ? 'start' : 'stop');
}

function waitForBuild(found: Found): WorkspaceStep {
  const words = {
    start: { reason: 'Starting', message: 'Coder is starting the workspace' },
    stop: { reason: 'Stopping', message: 'Coder is stopping the workspace' },
    delete: { reason: 'Deleting', message: 'Coder is deleting the workspace' },
  } as const;
  const { build } = found.record;
  const { spec } = found.input.object;
  const doing =
    words[build.transition === 'start' || build.transition === 'stop' ? build.transition : 'delete'];
  const then =
    spec.running === false && build.transition === 'start'
      ? '; when that is done, it is stopped, as spec.running is false'
      : spec.running === true && build.transition === 'stop'
        ? '; when that is done, it is looked at again'
        : '';
  const message = `${doing.message} (build ${build.number} is ${build.jobStatus})${then}`;
  const leftMs = buildTimeoutOf(spec) - (found.input.now.getTime() - Date.parse(build.createdAt));
  const isLate = leftMs <= 0;
  const late = `Build ${build.number} (${build.transition}) has been under way for longer than ${spec.buildTimeout ?? '30m'}. It is not cancelled, since that can leave things behind: look at its log in Coder (${found.status.url ?? ''}/builds/${build.number})`;
  return sayWaiting(
    found,
    found.status,
    isLate ? { reason: 'BuildTakesLong', message: late } : { reason: 'WaitingForBuild', message },
    { until: 'build', workspaceID: found.record.id, afterMs: isLate ? undefined : leftMs },
    { ready: { reason: doing.reason, message } },
  );
}

/** `spec.running` is absent: say what is, and leave it. */
function notManaged(found: Found, update: Compared): WorkspaceStep {
  const { build } = found.record;
  const status = { ...found.status, failures: undefined };
  if (hasFailed(build)) {
    const message = `Build ${build.number} (${build.transition}) failed${because(build)}. spec.running is left out, so the operator does not try again`;
    return say(found, status, { ready: { status: 'False', reason: 'BuildFailed', message } });
  }
  if (isMirror(found.input.object)) {
    return ready({ ...found, status }, update, {
      reason: 'Mirrored',
      message: `The workspace is ${build.status} in Coder. Nothing is wished of it here: set any field of spec, and it is managed`,
    });
  }
  return ready({ ...found, status }, update, {
    reason: 'PowerNotManaged',
    message: `The workspace is ${build.status}; spec.running is left out, so starting and stopping it is left to others`,
  });
}

function reached(found: Found, wished: boolean): WorkspaceStep {
  const { record } = found;
  const before = found.status.power;
  const isNew = before?.state !== 'Satisfied';
  const power = isNew ? { running: wished, state: 'Satisfied' as const, build: record.build.number } : before;
  const cause: Cause = wished
    ? { reason: 'Running', message: `The workspace runs (build ${record.build.number})` }
    : { reason: 'Stopped', message: `The workspace is stopped, as wished (build ${record.build.number})` };
  const event = isNew ? { type: 'Normal' as const, ...cause } : undefined;
  // A restart that Coder refuses is counted on.
  const failures = wished && found.status.failures?.what === 'stop' ? found.status.failures : undefined;
  const next = { ...found, status: { ...found.status, failures, power } };
  return withUpdate(next, (known, update) => ready(known, update, cause, event));
}

/** Ready, unless an agent of a running workspace fails, or it is to be built anew. */
function ready(before: Found, update: Compared, cause: Cause, event?: StepEvent): WorkspaceStep {
  const updated = decideUpdate(before, update);
  if ('do' in updated) return updated;
  const { record } = updated;
  const failing = record.build.transition === 'start' && !record.healthy;
  const message = `The workspace runs, but Coder reports an agent of it as failing${agentsOf(record)}`;
  return say(
    updated,
    updated.status,
    {
      ready: failing ? { status: 'False', reason: 'AgentsUnhealthy', message } : { status: 'True', ...cause },
    },
    untilWoken,
    event,
  );
}

function agentsOf({ agents }: WorkspaceRecord): string {
  const failing = agents.filter((a) => a.status !== 'connected' || a.lifecycle?.endsWith('_error') === true);
  if (failing.length === 0) return '';
  return `: ${failing.map((a) => `${a.name} is ${a.status}${a.lifecycle === undefined ? '' : ` (${a.lifecycle})`}`).join(', ')}`;
}

/** The identity is the UUID: another name or owner in Coder is told, and nothing else. */
function withRename(found: Found): Found {
  const { record, name } = found;
  if (!isRenamed(record, name)) return found;
  const message = `In Coder the workspace is now ${record.ownerName}/${record.name}`;
  const isOthers = record.ownerName.toLowerCase() !== name.owner;
  return noted(found, { drifts: [{ reason: isOthers ? 'OwnerChangedInCoder' : 'RenamedInCoder', message }] });
}

export interface DriveOptions {
  /** The status without what is only true when the build is really asked for. Default: that of `found`. */
  readonly unsent?: WorkspaceDraft;
  /** What is told instead of "Starting the workspace". */
  readonly message?: string;
}

export type Drive = typeof drive;

/** The wish is not reached and nothing is under way: build, unless the last tries failed too recently or too often. */
function drive(found: Found, wished: boolean, options: DriveOptions = {}): WorkspaceStep {
  const { input } = found;
  const failures = failuresWith(found, wished);
  const status = { ...found.status, failures };
  const rung = nextRung(failures, input.settings.retryBaseMs, MOST_FAILURES, input.now);
  const why = failures?.message === undefined ? '' : `: ${failures.message}`;
  const failed = `The workspace could not be ${wished ? 'started' : 'stopped'}`;

  if (rung.climb === 'never') {
    return sayStalled(found, status, {
      reason: 'BuildRetriesExhausted',
      message: `${failed} ${MOST_FAILURES + 1} times in a row${why}. Change the spec or the template, or set the annotation coder.com/reconcile-requested-at to a new value`,
    });
  }
  if (rung.climb === 'later') {
    const next = `Try ${(failures?.count ?? 0) + 1} follows`;
    const ready = { reason: 'BuildFailed' as const, message: `${failed}${why}. ${next}` };
    // The text of the failure is said once.
    const cause = { reason: 'BuildFailed' as const, message: `${failed}. ${next}` };
    const rest = after(rung.afterMs);
    return sayWaiting(found, status, cause, rest, { ready });
  }
  if (!found.fresh) return { do: 'read', fact: 'freshWorkspace' };
  const made = wished ? buildWith(found) : STOP;
  if (made.then === 'read') return { do: 'read', fact: made.fact };
  if (made.then !== 'build') return sayProblem(found, status, made);
  return waitForSlot(found, status) ?? build({ ...found, status }, wished, made, options);
}

/** A stop is made with what the last build was made with. */
const STOP = { then: 'build', templateVersionID: undefined, parameters: undefined, hash: undefined } as const;

/** The failures that count for the next try, that of the newest build among them when it is one. */
function failuresWith({ input, record, status, coder }: Found, wished: boolean): Failures | undefined {
  const { build: newest } = record;
  const what = wished ? 'start' : 'stop';
  const attempt = {
    generation: input.object.metadata.generation ?? 0,
    ...(wished ? { templateVersionID: record.templateActiveVersionID } : {}),
  };
  const counted = failuresOf(status, what, attempt);
  const isNew =
    hasFailed(newest) &&
    newest.transition === what &&
    initiatorOf(newest, record, coder) === 'Operator' &&
    newest.number > Math.max(status.failures?.build ?? 0, status.power?.after ?? 0);
  return isNew
    ? oneMore(counted, what, attempt, { message: newest.error, build: newest.number, now: input.now })
    : counted;
}

function build(found: Found, wished: boolean, made: BuildWith, options: DriveOptions): WorkspaceStep {
  const { input, record, status } = found;
  const message = options.message ?? (wished ? 'Starting the workspace' : 'Stopping the workspace');
  const doing = { reason: wished ? ('Starting' as const) : ('Stopping' as const), message };
  const sent: WorkspaceDraft = {
    ...(wished ? withHash(status, made.hash) : status),
    power: { running: wished, state: 'Pending', after: status.power?.after, build: record.build.number + 1 },
  };
  return unlessSuspended(
    input,
    {
      do: 'write',
      operation: {
        type: wished ? 'Start' : 'Stop',
        workspaceID: record.id,
        afterBuildNumber: record.build.number,
        templateVersionID: made.templateVersionID,
        parameters: made.parameters,
      },
      status: withVerdict(input, sent, {
        ready: { status: 'False', ...doing },
        synced,
        reconciling: { reason: 'Progressing', message },
      }),
      event: { type: 'Normal', ...doing },
    },
    options.unsent ?? status,
  );
}
