import { findCondition, type Cause, type Verdict } from '../../api/conditions.ts';
import type { ReconcilingReason, StalledReason } from '../../api/reasons.ts';
import { report, synced } from '../report.ts';
import { untilWoken, type Rest, type StepEvent } from '../step.ts';
import type { Drift, Found, Notes, WorkspaceDraft, WorkspaceStep } from './input.ts';

/** Adds to what is to be said whatever else is decided. */
export function noted(found: Found, notes: Partial<Notes>): Found {
  const { drifts, stalled, afterMs, event } = found.notes;
  return {
    ...found,
    notes: {
      drifts: [...drifts, ...(notes.drifts ?? [])],
      stalled: stalled ?? notes.stalled,
      afterMs: sooner(afterMs, notes.afterMs),
      event: event ?? notes.event,
    },
  };
}

/** What a rule says of a workspace; the conditions that are not named follow. */
export interface Saying {
  readonly ready: Verdict['ready'];
  readonly reconciling?: Cause<ReconcilingReason> | undefined;
  readonly stalled?: Cause<StalledReason> | undefined;
  readonly drifted?: Drift | undefined;
}

/** The report of a workspace that is there, with the notes of all rules before in it. */
export function say(
  found: Found,
  status: WorkspaceDraft,
  saying: Saying,
  rest: Rest = untilWoken,
  event?: StepEvent,
): WorkspaceStep {
  const { notes, input } = found;
  const isHeld = saying.reconciling !== undefined || saying.stalled !== undefined;
  const stalled = isHeld ? saying.stalled : notes.stalled;
  const drifts = [...(saying.drifted === undefined ? [] : [saying.drifted]), ...notes.drifts];
  const [first] = drifts;
  const verdict: Verdict = {
    ready: !isHeld && stalled !== undefined ? { status: 'False', ...stalled } : saying.ready,
    synced,
    reconciling: saying.reconciling,
    stalled,
    drifted:
      first === undefined
        ? undefined
        : { reason: first.reason, message: drifts.map((d) => d.message).join('. ') },
  };
  const told = warningOf(found, verdict) ?? notes.event ?? event ?? driftEvent(found, verdict, drifts);
  return report(input, status, verdict, soonerRest(rest, notes.afterMs), told);
}

/** Waiting for something that heals without a change of the spec. */
export function sayWaiting(
  found: Found,
  status: WorkspaceDraft,
  cause: Cause<ReconcilingReason>,
  rest: Rest,
  more: { readonly ready?: Cause; readonly drifted?: Drift; readonly event?: StepEvent } = {},
): WorkspaceStep {
  const saying = {
    ready: { status: 'False' as const, ...(more.ready ?? cause) },
    reconciling: cause,
    drifted: more.drifted,
  };
  return say(found, status, saying, rest, more.event);
}

/** Nothing more happens until a person changes something. */
export function sayStalled(
  found: Found,
  status: WorkspaceDraft,
  cause: Cause<StalledReason>,
  rest: Rest = untilWoken,
): WorkspaceStep {
  return say(found, status, { ready: { status: 'False', ...cause }, stalled: cause }, rest);
}

/** Causes that belong to the ordinary course of things, and are no event. */
const QUIET = new Set<string>([
  'Progressing',
  'WaitingForBuild',
  'WaitingForBuildSlot',
  'WaitingForImport',
  'OutcomeUnknown',
]);

/** A Warning for a cause that the object did not carry before: events tell changes, not states. */
function warningOf({ input }: Found, verdict: Verdict): StepEvent | undefined {
  const type = verdict.stalled === undefined ? 'Reconciling' : 'Stalled';
  const cause = verdict.stalled ?? verdict.reconciling;
  if (cause === undefined || QUIET.has(cause.reason)) return undefined;
  const before = findCondition(input.object.status?.conditions, type);
  if (before?.reason === cause.reason) return undefined;
  // Ready says the most of it.
  const { message } = verdict.ready.reason === cause.reason ? verdict.ready : cause;
  return { type: 'Warning', reason: cause.reason, message };
}

/** What differs is told when it begins to, or differs in another way. */
function driftEvent({ input }: Found, { drifted }: Verdict, drifts: readonly Drift[]): StepEvent | undefined {
  if (drifted === undefined) return undefined;
  const before = findCondition(input.object.status?.conditions, 'Drifted');
  if (before?.message === drifted.message) return undefined;
  const type = drifts.some((d) => d.isOverBudget === true) ? 'Warning' : 'Normal';
  return { type, ...drifted };
}

function sooner(a: number | undefined, b: number | undefined): number | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return Math.min(a, b);
}

/** The rest, ended by a time at the latest. */
function soonerRest(rest: Rest, afterMs: number | undefined): Rest {
  if (afterMs === undefined) return rest;
  switch (rest.until) {
    case 'woken':
      return { until: 'time', afterMs };
    case 'time':
      return { until: 'time', afterMs: Math.min(afterMs, rest.afterMs) };
    case 'build':
      return { ...rest, afterMs: sooner(rest.afterMs, afterMs) };
    case 'backoff':
      return rest;
  }
}
