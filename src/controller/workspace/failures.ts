import type { CoderWorkspaceStatus } from '../../api/generated.ts';
import { shorten, timestamp } from '../../api/conditions.ts';

export type Failures = NonNullable<CoderWorkspaceStatus['failures']>;

/** Longest text of a failure that is kept, in characters: an object says it in several places and stays small. */
export const LONGEST_MESSAGE = 160;

/** What a count of failures is for. */
export interface Attempt {
  readonly generation: number;
  readonly templateVersionID?: string;
}

/** The failures that count against the next try: those of the same thing, for the same spec and template version. */
export function failuresOf(
  status: CoderWorkspaceStatus,
  what: Failures['what'],
  attempt: Attempt,
): Failures | undefined {
  const failures = status.failures;
  if (failures?.what !== what || failures.generation !== attempt.generation) return undefined;
  return failures.templateVersionID === attempt.templateVersionID ? failures : undefined;
}

/** One failure more. */
export function oneMore(
  before: Failures | undefined,
  what: Failures['what'],
  attempt: Attempt,
  failure: { readonly message: string | undefined; readonly build?: number; readonly now: Date },
): Failures {
  return {
    what,
    count: (before?.count ?? 0) + 1,
    at: timestamp(failure.now),
    message: failure.message === undefined ? undefined : shorten(failure.message, LONGEST_MESSAGE),
    build: failure.build,
    generation: attempt.generation,
    templateVersionID: attempt.templateVersionID,
  };
}
