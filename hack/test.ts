/**
 * `npm test`: makes everything ready and runs the tests, all of them or the layers that are named.
 *
 *   npm test                       unit, component and e2e
 *   npm run test:unit -- --grep x  further words go to mocha
 *   npm run test:property          ten thousand random histories, others in every run
 *   npm run test:crash             everything that can break, one thing at a time: half an hour or more
 *   npm run test:crash -- W3:coder:POST-builds/web/stop:1:applied-crash
 *   npm run test:fuzz              a million inputs for what reads foreign bytes, others in every run
 */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { FuzzReport } from './fuzz.ts';
import { StackError } from './stack/errors.ts';
import { Guardian } from './stack/guardian.ts';
import { buildPrograms, type ProgramName } from './stack/programs.ts';
import { terminalProgress } from './stack/progress.ts';
import { requireTerraform } from './stack/terraform.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const layers = ['unit', 'component', 'e2e'] as const;
type Layer = (typeof layers)[number];

/** The real servers that a layer needs; they are built before its tests start, with progress to see. */
const programs: Readonly<Record<Layer, readonly ProgramName[]>> = {
  unit: [],
  component: ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kubectl', 'clients'],
  e2e: ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kubectl', 'coder', 'terraform-provider-coder'],
};

/** Neither a build nor a test that hangs must hang for ever. */
const BUILD_LONGEST_MS = 50 * 60_000;
const TESTS_LONGEST_MS = 60 * 60_000;
const HISTORIES_LONGEST_MS = 10 * 60_000;
const FUZZ_LONGEST_MS = 5 * 60_000;
/** For the hooks that clean up and for the summary, once mocha was asked to end. */
const END_WITHIN_MS = 60_000;

async function main(args: readonly string[]): Promise<number> {
  const stop = new AbortController();
  process.once('SIGINT', () => stop.abort('SIGINT'));
  process.once('SIGTERM', () => stop.abort('SIGTERM'));
  const [first = '', ...others] = args;
  switch (first) {
    case 'property':
      return histories(others, stop.signal);
    case 'fuzz':
      return fuzz(others, stop.signal);
    case 'crash':
      return crashes(others, stop.signal);
    default:
      return chosen(args, stop.signal);
  }
}

/** Layers, all of them or those that are named; the other words go to mocha. */
async function chosen(args: readonly string[], signal: AbortSignal): Promise<number> {
  const wanted = layers.filter((layer) => args.includes(layer));
  const run = wanted.length === 0 ? layers : wanted;
  const others = args.filter((arg) => !layers.some((layer) => layer === arg));

  // What is missing is better said before minutes of building than after them.
  if (run.includes('e2e')) await requireTerraform(signal);
  await build([...new Set(run.flatMap((layer) => programs[layer]))], signal);
  return mocha([...run.map((layer) => `test/${layer}/**/*.test.ts`), ...others], signal);
}

/**
 * Plays many more random histories than the unit tests do, from a seed of their own. A failure names the seed, and
 * `PROPERTY_SEED=… npm run test:property` plays the same ones again.
 */
function histories(others: readonly string[], signal: AbortSignal): Promise<number> {
  const seed = chosenSeed();
  const runs = process.env['PROPERTY_RUNS'] ?? '10000';
  console.log(`Playing ${runs} histories of each kind, PROPERTY_SEED=${seed}`);
  const args = [...abreast('test/unit/**/converge.test.ts', HISTORIES_LONGEST_MS), ...others];
  return mocha(args, signal, { PROPERTY_SEED: seed, PROPERTY_RUNS: runs });
}

