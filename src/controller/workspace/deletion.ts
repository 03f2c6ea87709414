import { finalizers } from '../../api/kinds.ts';
import { sameName, type WorkspaceName } from '../../api/names.ts';
import type { ConnectedFact } from '../facts.ts';
import { nextRung } from '../ladder.ts';
import { hasFailed, isActive, type WorkspaceRecord } from '../observer/record.ts';
import { beforeRemoval, release, WAYS_OUT } from '../removal.ts';
import { newRequest, reconciling, stalled, synced, unlessSuspended, withVerdict } from '../report.ts';
import { MOST_FAILURES, settleMs } from '../settings.ts';
import { after, withBackoff } from '../step.ts';
import { failuresOf, oneMore } from './failures.ts';
import type { WorkspaceDraft, WorkspaceInput, WorkspaceStep } from './input.ts';
import { withQuotableText } from './quote.ts';
import { SLOT_AGAIN_MS, SLOT_MESSAGE } from './slot.ts';
import { initiatorOf, observedStatus } from './status.ts';

/** The window in which deletions are counted moves on by itself. */
const HELD_AGAIN_MS = 60_000;

/**
 * The object is being deleted. Our finalizer holds it until the workspace is gone for certain, or is to be kept.
 */
export function decideDeletion(input: WorkspaceInput, name: WorkspaceName): WorkspaceStep {
  const status = input.object.status ?? {};
  const isCreating = status.pendingOperation?.type === 'Create';
  const before = beforeRemoval(input, status, {
    thing: 'workspace',
    name,
    label: `${name.owner}/${name.workspace}`,
    finalizer: finalizers.workspace,
    isCreating,
  });
  if (before.then === 'done') return before.step;
  return isCreating ? settleCreation(input, name, status, before.coder) : remove(input, status, before.coder);
}

/** A create was announced and may have landed, or may still land: what it made must not be left behind. */
function settleCreation(
  input: WorkspaceInput,
  name: WorkspaceName,
  status: WorkspaceDraft,
  coder: ConnectedFact,
): WorkspaceStep {
  const sighting = input.facts.workspaceByName;
  if (sighting === undefined) return { do: 'read', fact: 'workspaceByName' };
  if (sighting.seen !== 'found') {
    const leftMs = settleMs(input.settings) - input.pendingForMs;
    if (leftMs <= 0) return release('No workspace was created in Coder', 'Released');
    return deleting(
      input,
      status,
      'Making sure that the last request created nothing in Coder',
      after(Math.min(leftMs, 2_000)),
    );
  }
  const record = sighting.value;
  const first = record.build.number === 1 ? record.build.initiatorID : input.facts.firstInitiator;
  if (first === undefined) return { do: 'read', fact: 'firstInitiator' };
  if (first !== coder.userID || !sameName(record.organizationName, name.organization))
    return release("The workspace of that name is not the operator's, and stays", 'Retained');
  if (input.facts.isClaimedByAnother(record.id)) {
    return release('The workspace of that name is bound to another object, and stays', 'Retained');
  }
  return removeFound(
    input,
    { ...status, id: record.id, origin: 'Created', pendingOperation: undefined },
    record,
    coder,
  );
}

function remove(input: WorkspaceInput, status: WorkspaceDraft, coder: ConnectedFact): WorkspaceStep {
  const waits = heldByMemory(input, status);
  if (waits !== undefined) return waits;
  const sighting = input.facts.workspace;
  if (sighting?.fresh !== true) return { do: 'read', fact: 'freshWorkspace' };
  if (sighting.seen === 'gone') return release('The workspace is deleted in Coder', 'Deleted');
  if (sighting.seen === 'unseen') {
    const message = `Coder does not show the workspace ${status.id ?? ''}: it is gone, or the operator may not see it any more. Make it visible again, ${WAYS_OUT}`;
    return reconciling(input, status, { reason: 'NotVisibleInCoder', message }, withBackoff, {
      ready: { reason: 'Deleting', message },
    });
  }
  const pending = status.pendingOperation;
  const leftMs = settleMs(input.settings) - input.pendingForMs;
  if (pending !== undefined && sighting.value.build.number <= (pending.afterBuildNumber ?? 0) && leftMs > 0) {
    const message = `It is not known whether Coder took the last request (${pending.type}); looking again before going on`;
    return deleting(input, status, message, after(Math.min(leftMs, 2_000)));
  }
  return removeFound(input, { ...status, pendingOperation: undefined }, sighting.value, coder);
}

function removeFound(
  input: WorkspaceInput,
  before: WorkspaceDraft,
  seen: WorkspaceRecord,
  coder: ConnectedFact,
): WorkspaceStep {
  const record = withQuotableText(input, seen);
  const { build } = record;
  const status = observedStatus(before, record, coder);
  if (isActive(build)) {
    return deleting(
      input,
      status,
      build.transition === 'delete'
        ? `Coder is deleting the workspace (build ${build.number} is ${build.jobStatus})`
        : `Waiting for build ${build.number} (${build.transition}) to end before the workspace is deleted`,
      { until: 'build', workspaceID: record.id },
    );
  }
  if (build.transition === 'delete' && build.jobStatus === 'succeeded') {
    return release('The workspace is deleted in Coder', 'Deleted');
  }
  return post(input, status, record, coder);
}

