import {
  conditionsOf,
  cut,
  findCondition,
  type Cause,
  type Condition,
  type Verdict,
} from '../api/conditions.ts';
import { annotations } from '../api/kinds.ts';
import type { KubeObject } from '../api/meta.ts';
import { isMirror } from '../api/mirrors.ts';
import type { ReconcilingReason, StalledReason, SuspendedReason } from '../api/reasons.ts';
import { usableForDeletion, type ConnectionFact } from './facts.ts';
import { soonerRest, withNotes, type Notes, type Saying } from './notes.ts';
import type { Settings } from './settings.ts';
import { after, untilWoken, type Rest, type Step, type StepEvent } from './step.ts';

/** The part of a status that all kinds share. */
export interface CommonStatus {
  readonly observedGeneration?: number | undefined;
  readonly conditions?: readonly Condition[] | undefined;
  readonly lastHandledReconcileAt?: string | undefined;
}

/** The part of a decision's input that all kinds share. */
export interface CommonInput<Status extends CommonStatus> {
  readonly object: KubeObject & { readonly status?: Status };
  readonly now: Date;
  /** Why nothing in Coder may be changed on behalf of the object now; every status says so while it lasts. */
  readonly suspended?: Cause<SuspendedReason> | undefined;
  /** What is to be said beside what the last rule decides; every report has it. */
  readonly notes?: Notes | undefined;
}

export type ReportStep<Status> = Extract<Step<never, never, Status>, { do: 'report' }>;

export const synced: Verdict['synced'] = {
  status: 'True',
  reason: 'SyncSucceeded',
  message: 'The last exchange with Coder worked',
};

/** Longest value of the annotation that a status holds, in characters. */
const LONGEST_REQUEST = 256;

/** Nothing was exchanged with Coder, for this cause. */
export function notSynced(cause: Cause): Verdict['synced'] {
  return { status: 'False', ...cause };
}

/** The value of the annotation by which a person asks to have the wish carried out again, if it is new. */
export function newRequest(input: CommonInput<CommonStatus>): string | undefined {
  const requested = requestOf(input.object);
  return requested === input.object.status?.lastHandledReconcileAt ? undefined : requested;
}

/** What stays of a status when its object is to be bound anew. */
export function unboundStatus({ lastHandledReconcileAt, conditions }: CommonStatus): CommonStatus {
  return { lastHandledReconcileAt, conditions };
}

/** The value of that annotation as a status can hold it. */
export function requestOf(object: KubeObject): string | undefined {
  const requested = object.metadata.annotations?.[annotations.reconcileRequestedAt];
  return requested === undefined ? undefined : cut(requested, LONGEST_REQUEST);
}

/** The status with the conditions that a verdict means. */
export function withVerdict<Status extends CommonStatus>(
  input: CommonInput<CommonStatus>,
  status: Status,
  verdict: Verdict,
): Status {
  const generation = input.object.metadata.generation ?? 0;
  return {
    ...status,
    observedGeneration: generation,
    conditions: conditionsOf(
      { ...verdict, suspended: verdict.suspended ?? input.suspended },
      input.object.status?.conditions,
      generation,
      input.now,
    ),
  };
}

/**
 * What is said of an object, with its notes. One event a report: a Warning for a new reason that is not in the ordinary
 * course of things; else that of the notes; else the rule's own; else one for what differs.
 */
export function report<Status extends CommonStatus>(
  input: CommonInput<CommonStatus>,
  status: Status,
  saying: Saying,
  rest: Rest,
  event?: StepEvent,
): ReportStep<Status> {
  const { notes, object } = input;
  if (notes === undefined) return reported(withVerdict(input, status, saying), rest, event);
  const { verdict, event: drifting } = withNotes(saying, notes, object.status);
  const told = heldWarning(input, verdict) ?? notes.event ?? event ?? drifting;
  return reported(withVerdict(input, status, verdict), soonerRest(rest, notes.afterMs), told);
}

function reported<Status>(status: Status, rest: Rest, event: StepEvent | undefined): ReportStep<Status> {
  return { do: 'report', status, rest, ...(event === undefined ? {} : { event }) };
}

