import PQueue from 'p-queue';
import { apiserver } from '../apiserver.ts';
import { idOf, planOf, plansOf, type Plan } from './plans.ts';
import { judge, record, type Reference, type Verdict } from './run.ts';
import type { Workload } from './workload.ts';
import { workloads } from './workloads/index.ts';

/** Worlds side by side: while one waits for the API server, others are worked on. */
const SIDE_BY_SIDE = 4;

/** All plans, with the runs that they are held to. */
export class Matrix {
  readonly plans: readonly Plan[];
  readonly #references: ReadonlyMap<Workload, Reference>;

  private constructor(references: readonly Reference[], plans: readonly Plan[]) {
    this.#references = new Map(references.map((r) => [r.workload, r]));
    this.plans = plans;
  }

  /** Runs the workloads without any fault. @throws when one fails even so. */
  static async record(ids: readonly string[] = []): Promise<Matrix> {
    const api = await apiserver();
    await api.kubectl(['apply', '--server-side', '--force-conflicts', '-k', 'config/crds']);
    const asked = ids.map((id) => planOf(id, workloads));
    const chosen =
      ids.length === 0 ? workloads : workloads.filter((w) => asked.some((p) => p.workload === w));
    const references = await inParallel(chosen, record);
    const all = references.flatMap((r) => plansOf(r.workload, r.calls, r.checkpoints));
    return new Matrix(references, ids.length === 0 ? sorted(all) : asked);
  }

  /** One in so many, spread evenly over all. */
  every(step: number): readonly Plan[] {
    return this.plans.filter((_, i) => i % step === 0);
  }

  async run(
    plans: readonly Plan[],
    onVerdict: (verdict: Verdict, done: number) => void = () => undefined,
  ): Promise<readonly Verdict[]> {
    let done = 0;
    return inParallel(plans, async (plan) => {
      const verdict = await judge(plan, this.#reference(plan));
      onVerdict(verdict, ++done);
      return verdict;
    });
  }

  #reference({ workload }: Plan): Reference {
    const reference = this.#references.get(workload);
    if (reference === undefined) throw new Error(`${workload.id} was not recorded`);
    return reference;
  }
}

/** What a failed plan says: how to see it again, and what one needs to mend it. */
export function reportOf({ id, failures, tale }: Verdict): string {
  return [`Again: npm run test:crash -- '${id}'`, ...failures.map((f) => `- ${f}`), tale].join('\n');
}

function sorted(plans: readonly Plan[]): readonly Plan[] {
  return [...plans].sort((a, b) => (idOf(a) < idOf(b) ? -1 : 1));
}

function inParallel<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<readonly R[]> {
  return new PQueue({ concurrency: SIDE_BY_SIDE }).addAll(items.map((item) => () => work(item)));
}
