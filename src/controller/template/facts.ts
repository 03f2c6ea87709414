import { templates } from '../../api/kinds.ts';
import { isMirror } from '../../api/mirrors.ts';
import { parseTemplateName } from '../../api/names.ts';
import type { Clock } from '../../base/clock.ts';
import type { CoderClient } from '../../coder/client.ts';
import { versionName } from '../../coder/contenthash.ts';
import { isNotFound } from '../../coder/errors.ts';
import { unlessHidden } from '../../coder/hidden.ts';
import type {
  ProvisionerJob,
  Template,
  TemplateVersion,
  TemplateVersionVariable,
} from '../../coder/types.ts';
import type { LiveConnection } from '../connections.ts';
import { isBeingUninstalled, liveConnection, type Context } from '../context.ts';
import type { TimedSighting } from '../facts.ts';
import { MOST_IMPORTS } from '../settings.ts';
import { wishedContent } from './content.ts';
import type {
  ImportDetails,
  TemplateFactName,
  TemplateFacts,
  TemplateInput,
  TemplateRecord,
  VersionRecord,
} from './input.ts';
import { errorsIn, templateRecordOf, versionRecordOf } from './records.ts';
import { readContent } from './sources.ts';

/** The newest jobs among which a lost first version is looked for. */
const JOBS_LOOKED_THROUGH = 100;
/** The last lines of an import's log among which its errors are looked for. */
const LOG_LINES_LOOKED_THROUGH = 200;
/** Workspaces that are named when they hold up a deletion. */
const NAMED_WORKSPACES = 3;

/** Reads what a rule asks for: from Coder a few requests at most, or none where the answer is remembered. */
export async function readFact(
  context: Context,
  input: TemplateInput,
  fact: TemplateFactName,
): Promise<Partial<TemplateFacts>> {
  if (fact === 'crdTerminating') return { crdTerminating: await isBeingUninstalled(context.kube, templates) };
  if (fact === 'content' || fact === 'files') {
    const { content: sources, values } = context;
    return { content: await readContent(input.object, sources, values, fact === 'files') };
  }
  return readFromCoder(context, input, fact);
}

async function readFromCoder(
  context: Context,
  input: TemplateInput,
  fact: Exclude<TemplateFactName, 'crdTerminating' | 'content' | 'files'>,
): Promise<Partial<TemplateFacts>> {
  const { signal, clock } = context;
  const live = liveConnection(context, input.object);
  const { client } = live;
  const { spec, status } = input.object;
  const name = parseTemplateName(input.object.metadata.name);
  const id = status?.id ?? '';
  switch (fact) {
    case 'templateByName':
      return {
        templateByName: await look(live, clock, () =>
          client.templateByName(name.organization, name.template, { signal }),
        ),
      };
    case 'template':
      return { template: recall(live, id) ?? (await lookByID(live, clock, id, signal)) };
    case 'freshTemplate':
      return { template: await lookByID(live, clock, id, signal) };
    case 'organization':
      return { organization: { id: await readOrganization(client, name.organization, signal) } };
    case 'version': {
      const versionID = spec.versionID ?? pendingVersionID(input);
      return {
        version: {
          id: versionID,
          version: await found(() => client.templateVersion(versionID, { signal })),
        },
      };
    }
    case 'versionByName':
      return { versionByName: await readVersionByName(context, input, live) };
    case 'unattachedVersion':
      return { unattachedVersion: { version: await readUnattachedVersion(context, input, live) } };
    case 'activeVersionName': {
      const activeID = activeVersionID(input);
      // Of hundreds of mirrors each needs one: they leave the requests of a minute to what people wait for.
      const options = isMirror(input.object) ? ({ counted: false, priority: 'low' } as const) : {};
      const version = await client.templateVersion(activeID, { ...options, signal });
      return { activeVersionName: { id: activeID, name: version.name } };
    }
    case 'activeContent': {
      const versionID = activeVersionID(input);
      return { activeContent: { versionID, ...(await live.versions.contents(versionID)) } };
    }
    case 'importDetails':
      return { importDetails: await readImportDetails(context, input, live) };
    case 'upload':
      return { upload: { waitMs: live.uploads.waitMs(input.object.metadata.uid ?? '') } };
    case 'workspaces': {
      const query = `template:${status?.templateName ?? name.template} organization:${status?.organizationName ?? name.organization}`;
      const list = await client.workspaces({ query, limit: NAMED_WORKSPACES, signal });
      return {
        workspaces: { count: list.count, some: list.workspaces.map((w) => `${w.owner_name}/${w.name}`) },
      };
    }
  }
}

