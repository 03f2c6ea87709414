import { pipeline } from 'node:stream/promises';
import { setImmediate } from 'node:timers/promises';
import { createGunzip } from 'node:zlib';
import { extract, type Header } from 'tar-stream';
import { OperatorError } from '../base/errors.ts';
import {
  leftOutAs,
  MAX_ARCHIVE_BYTES,
  MAX_ARCHIVE_FILES,
  pathFault,
  quotedPath,
  tooLarge,
  tooMany,
  type ArchiveFiles,
} from './layout.ts';

/** Most that an archive may inflate to, the whole of it, in bytes. */
export const MAX_UNPACKED_BYTES = 256 * 1024 * 1024;

/** Most entries of an archive, the whole of it. */
export const MAX_ENTRIES = 100_000;

/**
 * Most bytes from one entry to the next, for extended headers and padding. The library collects extended headers in
 * memory and takes a second for one of 4 MiB.
 */
const MAX_BETWEEN_BYTES = 64 * 1024;

/** Most fields of an entry's extended headers. The library copies those of a global header for every entry. */
const MAX_EXTENDED_FIELDS = 256;

/** Longest name of an entry in bytes, as on Linux. */
const MAX_NAME_BYTES = 4096;

/** How many of the paths that are left out are told. */
const MOST_LEFT_OUT = 100;

const DAMAGED = 'its tar is damaged';
const MOST_FOLDERS_NAMED = 5;
const SLICE_BYTES = 16 * 1024;
const BLOCK_BYTES = 512;

export interface UnpackOptions {
  /** The folder whose content is the template, relative to the root of the archive. Default: the root. */
  readonly path?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface Unpacked {
  readonly files: ArchiveFiles;
  /** What lay under the path and does not belong to a template (see templateFiles); the first hundred. */
  readonly leftOut: readonly string[];
}

/**
 * Reads the files of a template out of a tar or a tar.gz that somebody else has made. Nothing of it touches a disk, and
 * what is held in memory is bounded by what a template may hold, whatever the archive inflates to.
 *
 * @throws {OperatorError} `INVALID_ARCHIVE`, with a sentence for a condition.
 * @throws the signal's reason when it is aborted.
 */
export async function unpack(bytes: Uint8Array, options: UnpackOptions = {}): Promise<Unpacked> {
  options.signal?.throwIfAborted();
  const harvest = new Harvest(folderOf(options.path ?? ''));
  const tar = extract();
  const feeding = pipeline(bounded(inflated(bytes), harvest), tar, { signal: options.signal });
  // Whatever ends the feeding ends the reading below, with the same error.
  const fed = feeding.catch(() => undefined);
  try {
    for await (const entry of tar) await harvest.take(entry);
    await feeding;
  } catch (error) {
    options.signal?.throwIfAborted();
    throw error instanceof OperatorError ? error : invalid(streamFault(error), error);
  } finally {
    await fed;
  }
  return harvest.result();
}

/** An entry as the library gives it out; its content must be read before the next one comes. */
interface Entry extends AsyncIterable<unknown> {
  readonly header: Header;
}

/** Collects what lies under one folder while the archive passes by. */
class Harvest {
  /** Bytes that went into the reader since it last gave something out. */
  silentBytes = 0;
  readonly #folder: string;
  readonly #files = new Map<string, Uint8Array>();
  readonly #leftOut = new Set<string>();
  readonly #topFolders = new Set<string>();
  #bytes = 0;
  #entries = 0;
  #found: boolean;

  constructor(folder: string) {
    this.#folder = folder;
    this.#found = folder === '';
  }

