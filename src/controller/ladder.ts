/** Failures in a row, as an object's status keeps them: the count must survive a restart. */
export interface Failures {
  readonly count: number;
  readonly at: string;
}

export type Rung =
  | { readonly climb: 'now' }
  | { readonly climb: 'later'; readonly afterMs: number }
  | { readonly climb: 'never' };

/**
 * Whether something that failed may be tried again: after 1, 2, 4, 8, 16 … times `baseMs`, `most` times, then never.
 *
 * The time of the failure is a wall clock's. When that clock was set back since, the time lies ahead and says nothing:
 * within one rung a full rung is waited, beyond it no longer at all.
 */
export function nextRung(failures: Failures | undefined, baseMs: number, most: number, now: Date): Rung {
  if (failures === undefined) return { climb: 'now' };
  if (failures.count > most) return { climb: 'never' };
  const rungMs = baseMs * 2 ** (failures.count - 1);
  const since = now.getTime() - new Date(failures.at).getTime();
  if (since < -rungMs) return { climb: 'now' };
  const left = Math.min(rungMs, rungMs - since);
  return left > 0 ? { climb: 'later', afterMs: left } : { climb: 'now' };
}
