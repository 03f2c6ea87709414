import type { EndpointRig } from '../endpoint.ts';
import { quantile, type Measurement } from '../figures.ts';
import { memoryOf } from '../processes.ts';
import type { Site } from '../site.ts';

const WATCHERS = 1_000;
const CHANGES = 15;
const ROUNDS = 4;
const NS_PER_MS = 1e6;
const MB = 1024 * 1024;

/** How soon many watches have a change of an object, counted from the moment at which it is asked for. */
export async function watching(site: Site, rig: EndpointRig, name: string): Promise<readonly Measurement[]> {
  const { view, objects } = rig.lists;
  site.options.progress.step(
    `${CHANGES * ROUNDS} changes seen by ${WATCHERS} watches, through the endpoint and past it`,
  );
  const lines = await rig.run(
    'watchers',
    [
      ...['--path', view, '--path', objects, '--change', rig.object(name).object],
      ...['--count', String(WATCHERS), '--changes', String(CHANGES), '--rounds', String(ROUNDS)],
    ],
    'admin',
  );
  const arrivals = (path: string): readonly number[] =>
    lines
      .filter((l) => l.event === 'change' && l['path'] === path)
      .flatMap((l) => l['arrivals'] as readonly number[])
      .map((ns) => ns / NS_PER_MS);
  const [through, past] = [arrivals(view), arrivals(objects)];
  const title = `a change seen by ${WATCHERS} watches`;
  const figure = { row: 'endpoint-watch', unit: 'ms' } as const;
  const note = `${CHANGES * ROUNDS} changes`;
  const [p99, pastP99] = [quantile(through, 0.99), quantile(past, 0.99)];
  return [
    { ...figure, title: `${title} through the endpoint: p50`, value: quantile(through, 0.5) },
    { ...figure, title: `${title} of the object itself: p50`, value: quantile(past, 0.5) },
    { ...figure, title: `${title} through the endpoint: p99`, value: p99, note },
    { ...figure, title: `${title} of the object itself: p99`, value: pastP99, note },
    { ...figure, title: `${title}: p99, times the object itself`, unit: '×', aim: 1.2, value: p99 / pastP99 },
    {
      ...figure,
      title: `the endpoint's memory at its peak since it began, ${WATCHERS} watches last (VmHWM)`,
      unit: 'MB',
      value: memoryOf(rig.pid()).peak / MB,
    },
  ];
}