  /** Must be awaited before the next entry: the archive goes on when this one's content was read. */
  async take(entry: Entry): Promise<void> {
    this.silentBytes = 0;
    const { header } = entry;
    if (++this.#entries > MAX_ENTRIES) throw invalid(`it has more than ${MAX_ENTRIES} entries`);
    if (Object.keys(header.pax ?? {}).length > MAX_EXTENDED_FIELDS) {
      throw invalid(
        `the entry ${quotedPath(header.name)} has more than ${MAX_EXTENDED_FIELDS} extended fields`,
      );
    }
    // The library knows no number for some sizes, and would wait for ever for the end of such a content.
    if (!Number.isInteger(header.size)) throw invalid(DAMAGED);
    const isFolder = isFolderEntry(header);
    const path = this.#pathOf(header.name, isFolder);
    const below = this.#below(path);
    if (below !== undefined) this.#found = true;
    // Never read: the stream of a folder does not end when its header claims a size.
    if (isFolder) return;
    if (below === '') {
      throw invalid(
        `${quotedPath(path)} is ${kindOf(header)} in it and not a folder; the path must name a folder`,
      );
    }
    if (below === undefined || this.#isLeftOut(below)) {
      await this.#read(entry);
      return;
    }
    this.#check(header, below);
    this.#bytes += header.size;
    this.#files.set(below, Buffer.concat(await this.#read(entry, true)));
  }

  result(): Unpacked {
    if (!this.#found) throw invalid(this.#absence());
    return { files: Object.fromEntries(this.#files), leftOut: [...this.#leftOut].sort() };
  }

  /** The path of an entry from the root of the archive; empty for the root itself. */
  #pathOf(name: string, isFolder: boolean): string {
    const relative = name.replace(/^(\.\/+)+/, '');
    if (isFolder && (relative === '' || relative === '.')) return '';
    const path = isFolder && relative.endsWith('/') ? relative.slice(0, -1) : relative;
    const fault = pathFault(path, MAX_NAME_BYTES);
    if (fault !== undefined) throw invalid(`the name of its entry ${quotedPath(name)} ${fault}`);
    const [top = '', ...deeper] = path.split('/');
    if (this.#topFolders.size <= MOST_FOLDERS_NAMED && (isFolder || deeper.length > 0)) {
      this.#topFolders.add(top);
    }
    return path;
  }

  /** The path from the folder on: empty for the folder itself, undefined for what lies elsewhere. */
  #below(path: string): string | undefined {
    if (this.#folder === '') return path;
    if (path === this.#folder) return '';
    return path.startsWith(`${this.#folder}/`) ? path.slice(this.#folder.length + 1) : undefined;
  }

  #isLeftOut(path: string): boolean {
    const name = leftOutAs(path);
    if (name !== undefined && this.#leftOut.size < MOST_LEFT_OUT) this.#leftOut.add(name);
    return name !== undefined;
  }

  #check(header: Header, path: string): void {
    if (!isFile(header)) {
      throw invalid(
        `its entry ${quotedPath(header.name)} is ${kindOf(header)}; a template consists of files and folders only`,
      );
    }
    const fault = pathFault(path);
    if (fault !== undefined) throw invalid(`the path ${quotedPath(path)} ${fault}`);
    if (this.#files.has(path)) throw invalid(`it holds ${quotedPath(header.name)} twice`);
    if (this.#files.size >= MAX_ARCHIVE_FILES) throw invalid(tooMany('files'));
    // Before anything of it is read: the header may promise any size.
    if (this.#bytes + header.size > MAX_ARCHIVE_BYTES) throw invalid(tooLarge(path));
  }

  async #read(entry: Entry, keep = false): Promise<Buffer[]> {
    const chunks: Buffer[] = [];
    for await (const chunk of entry as AsyncIterable<Buffer>) {
      this.silentBytes = 0;
      if (keep) chunks.push(chunk);
    }
    return chunks;
  }

  #absence(): string {
    const named = [...this.#topFolders].slice(0, MOST_FOLDERS_NAMED).map(quotedPath);
    const more = this.#topFolders.size > MOST_FOLDERS_NAMED ? ' and more' : '';
    const there = named.length === 0 ? 'no folders at all' : `${named.join(', ')}${more} at its root`;
    return `there is no folder ${quotedPath(this.#folder)} in it; it has ${there}`;
  }
}

function isFolderEntry(header: Header): boolean {
  // Before there was a type for folders, a slash at the end said so.
  return (
    header.type === 'directory' || (header.type === 'file' && header.name.endsWith('/') && header.size === 0)
  );
}

function isFile(header: Header): boolean {
  return header.type === 'file' || header.type === 'contiguous-file';
}

function kindOf(header: Header): string {
  if (isFile(header)) return 'a file';
  switch (header.type) {
    case 'symlink':
      return 'a symbolic link';
    case 'link':
      return 'a hard link';
    case 'character-device':
    case 'block-device':
      return 'a device';
    case 'fifo':
      return 'a named pipe';
    default:
      return 'of an unknown kind';
  }
}

/** The folder that a person means, without slashes and dots around it. */
function folderOf(path: string): string {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  const folder = parts.join('/');
  const fault = path.startsWith('/')
    ? 'is absolute; it is relative to the root of the archive'
    : folder !== '' && pathFault(folder, MAX_NAME_BYTES);
  if (fault) throw invalid(`the path ${quotedPath(path)} ${fault}`);
  return folder;
}

/** Passes the archive on, and stops it once it is more than anybody needs. */
async function* bounded(chunks: AsyncIterable<Uint8Array>, harvest: Harvest): AsyncGenerator<Uint8Array> {
  let head: Uint8Array | undefined = Buffer.alloc(0);
  let total = 0;
  for await (const chunk of chunks) {
    const piece: Uint8Array = head === undefined ? chunk : Buffer.concat([head, chunk]);
    if (head !== undefined && piece.length < BLOCK_BYTES) {
      head = piece;
      continue;
    }
    if (head !== undefined && !isTar(piece)) throw notAnArchive(piece);
    head = undefined;
    total += piece.length;
    if (total > MAX_UNPACKED_BYTES) {
      throw invalid(`it inflates to more than ${MAX_UNPACKED_BYTES / 1024 ** 2} MiB`);
    }
    harvest.silentBytes += piece.length;
    if (harvest.silentBytes > MAX_BETWEEN_BYTES + SLICE_BYTES) {
      throw invalid(`it has more than ${MAX_BETWEEN_BYTES / 1024} KiB of headers or padding in one place`);
    }
    yield piece;
  }
  if (head !== undefined) throw notAnArchive(head);
}

function inflated(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return slicesOf(bytes);
  // It inflates in the thread pool, a piece at a time, and only as fast as the pieces are taken.
  const gunzip = createGunzip({ chunkSize: SLICE_BYTES });
  gunzip.end(bytes);
  return gunzip as AsyncIterable<Buffer>;
}

async function* slicesOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += SLICE_BYTES) {
    yield bytes.subarray(start, start + SLICE_BYTES);
    // Others must get their turn: nothing else here waits for anything but memory.
    await setImmediate();
  }
}

/** A tar begins with a header, and an empty one with a block of zeros. */
function isTar(head: Uint8Array): boolean {
  const block = Buffer.from(head.subarray(0, BLOCK_BYTES));
  return (
    block.length === BLOCK_BYTES &&
    (block.toString('latin1', 257, 262) === 'ustar' || block.every((byte) => byte === 0))
  );
}

/** How other things begin, in Latin-1. */
const LOOKS: readonly (readonly [RegExp, string])[] = [
  [/^$/, 'it is empty'],
  [/^PK/, 'it looks like a zip archive'],
  [/^BZh/, 'it looks like bzip2'],
  [/^\xfd7zXZ/, 'it looks like xz'],
  [/^\x28\xb5\x2f\xfd/, 'it looks like zstd'],
  [/^(\xef\xbb\xbf)?\s*<(!doctype|html)/i, 'it looks like a web page (HTML)'],
  [/^(\xef\xbb\xbf)?\s*</, 'it looks like XML'],
  [/^(\xef\xbb\xbf)?\s*[{[]/, 'it looks like JSON'],
];

function notAnArchive(head: Uint8Array): OperatorError {
  const start = Buffer.from(head.subarray(0, BLOCK_BYTES)).toString('latin1');
  const look = LOOKS.find(([pattern]) => pattern.test(start))?.[1] ?? 'it begins like neither of them';
  return invalid(`it is no tar and no tar.gz: ${look}`);
}

/** What ended the reading, when it was not one of our rules. */
function streamFault(error: unknown): string {
  const { code, message } = error as { code?: unknown; message?: unknown };
  if (code === 'Z_BUF_ERROR' || message === 'Unexpected end of data') return 'it is cut short';
  if (typeof code === 'string' && code.startsWith('Z_')) return 'its gzip compression is damaged';
  return DAMAGED;
}

function invalid(fault: string, cause?: unknown): OperatorError {
  return new OperatorError('INVALID_ARCHIVE', `The archive cannot be used: ${fault}`, { cause });
}
