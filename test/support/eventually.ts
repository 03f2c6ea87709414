import { systemClock } from '../../src/base/clock.ts';

/** Waiting for longer than this leaves the processor to those who are waited for. */
const SPIN_MS = 20;
const LOOK_EVERY_MS = 5;

/** Resolves as soon as the condition holds; fails when it does not within so many milliseconds. */
export async function eventually(condition: () => boolean | Promise<boolean>, ms = 10_000): Promise<void> {
  const start = performance.now();
  while (!(await condition())) {
    const waited = performance.now() - start;
    if (waited > ms) throw new Error(`within ${ms} ms never true: ${condition.toString()}`);
    if (waited < SPIN_MS) await new Promise((resolve) => setImmediate(resolve));
    else await systemClock.sleep(LOOK_EVERY_MS);
  }
}