/** Tries every parser of foreign bytes with many more inputs than the unit tests do, in the same way. */
async function fuzz(others: readonly string[], signal: AbortSignal): Promise<number> {
  const seed = chosenSeed();
  const runs = process.env['FUZZ_RUNS'] ?? '11000';
  console.log(`Trying about ${runs} inputs of each kind, PROPERTY_SEED=${seed}`);
  const args = [...abreast('test/unit/fuzz/*.test.ts', FUZZ_LONGEST_MS), ...others];
  const report = new FuzzReport();
  try {
    const env = { PROPERTY_SEED: seed, FUZZ_RUNS: runs, FUZZ_REPORT: report.file };
    const code = await mocha(args, signal, env);
    console.log(`\nInputs that were tried:\n${report.text()}`);
    return code;
  } finally {
    report.remove();
  }
}

/** The one that is asked for, or another in every run. */
function chosenSeed(): string {
  return process.env['PROPERTY_SEED'] ?? String(Date.now() % 1_000_000_000);
}

/** Files of tests that run in two processes, each of their tests for so long at most. */
function abreast(spec: string, longestMs: number): readonly string[] {
  return [spec, '--parallel', '--jobs', '2', '--timeout', String(longestMs)];
}

/**
 * Runs the crash matrix, or the plans that are named: `[--json FILE] [--every N] [ID…]`. A plan that fails prints its id,
 * which runs it again.
 */
async function crashes(args: readonly string[], signal: AbortSignal): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { json: { type: 'string', default: '' }, every: { type: 'string', default: '1' } },
  });
  await build(programs.component, signal);
  const env = {
    CRASH_PLANS: positionals.join(' '),
    CRASH_JSON: values.json === '' ? '' : resolve(values.json),
    CRASH_EVERY: values.every,
  };
  return mocha(['test/crash/**/*.test.ts'], signal, env);
}

async function build(names: readonly ProgramName[], signal: AbortSignal): Promise<void> {
  const tooLong = AbortSignal.timeout(BUILD_LONGEST_MS);
  const guardian = new Guardian();
  try {
    const either = AbortSignal.any([signal, tooLong]);
    await buildPrograms(names, { progress: terminalProgress(), guardian, signal: either });
  } catch (error) {
    if (signal.aborted || !tooLong.aborted) throw error;
    throw new StackError(
      'BUILD_FAILED',
      `The servers were not built within ${BUILD_LONGEST_MS / 60_000} minutes. Run the same command again: it goes on with what is compiled.`,
      { cause: error },
    );
  } finally {
    guardian.close();
  }
}

function mocha(
  args: readonly string[],
  signal: AbortSignal,
  env: Readonly<Record<string, string>> = {},
): Promise<number> {
  // Not by mocha's own command: that runs another process, which it ends before the summary, with exit code 0.
  const child = spawn(process.execPath, ['--import', 'tsx', 'node_modules/mocha/lib/cli/cli.js', ...args], {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, ...env },
  });
  // What is cut short has not passed, whatever mocha makes of it: with several processes its exit code is 0.
  let isCutShort = false;
  const killLater = (): void => {
    isCutShort = true;
    setTimeout(() => child.kill('SIGKILL'), END_WITHIN_MS).unref();
  };
  const tooLong = setTimeout(() => {
    console.error(`The tests did not end within ${TESTS_LONGEST_MS / 60_000} minutes; they are ended now.`);
    // Our reporter ends with the summary at the first SIGINT.
    child.kill('SIGINT');
    killLater();
  }, TESTS_LONGEST_MS);
  const interrupt = (): void => {
    // Ctrl-C at a terminal has reached mocha already; a second one would end it without its summary.
    if (signal.reason !== 'SIGINT' || !process.stdin.isTTY) child.kill('SIGINT');
    killLater();
  };
  if (signal.aborted) interrupt();
  else signal.addEventListener('abort', interrupt, { once: true });
  return new Promise((ended) => {
    child.once('exit', (code, name) => {
      clearTimeout(tooLong);
      const status = code ?? 128 + (name === null ? 0 : constants.signals[name]);
      ended(isCutShort ? Math.max(1, status) : status);
    });
  });
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  console.error(error instanceof StackError ? error.message : error);
  process.exitCode = 1;
}
