import { timestamp } from '../../api/conditions.ts';
import { isEnforced } from '../../api/effective.ts';
import { DRIFT_WINDOW_MS } from '../settings.ts';
import type { Bound, WorkspaceDraft, WorkspaceInput } from './input.ts';

/** Whether what people change is set right at all. */
export function corrects({ object, settings }: WorkspaceInput): boolean {
  return isEnforced(object.spec) && settings.driftBudget > 0;
}

/** When something that somebody changed in Coder is set right. */
export type Correction =
  /** Now; `status` has it counted, `unsent` is for as long as nothing may be sent. */
  | { readonly when: 'now'; readonly status: WorkspaceDraft; readonly unsent: WorkspaceDraft }
  /** Not yet; `status` says since when it is waited. */
  | {
      readonly when: 'later';
      readonly status: WorkspaceDraft;
      readonly afterMs: number;
      readonly because: 'cooldown' | 'budget';
    };

/** Longest list of corrections that a status holds: as many as the budget may be (--drift-budget). */
const MOST_REMEMBERED = 32;

/**
 * Drift is set right after a cooldown, and only so often an hour: whoever changes it again and again wins for most of
 * the time, and no two parties can keep each other busy. Both counts live in the status, so that a restart of the
 * operator gives nobody a new turn.
 *
 * The times are a wall clock's. One that was set back makes a cooldown longer by its own length at most.
 */
export function correctionOf({ input, status }: Bound): Correction {
  const { now, settings } = input;
  const { driftCooldownMs, driftBudget } = settings;
  const driftedAt = input.object.status?.driftedAt ?? timestamp(now);
  const noticed: WorkspaceDraft = { ...status, driftedAt };
  const sinceMs = now.getTime() - Date.parse(driftedAt);
  const leftMs = sinceMs < -driftCooldownMs ? 0 : Math.min(driftCooldownMs, driftCooldownMs - sinceMs);
  if (leftMs > 0) return { when: 'later', status: noticed, afterMs: leftMs, because: 'cooldown' };

  const recent = (status.corrections ?? []).filter(
    (at) => Math.abs(now.getTime() - Date.parse(at)) < DRIFT_WINDOW_MS,
  );
  if (recent.length >= driftBudget) {
    const oldest = recent.at(-driftBudget);
    const afterMs =
      oldest === undefined ? DRIFT_WINDOW_MS : Date.parse(oldest) + DRIFT_WINDOW_MS - now.getTime();
    return {
      when: 'later',
      status: noticed,
      afterMs: Math.min(DRIFT_WINDOW_MS, Math.max(1_000, afterMs)),
      because: 'budget',
    };
  }
  const corrections = [...recent, timestamp(now)].slice(-MOST_REMEMBERED);
  return { when: 'now', status: { ...status, driftedAt: undefined, corrections }, unsent: noticed };
}

/** The end of a sentence that says when drift is set right. */
export function thenCorrected(correction: Extract<Correction, { when: 'later' }>, now: Date): string {
  const at = timestamp(new Date(now.getTime() + correction.afterMs));
  return correction.because === 'cooldown'
    ? `it is set right at ${at}`
    : `it was set right as often as is allowed in an hour, and is again at ${at}`;
}
