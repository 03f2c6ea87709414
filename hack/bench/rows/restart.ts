import { systemClock } from '../../../src/base/clock.ts';
import { coderWrites, kubeWrites, noteOf, passes, servedWrites, total } from '../counters.ts';
import type { Figure, Measurement } from '../figures.ts';
import { untilSettled } from '../settled.ts';
import type { Site } from '../site.ts';

/** How long the operator needs after a restart until it has gone through everything, and what it writes meanwhile. */
export async function restart(site: Site): Promise<readonly Measurement[]> {
  const { progress, signal } = site.options;
  progress.step('restarting the operator');
  site.holds.enter('restart');
  const servedBefore = servedWrites(await site.apiServerSeries());
  const start = systemClock.monotonic();
  await site.operator.stop('SIGTERM');
  await site.startOperator();
  const seconds = ((await untilSettled(site)) - start) / 1000;
  const { series } = await site.scraper.fresh(signal);
  const kube = kubeWrites([], series);
  const coder = coderWrites([], series);
  const served = servedWrites(await site.apiServerSeries()) - servedBefore;
  progress.done(`settled after ${seconds.toFixed(1)} s`);
  const none: Pick<Figure, 'row' | 'unit' | 'aim'> = { row: 'restart', unit: '', aim: 0 };
  return [
    {
      row: 'restart',
      title: 'restart until all is settled, from SIGTERM',
      unit: 's',
      aim: 15,
      value: seconds,
      note: `${passes(series)} passes`,
    },
    { ...none, title: 'its writes to Kubernetes, the Lease aside', value: total(kube), ...noteOf(kube) },
    { ...none, title: 'the same as the API server counts them', value: served },
    { ...none, title: 'its writes to Coder', value: total(coder), ...noteOf(coder) },
  ];
}
