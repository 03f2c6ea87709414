import type { Cause, Verdict } from '../../api/conditions.ts';
import type { ReconcilingReason, StalledReason } from '../../api/reasons.ts';
import type { Drift } from '../notes.ts';
import { report, synced } from '../report.ts';
import { untilWoken, type Rest, type StepEvent } from '../step.ts';
import type { Found, WorkspaceDraft, WorkspaceStep } from './input.ts';

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
  return report({ ...found.input, notes: found.notes }, status, { synced, ...saying }, rest, event);
}

/** Waiting for something that heals without a change of the spec. */
export function sayWaiting(
  found: Found,
  status: WorkspaceDraft,
  cause: Cause<ReconcilingReason>,
  rest: Rest,
  more: { readonly ready?: Cause; readonly drifted?: Drift } = {},
): WorkspaceStep {
  const saying = {
    ready: { status: 'False' as const, ...(more.ready ?? cause) },
    reconciling: cause,
    drifted: more.drifted,
  };
  return say(found, status, saying, rest);
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
