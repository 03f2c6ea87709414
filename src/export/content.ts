import type { CoderTemplateSpec } from '../api/generated.ts';
import { contentFault, quotedPath, type ArchiveFiles } from '../coder/layout.ts';
import type { Template, TemplateVersionVariable } from '../coder/types.ts';

/** What the active version of a template consists of, as far as this token may see it. */
export interface VersionContent {
  readonly files:
    | { readonly seen: 'files'; readonly files: ArchiveFiles; readonly leftOut: readonly string[] }
    /** @param why the rest of a sentence that begins with "its files …". */
    | { readonly seen: 'hidden' | 'unusable'; readonly why: string };
  readonly tags: Readonly<Record<string, string>>;
  /** Undefined where Coder does not show them. */
  readonly variables: readonly TemplateVersionVariable[] | undefined;
}

export interface Content {
  readonly spec: Pick<CoderTemplateSpec, 'files' | 'versionID' | 'provisioner' | 'provisionerTags'>;
  readonly notes: readonly string[];
}

/** The bounds of the CRD, and what kubectl's client-side apply can keep in its annotation besides. */
const MAX_FILES = 128;
const MAX_BYTES = 192 * 1024;
const MAX_ANNOTATION_BYTES = 256 * 1024 - 8 * 1024;
const MAX_PATH = 200;
const MAX_TAGS = 16;
const MAX_TAG_NAME = 64;
const MAX_TAG_VALUE = 128;
const MOST_NAMED = 10;

/**
 * The content for the spec: the files where the operator would find the active version to be the same, so that taking
 * over uploads nothing; else that version by its UUID, which is what is active already.
 *
 * Variables are never there. One that is left out is not compared and keeps its value in Coder, whereas one that is
 * sensitive could not be compared and would make a new version.
 */
export function contentOf(template: Template, { files, tags, variables }: VersionContent): Content {
  if (files.seen !== 'files') return byVersion(template, `its files ${files.why}`);
  const asFiles = filesOf(files.files, template);
  if (typeof asFiles === 'string') return byVersion(template, asFiles);
  const tagged = tagsOf(tags, asFiles);
  const leftOut =
    files.leftOut.length === 0
      ? []
      : [`Left out of the files, as Coder's own command line does: ${listed(files.leftOut)}.`];
  return {
    spec: {
      files: asFiles,
      ...(template.provisioner === 'echo' ? { provisioner: 'Echo' as const } : {}),
      ...(tagged.tags === undefined ? {} : { provisionerTags: tagged.tags }),
    },
    notes: [...leftOut, ...tagged.notes, ...aboutVariables(variables)],
  };
}

function byVersion(template: Template, why: string): Content {
  return {
    spec: { versionID: template.active_version_id },
    notes: [`The active version is named here instead of its content: ${why}.`],
  };
}

/** The files as texts, sorted by path, or why they cannot be: a sentence without its full stop. */
function filesOf(files: ArchiveFiles, template: Template): Readonly<Record<string, string>> | string {
  const { provisioner = 'terraform' } = template;
  if (provisioner !== 'terraform' && provisioner !== 'echo') {
    return `${provisioner} is no provisioner that the operator knows`;
  }
  const fault = contentFault(files, { provisioner });
  if (fault !== undefined) return `its files are no template to the operator, since ${fault}`;
  const paths = Object.keys(files).sort();
  if (paths.length > MAX_FILES) return `it has more than ${MAX_FILES} files`;
  const texts: (readonly [string, string])[] = [];
  let bytes = 0;
  for (const path of paths) {
    if (!isPath(path)) return `the path ${quotedPath(path)} does not fit into spec.files`;
    const content = files[path] ?? '';
    bytes += path.length + Buffer.byteLength(content);
    if (bytes > MAX_BYTES) return `its files are larger than ${MAX_BYTES / 1024} KiB`;
    const text = textOf(content);
    if (text === undefined) return `${quotedPath(path)} is no text`;
    texts.push([path, text]);
  }
  const result = Object.fromEntries(texts);
  return jsonBytes(result) > MAX_ANNOTATION_BYTES
    ? 'kubectl apply could not keep it in an annotation, where line ends and quotation marks take more room'
    : result;
}

function isPath(path: string): boolean {
  return path.length <= MAX_PATH && /^[\w.@+-]+(\/[\w.@+-]+)*$/.test(path);
}

/** Undefined for what is no UTF-8, or holds control characters that people do not write. */
function textOf(content: string | Uint8Array): string | undefined {
  let text: string;
  try {
    text =
      typeof content === 'string'
        ? content
        : new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(content);
  } catch {
    return undefined;
  }
  return /[^\P{Cc}\t\n\r]/u.test(text) ? undefined : text;
}

/** As kubectl writes it: `<`, `>` and `&` take six bytes each. */
function jsonBytes(value: object): number {
  const json = JSON.stringify(value);
  return Buffer.byteLength(json) + 5 * (json.match(/[<>&]/g)?.length ?? 0);
}

/**
 * The tags that a next version needs too, since Coder hands none on. Those that the content names itself are not to be
 * fixed by a manifest.
 */
function tagsOf(
  all: Readonly<Record<string, string>>,
  files: Readonly<Record<string, string>>,
): { readonly tags?: Readonly<Record<string, string>>; readonly notes: readonly string[] } {
  // Coder gives both to every version, and they say something only where it is one user's.
  const isEverybodys = all['scope'] !== 'user';
  const tags = Object.entries(all)
    .filter(([name]) => !isEverybodys || (name !== 'scope' && name !== 'owner'))
    .sort(([a], [b]) => (a < b ? -1 : 1));
  if (tags.length === 0) return { notes: [] };
  const named = listed(tags.map(([name, value]) => `${name}=${value}`));
  if (Object.values(files).some((text) => text.includes('coder_workspace_tags'))) {
    return {
      notes: [
        `provisionerTags are left out, since the content names tags itself. The version has: ${named}.`,
      ],
    };
  }
  const fits = tags.every(
    ([name, value]) => name !== '' && name.length <= MAX_TAG_NAME && value.length <= MAX_TAG_VALUE,
  );
  return fits && tags.length <= MAX_TAGS
    ? { tags: Object.fromEntries(tags), notes: [] }
    : { notes: [`provisionerTags are left out, since they do not fit. The version has: ${named}.`] };
}

function aboutVariables(variables: VersionContent['variables']): readonly string[] {
  const set = (variables ?? []).filter((v) => v.sensitive || v.value !== v.default_value);
  if (set.length === 0) return [];
  const names = listed(set.map((v) => (v.sensitive ? `${v.name} (sensitive)` : v.name)).sort());
  return [`Variables are left out; new versions keep the values that Coder has for: ${names}.`];
}

function listed(texts: readonly string[]): string {
  const more = texts.length - MOST_NAMED;
  return `${texts.slice(0, MOST_NAMED).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
