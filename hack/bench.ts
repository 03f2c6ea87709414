/** `npm run bench`: what the operator costs and how quick it is, with ten thousand workspaces on real servers. */
import { writeFileSync } from 'node:fs';
import { constants, cpus, totalmem } from 'node:os';
import { help, parseArguments, UsageError, type BenchArguments } from './bench/arguments.ts';
import { compare, type Measurement } from './bench/figures.ts';
import { compileOperator } from './bench/program.ts';
import { measure } from './bench/measure.ts';
import { Site } from './bench/site.ts';
import { resultTable } from './bench/table.ts';
import { StackError } from './stack/errors.ts';
import { terminalProgress } from './stack/progress.ts';

async function main(args: readonly string[]): Promise<number> {
  const interrupt = new AbortController();
  let endedBy: 'SIGINT' | 'SIGTERM' | undefined;
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => {
      endedBy ??= name;
      interrupt.abort(new Error(`ended by ${name}`));
    });
  }
  try {
    const options = parseArguments(args);
    if (options === 'help') {
      console.log(help);
      return 0;
    }
    return await bench(options, interrupt.signal);
  } catch (error) {
    if (endedBy !== undefined) return 128 + constants.signals[endedBy];
    if (error instanceof UsageError) {
      console.error(`${error.message}\nSee: npm run bench -- --help`);
      return 2;
    }
    console.error(error instanceof StackError ? `\n${error.message}` : error);
    return 1;
  }
}

/** @returns the exit code. */
async function bench(options: BenchArguments, signal: AbortSignal): Promise<number> {
  if (process.platform !== 'linux')
    throw new StackError('TOOL_MISSING', 'The bench reads /proc and needs Linux.');
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

process.exitCode = await main(process.argv.slice(2));
