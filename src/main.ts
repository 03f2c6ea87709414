import { errorText } from './base/errors.ts';
import { apiServerHelp, parseApiServerConfig } from './config/apiserver.ts';
import { controllerHelp, parseControllerConfig } from './config/controller.ts';
import { exportHelp, parseExportConfig } from './config/export.ts';
import { refuseUncheckedTls, UsageError, type Environment } from './config/flags.ts';

const HELP = `Usage: coder-operator <command> [flags]

Commands:
  controller    drive Coder from CoderControlPlane, CoderTemplate and CoderWorkspace objects
  apiserver     serve what is in Coder for reading, through the aggregation layer of the API server
  export        print manifests for what a Coder server holds

Flags of a command: coder-operator <command> --help
Exit codes: 0 ended as asked, 1 failed, 2 wrong usage, 3 not everything could be exported
`;

/** What there is to do for one command. */
interface Command {
  /** @returns the exit code. @throws UsageError */
  run(args: readonly string[], env: Environment): Promise<number>;
}

/** A command whose code is loaded when it is called: the others would cost memory and time in each process. */
function command<Config>(
  parse: (args: readonly string[], env: Environment) => Config | 'help',
  help: () => string,
  load: () => Promise<(config: Config) => Promise<number>>,
): Command {
  return {
    run: async (args, env) => {
      refuseUncheckedTls(env);
      const config = parse(args, env);
      if (config === 'help') return say(help());
      const run = await load();
      return run(config);
    },
  };
}

const commands: Readonly<Record<string, Command>> = {
  controller: command(
    parseControllerConfig,
    controllerHelp,
    async () => (await import('./commands/controller.ts')).controller,
  ),
  apiserver: command(
    parseApiServerConfig,
    apiServerHelp,
    async () => (await import('./commands/apiserver.ts')).apiServer,
  ),
  export: command(
    parseExportConfig,
    exportHelp,
    async () => (await import('./commands/export.ts')).exportAll,
  ),
};

function say(text: string): number {
  process.stdout.write(text);
  return 0;
}

/** @returns the exit code. */
async function main([name, ...args]: readonly string[]): Promise<number> {
  if (name === '--help' || name === 'help') return say(HELP);
  if (name === undefined) {
    say(HELP);
    return 2;
  }
  const found = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (found === undefined) throw new UsageError(`There is no command "${name}"`);
  return found.run(args, process.env);
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`coder-operator: ${errorText(error)}\n`);
  if (error instanceof UsageError) process.stderr.write('Try: coder-operator --help\n');
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
// Everything that was to be finished is. After a lost lease nothing that still waits may go on.
process.exit();
