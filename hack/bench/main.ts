import { constants } from 'node:os';
import { StackError } from '../stack/errors.ts';
import { UsageError } from './arguments.ts';

export interface MainOptions<Arguments> {
  /** For what a person is told, such as `bench`. */
  readonly script: string;
  readonly help: string;
  /** @throws UsageError */
  readonly parse: (args: readonly string[]) => Arguments | 'help';
  /** @returns the exit code. */
  readonly run: (options: Arguments, signal: AbortSignal) => Promise<number>;
}

/**
 * What a measurement does besides measuring: help, wrong usage, and an end by Ctrl-C at which the servers end too.
 *
 * @returns the exit code.
 */
export async function runMain<Arguments extends object>(
  args: readonly string[],
  { script, help, parse, run }: MainOptions<Arguments>,
): Promise<number> {
  const interrupt = new AbortController();
  let endedBy: 'SIGINT' | 'SIGTERM' | undefined;
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => {
      endedBy ??= name;
      interrupt.abort(new Error(`ended by ${name}`));
    });
  }
  try {
    const options = parse(args);
    if (options === 'help') {
      console.log(help);
      return 0;
    }
    if (process.platform !== 'linux')
      throw new StackError('TOOL_MISSING', `The ${script} reads /proc and needs Linux.`);
    return await run(options, interrupt.signal);
  } catch (error) {
    if (endedBy !== undefined) return 128 + constants.signals[endedBy];
    if (error instanceof UsageError) {
      console.error(`${error.message}\nSee: npm run ${script} -- --help`);
      return 2;
    }
    console.error(error instanceof StackError ? `\n${error.message}` : error);
    return 1;
  }
}