/** Waiting for something that heals without a change of the spec. */
export function reconciling<Status extends CommonStatus>(
  input: CommonInput<CommonStatus>,
  status: Status,
  cause: Cause<ReconcilingReason>,
  rest: Rest,
  options: { readonly ready?: Cause; readonly synced?: Verdict['synced'] } = {},
): ReportStep<Status> {
  const verdict: Verdict = {
    ready: { status: 'False', ...(options.ready ?? cause) },
    synced: options.synced ?? synced,
    reconciling: cause,
  };
  return report(input, status, verdict, rest, warning(input, 'Reconciling', cause));
}

/** Nothing more happens until a person changes something. */
export function stalled<Status extends CommonStatus>(
  input: CommonInput<CommonStatus>,
  status: Status,
  cause: Cause<StalledReason>,
  rest: Rest = untilWoken,
  options: { readonly synced?: Verdict['synced'] } = {},
): ReportStep<Status> {
  const verdict: Verdict = {
    ready: { status: 'False', ...cause },
    synced: options.synced ?? synced,
    stalled: cause,
  };
  return report(input, status, verdict, rest, warning(input, 'Stalled', cause));
}

/**
 * A step that changes something in Coder; while the object is suspended, the report that it waits instead.
 *
 * @param unsent the status without anything that only the step would make true.
 */
export function unlessSuspended<Fact, Operation, Status extends CommonStatus>(
  input: CommonInput<CommonStatus>,
  step: Extract<Step<Fact, Operation, Status>, { do: 'write' }>,
  unsent: Status,
): Extract<Step<Fact, Operation, Status>, { do: 'write' | 'report' }> {
  if (input.suspended === undefined) return step;
  const what =
    findCondition(step.status.conditions, 'Ready')?.message ?? 'Something in Coder is to be changed';
  return report(
    input,
    unsent,
    {
      ready: {
        status: 'False',
        reason: 'Suspended',
        message: `Not done while suspended: ${what}. ${input.suspended.message}`,
      },
      synced,
    },
    untilWoken,
  );
}

/** Why nothing in Coder may be changed on behalf of an object now, if that is so. Of a mirror nothing is wished at all. */
export function suspensionOf(
  object: KubeObject & { readonly spec: { readonly suspend?: boolean | undefined } },
  connection: ConnectionFact,
): Cause<SuspendedReason> | undefined {
  if (isMirror(object)) return undefined;
  if (object.spec.suspend === true) {
    return { reason: 'SuspendedBySpec', message: 'spec.suspend is true: set it to false, and this goes on' };
  }
  const coder = usableForDeletion(connection);
  return coder?.suspended === true
    ? {
        reason: 'SuspendedByControlPlane',
        message: 'spec.suspend of the control plane is true: set it to false, and this goes on',
      }
    : undefined;
}

/** There is no control plane in the namespace, or it cannot be used now. */
export function withoutConnection<Status extends CommonStatus>(
  input: CommonInput<Status> & { readonly settings: Settings },
  status: Status,
  connection: Exclude<ConnectionFact, { state: 'ready' }>,
  hasPendingWork: boolean,
): ReportStep<Status> {
  if (connection.state === 'connecting') return { do: 'report', status, rest: untilWoken };
  if (connection.state === 'none') {
    const message = `There is no CoderControlPlane in the namespace ${input.object.metadata.namespace ?? ''}: apply one, and this goes on by itself`;
    const missing = { reason: 'WaitingForDependency' as const, message };
    return reconciling(input, status, missing, untilWoken, { synced: notSynced(missing) });
  }
  const message = `The control plane ${connection.controlPlane} is not ready: ${connection.cause.message}`;
  const cause = { reason: 'ControlPlaneNotReady' as const, message };
  const failing = notSynced(cause);
  if (hasPendingWork) return reconciling(input, status, cause, untilWoken, { synced: failing });
  // At rest an object keeps saying what was true: a restart of Coder must not turn a thousand objects red.
  const leftMs = input.settings.stalenessMs - connection.sinceMs;
  if (leftMs > 0) return { do: 'report', status, rest: after(leftMs) };
  const verdict: Verdict = { ready: { status: 'Unknown', ...cause }, synced: failing, reconciling: cause };
  return report(input, status, verdict, untilWoken);
}

