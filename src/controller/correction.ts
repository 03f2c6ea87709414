import { timestamp } from '../api/conditions.ts';
import { isEnforced } from '../api/effective.ts';
import { DRIFT_WINDOW_MS, type Settings } from './settings.ts';

/** The part of a status that knows of drift. */
export interface CorrectedStatus {
  readonly driftedAt?: string | undefined;
  readonly corrections?: readonly string[] | undefined;
}

/** What is decided upon, and the status so far. */
export interface Corrected<Status extends CorrectedStatus> {
  readonly input: {
    readonly object: { readonly status?: CorrectedStatus };
    readonly now: Date;
    readonly settings: Settings;
  };
  readonly status: Status;
}

/** Whether what people change is set right at all. */
export function corrects({
  object,
  settings,
}: {
  readonly object: { readonly spec: Parameters<typeof isEnforced>[0] };
  readonly settings: Settings;
}): boolean {
  return isEnforced(object.spec) && settings.driftBudget > 0;
}

/** When something that somebody changed in Coder is set right. */
export type Correction<Status> =
  /** Now; `status` has it counted, `unsent` is for as long as nothing may be sent. */
  | { readonly when: 'now'; readonly status: Status; readonly unsent: Status }
  /** Not yet; `status` says since when it is waited. */
  | {
      readonly when: 'later';
      readonly status: Status;
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
export function correctionOf<Status extends CorrectedStatus>({
  input,
  status,
}: Corrected<Status>): Correction<Status> {
  const { now, settings } = input;
  const { driftCooldownMs, driftBudget } = settings;
  const driftedAt = input.object.status?.driftedAt ?? timestamp(now);
  const noticed = { ...status, driftedAt };
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
export function thenCorrected(
  correction: Extract<Correction<unknown>, { when: 'later' }>,
  now: Date,
): string {
  const at = timestamp(new Date(now.getTime() + correction.afterMs));
  return correction.because === 'cooldown'
    ? `it is set right at ${at}`
    : `it was set right as often as is allowed in an hour, and is again at ${at}`;
}
