import { errorText } from '../../../src/base/errors.ts';
import { differences } from '../differences.ts';
import { exceptionsFor } from './exceptions.ts';
import { outcomeOf, type Outcome } from './outcome.ts';
import { Oracles } from './oracles.ts';
import { idOf, type Plan } from './plans.ts';
import { meddlerOf } from './meddle.ts';
import type { Call } from './wire.ts';
import type { Workload } from './workload.ts';
import { POLL_MS, REST_MS, World, type Meddler } from './world.ts';

/** A run of a workload in which nothing goes wrong: what all others are held to. */
export interface Reference {
  readonly workload: Workload;
  readonly outcome: Outcome;
  /** What the operator changed until all was at rest, oldest first. */
  readonly calls: readonly Call[];
  readonly checkpoints: number;
  /** Requests to Coder in a minute of rest. */
  readonly reads: number;
}

export interface Verdict {
  readonly id: string;
  /** Nothing: the plan has passed. */
  readonly failures: readonly string[];
  /** What one needs to know to mend a failure. */
  readonly tale: string;
  readonly realMs: number;
  readonly virtualMs: number;
}

/** A run without a fault shows that nothing comes later either. */
const LONG_REST_MS = 10 * POLL_MS;
/** Reads at rest may differ by what happens to fall into the time that is looked at. */
const MORE_READS = 1.25;

/** @throws when something is wrong even without a fault. */
export async function record(workload: Workload): Promise<Reference> {
  const run = await play(workload, {}, LONG_REST_MS);
  if (run.failures.length > 0 || run.outcome === undefined) {
    throw new Error(`${workload.id} fails without any fault:\n${run.failures.join('\n')}\n${run.tale}`);
  }
  const { outcome, calls, checkpoints, reads } = run;
  return { workload, outcome, calls, checkpoints, reads };
}

/**
 * The operator draws its pauses at random, so that now and then a request of the reference run does not come: then the plan
 * is run once more.
 */
export async function judge(plan: Plan, reference: Reference): Promise<Verdict> {
  const first = await judgeOnce(plan, reference);
  return first.failures.length === 1 && first.failures[0] === UNMET ? judgeOnce(plan, reference) : first;
}

const UNMET = 'the plan never met its request';

async function judgeOnce(plan: Plan, reference: Reference): Promise<Verdict> {
  const meddler = meddlerOf(plan);
  let run: Run;
  try {
    run = await play(plan.workload, meddler, REST_MS);
  } catch (error) {
    const why = errorText(error);
    return { id: idOf(plan), failures: [`it could not begin: ${why}`], tale: '', realMs: 0, virtualMs: 0 };
  }
  const failures = [...run.failures];
  if (!meddler.hasMet && run.failures.length === 0) failures.push(UNMET);
  if (run.outcome !== undefined && !meddler.isVoid) {
    const isExpected = exceptionsFor(plan);
    const shown = plan.mode === 'unobserved' ? withoutTraces : (outcome: Outcome): unknown => outcome;
    const differing = differences(shown(run.outcome), shown(reference.outcome));
    failures.push(...differing.filter((line) => !isExpected(line)));
    if (run.reads > reference.reads * MORE_READS + 5)
      failures.push(
        `at rest Coder is asked ${run.reads.toFixed()} times a minute instead of ${reference.reads.toFixed()}`,
      );
  }
  const { tale, realMs, virtualMs } = run;
  return { id: idOf(plan), failures, tale, realMs, virtualMs };
}

interface Run {
  readonly outcome: Outcome | undefined;
  readonly calls: readonly Call[];
  readonly checkpoints: number;
  readonly reads: number;
  readonly failures: readonly string[];
  readonly tale: string;
  readonly realMs: number;
  readonly virtualMs: number;
}

async function play(workload: Workload, meddler: Meddler, restMs: number): Promise<Run> {
  const startedAt = performance.now();
  const oracles = new Oracles();
  const world = await World.open(workload.options ?? {}, {
    ...(meddler.onCall === undefined ? {} : { onCall: (call, w) => meddler.onCall?.(call, w) ?? 'passed' }),
    pathOf: (request, w) => meddler.pathOf?.(request, w),
    insteadOf: (request, w) => meddler.insteadOf?.(request, w),
    onCheckpoint: async (index, w) => meddler.onCheckpoint?.(index, w),
    onAnswered: (call, w) => {
      oracles.answered(call);
      meddler.onAnswered?.(call, w);
    },
  });
  const failures: string[] = [];
  let outcome: Outcome | undefined;
  let reads = 0;
  let calls: readonly Call[] = [];
  try {
    await workload.run(world);
    reads = await world.untilRest(restMs);
    outcome = outcomeOf(world);
    calls = world.calls;
  } catch (error) {
    failures.push(errorText(error));
  }
  oracles.read(world);
  const tale = taleOf(world);
  const virtualMs = world.clock.monotonic();
  const { checkpoints } = world;
  try {
    await world.close();
  } catch (error) {
    failures.push(`the world did not end: ${errorText(error)}`);
  }
  failures.push(...new Set(oracles.violations));
  return {
    ...{ outcome, calls, checkpoints, reads, failures, tale },
    ...{ realMs: performance.now() - startedAt, virtualMs },
  };
}

/** Leaves out what two acts leave behind that cancel each other out: generations, and builds that are not ours. */
function withoutTraces({ objects, coder, counts }: Outcome): unknown {
  const isTheirs = (line: string): boolean => / by (?:ann|bob): /.test(line);
  const strip = (value: unknown): unknown => {
    if (Array.isArray(value)) {
      return value.filter((each) => typeof each !== 'string' || !isTheirs(each)).map(strip);
    }
    if (typeof value === 'string') return value.replace(/\(build \d+\)/, '(build N)');
    if (typeof value !== 'object' || value === null) return value;
    const kept = Object.entries(value).filter(([key]) => !TRACES.has(key));
    return Object.fromEntries(kept.map(([key, each]) => [key, strip(each)]));
  };
  const { deleted, ...rest } = coder as { readonly deleted: readonly string[] };
  const ours = deleted.map((lines) =>
    lines
      .split(', ')
      .filter((line) => !isTheirs(line))
      .join(', '),
  );
  return strip({ objects, coder: { ...rest, deleted: ours.filter((lines) => lines !== '') }, counts });
}

const TRACES = new Set(['generation', 'observedGeneration', 'latestBuild', 'power', 'build']);

const LOG_LINES = 60;

/** The story of a run: what was asked when, what became of it, and what the operator said. */
function taleOf(world: World): string {
  const isRenewal = ({ key, fate }: Call): boolean => key.startsWith('PUT-leases') && fate === 'passed';
  const calls = world.calls
    .filter((c) => !isRenewal(c))
    .map(
      (c) =>
        `${(c.at / 1000).toFixed(1)} s ${c.side} ${c.key} ${c.occurrence}: ${c.code ?? 'not sent'}${c.fate === 'passed' ? '' : ` (${c.fate})`}`,
    );
  const objects = world.objects.map((o) =>
    JSON.stringify({ name: o.metadata.name, spec: o.spec, status: o.status }),
  );
  return [
    ...['What was asked:', ...calls],
    ...['What there is:', ...objects],
    ...['What the operator said last:', ...world.log.filter((l) => !l.includes(' debug ')).slice(-LOG_LINES)],
  ].join('\n');
}
