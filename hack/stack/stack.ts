import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { createAccounts, newPassword } from './accounts.ts';
import { ensurePki } from './certificates.ts';
import { Coder, coderSpec, databaseUrl, type CoderSettings } from './coder.ts';
import { StackError, throwIfAborted } from './errors.ts';
import { etcdSpec } from './etcd.ts';
import { takeFolder, type StackFolder } from './folder.ts';
import { Guardian } from './guardian.ts';
import { writeKubeconfig } from './kubeconfig.ts';
import { apiServerSpec, auditFiles, controllerManagerSpec, Kubernetes, type AuditLog } from './kubernetes.ts';
import { Ports } from './ports.ts';
import { preparePostgres } from './postgres.ts';
import { Server, type ProcessWatch, type ServerSpec } from './process.ts';
import { buildPrograms, type ProgramName } from './programs.ts';
import { silentProgress, type Progress } from './progress.ts';
import { deleteData, removeFolder, StateFile, type PortName, type StackState } from './state.ts';
import { requireTerraform, writeTerraformConfig } from './terraform.ts';

export interface StackOptions {
  /** Folder of the stack's data, logs and state. Default: a new temporary one that `stop` deletes. */
  readonly dir?: string;
  /** Aborting it ends the start; nothing is left running. A running stack is ended by `stop`. */
  readonly signal?: AbortSignal | undefined;
  /** Default: silent. */
  readonly progress?: Progress;
  /** etcd and kube-apiserver. Default true. */
  readonly kubernetes?: boolean;
  /** kube-controller-manager, which deletes namespaces and owned objects. Default: as `kubernetes`. */
  readonly controllerManager?: boolean;
  /** Flags added to kube-controller-manager's own; `--controllers` adds to those two. */
  readonly controllerManagerArgs?: readonly string[];
  /** Postgres and Coder. Default true. */
  readonly coder?: boolean;
  /** An audit log, see `Kubernetes.auditLogFile`: at Metadata level, or by these rules of a policy. Default false. */
  readonly auditLog?: boolean | readonly object[];
  /** Flags added to kube-apiserver's own. */
  readonly apiServerArgs?: readonly string[];
  readonly coderSettings?: CoderSettings;
  /** Go on with the data that the folder holds. Default false: start afresh. */
  readonly keepData?: boolean;
  /** Folder of the cache of built programs. Default `$XDG_CACHE_HOME/coder-operator`. */
  readonly cache?: string;
}

/**
 * Builds what is missing, then starts etcd and kube-apiserver beside Postgres and Coder, each on free loopback ports.
 * The servers end with this process, however it ends, unless `detach` is called. When it throws, nothing is left running.
 * @throws StackError
 */
export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const progress = options.progress ?? silentProgress;
  const folder = await takeFolder({
    dir: options.dir,
    keepData: options.keepData ?? false,
    progress,
  });
  const stack = new Stack(folder, options, progress);
  try {
    await stack.start();
    return stack;
  } catch (error) {
    await stack.stop();
    throw error;
  }
}

/**
 * A stack that another process has left running, to start one more server in it. Its Kubernetes can be used, its Coder
 * not; `stop` ends only what was started through this object.
 */
export async function openStack(dir: string, state: StackState, progress: Progress): Promise<Stack> {
  const stack = new Stack({ dir, temporary: false, state: new StateFile(dir, state) }, {}, progress);
  await stack.open();
  return stack;
}

/** A running local stack, or the part of one that was asked for. */
export class Stack {
  readonly dir: string;
  /** One file a server. */
  readonly logs: string;
  /** Links to the built programs, to be put on PATH. */
  readonly bin: string;
  readonly ports = new Ports();
  readonly #options: StackOptions;
  readonly #progress: Progress;
  readonly #temporary: boolean;
  readonly #state: StateFile;
  readonly #guardian: Guardian;
  readonly #watch: ProcessWatch;
  /** In the order of their start. */
  readonly #servers: Server[] = [];
  #kubernetes: Kubernetes | undefined;
  #coder: Coder | undefined;
  #stopped = false;

