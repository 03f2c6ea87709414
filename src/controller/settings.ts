/** What flags decide about the controller's rules. All times in milliseconds. */
export interface Settings {
  /** First step of the ladder on which failed builds are tried again; it doubles with each failure. */
  readonly retryBaseMs: number;
  /** Coder's answer to one call is waited for this long. */
  readonly requestTimeoutMs: number;
  /** For so long an object keeps saying what was true before Coder became unreachable. */
  readonly stalenessMs: number;
  /** So long after somebody changed something in Coder it is set right again. */
  readonly driftCooldownMs: number;
  /** At most so often an hour, for one object; 0 sets nothing right. */
  readonly driftBudget: number;
  /** More deletions of workspaces in ten minutes than this, in one control plane, are held. */
  readonly deletionBudget: number;
}

/** The time in which corrections of drift are counted. */
export const DRIFT_WINDOW_MS = 3_600_000;

/** The time in which deletions are counted. */
export const DELETION_WINDOW_MS = 600_000;

/** Tries at the same build, version or call before a person has to change something. */
export const MOST_FAILURES = 5;

/** Tries at the import of the same content. */
export const MOST_IMPORTS = 3;

/**
 * After an unclear outcome a call may still land until the server has dropped it. Coder has no time-out of its own, so
 * the answer is: our own, and a little for what is under way inside it.
 */
export function settleMs(settings: Settings): number {
  return settings.requestTimeoutMs + 5_000;
}
