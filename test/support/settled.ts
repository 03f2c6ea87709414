import { until } from '../../hack/stack/wait.ts';

/** Longer than anything that servers do from time to time, such as to ask for a description once a minute. */
const LONGEST_WAIT_MS = 90_000;
const LOOK_EVERY_MS = 100;

/** Looks until there is something. @throws Error that says what did not come in time. */
export async function settled<T>(
  look: () => Promise<T | undefined>,
  what: string,
  withinMs = LONGEST_WAIT_MS,
): Promise<T> {
  const found = await until(look, { withinMs, everyMs: LOOK_EVERY_MS });
  if (found === undefined) throw new Error(`${what} did not come within ${withinMs / 1000} s`);
  return found;
}