  /** Use `startStack`. */
  constructor(folder: StackFolder, options: StackOptions, progress: Progress) {
    this.dir = folder.dir;
    this.logs = join(folder.dir, 'logs');
    this.bin = join(folder.dir, 'bin');
    this.#temporary = folder.temporary;
    this.#state = folder.state;
    this.#options = options;
    this.#progress = progress;
    this.#guardian = new Guardian();
    if (folder.temporary) this.#guardian.removeLater(folder.dir);
    this.#watch = {
      guardian: this.#guardian,
      started: (record) => this.#state.addProcess(record),
      ended: (record) => this.#state.removeProcess(record),
    };
  }

  /** @throws StackError when the stack was started without it. */
  get kubernetes(): Kubernetes {
    if (this.#kubernetes === undefined) throw new StackError('NOT_READY', 'This stack has no Kubernetes.');
    return this.#kubernetes;
  }

  /** @throws StackError when the stack was started without it. */
  get coder(): Coder {
    if (this.#coder === undefined) throw new StackError('NOT_READY', 'This stack has no Coder.');
    return this.#coder;
  }

  /** Used by `startStack`. */
  async start(): Promise<void> {
    const { kubernetes = true, coder = true, controllerManager = kubernetes, signal } = this.#options;
    if (coder) await requireTerraform(signal);
    const programs = await this.#build([
      ...(kubernetes ? (['etcd', 'kube-apiserver', 'kubectl'] as const) : []),
      ...(controllerManager ? (['kube-controller-manager'] as const) : []),
      ...(coder ? (['coder', 'terraform-provider-coder'] as const) : []),
    ]);
    const failed = new AbortController();
    const either = signal === undefined ? failed.signal : AbortSignal.any([signal, failed.signal]);
    const parts = [
      ...(kubernetes ? [this.#startKubernetes(programs, controllerManager, either)] : []),
      ...(coder ? [this.#startCoder(programs, either)] : []),
    ];
    let first: { readonly error: unknown } | undefined;
    const noteFailure = (error: unknown): void => {
      first ??= { error };
      failed.abort();
    };
    await Promise.all(parts.map((part) => part.catch(noteFailure)));
    if (first !== undefined) throw first.error;
    throwIfAborted(signal);
  }

  /** Used by `openStack`. */
  async open(): Promise<void> {
    this.#kubernetes = await this.#openKubernetes(join(this.bin, 'kubectl'));
  }

  /**
   * Starts one more server, which ends with the stack. Its ports are kept for it from one start to the next; when one
   * of them turns out to be taken, others are tried.
   * @throws StackError as `Server.start`.
   */
  async startServer<N extends PortName>(
    names: readonly N[],
    spec: (ports: Readonly<Record<N, number>>) => ServerSpec,
    signal?: AbortSignal,
  ): Promise<Server> {
    for (let attempt = 1; ; attempt++) {
      const server = new Server(spec(await this.#assignPorts(names)), this.#watch);
      this.#servers.push(server);
      const { name } = server.spec;
      this.#progress.step(`starting ${name}`);
      try {
        await server.start(signal);
        this.#progress.done(`${name} is ready (process ${server.record?.pid ?? 0})`);
        return server;
      } catch (error) {
        this.#servers.splice(this.#servers.indexOf(server), 1);
        if (!(error instanceof StackError) || error.code !== 'PORT_TAKEN' || attempt === 3) throw error;
        this.#progress.note(
          `a port of ${name} was taken by another program at the last moment; trying others`,
        );
      }
    }
  }

  /** From now on the servers live on when this process ends; `npm run local -- down` finds them by the state file. */
  detach(): void {
    this.#state.disown();
    this.#guardian.release();
  }

  /** Ends every server at once, and deletes a temporary folder. Harmless when called again. */
  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    // The data are not used again, or are safe after a kill; only Postgres has something to give back to the system.
    await Promise.all(this.#servers.map((s) => (s.spec.name === 'postgres' ? s.stop() : s.kill())));
    this.#guardian.close();
    if (!this.#temporary) return;
    deleteData(this.dir, this.#state.state);
    removeFolder(this.dir);
  }

  async #build<N extends ProgramName>(names: readonly N[]): Promise<Readonly<Record<N, string>>> {
    const programs = await buildPrograms(names, {
      progress: this.#progress,
      guardian: this.#guardian,
      signal: this.#options.signal,
      cache: this.#options.cache,
    });
    removeFolder(this.bin);
    mkdirSync(this.bin, { recursive: true });
    for (const name of names) symlinkSync(programs[name], join(this.bin, name));
    return programs;
  }

  async #assignPorts<N extends PortName>(names: readonly N[]): Promise<Readonly<Record<N, number>>> {
    const assigned: Partial<Record<N, number>> = {};
    for (const name of names) {
      const before = this.#state.state.ports[name];
      const port = await this.ports.free(before);
      if (before !== undefined && before !== port) {
        this.#progress.note(`port ${before} of ${name} is taken by another program; using ${port} instead`);
      }
      assigned[name] = port;
      this.#state.setPort(name, port);
    }
    return assigned as Record<N, number>;
  }

  async #startKubernetes(
    programs: Readonly<Record<'etcd' | 'kube-apiserver' | 'kube-controller-manager' | 'kubectl', string>>,
    controllerManager: boolean,
    signal: AbortSignal,
  ): Promise<void> {
    const pki = await ensurePki(join(this.dir, 'pki'));
    const logFile = (name: string): string => join(this.logs, `${name}.log`);
    const audit = this.#auditLog();
    await this.startServer(
      ['etcd', 'etcd-peer'],
      (p) =>
        etcdSpec({
          program: programs.etcd,
          dataDir: join(this.dir, 'etcd'),
          logFile: logFile('etcd'),
          port: p.etcd,
          peerPort: p['etcd-peer'],
          pki,
        }),
      signal,
    );
    await this.startServer(
      ['kube-apiserver'],
      (p) =>
        apiServerSpec({
          program: programs['kube-apiserver'],
          logFile: logFile('kube-apiserver'),
          port: p['kube-apiserver'],
          etcdPort: this.#port('etcd'),
          pki,
          auditLog: audit,
          extraArgs: this.#options.apiServerArgs,
        }),
      signal,
    );
    this.#kubernetes = await this.#openKubernetes(programs.kubectl);
    const { url, caFile, adminKubeconfig } = this.#kubernetes;
    writeKubeconfig(adminKubeconfig, { server: url, caFile, user: pki.admin });
    if (!controllerManager) return;
    await this.startServer(
      ['kube-controller-manager'],
      (p) =>
        controllerManagerSpec({
          program: programs['kube-controller-manager'],
          logFile: logFile('kube-controller-manager'),
          port: p['kube-controller-manager'],
          kubeconfig: adminKubeconfig,
          pki,
          extraArgs: this.#options.controllerManagerArgs,
        }),
      signal,
    );
  }

  #auditLog(): AuditLog | undefined {
    const { auditLog = false } = this.#options;
    if (auditLog === false) return undefined;
    return { ...auditFiles(this.dir), rules: auditLog === true ? undefined : auditLog };
  }

  async #openKubernetes(kubectlPath: string): Promise<Kubernetes> {
    return new Kubernetes({
      port: this.#port('kube-apiserver'),
      pki: await ensurePki(join(this.dir, 'pki')),
      adminKubeconfig: join(this.dir, 'kubeconfig'),
      kubectlPath,
      auditLogFile: this.#auditLog()?.logFile,
    });
  }

  async #startCoder(
    programs: Readonly<Record<'coder' | 'terraform-provider-coder', string>>,
    signal: AbortSignal,
  ): Promise<void> {
    const { postgresPassword: password = newPassword() } = this.#state.state;
    this.#state.update({ postgresPassword: password });
    const postgres = await preparePostgres({
      dir: join(this.dir, 'postgres'),
      password,
      logFile: join(this.logs, 'postgres.log'),
      signal,
    });
    if (postgres.extraFolder !== undefined) {
      this.#state.update({ extraFolder: postgres.extraFolder });
      if (this.#temporary) this.#guardian.removeLater(postgres.extraFolder);
    }
    await this.startServer(['postgres'], (p) => postgres.spec(p.postgres), signal);
    const database = postgres.connection(this.#port('postgres'));
    const terraformConfig = writeTerraformConfig(
      join(this.dir, 'terraform'),
      programs['terraform-provider-coder'],
    );
    const server = await this.startServer(
      ['coder'],
      (p) =>
        coderSpec({
          program: programs.coder,
          dir: join(this.dir, 'coder'),
          logFile: join(this.logs, 'coder.log'),
          port: p.coder,
          databaseUrl: databaseUrl(database),
          terraformConfig,
          settings: this.#options.coderSettings ?? {},
        }),
      signal,
    );
    const port = this.#port('coder');
    const accounts = this.#state.state.coder ?? (await createAccounts(`http://127.0.0.1:${port}`, signal));
    this.#state.update({ coder: accounts });
    this.#coder = new Coder(server, port, accounts, database);
  }

  #port(name: PortName): number {
    const port = this.#state.state.ports[name];
    if (port === undefined) throw new StackError('NOT_READY', `${name} has no port yet.`);
    return port;
  }
}
