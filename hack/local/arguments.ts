/** What the command line of `npm run local` asks for. */
export type LocalCommand =
  | { readonly command: 'help' }
  | { readonly command: 'up'; readonly operator: boolean }
  | { readonly command: 'down'; readonly keep: boolean }
  | { readonly command: 'status' };

/** The command line is wrong; the message names the part that is. */
export class UsageError extends Error {}

const flags: Readonly<Record<string, readonly string[]>> = {
  up: ['--operator'],
  down: ['--keep'],
  status: [],
};

/** @throws UsageError */
export function parseArguments(args: readonly string[]): LocalCommand {
  if (args.some((arg) => arg === '--help' || arg === '-h' || arg === 'help')) return { command: 'help' };
  const [command, ...rest] = args;
  if (command === undefined) throw new UsageError('A command is missing: up, down or status.');
  const known = Object.hasOwn(flags, command) ? flags[command] : undefined;
  if (known === undefined)
    throw new UsageError(`There is no command ${command}: it is one of up, down and status.`);
  for (const arg of rest) {
    if (known.includes(arg)) continue;
    const what = arg.startsWith('-') ? 'flag' : 'argument';
    const hint = known.length === 0 ? 'it takes none' : `it takes ${known.join(', ')}`;
    throw new UsageError(`${command} knows no ${what} ${arg}: ${hint}.`);
  }
  switch (command) {
    case 'up':
      return { command, operator: rest.includes('--operator') };
    case 'down':
      return { command, keep: rest.includes('--keep') };
    default:
      return { command: 'status' };
  }
}

export const help = `Usage: npm run local -- COMMAND

A Kubernetes API server and a Coder on this machine, on loopback ports of their own, for working on the operator.

  up [--operator]   Builds what is missing (once; cached outside of the checkout), starts all of it in the background
                    and writes .local/env. With --operator it also installs config/default and runs the operator under
                    its own service account. What runs already is left alone; when a server has died, all are started
                    again with the same data.
  down [--keep]     Stops everything and deletes the data; with --keep the data stay for the next up.
  status            Says what runs, with process ids, addresses and logs.

Use it:  source .local/env && kubectl get namespaces

Exit codes: 0 done (status: everything runs), 1 failed (status: something does not run), 2 wrong usage,
130 interrupted by Ctrl-C.

Built programs are kept in $XDG_CACHE_HOME/coder-operator (~/.cache/coder-operator). Needed on PATH: go, terraform.
`;
