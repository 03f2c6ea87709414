import {
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
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
  const mine = `${file}.${process.pid}`;
  writeFileSync(mine, JSON.stringify({ host: hostname(), ...identify(process.pid) }), { mode: 0o600 });
  try {
    await until(
      () => {
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
  } catch {
    return false;
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
