import { systemClock } from '../../../src/base/clock.ts';
import { workspaces, type CoderWorkspace } from '../../../src/api/kinds.ts';
import { StackError } from '../../stack/errors.ts';
import { bareLoop } from '../bare.ts';
import { written } from '../counters.ts';
import type { Measurement } from '../figures.ts';
import { list } from '../objects.ts';
import { untilSettled } from '../settled.ts';
import { NAMESPACE, type Site } from '../site.ts';

/** As many as the operator has workers (`--workers`), of which it leaves two to other namespaces. */
const AT_ONCE = 10;
const BARE = 'bare';
const LONGEST_WAIT_MS = 900_000;
const TELL_EVERY_MS = 10_000;

/**
 * Connects the operator to Coder and waits until everything is mirrored and at rest.
 * @returns seconds from the connection to the last mirror.
 * @throws StackError NOT_READY
 */
export async function mirrorAll(site: Site): Promise<number> {
  const { workspaces: count, progress, signal } = site.options;
  await site.startOperator();
  await site.scraper.fresh(signal);
  site.holds.enter('mirrors');
  progress.step(`${count} mirrors from nothing`);
  await site.connect();
  await site.untilConnected();
  const start = systemClock.monotonic();
  const telling = setInterval(() => {
    const { statuses } = written(site.scraper.last?.series ?? [], workspaces.plural);
    progress.note(`${statuses} of ${count} mirrors`);
  }, TELL_EVERY_MS);
  const done = await site.scraper
    .until(
      ({ series }) => {
        const { made, statuses } = written(series, workspaces.plural);
        return made >= count && statuses >= count;
      },
      LONGEST_WAIT_MS,
      signal,
    )
    .finally(() => clearInterval(telling));
  if (done === undefined) {
    throw new StackError('NOT_READY', `There were not ${count} mirrors within ${LONGEST_WAIT_MS / 1000} s.`);
  }
  await untilSettled(site);
  const mirrors = await mirrorsOf(site);
  const wrong = mirrors.filter(({ status }) => status?.origin !== 'Mirrored' || status.id === undefined);
  if (mirrors.length !== count || wrong.length > 0) {
    throw new StackError(
      'NOT_READY',
      `There are ${mirrors.length} objects for ${count} workspaces; ${wrong.length} are no mirrors.`,
    );
  }
  const seconds = (done.at - start) / 1000;
  progress.done(`${count} mirrors in ${seconds.toFixed(1)} s`);
  return seconds;
}

/** The same objects in the plainest loop, with the operator stopped; it is started and at rest again in the end. */
export async function compareMirrors(site: Site, seconds: number): Promise<readonly Measurement[]> {
  const { progress, signal } = site.options;
  const { kubernetes } = site.stack;
  const mirrors = await mirrorsOf(site);
  await site.operator.stop();
  progress.step(`the same objects in a bare loop, ${AT_ONCE} at once`);
  await site.createNamespace(BARE);
  const bare =
    (await bareLoop({
      kubernetes,
      namespace: BARE,
      resource: workspaces,
      objects: mirrors,
      atOnce: AT_ONCE,
      signal,
    })) / 1000;
  progress.done(`${mirrors.length} objects in ${bare.toFixed(1)} s`);
  await kubernetes.kubectl(['delete', 'namespace', BARE, '--wait=false'], { signal });
  site.holds.enter('start');
  await site.startOperator();
  await untilSettled(site);
  return [
    { row: 'mirrors', title: 'mirrors from nothing', unit: 's', value: seconds },
    {
      row: 'mirrors',
      title: 'the same objects by a bare loop of POST and PUT /status',
      unit: 's',
      value: bare,
    },
    { row: 'mirrors', title: 'mirrors, times the bare loop', unit: '×', aim: 1.25, value: seconds / bare },
  ];
}

/** All objects for workspaces. */
export function mirrorsOf(site: Site): Promise<readonly CoderWorkspace[]> {
  return list<CoderWorkspace>(site.kube, workspaces, NAMESPACE);
}
