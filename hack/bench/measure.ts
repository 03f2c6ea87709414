import type { BenchArguments, Row } from './arguments.ts';
import type { Measurement } from './figures.ts';
import type { LongestHold } from './holds.ts';
import { memoryOf } from './processes.ts';
import { dashboard } from './rows/dashboard.ts';
import { endpoint } from './rows/endpoint.ts';
import { compareMirrors, mirrorAll } from './rows/mirrors.ts';
import { baseline, rest } from './rows/rest.ts';
import { restart } from './rows/restart.ts';
import { apply, resync } from './rows/wishes.ts';
import type { Site } from './site.ts';

const MB = 1024 * 1024;

/** Measures the rows that are wanted at the size of the site. Each begins and ends with everything at rest. */
export async function measure(site: Site, options: BenchArguments): Promise<readonly Measurement[]> {
  const wants = (row: Row): boolean => options.rows.includes(row);
  const found: Measurement[] = [];
  const alone = wants('rest') ? await baseline(site) : undefined;
  const seconds = await mirrorAll(site);
  // What a process needed at most has to be asked before it is ended.
  let peak = memoryOf(site.operatorPid()).peak;
  if (wants('mirrors')) found.push(...(await compareMirrors(site, seconds)));
  if (wants('restart')) found.push(...(await restart(site)));
  if (alone !== undefined) found.push(...(await rest(site, options.looks, alone)));
  const { now } = memoryOf(site.operatorPid());
  if (wants('apply')) found.push(...(await apply(site)));
  if (wants('resync')) found.push(...(await resync(site)));
  if (wants('dashboard')) found.push(...(await dashboard(site)));
  peak = Math.max(peak, memoryOf(site.operatorPid()).peak);
  if (wants('loop')) found.push(...longestHolds(site));
  if (wants('memory')) {
    const memory = { row: 'memory', unit: 'MB', aim: 250 } as const;
    found.push(
      { ...memory, title: "the operator's memory at its peak (VmHWM)", value: peak / MB },
      { ...memory, title: "the operator's memory at rest (VmRSS)", value: now / MB },
    );
  }
  found.push(...(await endpoint(site, wants)));
  return found;
}

function longestHolds({ holds }: Site): readonly Measurement[] {
  const longest = holds.longest();
  const hold = { row: 'loop', unit: 'ms' } as const;
  const told = (of: (one: LongestHold) => number): string =>
    longest.map((one) => `${one.phase} ${Math.round(of(one))} ms`).join(', ');
  return [
    {
      ...hold,
      title: 'longest hold of the event loop',
      aim: 50,
      value: Math.max(...longest.map(({ ms }) => ms)),
      note: told(({ ms }) => ms),
    },
    {
      ...hold,
      title: 'the same, less the time that others had the cores',
      value: Math.max(...longest.map(({ ownMs }) => ownMs)),
      note: told(({ ownMs }) => ownMs),
    },
  ];
}
