import { randomBytes } from 'node:crypto';
import { lstat, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { OperatorError } from '../base/errors.ts';
import type { Exported, ManifestKind } from './manifest.ts';
import { printManifest } from './yaml.ts';

/** Where the objects of each kind are, below the folder of an export. */
const FOLDERS: Readonly<Record<ManifestKind, string>> = {
  CoderTemplate: 'templates',
  CoderWorkspace: 'workspaces',
};

const MOST_NAMED = 5;

export interface FolderOptions {
  readonly folder: string;
  readonly objects: readonly Exported[];
  /** Whether files that are other than they would be are written anew. */
  readonly force: boolean;
  readonly signal: AbortSignal;
}

export interface Written {
  readonly added: number;
  readonly changed: number;
  readonly unchanged: number;
}

interface Plan {
  readonly path: string;
  readonly text: string;
  readonly is: keyof Written;
}

/**
 * One file an object. Names of objects follow Coder's rule for names, so none leads out of the folder. Nothing is written
 * before it is known of all files that they may be, and each becomes what it is at once, so that a reader or a crash never
 * meets half of one.
 *
 * @throws {OperatorError} `FILES_DIFFER`, `NOT_OURS`
 * @throws the signal's reason; some files may be written then, each of them whole.
 */
export async function writeFolder({ folder, objects, force, signal }: FolderOptions): Promise<Written> {
  const plans: Plan[] = [];
  await checkFolders(folder);
  for (const object of objects) {
    signal.throwIfAborted();
    const path = pathOf(object);
    const text = printManifest(object);
    const before = await contentAt(join(folder, path));
    plans.push({
      path,
      text,
      is: before === undefined ? 'added' : before === text ? 'unchanged' : 'changed',
    });
  }
  const differing = plans.filter(({ is }) => is === 'changed').map(({ path }) => path);
  if (differing.length > 0 && !force) {
    throw new OperatorError(
      'FILES_DIFFER',
      `${differing.length} file(s) in ${folder} are other than this export would make them (${named(differing)}). Nothing was written; say --force to have them written anew, and look at the difference in git`,
    );
  }
  for (const name of new Set(plans.map(({ path }) => path.slice(0, path.indexOf('/'))))) {
    await mkdir(join(folder, name), { recursive: true });
  }
  for (const { path, text, is } of plans) {
    signal.throwIfAborted();
    if (is !== 'unchanged') await writeWhole(join(folder, path), text);
  }
  const count = (what: keyof Written): number => plans.filter(({ is }) => is === what).length;
  return { added: count('added'), changed: count('changed'), unchanged: count('unchanged') };
}

/**
 * Files of objects that are not among these: of a former export, of what is gone from Coder since. To be looked at by a
 * person, since a file may also be somebody's own.
 */
export async function strangersIn(
  folder: string,
  objects: readonly Exported[],
  kinds: ReadonlySet<ManifestKind>,
): Promise<readonly { readonly kind: ManifestKind; readonly name: string; readonly path: string }[]> {
  const ours = new Set(objects.map(pathOf));
  const found = [];
  for (const kind of kinds) {
    for (const file of (await filesIn(join(folder, FOLDERS[kind]))).sort()) {
      const path = `${FOLDERS[kind]}/${file}`;
      const name = /^([a-z0-9.-]+)\.yaml$/.exec(file)?.[1];
      if (name !== undefined && !ours.has(path)) found.push({ kind, name, path });
    }
  }
  return found;
}

/** A few of many, for a sentence. */
export function named(paths: readonly string[]): string {
  const more = paths.length - MOST_NAMED;
  return `${paths.slice(0, MOST_NAMED).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

function pathOf({ manifest: { kind, metadata } }: Exported): string {
  return `${FOLDERS[kind]}/${metadata.name}.yaml`;
}

/** A link in the place of a folder of ours would lead out of the one that was named. */
async function checkFolders(folder: string): Promise<void> {
  for (const path of Object.values(FOLDERS).map((name) => join(folder, name))) {
    const there = await unlessMissing(() => lstat(path));
    if (there !== undefined && !there.isDirectory()) throw notOurs(path, 'no folder');
  }
}

async function contentAt(path: string): Promise<string | undefined> {
  const there = await unlessMissing(() => lstat(path));
  if (there === undefined) return undefined;
  if (!there.isFile()) throw notOurs(path, 'no plain file');
  return readFile(path, 'utf8');
}

async function filesIn(path: string): Promise<string[]> {
  return (await unlessMissing(() => readdir(path))) ?? [];
}

async function writeWhole(path: string, text: string): Promise<void> {
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    await writeFile(temporary, text, { flag: 'wx' });
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

async function unlessMissing<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function notOurs(path: string, what: string): OperatorError {
  return new OperatorError(
    'NOT_OURS',
    `${path} is there and is ${what}; move it away, or export into another folder`,
  );
}
