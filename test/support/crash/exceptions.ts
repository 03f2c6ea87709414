import type { Mode, Plan } from './plans.ts';

/**
 * What may differ from the run without a fault, each with its reason. Nothing else may.
 */
interface Exception {
  readonly plans: (plan: Plan) => boolean;
  /** Of the difference, in the words of `differences`. */
  readonly line: RegExp;
}

const CRASHES: readonly Mode[] = ['crash', 'applied-crash', 'stale-restart'];

const exceptions: readonly Exception[] = [
  {
    // The Secret goes first there. A process that dies after that takes the token with it, and a person lets go of what
    // it had made: that stays in Coder. A credential that outlives its Secret in a status would be worse.
    plans: ({ workload, mode }) => workload.id === 'W12' && CRASHES.includes(mode),
    line: /^(coder › |counts › (builds delete|DELETE-templates))/,
  },
];

/** Whether a difference is one that this plan may make. */
export function exceptionsFor(plan: Plan): (line: string) => boolean {
  const own = exceptions.filter((e) => e.plans(plan));
  return (line) => own.some((e) => e.line.test(line));
}
