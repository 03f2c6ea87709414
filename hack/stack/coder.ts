import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { CoderAccounts } from './accounts.ts';
import { statusOf } from './http.ts';
import type { Server, ServerSpec } from './process.ts';
import { runSql, type SqlConnection } from './sql.ts';
import { toolEnvironment } from './tools.ts';

/** What can be set about the Coder of a stack. */
export interface CoderSettings {
  /** Keep Coder's limits on requests. Default false: none, since tests and the demo come from one address. */
  readonly rateLimits?: boolean;
  /** Jobs that run at the same time. Default 3. */
  readonly provisionerDaemons?: number;
  /** More of Coder's own environment variables, such as CODER_VERBOSE. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface CoderServerOptions {
  readonly program: string;
  /** Folder for its configuration and cache. */
  readonly dir: string;
  readonly logFile: string;
  readonly port: number;
  readonly databaseUrl: string;
  readonly terraformConfig: string;
  readonly settings: CoderSettings;
}

/** A Coder server on loopback that calls nobody: no telemetry, no update check, no tunnel, no STUN. */
export function coderSpec(options: CoderServerOptions): ServerSpec {
  const { dir, port, settings } = options;
  const url = `http://127.0.0.1:${port}`;
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  return {
    name: 'coder',
    command: options.program,
    args: ['server'],
    env: {
      ...toolEnvironment(),
      CODER_PG_CONNECTION_URL: options.databaseUrl,
      CODER_HTTP_ADDRESS: `127.0.0.1:${port}`,
      CODER_ACCESS_URL: url,
      CODER_CONFIG_DIR: join(dir, 'config'),
      CODER_CACHE_DIRECTORY: join(dir, 'cache'),
      CODER_PROVISIONER_TYPES: 'echo,terraform',
      CODER_PROVISIONER_DAEMONS: String(settings.provisionerDaemons ?? 3),
      CODER_DANGEROUS_DISABLE_RATE_LIMITS: settings.rateLimits === true ? 'false' : 'true',
      CODER_MAX_ADMIN_TOKEN_LIFETIME: '876600h',
      CODER_TELEMETRY_ENABLE: 'false',
      CODER_UPDATE_CHECK: 'false',
      CODER_DERP_SERVER_STUN_ADDRESSES: 'disable',
      CODER_NO_OPEN: 'true',
      CODER_OAUTH2_GITHUB_DEFAULT_PROVIDER_ENABLE: 'false',
      CHECKPOINT_DISABLE: '1',
      TF_CLI_CONFIG_FILE: options.terraformConfig,
      ...settings.env,
    },
    cwd: dir,
    logFile: options.logFile,
    // Cancels the running jobs; SIGTERM would wait for them.
    stopSignal: 'SIGINT',
    stopWithinMs: 10_000,
    readyWithinMs: 120_000,
    // The port opens before the database has been migrated; /buildinfo answers when the whole server is there.
    ready: async () =>
      (await statusOf(`${url}/healthz`)) === 200 && (await statusOf(`${url}/api/v2/buildinfo`)) === 200,
  };
}

/** A running Coder and how to reach it. */
export class Coder {
  /** `http://127.0.0.1:PORT`, the same after every restart. */
  readonly url: string;
  readonly accounts: CoderAccounts;
  /** `postgres://…` of its own database. */
  readonly databaseUrl: string;
  readonly logFile: string;
  readonly #server: Server;
  readonly #database: SqlConnection;

  constructor(server: Server, port: number, accounts: CoderAccounts, database: SqlConnection) {
    this.url = `http://127.0.0.1:${port}`;
    this.accounts = accounts;
    this.databaseUrl = databaseUrl(database);
    this.logFile = server.spec.logFile;
    this.#server = server;
    this.#database = database;
  }

  /** Token of the first user, who is Owner. */
  get adminToken(): string {
    return this.accounts.adminToken;
  }

  /** Token of the operator's user: organization-admin. */
  get operatorToken(): string {
    return this.accounts.operatorToken;
  }

  get operatorUser(): string {
    return this.accounts.operatorUser;
  }

  get running(): boolean {
    return this.#server.running;
  }

  /** SIGKILL for the server and all that it started: jobs are abandoned as in a crash. */
  kill(): Promise<void> {
    return this.#server.kill();
  }

  /** Ends it in order; running jobs are cancelled. */
  stop(): Promise<void> {
    return this.#server.stop();
  }

  /** Starts it again on the same port with the same data. @throws StackError as `Server.start`. */
  start(signal?: AbortSignal): Promise<void> {
    return this.#server.start(signal);
  }

  /** Runs SQL in Coder's database, for what its API cannot do. @throws StackError TOOL_FAILED. */
  sql(text: string): Promise<readonly (readonly (string | null)[])[]> {
    return runSql(this.#database, text);
  }
}

export function databaseUrl({ port, user, password, database }: SqlConnection): string {
  return `postgres://${user}:${encodeURIComponent(password)}@127.0.0.1:${port}/${database}?sslmode=disable`;
}
