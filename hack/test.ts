/**
 * `npm test`: makes everything ready and runs the tests, all of them or the layers that are named.
 *
 *   npm test                       unit, component and e2e
 *   npm run test:unit -- --grep x  further words go to mocha
 */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';
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
  component: ['etcd', 'kube-apiserver', 'kubectl'],
  e2e: ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kubectl', 'coder', 'terraform-provider-coder'],
};

/** A test that hangs must not hang for ever. */
const LONGEST_MS = 40 * 60_000;

async function main(args: readonly string[]): Promise<number> {
  const wanted = layers.filter((layer) => args.includes(layer));
  const chosen = wanted.length === 0 ? layers : wanted;
  const others = args.filter((arg) => !layers.some((layer) => layer === arg));
  const stop = new AbortController();
  process.once('SIGINT', () => stop.abort());
  process.once('SIGTERM', () => stop.abort());

  // What is missing is better said before minutes of building than after them.
  if (chosen.includes('e2e')) await requireTerraform(stop.signal);
  const needed = [...new Set(chosen.flatMap((layer) => programs[layer]))];
  const guardian = new Guardian();
  try {
    await buildPrograms(needed, { progress: terminalProgress(), guardian, signal: stop.signal });
  } finally {
    guardian.close();
  }
  const specs = chosen.map((layer) => `test/${layer}/**/*.test.ts`);
  return mocha([...specs, ...others], stop.signal);
}

function mocha(args: readonly string[], signal: AbortSignal): Promise<number> {
  const child = spawn(process.execPath, ['node_modules/mocha/bin/mocha.js', ...args], {
    cwd: root,
    stdio: 'inherit',
  });
  const tooLong = setTimeout(() => {
    console.error(`The tests did not end within ${LONGEST_MS / 60_000} minutes; they are ended now.`);
    // Mocha ends with its summary at the first SIGINT.
    child.kill('SIGINT');
    setTimeout(() => child.kill('SIGKILL'), 30_000).unref();
  }, LONGEST_MS);
  signal.addEventListener('abort', () => child.kill('SIGINT'), { once: true });
  return new Promise((resolve) => {
    child.once('exit', (code, name) => {
      clearTimeout(tooLong);
      resolve(code ?? 128 + (name === null ? 0 : constants.signals[name]));
    });
  });
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  console.error(error instanceof StackError ? error.message : error);
  process.exitCode = 1;
}
