import { systemClock } from '../../../src/base/clock.ts';
import { workspaces, type CoderWorkspace } from '../../../src/api/kinds.ts';
import { Store } from '../../../src/kube/store.ts';
import { quantile, type Measurement } from '../figures.ts';
import { untilSettled } from '../settled.ts';
import { NAMESPACE, type Site } from '../site.ts';
import { reflect, untilObject } from '../wish.ts';
import { mirrorsOf } from './mirrors.ts';

const TIMES = 24;
/**
 * A person acts anywhere between two looks of the operator at Coder's newest jobs, not always right after one. As long as
 * that rhythm, so that each moment in it is as likely as any other.
 */
const LONGEST_PAUSE_MS = 4_000;

interface Times {
  /** From the answer of Coder to the new build in the object, in milliseconds. */
  readonly seenMs: number;
  /** From there to the end of the build in the object, less the build's own time. */
  readonly endMs: number;
}

/** Starts and stops that somebody makes in Coder, of workspaces from all over the list. */
export async function dashboard(site: Site): Promise<readonly Measurement[]> {
  const { progress } = site.options;
  progress.step(`${TIMES} starts and stops made in Coder`);
  await untilSettled(site);
  site.holds.enter('dashboard');
  const times: Times[] = [];
  for (const mirror of spread(await mirrorsOf(site), TIMES)) times.push(await act(site, mirror));
  const seen = times.map((t) => t.seenMs);
  const ends = times.map((t) => t.endMs);
  const title = 'a start or stop made in Coder, seen in the object';
  const figure = { row: 'dashboard', unit: 'ms' } as const;
  return [
    { ...figure, title: `${title}: p50`, value: quantile(seen, 0.5) },
    { ...figure, title: `${title}: longest`, aim: 4_000, value: quantile(seen, 1), note: `${TIMES} times` },
    { ...figure, title: 'its end seen in the object, beyond its build: p50', value: quantile(ends, 0.5) },
    { ...figure, title: 'its end seen in the object, beyond its build: longest', value: quantile(ends, 1) },
  ];
}

async function act(site: Site, { metadata, status }: CoderWorkspace): Promise<Times> {
  const { signal } = site;
  const id = status?.id ?? '';
  const key = `${NAMESPACE}/${metadata.name}`;
  const store = new Store<CoderWorkspace>();
  const ended = new AbortController();
  const either = AbortSignal.any([signal, ended.signal]);
  const selection = { fieldSelector: `metadata.name=${metadata.name}` };
  const reflecting = reflect(site.kube, workspaces, NAMESPACE, store, either, selection);
  await store.hasSynced;
  await systemClock.sleep(LONGEST_PAUSE_MS * Math.random(), signal);

  const transition = status?.running === true ? 'stop' : 'start';
  const { build_number: number } = await site.coder.createBuild(id, { transition }, { signal });
  const start = systemClock.monotonic();
  const seen = await untilObject(store, key, ({ status: now }) => (now?.latestBuild?.number ?? 0) >= number);
  const end = await untilObject(store, key, ({ status: now }) => {
    const build = now?.latestBuild;
    return build !== undefined && build.number >= number && build.completedAt !== undefined;
  });
  const { job } = (await site.coder.workspace(id, { signal })).latest_build;
  ended.abort();
  await reflecting;
  const buildMs = Date.parse(job.completed_at ?? '') - Date.parse(job.created_at);
  return { seenMs: seen.at - start, endMs: end.at - start - buildMs };
}

/** So many of them, from the first to the last. */
function spread<T>(items: readonly T[], count: number): readonly T[] {
  const step = Math.max(1, Math.floor(items.length / count));
  return items.filter((_, i) => i % step === 0).slice(0, count);
}
