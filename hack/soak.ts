/** `npm run soak`: whether the operator stays right, and stays small, while much happens in Coder for long. */
import { readdirSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../src/base/clock.ts';
import { templates, workspaces, type CoderTemplate, type CoderWorkspace } from '../src/api/kinds.ts';
import { coderWrites, kubeWrites, passes, total } from './bench/counters.ts';
import { limit } from './bench/limit.ts';
import { runMain } from './bench/main.ts';
import { list } from './bench/objects.ts';
import { memoryOf, openFiles } from './bench/processes.ts';
import { compileOperator } from './bench/program.ts';
import { sum } from './bench/prometheus.ts';
import { untilBuilt } from './bench/seed.ts';
import { untilLooked, untilSettled } from './bench/settled.ts';
import { NAMESPACE, Site } from './bench/site.ts';
import { columns } from './bench/table.ts';
import { help, parseArguments, type SoakArguments } from './soak/arguments.ts';
import { Churn } from './soak/churn.ts';
import { templateDifferences, wishDifferences, workspaceDifferences } from './soak/differences.ts';
import { judge, type SoakSample } from './soak/verdict.ts';
import { terminalProgress, type Progress } from './stack/progress.ts';

const SAMPLE_EVERY_MS = 10_000;
/** Said in the table: a line of this many samples. */
const LINES = 20;
const MB = 1024 * 1024;
/** A difference is one only if it stays: what was changed last may still be on its way. */
const TRIES = 3;

/** @returns the exit code. */
async function soak(options: SoakArguments, signal: AbortSignal): Promise<number> {
  const progress = terminalProgress();
  const program = await compileOperator(signal);
  const site = await Site.open({
    workspaces: options.workspaces,
    program,
    progress,
    signal,
    // Renames make no job: only a look at everything finds them.
    controlPlane: { pollInterval: '20s' },
    coderEnvironment: { CODER_ALLOW_WORKSPACE_RENAMES: 'true' },
  });
  try {
    await site.startOperator();
    await site.connect();
    await site.untilConnected();
    await untilSettled(site);
    const churn = new Churn({ site, changesPerMinute: options.changesPerMinute });
    await churn.begin();
    const samples = await underChurn(site, churn, options.minutes, progress);
    progress.step('comparing every object with Coder');
    const wrong = await compared(site, churn);
    const verdict = judge(samples);
    console.log(`\n${sampleTable(samples)}\n`);
    console.log([...churn.counts].map(([what, n]) => `${what} ${n}`).join(', '));
    console.log(
      `Memory grows by ${verdict.mbPerHour.toFixed(1)} MB an hour; ` +
        `connections ${verdict.socketsBefore} at the beginning, ${verdict.socketsAfter} at the end.`,
    );
    for (const fault of [...verdict.faults, ...wrong]) console.log(`WRONG: ${fault}`);
    if (options.json !== undefined) {
      const content = { samples, changes: Object.fromEntries(churn.counts), verdict, wrong };
      writeFileSync(options.json, `${JSON.stringify(content, null, 2)}\n`);
    }
    if (verdict.faults.length + wrong.length > 0) return 1;
    console.log('All is well: every object says what Coder says.');
    return 0;
  } finally {
    await site.close();
  }
}

async function underChurn(
  site: Site,
  churn: Churn,
  minutes: number,
  progress: Progress,
): Promise<readonly SoakSample[]> {
  const samples: SoakSample[] = [];
  const { signal: over, release } = limit(site.signal, minutes * 60_000, systemClock);
  const churning = churn.run(over);
  const start = systemClock.monotonic();
  const { series: before } = await site.scraper.fresh(site.signal);
  while (!over.aborted) {
    const { at, series } = await site.scraper.fresh(site.signal);
    const pid = site.operatorPid();
    samples.push({
      seconds: (at - start) / 1000,
      rssMB: memoryOf(pid).now / MB,
      heapMB: sum(series, 'nodejs_heap_size_used_bytes') / MB,
      sockets: openFiles(linksOf(pid))['socket'] ?? 0,
      passes: passes(series) - passes(before),
      kubeWrites: total(kubeWrites(before, series)),
      coderWrites: total(coderWrites(before, series)),
    });
    if (samples.length % 6 === 0) progress.note(lineOf(samples.at(-1)).join(', '));
    await systemClock.sleep(SAMPLE_EVERY_MS, over).catch(() => undefined);
  }
  await churning;
  release();
  site.signal.throwIfAborted();
  return samples;
}

/** What is still wrong when all has come to rest. */
async function compared(site: Site, churn: Churn): Promise<readonly string[]> {
  await untilBuilt(site.stack.coder, site.coder, site.signal);
  let wrong: readonly string[] = [];
  for (let i = 0; i < TRIES; i++) {
    await untilSettled(site);
    await untilLooked(site, 2);
    const objects = await list<CoderWorkspace>(site.kube, workspaces, NAMESPACE);
    wrong = [
      ...workspaceDifferences((await site.coder.workspaces()).workspaces, objects),
      ...templateDifferences(
        await site.coder.templates(),
        await list<CoderTemplate>(site.kube, templates, NAMESPACE),
      ),
      ...wishDifferences(churn.wishes, objects),
    ];
    if (wrong.length === 0) break;
  }
  return wrong;
}

function linksOf(pid: number): readonly string[] {
  const folder = `/proc/${pid}/fd`;
  return readdirSync(folder).flatMap((name) => {
    try {
      return [readlinkSync(join(folder, name))];
    } catch {
      // Closed meanwhile.
      return [];
    }
  });
}

function sampleTable(samples: readonly SoakSample[]): string {
  const every = Math.max(1, Math.ceil(samples.length / LINES));
  const chosen = samples.filter((_, i) => i % every === 0 || i === samples.length - 1);
  const header = [
    'TIME',
    'MEMORY',
    'HEAP',
    'CONNECTIONS',
    'PASSES',
    'WRITES TO KUBERNETES',
    'WRITES TO CODER',
  ];
  return columns([header, ...chosen.map(lineOf)]).join('\n');
}

function lineOf(sample: SoakSample | undefined): readonly string[] {
  if (sample === undefined) return [];
  const { seconds, rssMB, heapMB, sockets, passes: gone, kubeWrites: kube, coderWrites: coder } = sample;
  const minutes = `${(seconds / 60).toFixed(1)} min`;
  const memory = [rssMB, heapMB].map((mb) => `${mb.toFixed(0)} MB`);
  return [minutes, ...memory, ...[sockets, gone, kube, coder].map(String)];
}

process.exitCode = await runMain(process.argv.slice(2), {
  script: 'soak',
  help,
  parse: parseArguments,
  run: soak,
});
