import type { CoderTemplateSpec, CoderTemplateStatus } from '../../api/generated.ts';
import { contentHash, versionName } from '../../coder/archive.ts';

/** The provisioner of every version that is made from files. */
export const PROVISIONER = 'terraform';

/** What a template shall consist of. */
export type Content =
  | {
      readonly kind: 'files';
      /** SHA-256 over all that goes into the version. */
      readonly key: string;
      readonly files: Readonly<Record<string, string>>;
      /** Which try at this content it is, from 1. */
      readonly attempt: number;
      /** The version's name, which follows from the content: repeating any step finds what is there. */
      readonly versionName: string;
    }
  | { readonly kind: 'version'; readonly key: string; readonly versionID: string };

/** The content that the spec asks for, or undefined when only an existing template's settings are meant. */
export function contentOf(spec: CoderTemplateSpec, status: CoderTemplateStatus): Content | undefined {
  if (spec.versionID !== undefined)
    return { kind: 'version', key: spec.versionID, versionID: spec.versionID };
  if (spec.files === undefined) return undefined;
  const key = contentHash({ files: spec.files, provisioner: PROVISIONER });
  const attempt = attemptOf(key, status.pendingVersion);
  return { kind: 'files', key, files: spec.files, attempt, versionName: versionName(key, attempt) };
}

/** The try that a pending version of the same content stands for; 1 when it is of other content. */
function attemptOf(key: string, pending: CoderTemplateStatus['pendingVersion']): number {
  const attempt = pending?.attempt ?? 1;
  return pending?.name === versionName(key, attempt) ? attempt : 1;
}

/** What makes files impossible to pack and passes the CRD: a path that is a file and a folder at once. */
export function contentProblem(files: Readonly<Record<string, string>>): string | undefined {
  for (const path of Object.keys(files)) {
    const parts = path.split('/');
    const folder = parts
      .slice(1)
      .map((_, i) => parts.slice(0, i + 1).join('/'))
      .find((p) => Object.hasOwn(files, p));
    if (folder !== undefined) return `${folder} cannot be a file and, because of ${path}, a folder`;
  }
  return undefined;
}
