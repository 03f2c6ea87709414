import { parseWorkspaceName, type WorkspaceName } from '../../api/names.ts';
import type { CoderClient } from '../../coder/client.ts';
import { isGone, isNotFound, isNotReady, isUnknownUser } from '../../coder/errors.ts';
import { isSegment } from '../../coder/route.ts';
import type { TemplateVersion, Workspace } from '../../coder/types.ts';
import type { LiveConnection } from '../connections.ts';
import { liveConnection, type Context } from '../context.ts';
import type { TimedSighting } from '../facts.ts';
import { buildRecordOf, type WorkspaceRecord } from '../observer/record.ts';
import type { DefinitionsFact, WorkspaceFactName, WorkspaceFacts, WorkspaceInput } from './input.ts';
import { wantedVersion } from './update.ts';

/** Builds that are looked through for one of ours: it is among the newest. */
const NEWEST_BUILDS = 25;

/** The record of the workspace that is decided on, if it is known in this pass. */
export function knownRecord({ facts }: WorkspaceInput): WorkspaceRecord | undefined {
  for (const sighting of [facts.workspace, facts.workspaceByName]) {
    if (sighting?.seen === 'found') return sighting.value;
  }
  return undefined;
}

/** Reads from Coder what a rule asks for. One request each, or none where the answer is remembered. */
export async function readFromCoder(
  context: Context,
  input: WorkspaceInput,
  fact: Exclude<WorkspaceFactName, 'crdTerminating' | 'values' | 'buildSlot'>,
): Promise<Partial<WorkspaceFacts>> {
  const { signal } = context;
  const live = liveConnection(context, input.object);
  const { client, observer } = live;
  const { spec, metadata, status } = input.object;
  const name = parseWorkspaceName(metadata.name);
  const record = knownRecord(input);
  const id = status?.id ?? record?.id ?? '';
  switch (fact) {
    case 'workspaceByName':
      return {
        workspaceByName: await look(context, live, () =>
          client.workspaceByName(name.owner, name.workspace, { signal }),
        ),
      };
    case 'workspace': {
      const known = observer.workspaces.get(id);
      return {
        workspace:
          known === undefined
            ? await lookByID(context, live, id)
            : { seen: 'found', value: known, fresh: false },
      };
    }
    case 'freshWorkspace':
      return { workspace: await lookByID(context, live, id) };
    case 'deletedWorkspace':
      return { deletedWorkspace: await readDeleted(client, id, signal) };
    case 'firstInitiator': {
      const builds = record === undefined ? [] : await client.builds(record.id, { signal });
      return { firstInitiator: builds.find((b) => b.build_number === 1)?.initiator_id ?? '' };
    }
    case 'ownBuild': {
      const builds = await client.builds(id, { signal, limit: NEWEST_BUILDS });
      const own = builds.find((b) => b.build_number === status?.power?.build);
      return { ownBuild: { build: own === undefined ? undefined : buildRecordOf(own) } };
    }
    case 'owner':
      return { owner: await readOwner(client, name.owner, signal) };
    case 'template':
      return { template: await readTemplate(client, name.organization, spec.templateName ?? '', signal) };
    case 'version':
      return { version: await readPinned(client, input, name, record, signal) };
    case 'definitions':
      return { definitions: await readDefinitions(live, wantedVersion(input, record)) };
    case 'presets': {
      const versionID = wantedVersion(input, record);
      return { presets: { versionID, presets: await live.versions.presets(versionID) } };
    }
    case 'buildParameters': {
      const buildID = record?.build.id ?? '';
      return { buildParameters: { buildID, values: await client.buildParameters(buildID, { signal }) } };
    }
  }
}

/** By UUID. What is not seen is not remembered either, so that seeing it again later wakes its object. */
async function lookByID(
  context: Context,
  live: LiveConnection,
  id: string,
): Promise<TimedSighting<WorkspaceRecord>> {
  const sighting = await look(context, live, () => live.client.workspace(id, { signal: context.signal }));
  if (sighting.seen === 'gone') live.observer.provenGone(id);
  else if (sighting.seen === 'unseen') live.observer.workspaces.forget(id);
  return sighting;
}

async function look(
  context: Context,
  live: LiveConnection,
  read: () => Promise<Workspace>,
): Promise<TimedSighting<WorkspaceRecord>> {
  const askedAt = context.clock.monotonic();
  try {
    const workspace = await read();
    return { seen: 'found', value: live.observer.learn(workspace, askedAt), fresh: true };
  } catch (error) {
    if (isGone(error)) return { seen: 'gone', fresh: true };
    if (isNotFound(error) || isUnknownUser(error)) return { seen: 'unseen', fresh: true };
    throw error;
  }
}

async function readDeleted(
  client: CoderClient,
  id: string,
  signal: AbortSignal,
): Promise<NonNullable<WorkspaceFacts['deletedWorkspace']>> {
  try {
    const workspace = await client.workspace(id, { signal, includeDeleted: true });
    return { build: buildRecordOf(workspace.latest_build) };
  } catch (error) {
    if (isNotFound(error) || isGone(error)) return { build: undefined };
    throw error;
  }
}

async function readOwner(
  client: CoderClient,
  owner: string,
  signal: AbortSignal,
): Promise<NonNullable<WorkspaceFacts['owner']>> {
  try {
    const user = await client.user(owner, { signal });
    return { user: { id: user.id, organizationIDs: user.organization_ids } };
  } catch (error) {
    if (isUnknownUser(error) || isNotFound(error)) return { user: undefined };
    throw error;
  }
}

async function readTemplate(
  client: CoderClient,
  organization: string,
  template: string,
  signal: AbortSignal,
): Promise<NonNullable<WorkspaceFacts['template']>> {
  try {
    const found = await client.templateByName(organization, template, { signal });
    return {
      template: {
        id: found.id,
        organizationID: found.organization_id,
        activeVersionID: found.active_version_id,
      },
    };
  } catch (error) {
    if (isNotFound(error)) return { template: undefined };
    throw error;
  }
}

async function readPinned(
  client: CoderClient,
  input: WorkspaceInput,
  name: WorkspaceName,
  record: WorkspaceRecord | undefined,
  signal: AbortSignal,
): Promise<NonNullable<WorkspaceFacts['version']>> {
  const { templateVersionID, templateVersionName = '', templateName } = input.object.spec;
  const template = record?.templateName ?? templateName ?? '';
  // There is none of a name that none can have.
  if (templateVersionID === undefined && !isSegment(templateVersionName)) return { version: undefined };
  try {
    const version =
      templateVersionID === undefined
        ? await client.templateVersionByName(name.organization, template, templateVersionName, { signal })
        : await client.templateVersion(templateVersionID, { signal });
    return { version: pinnedOf(version) };
  } catch (error) {
    if (isNotFound(error)) return { version: undefined };
    throw error;
  }
}

function pinnedOf(version: TemplateVersion): NonNullable<NonNullable<WorkspaceFacts['version']>['version']> {
  return {
    id: version.id,
    name: version.name,
    templateID: version.template_id,
    jobStatus: version.job.status,
    isArchived: version.archived === true,
  };
}

async function readDefinitions(live: LiveConnection, versionID: string): Promise<DefinitionsFact> {
  try {
    return { state: 'known', versionID, parameters: await live.versions.richParameters(versionID) };
  } catch (error) {
    if (isNotReady(error)) return { state: 'importing', versionID };
    if (isNotFound(error)) return { state: 'missing', versionID };
    throw error;
  }
}
