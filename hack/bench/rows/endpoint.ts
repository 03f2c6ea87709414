import { workspaces, type CoderWorkspace } from '../../../src/api/kinds.ts';
import type { ClientLine } from '../../stack/clients.ts';
import { StackError } from '../../stack/errors.ts';
import { ENDPOINT_ROWS, type Row } from '../arguments.ts';
import { EndpointRig } from '../endpoint.ts';
import { quantile, type Measurement } from '../figures.ts';
import { memoryOf } from '../processes.ts';
import { sum } from '../prometheus.ts';
import { NAMESPACE, type Site } from '../site.ts';
import { loaded } from './endpoint-load.ts';
import { watching } from './endpoint-watch.ts';

const MB = 1024 * 1024;
/** Of each kind of list, and of the object. */
const LISTS = 11;
const GETS = 1_000;

/**
 * Reads through the endpoint beside the same reads of the objects, through the same API server. The operator and Coder are
 * stopped: neither is needed, and both sides have the whole machine. They are not started again.
 */
export async function endpoint(site: Site, wants: (row: Row) => boolean): Promise<readonly Measurement[]> {
  if (!ENDPOINT_ROWS.some(wants)) return [];
  const { progress } = site.options;
  const name = await anyWorkspace(site);
  await site.operator.stop();
  await site.stack.coder.stop();
  const rig = await EndpointRig.open(site);
  try {
    const found: Measurement[] = [];
    const { now: atFirst } = memoryOf(rig.pid());
    if (wants('endpoint-list')) {
      progress.step(`${LISTS} lists of everything, through the endpoint and of the objects`);
      found.push(...(await lists(rig, false)), ...(await lists(rig, true)));
    }
    if (wants('endpoint-get')) {
      progress.step(`${GETS} reads of one, through the endpoint and of the object`);
      found.push(...(await gets(rig, name)));
    }
    if (wants('endpoint-load')) found.push(...(await loaded(site, rig, atFirst / MB)));
    // Last: memory with so many watches is another matter than memory for answers.
    if (wants('endpoint-watch')) found.push(...(await watching(site, rig, name)));
    return found;
  } finally {
    await rig.close();
  }
}

async function lists(rig: EndpointRig, gzip: boolean): Promise<readonly Measurement[]> {
  const { view, objects } = rig.lists;
  const args = ['--path', view, '--path', objects, '--times', String(LISTS), ...(gzip ? ['--gzip'] : [])];
  const read = await rig.run('reads', args, 'reader');
  const how = gzip ? ', compressed' : '';
  const row = 'endpoint-list';
  const [through, past] = [timesOf(read, view), timesOf(read, objects)];
  const size = (path: string): string => {
    const bytes = read.find((l) => l['path'] === path)?.['bytes'];
    return `${(Number(bytes) / 1e6).toFixed(1)} MB, ${LISTS} times`;
  };
  return [
    {
      row,
      title: `LIST of all${how}, through the endpoint: p50`,
      unit: 'ms',
      value: through,
      note: size(view),
    },
    { row, title: `LIST of the objects themselves${how}: p50`, unit: 'ms', value: past, note: size(objects) },
    {
      row,
      title: `LIST of all${how}, of the time of the objects themselves`,
      unit: '%',
      aim: gzip ? 2.5 : 10,
      value: (100 * through) / past,
    },
  ];
}

async function gets(rig: EndpointRig, name: string): Promise<readonly Measurement[]> {
  const { view, object } = rig.object(name);
  const args = ['--path', view, '--path', object, '--times', String(GETS), '--warm', '50'];
  const read = await rig.run('reads', args, 'reader');
  const row = 'endpoint-get';
  const [through, past] = [timesOf(read, view), timesOf(read, object)];
  const series = await rig.series();
  const answered = sum(series, 'apiserver_request_total');
  return [
    {
      row,
      title: 'GET of one, through the endpoint: p50',
      unit: 'ms',
      value: through,
      note: `${GETS} times; ${answered} requests were answered while Coder did not run`,
    },
    { row, title: 'GET of the object itself: p50', unit: 'ms', value: past },
    { row, title: 'GET, times the object itself', unit: '×', aim: 1.2, value: through / past },
  ];
}

function timesOf(lines: readonly ClientLine[], path: string): number {
  const times = lines.filter((l) => l.event === 'read' && l['path'] === path).map((l) => Number(l['ms']));
  return quantile(times, 0.5);
}

/** One from the middle of the list. @throws StackError NOT_READY */
async function anyWorkspace({ kube, options }: Site): Promise<string> {
  const { items } = await kube.list<CoderWorkspace>(workspaces, NAMESPACE, { limit: options.workspaces });
  const name = items[Math.floor(items.length / 2)]?.metadata.name;
  if (name === undefined) throw new StackError('NOT_READY', 'There is no workspace to read.');
  return name;
}
