import type { Call, Fate } from './wire.ts';
import { transients } from './transients.ts';
import type { Workload } from './workload.ts';

const MODES = [
  'crash',
  'applied-crash',
  'error',
  'applied-error',
  'stale-restart',
  'stale-reconnect',
  'stale-list',
  'unobserved',
] as const satisfies readonly (Exclude<Fate, 'passed'> | `stale-${string}` | 'unobserved')[];

/** What a plan does, and how it is written in an id. */
export type Mode = (typeof MODES)[number];

const FAULTS: readonly Mode[] = ['crash', 'applied-crash', 'error', 'applied-error'];
/** Events are a courtesy: nothing reads them, so whether one was made makes no difference to what comes after. */
const FAULTS_OF_EVENTS: readonly Mode[] = ['crash', 'error'];

/**
 * One run of a workload with one thing that goes wrong. It is known by a line such as
 * `W3:coder:POST-builds/web/stop:1:applied-crash`: the workload, which of both APIs, verb and object of a request, the
 * so many-th of that kind, and what happens to it.
 */
export interface Plan {
  readonly workload: Workload;
  readonly side: 'kube' | 'coder' | 'people';
  /** Of the request; for what nobody observes, the name of the transient. */
  readonly key: string;
  /** Of the request; for what nobody observes, the checkpoint. */
  readonly occurrence: number;
  readonly mode: Mode;
}

export function idOf({ workload, side, key, occurrence, mode }: Plan): string {
  return [workload.id, side, key, occurrence, mode].join(':');
}

/** @throws when the line is no id of a plan. */
export function planOf(id: string, workloads: readonly Workload[]): Plan {
  const [name = '', side = '', key = '', occurrence = '', end] = id.split(':');
  const mode = MODES.find((known) => known === end);
  const workload = workloads.find((w) => w.id === name);
  const isSide = side === 'kube' || side === 'coder' || side === 'people';
  if (workload === undefined || !isSide || !/^\d+$/.test(occurrence) || mode === undefined) {
    throw new Error(`${id} is no plan. One looks like W3:coder:POST-builds/web/stop:1:applied-crash`);
  }
  return { workload, side, key, occurrence: Number(occurrence), mode };
}

/** The lease is renewed again and again; what a renewal meets, the first ones show. */
const RENEWALS = 2;

/** Every plan of a workload, as its run without a fault says. */
export function plansOf(workload: Workload, calls: readonly Call[], checkpoints: number): readonly Plan[] {
  const met = calls.filter((c) => !c.key.includes('-leases') || c.occurrence <= RENEWALS);
  const faults = met.flatMap(({ side, key, occurrence }) =>
    (key.includes('-events/') ? FAULTS_OF_EVENTS : FAULTS).map((mode): Plan => ({
      workload,
      side,
      key,
      occurrence,
      mode,
    })),
  );
  const stale = met.flatMap(({ side, key, occurrence }): readonly Plan[] => {
    if (side === 'coder') return [{ workload, side, key, occurrence, mode: 'stale-list' }];
    // Only what is watched can be seen late.
    if (!/^\w+-(ccp|ctpl|cws)\//.test(key)) return [];
    const modes: readonly Mode[] = ['stale-restart', 'stale-reconnect'];
    return modes.map((mode): Plan => ({ workload, side, key, occurrence, mode }));
  });
  const unobserved = Array.from({ length: checkpoints }, (_, occurrence) =>
    Object.keys(transients).map((key): Plan => ({
      workload,
      side: 'people',
      key,
      occurrence,
      mode: 'unobserved',
    })),
  ).flat();
  return [...faults, ...stale, ...unobserved];
}
