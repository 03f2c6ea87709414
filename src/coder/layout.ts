import { cleanText } from './redact.ts';

/** Content of a template: relative paths with forward slashes, and what the files hold. */
export type ArchiveFiles = Readonly<Record<string, string | Uint8Array>>;

/** What imports a template in Coder; `echo` is its recorder for tests. */
export type Provisioner = 'terraform' | 'echo';

/** Largest content of one template in bytes; Coder's own command line stops here too. */
export const MAX_ARCHIVE_BYTES = 1024 * 1024;

/** Largest number of files in one template, and of folders. */
export const MAX_ARCHIVE_FILES = 1024;

const MAX_PATH_BYTES = 255;
const MAX_QUOTED_PATH_BYTES = 120;

const LOCK_FILE = '.terraform.lock.hcl';

/**
 * Leaves out what Coder's own command line leaves out, so that the same folder gives the same template whichever way it
 * comes: hidden files and folders, Terraform's state, and files with values of variables.
 *
 * @returns also what was left out, sorted; a hidden folder is named once, with a slash at its end.
 */
export function templateFiles(files: ArchiveFiles): {
  readonly files: ArchiveFiles;
  readonly leftOut: readonly string[];
} {
  const leftOut = new Set<string>();
  const kept = Object.entries(files).filter(([path]) => {
    const name = leftOutAs(path);
    if (name !== undefined) leftOut.add(name);
    return name === undefined;
  });
  // fromEntries and never an assignment: a file may be called "__proto__".
  return { files: Object.fromEntries(kept), leftOut: [...leftOut].sort() };
}

/**
 * The name under which a path is left out: its outermost hidden folder, or the path itself. Undefined when it belongs to
 * the template. The rules are those of `coder templates push`:
 *
 * - hidden files and folders, at any depth, but for Terraform's lock file;
 * - whatever has `.tfstate` anywhere in its path;
 * - `terraform.tfvars` and `terraform.tfvars.json` at the root; `*.auto.tfvars` and `*.auto.tfvars.json` at any depth.
 */
export function leftOutAs(path: string): string | undefined {
  const parts = path.split('/');
  const last = parts.length - 1;
  // "." and ".." are no names of files: such a path is refused (pathFault) and must not vanish before that.
  const hidden = parts.findIndex(
    (part, i) => /^\.(?!\.?$)/.test(part) && !(i === last && part === LOCK_FILE),
  );
  if (hidden >= 0) return hidden === last ? path : `${parts.slice(0, hidden + 1).join('/')}/`;
  const isLeftOut =
    path.includes('.tfstate') || /^terraform\.tfvars(\.json)?$|\.auto\.tfvars(\.json)?$/.test(path);
  return isLeftOut ? path : undefined;
}

/**
 * The first thing that keeps these files from being a template, as a part of a sentence; undefined when all is well.
 * What is left out anyway (templateFiles) must be gone already.
 */
export function contentFault(
  files: ArchiveFiles,
  options: { readonly provisioner: Provisioner },
): string | undefined {
  return archiveFault(files) ?? (options.provisioner === 'terraform' ? terraformFault(files) : undefined);
}

/** The first thing that keeps files from being packed, whoever will read them. */
export function archiveFault(files: ArchiveFiles): string | undefined {
  const paths = Object.keys(files);
  if (paths.length === 0) return 'no file is left in it but hidden ones, state and tfvars';
  if (paths.length > MAX_ARCHIVE_FILES) return tooMany('files');
  let total = 0;
  for (const [path, content] of Object.entries(files)) {
    total += Buffer.byteLength(content);
    if (total > MAX_ARCHIVE_BYTES) return tooLarge(path);
    const fault = pathFault(path);
    if (fault !== undefined) return `the path ${quotedPath(path)} ${fault}`;
  }
  for (const path of paths) {
    const file = parentsOf(path).find((parent) => Object.hasOwn(files, parent));
    if (file !== undefined) {
      return `${quotedPath(file)} is a file and the folder of ${quotedPath(path)} at once; rename one of them`;
    }
  }
  if (foldersOf(paths).size > MAX_ARCHIVE_FILES) return tooMany('folders');
  return undefined;
}

/** Terraform reads the root only, and so does Coder's command line when it looks for a template. */
function terraformFault(files: ArchiveFiles): string | undefined {
  const terraform = Object.keys(files).filter((path) => /\.tf(\.json)?$/.test(path));
  if (terraform.some((path) => !path.includes('/'))) return undefined;
  const deeper = terraform[0];
  const where = deeper === undefined ? '' : `; ${quotedPath(deeper)} lies deeper, where it is no template`;
  return `there is no .tf or .tf.json file at its root${where}`;
}

export function tooMany(things: 'files' | 'folders'): string {
  return `it holds more than ${MAX_ARCHIVE_FILES} ${things}; leave out what the template does not need`;
}

/** @param path the file with which it became too much. */
export function tooLarge(path: string): string {
  return `with ${quotedPath(path)} it grows beyond ${MAX_ARCHIVE_BYTES / 1024 ** 2} MiB; leave out what the template does not need`;
}

/**
 * What is wrong with a path, as the rest of a sentence; undefined for a relative path that stays where it belongs.
 *
 * @param maxBytes the longest path that is fine, in bytes of UTF-8. Default 255.
 */
export function pathFault(path: string, maxBytes: number = MAX_PATH_BYTES): string | undefined {
  if (path === '') return 'is empty';
  if (Buffer.byteLength(path) > maxBytes) return `is longer than ${maxBytes} bytes`;
  if (path.startsWith('/')) return 'is absolute; paths are relative to the root of the template';
  if (path.includes('\\')) return 'holds a backslash; folders are separated by "/"';
  // U+FFFD is what a decoder leaves where bytes were no UTF-8.
  if (/[\p{Cc}\p{Cs}\uFFFD]/u.test(path)) return 'holds a control character or half a character';
  const parts = path.split('/');
  if (parts.includes('')) return 'has an empty part';
  if (parts.includes('.') || parts.includes('..')) return 'has a part "." or ".."';
  return undefined;
}

/** A path of somebody's in quotation marks, fit to be shown: cleaned, and cut when it is long. */
export function quotedPath(path: string): string {
  return JSON.stringify(cleanText(path, MAX_QUOTED_PATH_BYTES));
}

/** All folders that the files lie in, at every depth. */
export function foldersOf(paths: Iterable<string>): ReadonlySet<string> {
  const folders = new Set<string>();
  for (const path of paths) {
    for (const parent of parentsOf(path)) folders.add(parent);
  }
  return folders;
}

/** The folders that a path lies in, the outermost first. */
function parentsOf(path: string): string[] {
  const parts = path.split('/').slice(0, -1);
  return parts.map((_, i) => parts.slice(0, i + 1).join('/'));
}
