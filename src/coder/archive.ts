import { createHash } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { pack, type Pack } from 'tar-stream';
import { OperatorError } from '../base/errors.ts';

/** Content of a template: relative paths with forward slashes, and what the files hold. */
export type ArchiveFiles = Readonly<Record<string, string | Uint8Array>>;

/** Largest content of one archive in bytes; Coder's own command line stops here too. */
export const MAX_ARCHIVE_BYTES = 1024 * 1024;

/** Largest number of files in one archive. */
export const MAX_ARCHIVE_FILES = 128;

const MAX_PATH_BYTES = 255;
const EPOCH = new Date(0);

interface ArchiveEntry {
  readonly path: string;
  /** Undefined for a directory. */
  readonly content: Buffer | undefined;
}

/**
 * Packs files into a tar that depends on nothing but them: the same content gives the same bytes, so that Coder,
 * which knows uploads by their hash, keeps one file however often it is sent. Every directory comes as an entry of
 * its own before what it holds, since Coder's provisioner makes no parent directories while it unpacks.
 *
 * @throws {OperatorError} `INVALID_ARCHIVE`, naming the path.
 */
export async function archiveOf(files: ArchiveFiles): Promise<Buffer> {
  const entries = entriesOf(files);
  const tar = pack();
  const [bytes] = await Promise.all([buffer(tar), writeEntries(tar, entries)]);
  return bytes;
}

async function writeEntries(tar: Pack, entries: readonly ArchiveEntry[]): Promise<void> {
  for (const { path, content } of entries) {
    const common = { uid: 0, gid: 0, uname: '', gname: '', mtime: EPOCH };
    await new Promise<void>((resolve, reject) => {
      const written = (error?: Error | null): void => (error ? reject(error) : resolve());
      if (content === undefined)
        tar.entry({ ...common, name: `${path}/`, type: 'directory', mode: 0o755 }, written);
      else
        tar.entry(
          { ...common, name: path, type: 'file', mode: 0o644, size: content.length },
          content,
          written,
        );
    });
  }
  tar.finalize();
}

/** Checks the files and lists them with their directories, in the order of the bytes of their paths. */
function entriesOf(files: ArchiveFiles): readonly ArchiveEntry[] {
  const paths = Object.keys(files);
  if (paths.length === 0) throw invalid('there is no file in it');
  if (paths.length > MAX_ARCHIVE_FILES) {
    throw invalid(`it holds ${paths.length} files; at most ${MAX_ARCHIVE_FILES} are allowed`);
  }
  const entries = new Map<string, ArchiveEntry>();
  let total = 0;
  for (const path of paths) {
    const content = Buffer.from(files[path] ?? '');
    total += content.length;
    if (total > MAX_ARCHIVE_BYTES) {
      throw invalid(`with ${JSON.stringify(path)} it grows beyond ${MAX_ARCHIVE_BYTES} bytes`);
    }
    checkPath(path);
    entries.set(path, { path, content });
  }
  for (const path of paths) {
    for (let slash = path.indexOf('/'); slash > 0; slash = path.indexOf('/', slash + 1)) {
      const directory = path.slice(0, slash);
      if (entries.get(directory)?.content !== undefined) {
        throw invalid(
          `${JSON.stringify(directory)} is a file and the directory of ${JSON.stringify(path)} at once`,
        );
      }
      entries.set(directory, { path: directory, content: undefined });
    }
  }
  return [...entries.values()].sort((a, b) => Buffer.compare(Buffer.from(a.path), Buffer.from(b.path)));
}

function checkPath(path: string): void {
  const fault = pathFault(path);
  if (fault !== undefined)
    throw invalid(`the path ${JSON.stringify(path.slice(0, MAX_PATH_BYTES))} ${fault}`);
}

function pathFault(path: string): string | undefined {
  if (path === '') return 'is empty';
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) return `is longer than ${MAX_PATH_BYTES} bytes`;
  if (path.startsWith('/')) return 'is absolute; paths are relative to the root of the template';
  if (path.includes('\\')) return 'holds a backslash; directories are separated by "/"';
  if (/[\p{Cc}\p{Cs}]/u.test(path)) return 'holds a control character or half a character';
  const parts = path.split('/');
  if (parts.includes('')) return 'has an empty part';
  if (parts.includes('.') || parts.includes('..')) return 'has a part "." or ".."';
  return undefined;
}

function invalid(fault: string): OperatorError {
  return new OperatorError('INVALID_ARCHIVE', `The template's content cannot be packed: ${fault}`);
}

/** Everything that makes one template version differ from another. */
export interface VersionContent {
  readonly files: ArchiveFiles;
  readonly provisioner: string;
  readonly provisionerTags?: Readonly<Record<string, string>>;
  /**
   * Names of the template's variables with what stands for their values. A secret value must never be given here,
   * since the hash is shown: its Secret's uid and resourceVersion stand for it.
   */
  readonly variables?: Readonly<Record<string, string>>;
}

/** SHA-256 over the content, in hex. The order of keys does not matter. */
export function contentHash(content: VersionContent): string {
  const files = sortedEntries(content.files).map(([path, data]) => [path, sha256(data)]);
  const canonical = [
    files,
    content.provisioner,
    sortedEntries(content.provisionerTags ?? {}),
    sortedEntries(content.variables ?? {}),
  ];
  return sha256(JSON.stringify(canonical));
}

function sortedEntries<T>(record: Readonly<Record<string, T>>): [string, T][] {
  return Object.entries(record).sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}

function sha256(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}

/**
 * The name of the version with this content: `k8s-` and the first twelve digits of its hash. Coder keeps the name of
 * a version whose import failed for ever, so further attempts count up: `-r2`, `-r3`.
 *
 * @param attempt 1 for the first.
 */
export function versionName(hash: string, attempt: number): string {
  const base = `k8s-${hash.slice(0, 12)}`;
  return attempt <= 1 ? base : `${base}-r${attempt}`;
}
