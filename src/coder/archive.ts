import { buffer } from 'node:stream/consumers';
import { pack, type Pack } from 'tar-stream';
import { OperatorError } from '../base/errors.ts';
import { archiveFault, foldersOf, type ArchiveFiles } from './layout.ts';

const EPOCH = new Date(0);

interface ArchiveEntry {
  readonly path: string;
  /** Undefined for a folder. */
  readonly content: Buffer | undefined;
}

/**
 * Packs files into a tar that depends on nothing but them: the same content gives the same bytes, so that Coder,
 * which knows uploads by their hash, keeps one file however often it is sent. Every folder comes as an entry of its
 * own before what it holds, since Coder's provisioner makes no parent folders while it unpacks.
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

/** The files with their folders, in the order of the bytes of their paths. */
function entriesOf(files: ArchiveFiles): readonly ArchiveEntry[] {
  const fault = archiveFault(files);
  if (fault !== undefined) {
    throw new OperatorError('INVALID_ARCHIVE', `The template's content cannot be packed: ${fault}`);
  }
  const folders = [...foldersOf(Object.keys(files))].map((path) => ({ path, content: undefined }));
  const contents = Object.entries(files).map(([path, data]) => ({ path, content: Buffer.from(data) }));
  return [...folders, ...contents].sort((a, b) => Buffer.compare(Buffer.from(a.path), Buffer.from(b.path)));
}
