import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createHash } from 'node:crypto';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { withLock } from './lock.ts';
import { identify } from './identity.ts';
import type { Progress } from './progress.ts';

/**
 * The cache of built programs, outside of the checkout so that a fresh clone starts in seconds:
 *
 *     <cache>/<program>/<key>/<file>       the program
 *     <cache>/<program>/<key>/entry.json   its size; an entry that does not agree with it is built again
 *     <cache>/<program>/<key>.PID.partial  a build under way; becomes <key> by a rename when it is whole
 *     <cache>/<program>/<key>.lock         held by the process that builds
 */
export interface CacheEntry {
  /** Folder of the whole cache. */
  readonly cache: string;
  readonly program: string;
  /** Hash of all that goes into the program; see `cacheKey`. */
  readonly key: string;
  /** Name of the program's file. */
  readonly file: string;
  /** Builds the program into this folder, under the entry's file name. */
  readonly build: (folder: string) => Promise<void>;
  readonly progress: Progress;
  readonly signal?: AbortSignal | undefined;
}

/** Entries that nobody has used for so long go away when another version of the same program has been built. */
const unusedAfterMs = 30 * 24 * 3600 * 1000;

/** `$XDG_CACHE_HOME/coder-operator`, or the same under `~/.cache`; the variable counts only when it is absolute. */
export function cacheFolder(xdgCacheHome: string | undefined): string {
  const base =
    xdgCacheHome !== undefined && isAbsolute(xdgCacheHome) ? xdgCacheHome : join(homedir(), '.cache');
  return join(base, 'coder-operator');
}

/** A short hash over texts; where one ends and the next begins counts. */
export function cacheKey(parts: readonly string[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(`${Buffer.byteLength(part)}\n`).update(part);
  return hash.digest('hex').slice(0, 16);
}

/**
 * The path of the program, built first when the cache does not hold it whole. Two processes that want the same program
 * wait for each other. Whatever happens in the middle of a build, an entry is there whole or not at all.
 * @throws whatever `build` throws; StackError ABORTED.
 */
export async function cached(entry: CacheEntry): Promise<string> {
  const folder = join(entry.cache, entry.program);
  const place = join(folder, entry.key);
  const path = join(place, entry.file);
  if (isWhole(place, entry.file)) {
    touch(place);
    return path;
  }
  return withLock(
    `${place}.lock`,
    async () => {
      if (isWhole(place, entry.file)) return path;
      removePartials(folder, entry.key);
      const partial = `${place}.${process.pid}.partial`;
      mkdirSync(partial, { recursive: true });
      try {
        await entry.build(partial);
        seal(partial, entry.file);
        rmSync(place, { recursive: true, force: true });
        renameSync(partial, place);
      } finally {
        rmSync(partial, { recursive: true, force: true });
      }
      removeUnused(folder, entry.key);
      return path;
    },
    {
      signal: entry.signal,
      onWait: (pid) =>
        entry.progress.note(`${entry.program} is being built by process ${pid}; waiting for it`),
    },
  );
}

function isWhole(place: string, file: string): boolean {
  try {
    const { size } = JSON.parse(readFileSync(join(place, 'entry.json'), 'utf8')) as { size?: unknown };
    return statSync(join(place, file)).size === size;
  } catch {
    return false;
  }
}

/** Puts the program on the disk before it can be found, so that a loss of power leaves no hollow file behind. */
function seal(folder: string, file: string): void {
  const handle = openSync(join(folder, file), 'r+');
  fsyncSync(handle);
  closeSync(handle);
  writeFileSync(join(folder, 'entry.json'), JSON.stringify({ size: statSync(join(folder, file)).size }));
}

/** What builds have left behind whose process is gone. */
function removePartials(folder: string, key: string): void {
  for (const name of readdirSync(folder)) {
    const pid = /^([0-9a-f]+)\.(\d+)\.partial$/.exec(name);
    if (pid?.[1] !== key || identify(Number(pid[2])) !== undefined) continue;
    rmSync(join(folder, name), { recursive: true, force: true });
  }
}

function removeUnused(folder: string, key: string): void {
  for (const name of readdirSync(folder)) {
    if (name === key || !/^[0-9a-f]+$/.test(name)) continue;
    const place = join(folder, name);
    if (Date.now() - statSync(place).mtimeMs > unusedAfterMs) rmSync(place, { recursive: true, force: true });
  }
}

function touch(place: string): void {
  try {
    const now = new Date();
    utimesSync(place, now, now);
  } catch {
    // A cache that we may only read is as good.
  }
}