/** Nothing is under way and the workspace is there: delete it, unless the last tries failed too recently or too often. */
function post(
  input: WorkspaceInput,
  status: WorkspaceDraft,
  record: WorkspaceRecord,
  coder: ConnectedFact,
): WorkspaceStep {
  const { build } = record;
  const attempt = { generation: input.object.metadata.generation ?? 0 };
  const requested = newRequest(input);
  const counted = requested === undefined ? failuresOf(status, 'delete', attempt) : undefined;
  const isFresh =
    requested === undefined &&
    hasFailed(build) &&
    build.transition === 'delete' &&
    initiatorOf(build, record, coder) === 'Operator' &&
    build.number > (status.failures?.build ?? 0);
  const failures = isFresh
    ? oneMore(counted, 'delete', attempt, { message: build.error, build: build.number, now: input.now })
    : counted;
  const next: WorkspaceDraft = {
    ...status,
    failures,
    lastHandledReconcileAt: requested ?? status.lastHandledReconcileAt,
  };
  const rung = nextRung(failures, input.settings.retryBaseMs, MOST_FAILURES, input.now);
  const why = failures?.message === undefined ? '' : `: ${failures.message}`;
  if (rung.climb === 'never') {
    return stalled(input, next, {
      reason: 'BuildRetriesExhausted',
      message: `The workspace could not be deleted ${MOST_FAILURES + 1} times in a row${why}. Mend it in Coder and set the annotation coder.com/reconcile-requested-at to a new value, ${WAYS_OUT}`,
    });
  }
  if (rung.climb === 'later') {
    const message = `The workspace could not be deleted${why}. It is still there. Try ${(failures?.count ?? 0) + 1} follows`;
    return reconciling(input, next, { reason: 'BuildFailed', message }, after(rung.afterMs), {
      ready: { reason: 'Deleting', message },
    });
  }
  const waits = held(input, next) ?? waitForTurn(input, next);
  if (waits !== undefined) return waits;
  const message = 'Deleting the workspace in Coder';
  return unlessSuspended(
    input,
    {
      do: 'write',
      operation: { type: 'Delete', workspaceID: record.id, afterBuildNumber: build.number },
      status: withVerdict(input, next, {
        ready: { status: 'False', reason: 'Deleting', message },
        synced,
        reconciling: { reason: 'Progressing', message },
      }),
      event: { type: 'Normal', reason: 'Deleting', message },
    },
    next,
  );
}

/** Deletions that are so many at once that they may be a mistake wait for a person's word. */
function held(input: WorkspaceInput, status: WorkspaceDraft): WorkspaceStep | undefined {
  const pending = input.facts.heldDeletions();
  if (pending === undefined) return undefined;
  const message = `${pending} workspaces are to be deleted within ten minutes, which is more than ${input.settings.deletionBudget} and may be a mistake. If it is meant, set the annotation coder.com/reconcile-requested-at of the control plane to a new value; if not, set spec.deletionPolicy to Retain on those that are to stay`;
  return reconciling(input, status, { reason: 'DeletionHeld', message }, after(HELD_AGAIN_MS), {
    ready: { reason: 'Deleting', message },
  });
}

/**
 * What is held is decided from what is remembered of it: there may be very many of them, for a long time, and reading
 * each would leave nothing of the request budget to others.
 */
function heldByMemory(input: WorkspaceInput, status: WorkspaceDraft): WorkspaceStep | undefined {
  if (status.pendingOperation !== undefined || input.facts.heldDeletions() === undefined) return undefined;
  const sighting = input.facts.workspace;
  if (sighting === undefined) return { do: 'read', fact: 'workspace' };
  if (sighting.seen !== 'found') return undefined;
  const { build } = sighting.value;
  const isDeleting = build.transition === 'delete' && !hasFailed(build);
  return isActive(build) || isDeleting ? undefined : held(input, status);
}

/** A deletion is a build, and counts as one. */
function waitForTurn(input: WorkspaceInput, status: WorkspaceDraft): WorkspaceStep | undefined {
  if (input.suspended !== undefined || input.facts.buildSlot === 'granted') return undefined;
  if (input.facts.buildSlot === undefined) return { do: 'read', fact: 'buildSlot' };
  const cause = { reason: 'WaitingForBuildSlot' as const, message: SLOT_MESSAGE };
  return reconciling(input, status, cause, after(SLOT_AGAIN_MS), {
    ready: { reason: 'Deleting', message: SLOT_MESSAGE },
  });
}

function deleting(
  input: WorkspaceInput,
  status: WorkspaceDraft,
  message: string,
  rest: Parameters<typeof reconciling>[3],
): WorkspaceStep {
  return reconciling(input, status, { reason: 'WaitingForBuild', message }, rest, {
    ready: { reason: 'Deleting', message },
  });
}
