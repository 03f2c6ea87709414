/** What is asked of Coder again and again may keep it busy for at most this part of the time, each kind of it. */
export const MOST_BUSY = 1 / 20;

/** A look at everything that failed is tried again after this long at first, and then more and more seldom. */
const RETRY_MS = 5_000;
/** Two observers that fell into step, by a restart of Coder or of ours, fall out of it again by this. */
const JITTER = 0.05;
const RETRY_JITTER = 0.5;
/** The whole list may be large: ten thousand workspaces weigh 25 MB and take seconds. */
const LEAST_TIMEOUT_MS = 120_000;
const MOST_TIMEOUT_MS = 1_200_000;
/** So many times what the last one took is no longer slowness. */
const PATIENCE = 10;

export interface Look {
  /** What the look took that has just ended, in milliseconds. */
  readonly tookMs: number;
  /** How many looks failed in a row, this one included. */
  readonly failures: number;
  readonly pollIntervalMs: number;
  /** From 0 to 1. */
  readonly random: number;
}

/** Milliseconds until the next look at everything. */
export function pauseAfter({ tookMs, failures, pollIntervalMs, random }: Look): number {
  const atLeast = tookMs / MOST_BUSY;
  if (failures === 0) return Math.max(pollIntervalMs * (1 - JITTER * random), atLeast);
  const retryMs = RETRY_MS * 2 ** Math.min(failures - 1, 10) * (1 + RETRY_JITTER * random);
  // A Coder that does not answer is not kept busy by being asked, so the interval is the longest pause.
  return Math.min(pollIntervalMs, Math.max(retryMs, atLeast));
}

/** How long the whole list may take, after one that took so long. */
export function listTimeoutMs(tookMs: number): number {
  return Math.min(MOST_TIMEOUT_MS, Math.max(LEAST_TIMEOUT_MS, PATIENCE * tookMs));
}
