/** `npm run bench`: what the operator costs and how quick it is, with ten thousand workspaces on real servers. */
import { writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { help, parseArguments, type BenchArguments } from './bench/arguments.ts';
import { compare, type Measurement } from './bench/figures.ts';
import { compileOperator } from './bench/program.ts';
import { runMain } from './bench/main.ts';
import { measure } from './bench/measure.ts';
import { Site } from './bench/site.ts';
import { resultTable } from './bench/table.ts';
import { terminalProgress } from './stack/progress.ts';

/** @returns the exit code. */
async function bench(options: BenchArguments, signal: AbortSignal): Promise<number> {
  const progress = terminalProgress();
  progress.step('compiling the operator');
  const program = await compileOperator(signal);
  const sizes: (readonly Measurement[])[] = [];
  for (const workspaces of options.sizes) {
    progress.step(`with ${workspaces} workspaces`);
    const site = await Site.open({ workspaces, program, profile: options.profile, progress, signal });
    try {
      sizes.push(await measure(site, options));
    } finally {
      await site.close();
    }
  }
  const results = compare(sizes);
  const machine = {
    cpus: cpus().length,
    model: cpus()[0]?.model.trim() ?? 'unknown',
    memoryGB: Math.round(totalmem() / 2 ** 30),
    node: process.versions.node,
  };
  const about = `${machine.cpus} × ${machine.model}, ${machine.memoryGB} GB, Node ${machine.node}, ${new Date().toISOString()}`;
  console.log(`\n${about}\n\n${resultTable(options.sizes, results)}`);
  if (options.json !== undefined) {
    const content = { at: new Date().toISOString(), machine, sizes: options.sizes, results };
    writeFileSync(options.json, `${JSON.stringify(content, null, 2)}\n`);
  }
  return results.every(({ met }) => met !== false) ? 0 : 1;
}

process.exitCode = await runMain(process.argv.slice(2), {
  script: 'bench',
  help,
  parse: parseArguments,
  run: bench,
});
