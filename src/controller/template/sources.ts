import { cut } from '../../api/conditions.ts';
import { annotations, type CoderTemplate } from '../../api/kinds.ts';
import type { ReconcilingReason, StalledReason } from '../../api/reasons.ts';
import { filesHash } from '../../coder/contenthash.ts';
import { cleanText } from '../../coder/redact.ts';
import { contentFault, quotedPath, templateFiles, type ArchiveFiles } from '../../coder/layout.ts';
import { objectKey } from '../../kube/objects.ts';
import type { ArchiveAnswer, ArchiveRequest } from '../archives.ts';
import type { ConfigMap, ConfigMapAnswer } from '../configmaps.ts';
import { artifactOf, type FluxRef, type FluxSource } from '../flux.ts';
import type { ReferredAnswer } from '../referred.ts';
import { readingForbidden } from '../secrets.ts';
import { after, untilWoken, type Rest } from '../step.ts';
import { ownField, VALUES_AGAIN_MS, type ValueResolver } from '../values.ts';
import { placeOf, provisionerOf, type ContentFact } from './content.ts';

/** Where content comes from. */
export interface ContentSources {
  readonly configMap: (namespace: string, name: string) => Promise<ConfigMapAnswer>;
  readonly flux: (namespace: string, ref: FluxRef) => Promise<ReferredAnswer<FluxSource>>;
  /** Never waits for a download: the object is woken when there is more to say. */
  readonly archive: (objectKey: string, request: ArchiveRequest) => ArchiveAnswer;
}

/** A failure that no time heals is remembered. */
const FETCH_AGAIN = 'The annotation coder.com/reconcile-requested-at with a new value has it fetched again';

/** Longest revision that a status holds, in characters. It is foreign: Flux has it from others. */
const LONGEST_REVISION = 256;

type Lack = Exclude<ContentFact, { state: 'found' }>;
type Source = NonNullable<CoderTemplate['spec']['source']>;

/** An archive, wherever the spec says it is. */
interface Archive {
  readonly url: string;
  readonly sha256: string;
  readonly revision?: string;
}

interface Harvest {
  readonly state: 'found';
  readonly filesHash: string;
  readonly files?: ArchiveFiles;
  readonly leftOut: readonly string[];
  readonly source?: NonNullable<CoderTemplate['status']>['source'];
}

/**
 * Looks up what the template is to consist of. What an archive holds is known from the status as long as its digest is
 * the same, so that nothing is fetched at rest.
 *
 * @param withFiles whether the files themselves are needed.
 * @throws KubeError when the API server does not answer.
 */
export async function readContent(
  object: CoderTemplate,
  sources: ContentSources,
  values: ValueResolver,
  withFiles: boolean,
): Promise<ContentFact> {
  const { spec, metadata } = object;
  const harvest = await harvestOf(object, sources, withFiles);
  if (harvest.state !== 'found') return harvest;
  // An empty list is none.
  if (spec.variables === undefined || spec.variables.length === 0) return { ...harvest, variables: [] };
  const variables = await values.resolve(metadata.namespace ?? '', spec.variables);
  if (variables.state === 'resolved') {
    return { ...harvest, variables: variables.values, variablesHash: variables.hash };
  }
  const message = `spec.variables: ${variables.cause.message}`;
  const rest = after(VALUES_AGAIN_MS);
  return variables.state === 'missing'
    ? { state: 'waiting', cause: { ...variables.cause, message }, rest }
    : { state: 'refused', cause: { ...variables.cause, message }, rest };
}

async function harvestOf(
  object: CoderTemplate,
  sources: ContentSources,
  withFiles: boolean,
): Promise<Harvest | Lack> {
  const { files, source } = object.spec;
  if (files !== undefined) return textFault(files) ?? checked(object, files);
  if (source?.configMapRef !== undefined) return inConfigMap(object, source.configMapRef, sources);
  if (source?.sourceRef !== undefined) {
    const archive = await inFlux(object, source.sourceRef, sources);
    return 'state' in archive
      ? archive
      : inArchive(object, { archive, sources, withFiles, isReplaced: true });
  }
  if (source?.archive !== undefined) {
    return inArchive(object, { archive: source.archive, sources, withFiles, isReplaced: false });
  }
  return refused(
    'ContentMissing',
    'spec.source names no source: set one of configMapRef, archive and sourceRef',
  );
}

async function inConfigMap(
  object: CoderTemplate,
  { name, items }: NonNullable<Source['configMapRef']>,
  sources: ContentSources,
): Promise<Harvest | Lack> {
  const namespace = object.metadata.namespace ?? '';
  const configMap = await sources.configMap(namespace, name);
  if (configMap === 'forbidden') return forbidden('the ConfigMaps', namespace);
  if (configMap === undefined)
    return missing(
      `There is no ConfigMap ${name} in the namespace ${namespace}: create it, or correct spec.source.configMapRef`,
    );
  const wanted = items ?? keysOf(configMap).map((key) => ({ key, path: key }));
  const found = wanted.map(({ key, path }) => ({ key, path, content: contentOfKey(configMap, key) }));
  const lacking = found.filter(({ content }) => content === undefined).map(({ key }) => key);
  if (lacking.length > 0) {
    const keys = `${lacking.length === 1 ? 'key' : 'keys'} ${lacking.slice(0, 5).join(', ')}`;
    return missing(
      `The ConfigMap ${name} has no ${keys}${lacking.length > 5 ? ', …' : ''}: add what is missing, or correct spec.source.configMapRef.items`,
    );
  }
  const files = Object.fromEntries(found.map(({ path, content }) => [path, content ?? '']));
  return checked(object, files);
}