/** Whether it is there, and is or may become the active one. */
function isUsable(version: VersionRecord | undefined): boolean {
  return version !== undefined && !version.isArchived && !['failed', 'canceled'].includes(version.jobStatus);
}

/** The version of the wished content: the newest try, or one that went well. Else the announced one. */
async function readVersionByName(
  context: Context,
  input: TemplateInput,
  live: LiveConnection,
): Promise<NonNullable<TemplateFacts['versionByName']>> {
  const { status, metadata } = input.object;
  const name = parseTemplateName(metadata.name);
  const wished = wishedContent(input, status ?? {});
  const isFiles = wished.then === 'content' && wished.content.kind === 'files';
  const wanted = isFiles ? wished.content.versionName : (status?.pendingOperation?.target ?? '');
  const organization = status?.organizationName ?? name.organization;
  const template = status?.templateName ?? name.template;
  const { signal } = context;
  const named = (name: string): Promise<VersionRecord | undefined> =>
    found(() => live.client.templateVersionByName(organization, template, name, { signal }));
  let version = await named(wanted);
  if (!isFiles) return { name: wanted, version };
  // Which tries there were is not remembered for ever, and the first may have been made before the template.
  const { key, attempt } = wished.content;
  let last = attempt;
  for (let next = last + 1; !isUsable(version) && next <= Math.max(MOST_IMPORTS, last + 1); next++) {
    const other = await named(versionName(key, next));
    if (other === undefined) continue;
    version = other;
    last = next;
  }
  return { name: wanted, version };
}

/** The version that an announced request of ours made and that belongs to no template, by its job. */
async function readUnattachedVersion(
  context: Context,
  input: TemplateInput,
  live: LiveConnection,
): Promise<VersionRecord | undefined> {
  const { signal } = context;
  const target = input.object.status?.pendingOperation?.target;
  const name = parseTemplateName(input.object.metadata.name);
  const organizationID = await readOrganization(live.client, name.organization, signal);
  if (organizationID === undefined || target === undefined) return undefined;
  for (const job of await readImportJobs(context, organizationID, live)) {
    const versionID = job.input?.template_version_id;
    const isOurs =
      job.type === 'template_version_import' &&
      job.metadata?.template_version_name === target &&
      job.metadata.template_id === undefined;
    if (!isOurs || versionID === undefined) continue;
    const version = await found(() => live.client.templateVersion(versionID, { signal }));
    if (version !== undefined && version.templateID === undefined) return version;
  }
  return undefined;
}

/** Of every version that was seen in this pass. */
async function readImportDetails(
  { signal }: Context,
  input: TemplateInput,
  { client }: LiveConnection,
): Promise<ReadonlyMap<string, ImportDetails>> {
  const { facts } = input;
  const details = new Map<string, ImportDetails>();
  for (const fact of [facts.version, facts.versionByName, facts.unattachedVersion]) {
    const version = fact?.version;
    if (version === undefined || details.has(version.id)) continue;
    const { id, jobStatus } = version;
    if (jobStatus === 'failed') {
      const lines = await unlessHidden(() =>
        client.templateVersionLogs(id, { lines: LOG_LINES_LOOKED_THROUGH, signal }),
      );
      const hasOtherValues =
        version.templateID !== undefined && (await inheritsValues(client, input, signal));
      details.set(id, { log: errorsIn(lines ?? []), hasOtherValues });
    } else if (jobStatus === 'succeeded') {
      const variables = await unlessHidden(() => client.templateVersionVariables(id, { signal }));
      details.set(id, { variables: variables?.map(({ name }) => name) });
    }
  }
  return details;
}

