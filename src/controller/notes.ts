import { findCondition, type Cause, type Verdict } from '../api/conditions.ts';
import type { DriftReason, StalledReason } from '../api/reasons.ts';
import type { Rest, StepEvent } from './step.ts';

/** In what Coder differs from a wish. */
export interface Drift extends Cause<DriftReason> {
  /** It was set right too often already, which a person should hear of. */
  readonly isOverBudget?: boolean | undefined;
}

/** What is to be said of an object whatever else is decided. */
export interface Notes {
  readonly drifts: readonly Drift[];
  /** Why the object needs a person, although that keeps nothing else from being done. */
  readonly stalled?: Cause<StalledReason> | undefined;
  /** When to look again on account of these. */
  readonly afterMs?: number | undefined;
  readonly event?: StepEvent | undefined;
}

export const noNotes: Notes = { drifts: [] };

/** What there is to say already, and more. */
export function moreNotes(notes: Notes, more: Partial<Notes>): Notes {
  return {
    drifts: [...notes.drifts, ...(more.drifts ?? [])],
    stalled: notes.stalled ?? more.stalled,
    afterMs: sooner(notes.afterMs, more.afterMs),
    event: notes.event ?? more.event,
  };
}

/** Adds to what is to be said whatever else is decided. */
export function noted<F extends { readonly notes: Notes }>(found: F, more: Partial<Notes>): F {
  return { ...found, notes: moreNotes(found.notes, more) };
}

/** A verdict whose drift may say that it was set right too often. */
export type Saying = Verdict & { readonly drifted?: Drift | undefined };

/**
 * The verdict with the notes of all rules before in it, and an event for what differs when it begins to, or differs in
 * another way. A note that the object is stalled counts only when nothing else holds it.
 */
export function withNotes(
  said: Saying,
  notes: Notes,
  status: { readonly conditions?: Parameters<typeof findCondition>[0] } | undefined,
): { readonly verdict: Verdict; readonly event: StepEvent | undefined } {
  const isHeld = said.reconciling !== undefined || said.stalled !== undefined;
  const stalled = isHeld ? said.stalled : notes.stalled;
  const drifts = [...(said.drifted === undefined ? [] : [said.drifted]), ...notes.drifts];
  const [first] = drifts;
  const drifted =
    first === undefined
      ? undefined
      : { reason: first.reason, message: drifts.map((d) => d.message).join('. ') };
  const verdict: Verdict = {
    ...said,
    ready: !isHeld && stalled !== undefined ? { status: 'False', ...stalled } : said.ready,
    stalled,
    drifted,
  };
  const before = findCondition(status?.conditions, 'Drifted');
  if (drifted === undefined || before?.message === drifted.message) return { verdict, event: undefined };
  const type = drifts.some((d) => d.isOverBudget === true) ? 'Warning' : 'Normal';
  return { verdict, event: { type, ...drifted } };
}

/** The rest, ended by a time at the latest. */
export function soonerRest(rest: Rest, afterMs: number | undefined): Rest {
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

function sooner(a: number | undefined, b: number | undefined): number | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return Math.min(a, b);
}
