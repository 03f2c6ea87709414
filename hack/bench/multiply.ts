/** Runs statements in Coder's database; see `Coder.sql`. */
export type Sql = (text: string) => Promise<readonly (readonly (string | null)[])[]>;

export interface Multiplication {
  /** How the names of the workspaces to be copied begin. */
  readonly prefix: string;
  /** Workspaces that there are to be in the end, the originals counted. */
  readonly total: number;
  /** Rows at most that one copying makes; the statements of each must end within the time that `Sql` allows. */
  readonly batch: number;
  /** Told after each batch how many there are. */
  readonly onBatch?: (workspaces: number) => void;
}

/** Every table with a row for each workspace of a template without extras, in the order in which they refer to each other. */
const TABLES = [
  'provisioner_jobs',
  'workspaces',
  'workspace_builds',
  'workspace_build_parameters',
  'workspace_resources',
  'workspace_agents',
] as const;

type Table = (typeof TABLES)[number];

/** What differs in the copy of a row, as SQL over `o`, the original's row, and `c`, the pairs of old and new ids. */
const DIFFERENT: Readonly<Record<Table, { readonly columns: Columns; readonly from: string }>> = {
  workspaces: {
    columns: { id: 'c.workspace', name: `o.name || '-' || c.n`, ...older('created_at', 'updated_at') },
    from: 'bench_workspaces c ON o.id = c.of_workspace',
  },
  provisioner_jobs: {
    columns: {
      id: 'c.job',
      input: `jsonb_set(o.input, '{workspace_build_id}', to_jsonb(c.build::text))`,
      ...older('created_at', 'updated_at', 'started_at', 'completed_at'),
    },
    from: 'bench_builds c ON o.id = c.of_job',
  },
  workspace_builds: {
    columns: {
      id: 'c.build',
      workspace_id: 'c.workspace',
      job_id: 'c.job',
      ...older('created_at', 'updated_at'),
    },
    from: 'bench_builds c ON o.id = c.of_build',
  },
  workspace_build_parameters: {
    columns: { workspace_build_id: 'c.build' },
    from: 'bench_builds c ON o.workspace_build_id = c.of_build',
  },
  workspace_resources: {
    columns: { id: 'c.resource', job_id: 'c.job', ...older('created_at') },
    from: 'bench_resources c ON o.id = c.of_resource',
  },
  workspace_agents: {
    columns: {
      id: 'gen_random_uuid()',
      resource_id: 'c.resource',
      auth_token: 'gen_random_uuid()',
      ...older('created_at', 'updated_at', 'started_at', 'ready_at'),
    },
    from: 'bench_resources c ON o.resource_id = c.of_resource',
  },
};

type Columns = Readonly<Record<string, string>>;

/** Copies were made at other times than their originals: nothing in Coder's lists is to be all the same. */
function older(...columns: readonly string[]): Columns {
  return Object.fromEntries(columns.map((name) => [name, `o.${name} - c.n * interval '1 minute'`]));
}

/**
 * Multiplies workspaces that Coder itself has made and built, row by row in its database: with their builds, jobs,
 * parameters, resources and agents, each with ids of its own, so that Coder answers for the copies as for the originals.
 * Coder itself would need several minutes of a machine's whole strength for ten thousand builds.
 *
 * @throws StackError TOOL_FAILED, also when this Coder has other tables.
 */
export async function multiply(sql: Sql, what: Multiplication): Promise<void> {
  const { prefix, total, batch } = what;
  const originals = await countOf(sql, `name LIKE '${prefix}%'`);
  const columns = new Map<Table, readonly string[]>();
  for (const table of TABLES) columns.set(table, await columnsOf(sql, table));
  const perBatch = Math.max(1, Math.floor(batch / originals));
  for (let there = originals, n = 1; there < total; n += perBatch) {
    const missing = total - there;
    const rows = {
      first: n,
      last: n + Math.min(perBatch, Math.ceil(missing / originals)) - 1,
      most: missing,
    };
    // One transaction of one connection: the tables of pairs are gone after it.
    await sql(
      [
        'BEGIN',
        ...pairs(prefix, rows),
        ...TABLES.map((table) => copy(table, columns.get(table) ?? [])),
        'COMMIT',
      ].join(';\n'),
    );
    there += Math.min(missing, originals * (rows.last - rows.first + 1));
    what.onBatch?.(there);
  }
  // The planner is to know of the rows as it would in a database that has grown.
  await sql(TABLES.map((table) => `ANALYZE ${table}`).join(';'));
}

/** Which old row becomes which new one. */
function pairs(
  prefix: string,
  { first, last, most }: { readonly first: number; readonly last: number; readonly most: number },
): readonly string[] {
  const temporary = (name: string, query: string): string =>
    `CREATE TEMPORARY TABLE ${name} ON COMMIT DROP AS ${query}`;
  return [
    temporary(
      'bench_workspaces',
      `SELECT w.id AS of_workspace, gen_random_uuid() AS workspace, n FROM workspaces w
        CROSS JOIN generate_series(${first}, ${last}) n
        WHERE w.name LIKE '${prefix}%' AND w.name NOT LIKE '${prefix}%-%' ORDER BY n, w.name LIMIT ${most}`,
    ),
    temporary(
      'bench_builds',
      `SELECT b.id AS of_build, gen_random_uuid() AS build, b.job_id AS of_job, gen_random_uuid() AS job,
        c.workspace, c.n FROM workspace_builds b JOIN bench_workspaces c ON b.workspace_id = c.of_workspace`,
    ),
    temporary(
      'bench_resources',
      `SELECT r.id AS of_resource, gen_random_uuid() AS resource, c.job, c.n
        FROM workspace_resources r JOIN bench_builds c ON r.job_id = c.of_job`,
    ),
  ];
}

function copy(table: Table, columns: readonly string[]): string {
  const different = DIFFERENT[table];
  const values = columns.map((name) => different.columns[name] ?? `o."${name}"`);
  const names = columns.map((name) => `"${name}"`).join(', ');
  return `INSERT INTO ${table} (${names}) SELECT ${values.join(', ')} FROM ${table} o JOIN ${different.from}`;
}

/** All columns that may be written: they differ between versions of Coder. */
async function columnsOf(sql: Sql, table: Table): Promise<readonly string[]> {
  const rows = await sql(
    `SELECT column_name FROM information_schema.columns WHERE table_schema = 'public' AND table_name = '${table}'
      AND is_generated = 'NEVER' ORDER BY ordinal_position`,
  );
  return rows.map(([name]) => name ?? '');
}

async function countOf(sql: Sql, where: string): Promise<number> {
  const rows = await sql(`SELECT count(*) FROM workspaces WHERE ${where}`);
  return Number(rows[0]?.[0] ?? 0);
}
