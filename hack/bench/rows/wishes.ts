import { workspaces, type CoderWorkspace } from '../../../src/api/kinds.ts';
import { Store } from '../../../src/kube/store.ts';
import { passes } from '../counters.ts';
import { quantile, type Measurement } from '../figures.ts';
import { untilSettled } from '../settled.ts';
import { NAMESPACE, type Site } from '../site.ts';
import { reflect, timedWish, type WishTimes } from '../wish.ts';

const TIMES = 25;
const LABEL = 'bench.coder.com/wish';

/** New workspaces, one after the other, from the request to Ready beyond Coder's own build. */
export async function apply(site: Site): Promise<readonly Measurement[]> {
  site.options.progress.step(`${TIMES} new workspaces, one after the other`);
  site.holds.enter('apply');
  const times = await inTurn(site, 'try', () => Promise.resolve());
  return figures('apply', 'a new workspace to Ready, beyond its build', times, { p50: 1_000, p99: 2_500 });
}

/** The same while all objects are gone through, because the control plane allows something else than before. */
export async function resync(site: Site): Promise<readonly Measurement[]> {
  const { progress, signal } = site.options;
  progress.step(`${TIMES} new workspaces while all objects are gone through`);
  site.holds.enter('resync');
  const before = passes((await site.scraper.fresh(signal)).series);
  let turn = 0;
  const times = await inTurn(site, 'sync', async () => {
    await untilSettled(site);
    await site.patchControlPlane({ adoptedDeletion: turn++ % 2 === 0 ? 'Allow' : 'Deny' });
  });
  await untilSettled(site);
  const each = (passes((await site.scraper.fresh(signal)).series) - before) / TIMES;
  const title = 'the same while all objects are gone through';
  return figures('resync', title, times, { p99: 5_000 }, `${Math.round(each)} passes each time`);
}

async function inTurn(site: Site, name: string, before: () => Promise<void>): Promise<readonly WishTimes[]> {
  const store = new Store<CoderWorkspace>();
  const ended = new AbortController();
  const either = AbortSignal.any([site.signal, ended.signal]);
  const reflecting = reflect(site.kube, workspaces, NAMESPACE, store, either, { labelSelector: LABEL });
  const [user = ''] = site.seeds.users;
  const times: WishTimes[] = [];
  for (let i = 1; i <= TIMES; i++) {
    const object = {
      metadata: { namespace: NAMESPACE, name: `coder.${user}.${name}${i}`, labels: { [LABEL]: 'true' } },
      spec: { templateName: site.seeds.template.name, running: true },
    };
    await before();
    times.push(await timedWish(store, site.coder, () => site.kube.create(workspaces, object)));
  }
  ended.abort();
  await reflecting;
  return times;
}

function figures(
  row: string,
  title: string,
  times: readonly WishTimes[],
  aims: { readonly p50?: number; readonly p99: number },
  remark?: string,
): readonly Measurement[] {
  const beyond = times.map((t) => t.totalMs - t.buildMs);
  const build = quantile(
    times.map((t) => t.buildMs),
    0.5,
  );
  const notes = [`${times.length} times`, `the build itself p50 ${Math.round(build)} ms`];
  return [
    {
      row,
      title: `${title}: p50`,
      unit: 'ms',
      value: quantile(beyond, 0.5),
      ...(aims.p50 === undefined ? {} : { aim: aims.p50 }),
    },
    {
      row,
      title: `${title}: p99`,
      unit: 'ms',
      value: quantile(beyond, 0.99),
      aim: aims.p99,
      note: [...notes, ...(remark === undefined ? [] : [remark])].join(', '),
    },
  ];
}
