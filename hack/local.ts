import { fileURLToPath } from 'node:url';
import { constants } from 'node:os';
import { help, parseArguments, UsageError, type LocalCommand } from './local/arguments.ts';
import { down, status, up, type LocalContext } from './local/commands.ts';
import { StackError } from './stack/errors.ts';
import { terminalProgress } from './stack/progress.ts';

/** `npm run local`: reads the command line, carries the command out and gives the exit code. */
async function main(args: readonly string[]): Promise<number> {
  const interrupt = new AbortController();
  let interruptedBy: 'SIGINT' | 'SIGTERM' | 'SIGHUP' | undefined;
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      interruptedBy ??= name;
      interrupt.abort();
    });
  }
  const progress = terminalProgress();
  const context: LocalContext = {
    dir: fileURLToPath(new URL('../.local', import.meta.url)),
    progress,
    print: (text) => console.log(text),
    signal: interrupt.signal,
  };
  try {
    return await run(parseArguments(args), context);
  } catch (error) {
    if (interruptedBy !== undefined) {
      progress.note('Stopped. Nothing of it was left running.');
      return 128 + constants.signals[interruptedBy];
    }
    if (error instanceof UsageError) {
      console.error(`${error.message}\nSee: npm run local -- --help`);
      return 2;
    }
    console.error(error instanceof StackError ? `\n${error.message}` : error);
    return 1;
  }
}

async function run(command: LocalCommand, context: LocalContext): Promise<number> {
  switch (command.command) {
    case 'help':
      context.print(help);
      return 0;
    case 'up':
      await up(context, command);
      return 0;
    case 'down':
      await down(context, command);
      return 0;
    case 'status':
      return status(context) ? 0 : 1;
  }
}

process.exitCode = await main(process.argv.slice(2));
