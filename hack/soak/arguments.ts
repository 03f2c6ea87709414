import { parseArgs } from 'node:util';
import { UsageError, wholeNumber } from '../bench/arguments.ts';

export interface SoakArguments {
  readonly minutes: number;
  /** In Coder at the beginning. */
  readonly workspaces: number;
  /** Changes that are made in Coder and in Kubernetes. */
  readonly changesPerMinute: number;
  /** Where the samples go as JSON besides. */
  readonly json: string | undefined;
}

const OPTIONS = {
  minutes: { type: 'string', default: '30' },
  workspaces: { type: 'string', default: '1000' },
  changes: { type: 'string', default: '60' },
  json: { type: 'string' },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

export const help = `Usage: npm run soak -- [flags]

Runs the operator for long on a real API server and a real Coder, both started for it, while workspaces come, go, start,
stop and change their names, and watches its memory and its connections. In the end every object is compared with Coder.
Needs Linux.

  --minutes N      so long (30)
  --workspaces N   so many in Coder at the beginning (1000)
  --changes N      changes a minute (60)
  --json FILE      write what was measured as JSON besides
  --help           show this

Exit codes: 0 all is well, 1 an object is wrong, memory grows, connections are left open or something failed, 2 wrong
usage, 130 interrupted by Ctrl-C.
`;

/** @throws UsageError */
export function parseArguments(args: readonly string[]): SoakArguments | 'help' {
  const values = parse(args);
  if (values.help) return 'help';
  return {
    minutes: wholeNumber('minutes', values.minutes, 1, 10_000),
    workspaces: wholeNumber('workspaces', values.workspaces, 50, 100_000),
    changesPerMinute: wholeNumber('changes', values.changes, 1, 600),
    json: values.json,
  };
}

// The type follows from OPTIONS; writing it out would repeat the table.
function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: OPTIONS, allowPositionals: false }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}