/**
 * Whether a new version gets values of variables that the spec does not give: Coder takes them over from the active one,
 * where a Secret may have given them once, or a person by hand.
 */
async function inheritsValues(
  client: CoderClient,
  input: TemplateInput,
  signal: AbortSignal,
): Promise<boolean> {
  const given = new Set(input.object.spec.variables?.map(({ name }) => name));
  const id = activeVersionID(input);
  const read = (): Promise<readonly TemplateVersionVariable[]> =>
    client.templateVersionVariables(id, { signal });
  const active = id === '' ? undefined : await unlessHidden(read);
  // What Coder does not tell may be anything.
  if (active === undefined) return true;
  return active.some((v) => !given.has(v.name) && (v.sensitive || v.value !== v.default_value));
}

/** The newest jobs of ours; none when the token may not read jobs, which must not hold up anything for ever. */
async function readImportJobs(
  context: Context,
  organizationID: string,
  live: LiveConnection,
): Promise<readonly ProvisionerJob[]> {
  const { signal } = context;
  const query = { limit: JOBS_LOOKED_THROUGH, initiator: live.fact.userID, signal };
  return (await unlessHidden(() => live.client.provisionerJobs(organizationID, query))) ?? [];
}

/** That of the template that is decided on. One that is created anew by request is gone by its UUID and found by its name. */
function activeVersionID({ facts: { template, templateByName } }: TemplateInput): string {
  const sighting = template?.seen === 'found' ? template : templateByName;
  return sighting?.seen === 'found' ? sighting.value.activeVersionID : '';
}

/** The pending version, also one that was found in this very pass and is not in the status yet. */
function pendingVersionID(input: TemplateInput): string {
  const { unattachedVersion, versionByName } = input.facts;
  return (
    input.object.status?.pendingVersion?.id ??
    unattachedVersion?.version?.id ??
    versionByName?.version?.id ??
    ''
  );
}

async function look(
  live: LiveConnection,
  clock: Clock,
  read: () => Promise<Template>,
): Promise<TimedSighting<TemplateRecord>> {
  const askedAt = clock.monotonic();
  try {
    const record = templateRecordOf(await read());
    live.observer.learnTemplate(record, askedAt);
    return { seen: 'found', value: record, fresh: true };
  } catch (error) {
    if (isNotFound(error)) return { seen: 'unseen', fresh: true };
    throw error;
  }
}

/** What the observer remembers. */
function recall(live: LiveConnection, id: string): TimedSighting<TemplateRecord> | undefined {
  const known = live.observer.template(id);
  return known === undefined ? undefined : { seen: 'found', value: known, fresh: false };
}

/** By UUID, with the proof of absence: Coder lists deleted templates, while a 404 may also mean that we may not see it. */
async function lookByID(
  live: LiveConnection,
  clock: Clock,
  id: string,
  signal: AbortSignal,
): Promise<TimedSighting<TemplateRecord>> {
  const sighting = await look(live, clock, () => live.client.template(id, { signal }));
  if (sighting.seen === 'found') return sighting;
  live.observer.forgetTemplate(id);
  const deleted = await live.client.deletedTemplateById(id, { signal });
  if (deleted === undefined) return { seen: 'unseen', fresh: true };
  live.observer.templateProvenGone(id);
  return { seen: 'gone', fresh: true };
}

async function found(read: () => Promise<TemplateVersion>): Promise<VersionRecord | undefined> {
  try {
    return versionRecordOf(await read());
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

async function readOrganization(
  client: CoderClient,
  name: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    return (await client.organization(name, { signal })).id;
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}