function keysOf({ data = {}, binaryData = {} }: ConfigMap): readonly string[] {
  return [...Object.keys(data), ...Object.keys(binaryData)];
}

function contentOfKey({ data, binaryData }: ConfigMap, key: string): string | Uint8Array | undefined {
  const binary = ownField(binaryData, key);
  return ownField(data, key) ?? (binary === undefined ? undefined : Buffer.from(binary, 'base64'));
}

async function inFlux(
  object: CoderTemplate,
  ref: NonNullable<Source['sourceRef']>,
  sources: ContentSources,
): Promise<Archive | Lack> {
  const namespace = object.metadata.namespace ?? '';
  const source = await sources.flux(namespace, ref);
  const label = `${ref.kind} ${ref.name}`;
  if (source === 'forbidden') return forbidden("Flux's sources", namespace);
  if (source === 'unknownKind') {
    return missing(
      `This cluster does not know the kind ${ref.kind} (source.toolkit.fluxcd.io/v1): install Flux's source-controller, and this goes on by itself`,
    );
  }
  if (source === undefined)
    return missing(
      `There is no ${label} in the namespace ${namespace}: create it, or correct spec.source.sourceRef`,
    );
  const artifact = artifactOf(source);
  return 'problem' in artifact ? missing(`The ${label} ${artifact.problem}`) : artifact;
}

function inArchive(
  object: CoderTemplate,
  {
    archive,
    sources,
    withFiles,
    isReplaced,
  }: {
    readonly archive: Archive;
    readonly sources: ContentSources;
    readonly withFiles: boolean;
    readonly isReplaced: boolean;
  },
): Harvest | Lack {
  const { url, sha256, revision } = archive;
  const path = object.spec.source?.path;
  const digest = `sha256:${sha256}`;
  const known = object.status?.source;
  const about = {
    ...(revision === undefined ? {} : { revision: cut(cleanText(revision), LONGEST_REVISION) }),
    digest,
    path,
  };
  if (!withFiles && known?.digest === digest && known.path === path) {
    const { filesHash: hash } = known;
    return { state: 'found', filesHash: hash, leftOut: [], source: { ...about, filesHash: hash } };
  }
  const request = object.metadata.annotations?.[annotations.reconcileRequestedAt];
  const answer = sources.archive(objectKey(object), { url, sha256, path, request, isReplaced });
  switch (answer.state) {
    case 'ready': {
      // What belongs to no template was left out when it was unpacked.
      const { files, filesHash: hash, leftOut } = answer;
      const source = { ...about, filesHash: hash };
      return noTemplate(object, files) ?? { state: 'found', filesHash: hash, files, leftOut, source };
    }
    case 'fetching':
      return waiting('Progressing', `Fetching the archive of ${placeOf(object.spec)}`, untilWoken);
    case 'failed': {
      const message = `The content cannot be had from ${placeOf(object.spec)}: ${answer.message}`;
      return answer.retryAfterMs === undefined
        ? refused('InvalidContent', `${message.replace(/\.$/, '')}. ${FETCH_AGAIN}`)
        : waiting('SourceUnavailable', message, after(answer.retryAfterMs));
    }
  }
}

/** What of the files belongs to a template, if that is one. */
function checked(object: CoderTemplate, given: ArchiveFiles): Harvest | Lack {
  const { files, leftOut } = templateFiles(given);
  return noTemplate(object, files) ?? { state: 'found', filesHash: filesHash(files), files, leftOut };
}

function noTemplate({ spec }: CoderTemplate, files: ArchiveFiles): Lack | undefined {
  const fault = contentFault(files, { provisioner: provisionerOf(spec) });
  return fault === undefined
    ? undefined
    : refused('InvalidContent', `The content of ${placeOf(spec)} is no template: ${fault}`);
}

/** A binary file does not survive as a text in YAML: what is left of it is told by its NUL characters. */
function textFault(files: Readonly<Record<string, string>>): Lack | undefined {
  const binary = Object.keys(files).find((path) => files[path]?.includes('\0') === true);
  return binary === undefined
    ? undefined
    : refused(
        'InvalidContent',
        `spec.files: ${quotedPath(binary)} is no text, since it holds NUL characters; binary files come through spec.source, such as the binaryData of a ConfigMap`,
      );
}

function waiting(reason: ReconcilingReason, message: string, rest: Rest): Lack {
  return { state: 'waiting', cause: { reason, message }, rest };
}

/** A watch, or somebody's hand, wakes the object. */
function missing(message: string): Lack {
  return waiting('WaitingForDependency', message, untilWoken);
}

function refused(reason: StalledReason, message: string): Lack {
  return { state: 'refused', cause: { reason, message }, rest: untilWoken };
}

function forbidden(what: string, namespace: string): Lack {
  return { state: 'refused', cause: readingForbidden(what, namespace), rest: after(VALUES_AGAIN_MS) };
}
