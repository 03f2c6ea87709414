import { parseArgs } from 'node:util';

/** Those of the aggregated endpoint; `--only endpoint` means all of them. */
export const ENDPOINT_ROWS = ['endpoint-list', 'endpoint-get', 'endpoint-load', 'endpoint-watch'] as const;
/** The rows of the bench, in the order in which they are measured. */
export const ROWS = [
  ...(['mirrors', 'restart', 'rest', 'apply', 'resync', 'dashboard', 'loop', 'memory'] as const),
  ...ENDPOINT_ROWS,
] as const;
export type Row = (typeof ROWS)[number];

export interface BenchArguments {
  /** Numbers of workspaces, the smaller first. */
  readonly sizes: readonly number[];
  readonly rows: readonly Row[];
  /** Looks at everything that are watched at rest. */
  readonly looks: number;
  /** Where the results go as JSON besides. */
  readonly json: string | undefined;
  /** Folder for CPU profiles of the operator. */
  readonly profile: string | undefined;
}

/** The command line is wrong; the message names the part that is. */
export class UsageError extends Error {}

const OPTIONS = {
  workspaces: { type: 'string', default: '10000' },
  only: { type: 'string', default: ROWS.join(',') },
  looks: { type: 'string', default: '2' },
  'no-growth': { type: 'boolean', default: false },
  json: { type: 'string' },
  profile: { type: 'string' },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

export const help = `Usage: npm run bench -- [flags]

Measures the operator on a real API server and a real Coder, both started for it, which hold as many workspaces as you
say. Prints every figure beside its aim, and beside what it is compared with in the same run. Takes about half an hour;
nothing else should run meanwhile. Needs Linux.

  --workspaces N   so many in Coder (10000); everything is measured with a tenth of them first
  --no-growth      do not: only with all of them
  --only ROW,…     some of: ${ROWS.join(', ')};
                   endpoint for all that begin with it
  --looks N        looks at everything that are watched at rest (2)
  --json FILE      write the results as JSON besides
  --profile DIR    write CPU profiles of the operator and of the endpoint there, one for each time that they ran
  --help           show this

Exit codes: 0 all aims met, 1 one was not met or something failed, 2 wrong usage, 130 interrupted by Ctrl-C.
`;

/** @throws UsageError */
export function parseArguments(args: readonly string[]): BenchArguments | 'help' {
  const values = parse(args);
  if (values.help) return 'help';
  const workspaces = wholeNumber('workspaces', values.workspaces, 10, 100_000);
  const tenth = Math.round(workspaces / 10);
  return {
    sizes: values['no-growth'] ? [workspaces] : [tenth, workspaces],
    rows: rowsOf(values.only),
    looks: wholeNumber('looks', values.looks, 1, 100),
    json: values.json,
    profile: values.profile,
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

function rowsOf(text: string): readonly Row[] {
  const given = text.split(',').map((name) => name.trim());
  const names = given.flatMap((name): readonly string[] => (name === 'endpoint' ? ENDPOINT_ROWS : [name]));
  const unknown = names.find((name) => !ROWS.some((row) => row === name));
  if (unknown !== undefined) {
    throw new UsageError(
      `--only knows no row ${unknown === '' ? '""' : unknown}: some of ${ROWS.join(', ')}.`,
    );
  }
  return ROWS.filter((row) => names.includes(row));
}

/** @throws UsageError */
export function wholeNumber(name: string, text: string, least: number, most: number): number {
  const number = /^\d+$/.test(text) ? Number(text) : NaN;
  if (number >= least && number <= most) return number;
  throw new UsageError(`--${name} ${text}: must be a whole number from ${least} to ${most}.`);
}
