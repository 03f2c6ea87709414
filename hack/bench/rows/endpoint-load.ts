import { systemClock } from '../../../src/base/clock.ts';
import type { EndpointRig } from '../endpoint.ts';
import { quantile, type Measurement } from '../figures.ts';
import { memoryOf } from '../processes.ts';
import type { Site } from '../site.ts';

const CLIENTS = 20;
const SECONDS = 20;
/** Until what was needed for answers is given back. */
const REST_MS = 10_000;
const MB = 1024 * 1024;

/**
 * Many list everything without pause, and kube-apiserver's own question whether the endpoint is there has to be answered.
 * @param atFirst memory in MB before anything was read.
 */
export async function loaded(site: Site, rig: EndpointRig, atFirst: number): Promise<readonly Measurement[]> {
  const found: Measurement[] = [];
  for (const gzip of [false, true]) found.push(...(await underLoad(site, rig, gzip)));
  const { peak } = memoryOf(rig.pid());
  await systemClock.sleep(REST_MS, site.signal);
  const { now } = memoryOf(rig.pid());
  const memory = { row: 'endpoint-load', unit: 'MB', aim: 200 } as const;
  return [
    ...found,
    { ...memory, title: "the endpoint's memory before the first read (VmRSS)", value: atFirst },
    { ...memory, title: "the endpoint's memory at its peak (VmHWM)", value: peak / MB },
    { ...memory, title: "the endpoint's memory at rest afterwards (VmRSS)", value: now / MB },
  ];
}

async function underLoad(site: Site, rig: EndpointRig, gzip: boolean): Promise<readonly Measurement[]> {
  site.options.progress.step(
    `${CLIENTS} clients list everything for ${SECONDS} s${gzip ? ', compressed' : ''}`,
  );
  const args = [
    ...['--path', rig.lists.view, '--clients', String(CLIENTS), '--for', `${SECONDS}s`],
    ...(gzip ? ['--gzip'] : []),
    ...rig.probe(),
  ];
  // As an administrator: nothing in kube-apiserver holds these back.
  const lines = await rig.run('load', args, 'admin');
  const probes = lines.filter((l) => l.event === 'probe');
  const failed = probes.filter((l) => l['code'] !== 200);
  const times = probes.map((l) => Number(l['ms']));
  const load = lines.find((l) => l.event === 'load');
  const lists = Number(load?.['lists']);
  const wrong = Number(load?.['failures']);
  const how = `while ${CLIENTS} clients list everything${gzip ? ', compressed' : ''}`;
  const note = `${lists} lists (${(lists / SECONDS).toFixed(1)} a second), ${wrong} of them failed`;
  const row = 'endpoint-load';
  return [
    { row, title: `the probe of availability ${how}: p50`, unit: 'ms', value: quantile(times, 0.5) },
    {
      row,
      title: `the probe of availability ${how}: longest`,
      unit: 'ms',
      aim: 1_000,
      // One that failed is one that took for ever.
      value: failed.length > 0 ? Infinity : quantile(times, 1),
      note: failed.length > 0 ? `${failed.length} of ${times.length} probes failed; ${note}` : note,
    },
    { row, title: `lists that failed ${how}`, unit: '', aim: 0, value: wrong },
  ];
}
