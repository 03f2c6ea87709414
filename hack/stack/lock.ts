import { randomBytes } from 'node:crypto';
import {
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { throwIfAborted } from './errors.ts';
import { identify, isAlive, type ProcessIdentity } from './identity.ts';
import { until } from './wait.ts';

interface Holder extends ProcessIdentity {
  readonly host: string;
}

export interface LockOptions {
  readonly signal?: AbortSignal | undefined;
  /** Told once, when another process holds the lock, with that process's id. */
  readonly onWait?: (pid: number) => void;
}

/** A holder on another machine that shares the folder shows that it lives by touching its file. */
const touchEveryMs = 5_000;
const staleAfterMs = 60_000;

/**
 * Runs `work` while no other process holds the lock `file`. The lock of a dead process is taken over.
 * @throws StackError ABORTED while waiting; whatever `work` throws.
 */
export async function withLock<T>(
  file: string,
  work: () => Promise<T>,
  options: LockOptions = {},
): Promise<T> {
  mkdirSync(dirname(file), { recursive: true });
  let told = false;
  const mine = `${file}.${process.pid}.${randomBytes(4).toString('hex')}`;
  removeForsaken(file);
  const holding = JSON.stringify({ host: hostname(), ...identify(process.pid) });
  try {
    await until(
      () => {
        // Each time: a process on another machine, which cannot see that we live, may have cleaned up behind us.
        writeFileSync(mine, holding, { mode: 0o600 });
        if (take(mine, file)) return true;
        const holder = readHolder(file);
        if (!told && holder !== undefined) {
          told = true;
          options.onWait?.(holder.pid);
        }
        return undefined;
      },
      { withinMs: Infinity, everyMs: 200, signal: options.signal },
    );
  } finally {
    rmSync(mine, { force: true });
  }
  const touch = setInterval(() => {
    const now = new Date();
    try {
      utimesSync(file, now, now);
    } catch {
      // Somebody took us for dead; what the lock guards is safe to be done twice.
    }
  }, touchEveryMs);
  touch.unref();
  try {
    throwIfAborted(options.signal);
    return await work();
  } finally {
    clearInterval(touch);
    if (readHolder(file)?.pid === process.pid) rmSync(file, { force: true });
  }
}

/** What processes that were killed while they waited have left beside the lock. */
function removeForsaken(file: string): void {
  const prefix = `${basename(file)}.`;
  for (const name of readdirSync(dirname(file))) {
    if (!name.startsWith(prefix)) continue;
    const pid = Number(name.slice(prefix.length).split('.')[0]);
    if (pid > 0 && identify(pid) === undefined) rmSync(join(dirname(file), name), { force: true });
  }
}

/** A link appears at once with its whole content, and only when there is none yet. */
function take(mine: string, file: string): boolean {
  if (tryLink(mine, file)) return true;
  if (!isStale(file)) return false;
  // Of several that see the stale lock, only one can move it away; whoever moves a fresh one by mistake puts it back.
  const moved = `${mine}.stale`;
  try {
    renameSync(file, moved);
  } catch {
    return false;
  }
  if (!isStale(moved)) tryLink(moved, file);
  rmSync(moved, { force: true });
  return tryLink(mine, file);
}

function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST' || code === 'ENOENT') return false;
    throw error;
  }
}

function isStale(file: string): boolean {
  const holder = readHolder(file);
  if (holder?.host === hostname()) return !isAlive(holder);
  try {
    return Date.now() - statSync(file).mtimeMs > staleAfterMs;
  } catch {
    return false;
  }
}

function readHolder(file: string): Holder | undefined {
  try {
    const value = JSON.parse(readFileSync(file, 'utf8')) as Partial<Holder>;
    const { host, pid, identity } = value;
    return typeof host === 'string' && typeof pid === 'number' && typeof identity === 'string'
      ? { host, pid, identity }
      : undefined;
  } catch {
    return undefined;
  }
}
