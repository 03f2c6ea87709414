import type { Cause } from '../../api/conditions.ts';
import type { CoderTemplateSpec, CoderTemplateStatus } from '../../api/generated.ts';
import type { CoderTemplate } from '../../api/kinds.ts';
import type { ReconcilingReason, StalledReason } from '../../api/reasons.ts';
import type { ArchiveFiles, Provisioner } from '../../coder/layout.ts';
import { attemptIn, contentHash, versionName } from '../../coder/contenthash.ts';
import type { FluxRef } from '../flux.ts';
import { after, untilWoken, type Rest } from '../step.ts';
import { SECRETS_AGAIN_MS, type ResolvedValue } from '../values.ts';
import { TAKEN_AS_APPLIED } from '../wishes.ts';
import type { TemplateInput } from './input.ts';

/** What was found where the spec says that the content is. */
export type ContentFact =
  | {
      readonly state: 'found';
      readonly filesHash: string;
      /** Left out where the hash was known without them. */
      readonly files?: ArchiveFiles | undefined;
      /** Paths of files that belong to no template, such as hidden ones. */
      readonly leftOut: readonly string[];
      /** The archive that the files are in. */
      readonly source?: CoderTemplateStatus['source'];
      readonly variables: readonly ResolvedValue[];
      /** Stands for the variables; undefined for none. */
      readonly variablesHash?: string | undefined;
    }
  | {
      readonly state: 'waiting';
      readonly cause: Cause<ReconcilingReason>;
      readonly rest: Rest;
    }
  | {
      readonly state: 'refused';
      readonly cause: Cause<StalledReason>;
      readonly rest: Rest;
    };

/** Files that shall become a version. */
export interface FilesContent {
  readonly kind: 'files';
  /** SHA-256 over all that goes into the version. */
  readonly key: string;
  readonly files: ArchiveFiles | undefined;
  readonly filesHash: string;
  readonly leftOut: readonly string[];
  readonly source: CoderTemplateStatus['source'];
  readonly provisioner: Provisioner;
  readonly tags: Readonly<Record<string, string>> | undefined;
  readonly variables: readonly ResolvedValue[];
  /** Which try at this content it is, from 1. */
  readonly attempt: number;
  /** The version's name, which follows from the content: repeating any step finds what is there. */
  readonly versionName: string;
}

/** What a template shall consist of. */
export type Content =
  | FilesContent
  /** A version that exists. */
  | { readonly kind: 'version'; readonly key: string; readonly versionID: string };

/** The content that a spec asks for, as far as it is known. */
export type Wished =
  /** Only an existing template's settings are meant. */
  | { readonly then: 'none' }
  | { readonly then: 'content'; readonly content: Content }
  /** It has to be looked up. */
  | { readonly then: 'read' }
  | { readonly then: 'lack'; readonly lack: Exclude<ContentFact, { state: 'found' }> };

/** @param status what is remembered of the template; the try at a content is told from it. */
export function wishedContent(input: TemplateInput, status: CoderTemplateStatus): Wished {
  const { spec } = input.object;
  if (spec.versionID !== undefined) {
    const { versionID } = spec;
    return { then: 'content', content: { kind: 'version', key: versionID, versionID } };
  }
  if (!hasFiles(spec)) return { then: 'none' };
  const fact = input.facts.content;
  if (fact === undefined) return { then: 'read' };
  if (fact.state !== 'found') return { then: 'lack', lack: fact };
  const { filesHash, files, leftOut, source, variables, variablesHash } = fact;
  const provisioner = provisionerOf(spec);
  const tags = spec.provisionerTags;
  const key = contentHash({ filesHash, provisioner, provisionerTags: tags, variablesHash });
  const attempt = attemptIn(key, status.pendingVersion?.name ?? '') ?? 1;
  return {
    then: 'content',
    content: {
      kind: 'files',
      key,
      files,
      filesHash,
      leftOut,
      source,
      provisioner,
      tags,
      variables,
      attempt,
      versionName: versionName(key, attempt),
    },
  };
}

/**
 * In place of the hash of content that counts as carried out although nobody could tell what it is: that of this very
 * spec. Another spec is a new wish.
 */
export function takenHash({ metadata }: CoderTemplate): string {
  return `${TAKEN_AS_APPLIED}:${metadata.generation ?? 0}`;
}

/** Whether the spec says where files are, which become versions. */
export function hasFiles(spec: CoderTemplateSpec): boolean {
  return spec.files !== undefined || spec.source !== undefined;
}

/** Names of the ConfigMaps that the content is in. */
export function contentConfigMaps({ source }: CoderTemplateSpec): readonly string[] {
  return source?.configMapRef === undefined ? [] : [source.configMapRef.name];
}

/** The sources of Flux that the content is in. */
export function contentSources({ source }: CoderTemplateSpec): readonly FluxRef[] {
  return source?.sourceRef === undefined ? [] : [source.sourceRef];
}

/** By its name in Coder. */
export function provisionerOf(spec: CoderTemplateSpec): Provisioner {
  return spec.provisioner === 'Echo' ? 'echo' : 'terraform';
}

/** Where the content is, in words for a person. */
export function placeOf({ files, source }: CoderTemplateSpec): string {
  if (files !== undefined) return 'spec.files';
  if (source?.configMapRef !== undefined) return `the ConfigMap ${source.configMapRef.name}`;
  if (source?.sourceRef !== undefined) return `the ${source.sourceRef.kind} ${source.sourceRef.name}`;
  return 'spec.source.archive';
}

/** How long content that is carried out rests: Secrets are not watched. */
export function restWith(content: Content | undefined): Rest {
  const hasSecrets = content?.kind === 'files' && content.variables.some(({ isSecret }) => isSecret);
  return hasSecrets ? after(SECRETS_AGAIN_MS) : untilWoken;
}
