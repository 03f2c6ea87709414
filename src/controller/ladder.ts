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
 * The time of the failure is our own clock's, so a wall clock that jumped back waits at most one full rung.
 */
export function nextRung(failures: Failures | undefined, baseMs: number, most: number, now: Date): Rung {
  if (failures === undefined) return { climb: 'now' };
  if (failures.count > most) return { climb: 'never' };
  const rungMs = baseMs * 2 ** (failures.count - 1);
  const since = now.getTime() - new Date(failures.at).getTime();
  const left = Math.min(rungMs, rungMs - since);
  return left > 0 ? { climb: 'later', afterMs: left } : { climb: 'now' };
}