/** What an object is bound to is not there: gone for certain, or not shown to us, which proves nothing. */
export function absent<Status extends CommonStatus & { readonly id?: string | undefined }>(
  input: CommonInput<CommonStatus>,
  status: Status,
  what: {
    readonly seen: 'gone' | 'unseen';
    readonly thing: 'template' | 'workspace';
    readonly label: string;
  },
): ReportStep<Status> {
  if (what.seen === 'gone') {
    return stalled(input, status, {
      reason: 'DeletedInCoder',
      message: `The ${what.thing} ${what.label} was deleted in Coder. Set the annotation coder.com/reconcile-requested-at to a new value to have it created again, or delete this object`,
    });
  }
  const message = `Coder does not show the ${what.thing} ${status.id ?? ''}: it is gone, or the operator may not see it any more. Nothing is done until it is certain; the annotation coder.com/reconcile-requested-at with a new value has it created again`;
  return reconciling(input, status, { reason: 'NotVisibleInCoder', message }, untilWoken);
}

/** What a mirror shows is not there, and nobody knows whether it is gone: one that is known to be is removed. */
export function absentMirror<Status extends CommonStatus & { readonly id?: string | undefined }>(
  input: CommonInput<CommonStatus>,
  status: Status,
  thing: 'template' | 'workspace',
): ReportStep<Status> {
  const message = `Coder does not show the ${thing} ${status.id ?? ''}: it is gone, or the operator may not see it any more. Its mirror stays until it is certain that it is gone`;
  return reconciling(input, status, { reason: 'NotVisibleInCoder', message }, untilWoken);
}

/** A Warning, once for a spec, that its `deletionPolicy: Delete` does not count. */
export function overruledWarning(
  input: CommonInput<CommonStatus>,
  overruled: boolean,
  thing: 'template' | 'workspace',
): StepEvent | undefined {
  const told = findCondition(input.object.status?.conditions, 'Ready')?.observedGeneration;
  if (!overruled || told === input.object.metadata.generation) return undefined;
  return {
    type: 'Warning',
    reason: 'Retained',
    message: `deletionPolicy Delete does not count: the operator did not create this ${thing} and will keep it, unless the control plane's adoptedDeletion is Allow`,
  };
}

/** That something was taken over. A report has one event: a warning that is due at the same time becomes part of it. */
export function adopted(what: string, warning: StepEvent | undefined): StepEvent {
  const message = `Took over the ${what}`;
  if (warning === undefined) return { type: 'Normal', reason: 'Adopted', message };
  return { ...warning, message: `${message}. ${warning.message}` };
}

/** Causes that belong to the ordinary course of things, and are no event. */
const QUIET = new Set<string>([
  'Progressing',
  'WaitingForBuild',
  'WaitingForImport',
  'OutcomeUnknown',
  'WaitingForBuildSlot',
  'WaitingForUpload',
]);

/** A Warning for a cause that the object did not carry before: events tell changes, not states. */
function warning(input: CommonInput<CommonStatus>, type: string, cause: Cause): StepEvent | undefined {
  const before = findCondition(input.object.status?.conditions, type);
  if (QUIET.has(cause.reason) || before?.reason === cause.reason) return undefined;
  return { type: 'Warning', reason: cause.reason, message: cause.message };
}

/** That of a whole verdict. */
function heldWarning(input: CommonInput<CommonStatus>, verdict: Verdict): StepEvent | undefined {
  const { stalled, reconciling, ready } = verdict;
  const cause = stalled ?? reconciling;
  if (cause === undefined) return undefined;
  // Ready says the most of it.
  const { message } = ready.reason === cause.reason ? ready : cause;
  return warning(input, stalled === undefined ? 'Reconciling' : 'Stalled', { ...cause, message });
}
