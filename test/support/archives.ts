import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { createGzip, gzipSync } from 'node:zlib';
import { pack, type Header, type Pack } from 'tar-stream';

export interface TarOptions {
  /** Goes before the name of every entry: `repo-abc123/` as archives of Git hosts have it, or `./` as tar writes it. */
  readonly prefix?: string;
  /** Entries for the folders, and first one for the root, as Flux writes them: `.`, `a`, `a/b`. Default false. */
  readonly folders?: boolean;
  /** Symbolic links, the name of each to where it points. */
  readonly symlinks?: Readonly<Record<string, string>>;
  /** Hard links, the name of each to the file that it is. */
  readonly hardLinks?: Readonly<Record<string, string>>;
}

/**
 * A tar of these files in this order, as other programs than ours write them. Names go in as they are, so that
 * `../main.tf` or `/etc/passwd` make an archive that nobody should unpack.
 */
export async function tarOf(
  files: Readonly<Record<string, string | Uint8Array>>,
  options: TarOptions = {},
): Promise<Buffer> {
  const { prefix = '', symlinks = {}, hardLinks = {} } = options;
  const tar = pack();
  const whole = buffer(tar);
  if (options.folders === true) {
    for (const name of foldersOf(Object.keys(files), prefix)) await add(tar, { name, type: 'directory' });
  }
  for (const [path, content] of Object.entries(files)) {
    await add(tar, { name: prefix + path, type: 'file' }, Buffer.from(content));
  }
  for (const [path, linkname] of Object.entries(symlinks)) {
    await add(tar, { name: prefix + path, type: 'symlink', linkname });
  }
  for (const [path, linkname] of Object.entries(hardLinks)) {
    await add(tar, { name: prefix + path, type: 'link', linkname: prefix + linkname });
  }
  tar.finalize();
  return whole;
}

/** The same, compressed. */
export async function tarGzOf(
  files: Readonly<Record<string, string | Uint8Array>>,
  options: TarOptions = {},
): Promise<Buffer> {
  return gzipSync(await tarOf(files, options));
}

/** A tar.gz of a thousandth of its content: one file of so many zeros. */
export async function bombOf(bytes: number, name = 'main.tf'): Promise<Buffer> {
  const tar = pack();
  const whole = buffer(tar.pipe(createGzip()));
  await pipeline(Readable.from(zeros(bytes)), tar.entry({ name, size: bytes }));
  tar.finalize();
  return whole;
}

/** SHA-256 in hex, as `spec.source.archive.sha256` wants it. */
export function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function* zeros(bytes: number): Generator<Buffer> {
  const block = Buffer.alloc(64 * 1024);
  for (let left = bytes; left > 0; left -= block.length) yield block.subarray(0, left);
}

function add(tar: Pack, header: Partial<Header> & Pick<Header, 'name'>, content?: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (error?: Error | null): void => (error ? reject(error) : resolve());
    if (content === undefined) tar.entry(header, done);
    else tar.entry({ ...header, size: content.length }, content, done);
  });
}

/** Every folder on the way to a file, parents first. */
function foldersOf(paths: readonly string[], prefix: string): readonly string[] {
  const folders = new Set(prefix === '' ? ['.'] : [prefix]);
  for (const path of paths) {
    for (let slash = path.indexOf('/'); slash > 0; slash = path.indexOf('/', slash + 1)) {
      folders.add(prefix + path.slice(0, slash));
    }
  }
  return [...folders];
}
