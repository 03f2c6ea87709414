import { mkdirSync, mkdtempSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { StackError } from './errors.ts';
import { isAlive } from './identity.ts';
import { stopProcess, type ProcessRecord } from './process.ts';
import type { Progress } from './progress.ts';
import {
  aliveAndDead,
  deleteData,
  emptyState,
  ourselves,
  readState,
  removeFolder,
  StateFile,
  type StackState,
} from './state.ts';

const temporaryPrefix = 'coder-operator-stack-';

export interface FolderOptions {
  /** Default: a new folder for temporary files. */
  readonly dir: string | undefined;
  /** Go on with ports, certificates, accounts and data that are there, if all of it was up once. */
  readonly keepData: boolean;
  readonly progress: Progress;
}

export interface StackFolder {
  readonly dir: string;
  /** Made by us, to be deleted with the stack. */
  readonly temporary: boolean;
  readonly state: StateFile;
}

/**
 * Takes a folder for a new stack: what an earlier run has left running there is ended, its data deleted or kept.
 * @throws StackError FOLDER_IN_USE when a live process has a stack in it; STATE_UNREADABLE.
 */
export async function takeFolder(options: FolderOptions): Promise<StackFolder> {
  const temporary = options.dir === undefined;
  const dir = options.dir === undefined ? await makeTemporary() : resolve(options.dir);
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const found = temporary ? undefined : readState(dir);
  if (found !== undefined) {
    refuseIfInUse(dir, found, options.keepData);
    const { alive } = aliveAndDead(found);
    if (alive.length > 0) options.progress.note(`ending what an earlier run has left running in ${dir}`);
    await endAll(alive);
  }
  const kept = options.keepData && found?.complete === true ? found : undefined;
  if (kept === undefined) deleteData(dir, found);
  const state = new StateFile(dir, { ...(kept ?? emptyState), processes: [] });
  state.update({ owner: ourselves() });
  return { dir, temporary, state };
}

/** The operator before its servers: it gives its lease back to the API server. */
async function endAll(alive: readonly ProcessRecord[]): Promise<void> {
  const isOperator = ({ name }: ProcessRecord): boolean => name.startsWith('operator');
  await Promise.all(alive.filter(isOperator).map(stopProcess));
  await Promise.all(alive.filter((record) => !isOperator(record)).map(stopProcess));
}

function refuseIfInUse(dir: string, found: StackState, keepData: boolean): void {
  const { owner } = found;
  if (owner !== undefined && owner.pid !== process.pid && isAlive(owner)) {
    throw new StackError(
      'FOLDER_IN_USE',
      `Process ${owner.pid} runs a stack in ${dir}. Choose another folder.`,
    );
  }
  if (owner === undefined && !keepData && aliveAndDead(found).alive.length > 0) {
    throw new StackError(
      'FOLDER_IN_USE',
      `A stack was left running in ${dir} on purpose. Choose another folder.`,
    );
  }
}

async function makeTemporary(): Promise<string> {
  await sweepTemporary();
  return mkdtempSync(join(tmpdir(), temporaryPrefix));
}

/** Ends and deletes temporary stacks whose owner and guardian were both killed. */
async function sweepTemporary(): Promise<void> {
  for (const name of readdirSync(tmpdir())) {
    if (!name.startsWith(temporaryPrefix)) continue;
    const dir = join(tmpdir(), name);
    try {
      const state = readState(dir);
      if (state?.owner === undefined || isAlive(state.owner)) continue;
      await endAll(aliveAndDead(state).alive);
      deleteData(dir, state);
      removeFolder(dir);
    } catch {
      // Not ours to read or to delete.
    }
  }
}
