/** What flags decide about the controller's rules. All times in milliseconds. */
export interface Settings {
  /** First step of the ladder on which failed builds are tried again; it doubles with each failure. */
  readonly retryBaseMs: number;
  /** Coder's answer to one call is waited for this long. */
  readonly requestTimeoutMs: number;
  /** For so long an object keeps saying what was true before Coder became unreachable. */
  readonly stalenessMs: number;
}

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
