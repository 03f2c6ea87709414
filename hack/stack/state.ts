import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { CoderAccounts } from './accounts.ts';
import { StackError } from './errors.ts';
import { identify, isAlive, type ProcessIdentity } from './identity.ts';
import type { ProcessRecord } from './process.ts';

/** The ports of a stack by what listens there. */
export type PortName =
  | 'etcd'
  | 'etcd-peer'
  | 'kube-apiserver'
  | 'kube-controller-manager'
  | 'postgres'
  | 'coder'
  | 'operator'
  | `operator-${string}`
  | `apiserver-${string}`;

/** What a stack remembers in `state.json` of its folder, so that another process can find, end or go on with it. */
export interface StackState {
  readonly version: 1;
  /** The process that the stack dies with; absent when it lives on by itself. */
  readonly owner?: ProcessIdentity;
  /** Everything was up once: the data are worth keeping. */
  readonly complete?: boolean;
  readonly ports: Readonly<Partial<Record<PortName, number>>>;
  readonly processes: readonly ProcessRecord[];
  readonly postgresPassword?: string;
  /** A folder elsewhere that belongs to the stack's data. */
  readonly extraFolder?: string;
  readonly coder?: CoderAccounts;
}

export const emptyState: StackState = { version: 1, ports: {}, processes: [] };

/** The state file of a stack's folder; it holds tokens and is readable by its owner only. */
export class StateFile {
  readonly path: string;
  readonly #dir: string;
  #state: StackState;

  constructor(dir: string, initial: StackState = emptyState) {
    this.#dir = dir;
    this.path = statePath(dir);
    this.#state = initial;
  }

  get state(): StackState {
    return this.#state;
  }

  /** Changes the state, in memory and in the file: whole or not at all. */
  update(change: Partial<StackState>): void {
    this.#state = { ...this.#state, ...change };
    mkdirSync(this.#dir, { recursive: true, mode: 0o700 });
    const partial = `${this.path}.partial`;
    writeFileSync(partial, `${JSON.stringify(this.#state, null, 2)}\n`, { mode: 0o600 });
    renameSync(partial, this.path);
  }

  /** The stack lives on by itself from now on. */
  disown(): void {
    const entries = Object.entries(this.#state).filter(([name]) => name !== 'owner');
    this.#state = { ...emptyState, ...(Object.fromEntries(entries) as Partial<StackState>) };
    this.update({ complete: true });
  }

  setPort(name: PortName, port: number): void {
    this.update({ ports: { ...this.#state.ports, [name]: port } });
  }

  addProcess(record: ProcessRecord): void {
    const others = this.#state.processes.filter((p) => p.name !== record.name);
    this.update({ processes: [...others, record] });
  }

  removeProcess(record: ProcessRecord): void {
    // The folder may have been deleted with the stack by the time its last process has gone.
    if (!existsSync(this.path)) return;
    this.update({ processes: this.#state.processes.filter((p) => p.pid !== record.pid) });
  }
}

export function statePath(dir: string): string {
  return join(dir, 'state.json');
}

/**
 * The state of the stack in this folder; undefined when there is none.
 * @throws StackError STATE_UNREADABLE when the file is not a state.
 */
export function readState(dir: string): StackState | undefined {
  const path = statePath(dir);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new StackError('STATE_UNREADABLE', `${path} cannot be read.`, { cause: error });
  }
  const state = parseState(text);
  if (state === undefined) {
    throw new StackError('STATE_UNREADABLE', `${path} does not hold the state of a local stack.`);
  }
  return state;
}

/** The state in this text, or undefined when it holds something else. */
export function parseState(text: string): StackState | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isObject(value) || value['version'] !== 1 || !isObject(value['ports'])) return undefined;
  if (!Object.values(value['ports']).every((port) => Number.isInteger(port))) return undefined;
  if (!Array.isArray(value['processes']) || !value['processes'].every(isRecord)) return undefined;
  if (value['owner'] !== undefined && !isIdentity(value['owner'])) return undefined;
  return value as unknown as StackState;
}

/** The processes of a state that are alive, and those that should be. */
export function aliveAndDead(state: StackState): {
  readonly alive: readonly ProcessRecord[];
  readonly dead: readonly ProcessRecord[];
} {
  const alive = state.processes.filter((record) => isAlive(record));
  return { alive, dead: state.processes.filter((record) => !alive.includes(record)) };
}

/** The identity of this process, to be recorded as a stack's owner. */
export function ourselves(): ProcessIdentity {
  return identify(process.pid) ?? { pid: process.pid, identity: 'unknown' };
}

/** How the name of an extra folder begins; no other is ever deleted. */
export const extraFolderPrefix = 'coder-operator-postgres-';

/** All that a stack puts into its folder. */
const contents = [
  'apiserver',
  'audit-policy.yaml',
  'bin',
  'coder',
  'coder-operator-apiserver',
  'coder-operator-controller',
  'env',
  'etcd',
  'kubeconfig',
  'kubeconfig.cache',
  'logs',
  'operator.kubeconfig',
  'pki',
  'pki.partial',
  'postgres',
  'env.partial',
  'state.json',
  'state.json.partial',
  'terraform',
];

/** Deletes what a stack has put into its folder, and nothing else; with `state`, also what it has put elsewhere. */
export function deleteData(dir: string, state?: StackState): void {
  const elsewhere = state?.extraFolder;
  if (elsewhere !== undefined && basename(elsewhere).startsWith(extraFolderPrefix)) {
    removeFolder(elsewhere);
  }
  for (const name of contents) removeFolder(join(dir, name));
}

/** Deletes a folder or file, also while the last processes that were killed are still about to go. */
export function removeFolder(path: string): void {
  rmSync(path, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isIdentity(value: unknown): value is ProcessIdentity {
  return isObject(value) && Number.isInteger(value['pid']) && typeof value['identity'] === 'string';
}

function isRecord(value: unknown): value is ProcessRecord {
  if (!isObject(value) || !isIdentity(value)) return false;
  const { name, logFile, stopSignal, stopWithinMs } = value as Record<string, unknown>;
  const texts = [name, logFile, stopSignal].every((text) => typeof text === 'string');
  // Ids of 1 and below would reach everything when a group is signalled.
  return texts && typeof stopWithinMs === 'number' && value.pid > 1;
}
