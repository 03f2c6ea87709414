import { createHash } from 'node:crypto';
import type { ArchiveFiles } from './layout.ts';

/** Everything that makes one template version differ from another. */
export interface VersionContent {
  /** Hash of the files (`filesHash`). */
  readonly filesHash: string;
  readonly provisioner: string;
  /** Left out and empty are the same. */
  readonly provisionerTags?: Readonly<Record<string, string>> | undefined;
  /**
   * Hash of the variables; left out when there are none. It must not follow from secret values, since it is shown: a
   * Secret's uid and resourceVersion stand for them.
   */
  readonly variablesHash?: string | undefined;
}

/**
 * SHA-256 over paths and contents, in hex. Neither the order nor the source matters, nor whether a content came as text
 * or as bytes.
 */
export function filesHash(files: ArchiveFiles): string {
  return sha256(JSON.stringify(sortedEntries(files).map(([path, data]) => [path, sha256(data)])));
}

/** SHA-256 over all that goes into a version, in hex. */
export function contentHash(content: VersionContent): string {
  const canonical = [
    content.filesHash,
    content.provisioner,
    sortedEntries(content.provisionerTags ?? {}),
    content.variablesHash ?? '',
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

/** Which attempt at this content a version's name stands for; undefined for none. */
export function attemptIn(hash: string, name: string): number | undefined {
  const base = versionName(hash, 1);
  if (name === base) return 1;
  const attempt = name.startsWith(`${base}-r`) ? Number(name.slice(base.length + 2)) : 0;
  return name === versionName(hash, attempt) ? attempt : undefined;
}
