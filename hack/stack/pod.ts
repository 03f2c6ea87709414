import {
  copyFileSync,
  mkdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Kubernetes } from './kubernetes.ts';

/** Long enough for a stack that is left running for weeks. */
const tokenSeconds = 365 * 24 * 3600;

/** Of what runs in the place of a pod: as which service account, and where its files are kept. */
export interface PodAccount {
  readonly namespace: string;
  readonly serviceAccount: string;
  /** Folder of the stack. */
  readonly dir: string;
}

/**
 * What the kubelet mounts into a pod for its service account.
 * @returns the folder. @throws StackError TOOL_FAILED.
 */
export async function writeServiceAccount(
  kubernetes: Kubernetes,
  { namespace, serviceAccount, dir }: PodAccount,
): Promise<string> {
  const folder = join(dir, serviceAccount);
  const token = await kubernetes.serviceAccountToken(namespace, serviceAccount, tokenSeconds);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  writeFileSync(join(folder, 'token'), token, { mode: 0o600 });
  copyFileSync(kubernetes.caFile, join(folder, 'ca.crt'));
  return folder;
}

/**
 * Flags of Node in the place of a container. The first is what Node itself makes of a memory limit of 512 Mi; without a
 * limit it would let garbage lie until gigabytes are full. The second is what the command of a container is to set: of so
 * small a limit Node makes a place for new objects of 1 MB, which is full after a few passes.
 */
export const containerFlags: readonly string[] = ['--max-old-space-size=256', '--max-semi-space-size=8'];

/** What the kubelet sets for each container. */
export function podEnvironment(url: string): Readonly<Record<string, string>> {
  const { hostname, port } = new URL(url);
  return { KUBERNETES_SERVICE_HOST: hostname, KUBERNETES_SERVICE_PORT: port };
}

/**
 * Writes files as the kubelet mounts those of a Secret, and changes them: each is a link through `..data`, a link to the
 * folder with the present content that is replaced as a whole. Who reads sees all files of before or all of now.
 */
export function mountFiles(folder: string, files: Readonly<Record<string, string | Uint8Array>>): void {
  const place = `..${process.pid}_${performance.now()}`;
  const data = join(folder, '..data');
  mkdirSync(join(folder, place), { recursive: true, mode: 0o700 });
  for (const [name, content] of Object.entries(files)) {
    writeFileSync(join(folder, place, name), content, { mode: 0o600 });
  }
  const before = linkOf(data);
  symlinkSync(place, `${data}_tmp`);
  renameSync(`${data}_tmp`, data);
  for (const name of Object.keys(files)) {
    if (linkOf(join(folder, name)) === undefined) symlinkSync(join('..data', name), join(folder, name));
  }
  if (before !== undefined) rmSync(join(folder, before), { recursive: true, force: true });
}

function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}
