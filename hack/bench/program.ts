import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { StackError } from '../stack/errors.ts';
import { runTool } from '../stack/tools.ts';

const checkout = fileURLToPath(new URL('../..', import.meta.url));

/**
 * Compiles the operator as it is shipped: a run from its sources would carry the compiler in its memory.
 * @param name of the folder in `.local`.
 * @returns its main file, within the checkout so that it finds its packages.
 * @throws StackError BUILD_FAILED
 */
export async function compileOperator(signal?: AbortSignal, name = 'bench'): Promise<string> {
  const folder = join(checkout, '.local', name);
  rmSync(folder, { recursive: true, force: true });
  const compiler = join(checkout, 'node_modules', 'typescript', 'bin', 'tsc');
  const args = [compiler, '-p', 'tsconfig.build.json', '--outDir', folder];
  const answer = await runTool(process.execPath, args, { cwd: checkout, signal });
  if (answer?.code === 0) return join(folder, 'main.js');
  throw new StackError(
    'BUILD_FAILED',
    `The operator does not compile:\n${answer?.stdout ?? 'tsc was not found'}`,
  );
}
