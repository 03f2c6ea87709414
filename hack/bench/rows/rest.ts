import { systemClock } from '../../../src/base/clock.ts';
import { coderRequests, coderWrites, kubeWrites, noteOf, servedWrites, total } from '../counters.ts';
import type { Figure, Measurement } from '../figures.ts';
import { cpuSeconds } from '../processes.ts';
import { untilBuilt } from '../seed.ts';
import { untilLooked } from '../settled.ts';
import type { Site } from '../site.ts';

const BASELINE_MS = 60_000;
/** What the database has to tidy after so many new rows is not to be counted. */
const TIDY_MS = 15_000;

/** CPU of Coder and its database while nobody asks them anything, in parts of one core. */
export async function baseline(site: Site): Promise<number> {
  const { progress, signal } = site.options;
  progress.step(`measuring what Coder uses by itself, for ${BASELINE_MS / 1000} s`);
  await untilBuilt(site.stack.coder, site.coder, signal);
  await systemClock.sleep(TIDY_MS, signal);
  const before = coderCpu(site);
  await systemClock.sleep(BASELINE_MS, signal);
  return (coderCpu(site) - before) / (BASELINE_MS / 1000);
}

/** What the operator asks and writes while nothing happens, from the end of one look at everything to that of another. */
export async function rest(site: Site, looks: number, alone: number): Promise<readonly Measurement[]> {
  const { progress, signal } = site.options;
  progress.step(`at rest until ${looks} more looks at everything are over`);
  site.holds.enter('rest');
  await untilLooked(site, 1);
  const before = await site.scraper.fresh(signal);
  const servedBefore = servedWrites(await site.apiServerSeries());
  const cpuBefore = coderCpu(site);
  const start = systemClock.monotonic();
  await untilLooked(site, looks);
  const with_ = (coderCpu(site) - cpuBefore) / ((systemClock.monotonic() - start) / 1000);
  const after = await site.scraper.fresh(signal);
  const served = servedWrites(await site.apiServerSeries()) - servedBefore;
  const minutes = (after.at - before.at) / 60_000;
  progress.done(`at rest for ${minutes.toFixed(1)} min`);

  const kube = kubeWrites(before.series, after.series);
  const coder = coderWrites(before.series, after.series);
  const requests = coderRequests(before.series, after.series);
  const perMinute = new Map([...requests].map(([key, n]) => [key, Math.round((10 * n) / minutes) / 10]));
  const none: Pick<Figure, 'row' | 'unit' | 'aim'> = { row: 'rest', unit: '', aim: 0 };
  return [
    {
      ...none,
      title: 'writes to Kubernetes at rest, the Lease aside',
      value: total(kube),
      note: [`in ${minutes.toFixed(1)} min`, noteOf(kube).note].filter((n) => n !== undefined).join(': '),
    },
    { ...none, title: 'the same as the API server counts them', value: served },
    { ...none, title: 'writes to Coder at rest', value: total(coder), ...noteOf(coder) },
    {
      row: 'rest',
      title: 'requests to Coder at rest',
      unit: '/min',
      value: total(requests) / minutes,
      ...noteOf(perMinute),
    },
    {
      row: 'rest',
      title: 'CPU of Coder and its database at rest caused by us, of one core',
      unit: '%',
      aim: 10,
      value: 100 * (with_ - alone),
      note: `${(100 * with_).toFixed(1)} % with the operator, ${(100 * alone).toFixed(1)} % without`,
    },
  ];
}

/** In seconds. */
function coderCpu(site: Site): number {
  return cpuSeconds(site.pidOf('coder')) + cpuSeconds(site.pidOf('postgres'));
}
