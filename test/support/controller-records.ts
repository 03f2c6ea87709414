import { contentHash, filesHash } from '../../src/coder/contenthash.ts';
import type { ArchiveFiles } from '../../src/coder/layout.ts';
import type { ContentFact } from '../../src/controller/template/content.ts';
import type { CoderTemplate, CoderWorkspace, PendingOperation } from '../../src/api/kinds.ts';
import type { ArchiveAnswer } from '../../src/controller/archives.ts';
import type { ConnectedFact, ConnectionFact, TimedSighting } from '../../src/controller/facts.ts';
import type { FluxSource } from '../../src/controller/flux.ts';
import type { BuildRecord, WorkspaceRecord } from '../../src/controller/observer/record.ts';
import type { Secret } from '../../src/controller/secrets.ts';
import type { Step } from '../../src/controller/step.ts';
import type {
  TemplateFacts,
  TemplateInput,
  TemplateRecord,
  VersionRecord,
} from '../../src/controller/template/input.ts';
import type { TemplateSettings } from '../../src/coder/templatesettings.ts';
import type { WorkspaceFacts, WorkspaceInput } from '../../src/controller/workspace/input.ts';
import { assertConditions, type ConditionedStatus } from './conditions.ts';
import { DEPLOYMENT, OPERATOR, ORGANIZATION, OWNER, STRANGER } from './controller-coder.ts';
import { SETTINGS } from './controller-world.ts';

export const NOW = new Date('2026-01-02T03:04:05Z');
export const WORKSPACE_ID = '0e000000-0000-4000-8000-000000000001';
export const TEMPLATE_ID = '0e000000-0000-4000-8000-000000000002';
export const VERSION_ID = '0e000000-0000-4000-8000-000000000003';

export const connected: ConnectionFact = {
  state: 'ready',
  deploymentID: DEPLOYMENT,
  userID: OPERATOR.id,
  url: 'https://coder.example.com',
  ...allowing(),
};

/** A control plane that cannot be used now. */
export function unavailable(sinceMs = 0, last?: Parameters<typeof withLast>[0]): ConnectionFact {
  const cause = { reason: 'CoderUnreachable' as const, message: 'no answer' };
  return { state: 'unavailable', controlPlane: 'coder', cause, sinceMs, ...withLast(last) };
}

function withLast(last: { readonly deploymentID: string } | undefined): object {
  return last === undefined
    ? {}
    : { last: { userID: OPERATOR.id, url: 'https://coder.example.com', ...allowing(), ...last } };
}

/** What a control plane allows that says nothing about it. */
export function allowing(): Pick<ConnectedFact, 'isAccepted' | 'scope' | 'adoptedDeletion' | 'suspended'> {
  return {
    isAccepted: false,
    scope: { organizations: [], owners: [] },
    adoptedDeletion: false,
    suspended: false,
  };
}

export function build(parts: Partial<BuildRecord> = {}): BuildRecord {
  const { transition = 'start', jobStatus = 'succeeded' } = parts;
  return {
    id: '0e000000-0000-4000-8000-000000000004',
    number: 1,
    transition,
    status: jobStatus === 'failed' ? 'failed' : transition === 'start' ? 'running' : 'stopped',
    jobStatus,
    reason: 'initiator',
    initiatorID: OPERATOR.id,
    templateVersionID: VERSION_ID,
    templateVersionName: 'one',
    createdAt: NOW.toISOString(),
    startedAt: undefined,
    completedAt: undefined,
    deadline: undefined,
    error: jobStatus === 'failed' ? 'terraform says no' : undefined,
    ...parts,
  };
}

export const byOwner = { initiatorID: OWNER.id, reason: 'dashboard' };
export const byStranger = { initiatorID: STRANGER.id, reason: 'initiator' };

export function workspaceRecord(parts: Partial<WorkspaceRecord> = {}): WorkspaceRecord {
  return {
    id: WORKSPACE_ID,
    name: 'dev',
    ownerID: OWNER.id,
    ownerName: 'ann',
    organizationName: 'acme',
    templateID: TEMPLATE_ID,
    templateName: 'docker',
    templateActiveVersionID: VERSION_ID,
    isPrebuild: false,
    outdated: false,
    healthy: true,
    ttlMillis: 0,
    autostartSchedule: '',
    automaticUpdates: 'Never',
    lastUsedAt: undefined,
    dormantAt: undefined,
    deletingAt: undefined,
    agents: [],
    build: build(),
    ...parts,
  };
}

/** What Coder gives a template of which nothing is said. */
export const PLAIN_SETTINGS = {
  displayName: '',
  description: '',
  icon: '',
  deprecated: '',
  defaultTTLMillis: 0,
  activityBumpMillis: 3_600_000,
  autostopRequirement: { daysOfWeek: [], weeks: 1 },
  autostartRequirement: {
    daysOfWeek: ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'],
  },
  allowUserAutostart: true,
  allowUserAutostop: true,
  allowUserCancelWorkspaceJobs: false,
  failureTTLMillis: 0,
  timeTilDormantMillis: 0,
  timeTilDormantAutodeleteMillis: 0,
  requireActiveVersion: false,
  maxPortShareLevel: 'Public',
  corsBehavior: 'Simple',
  useClassicParameterFlow: false,
} as const satisfies TemplateSettings;

export function templateRecord(parts: Partial<TemplateRecord> = {}): TemplateRecord {
  return {
    id: TEMPLATE_ID,
    name: 'docker',
    organizationID: ORGANIZATION.id,
    organizationName: 'acme',
    activeVersionID: VERSION_ID,
    settings: PLAIN_SETTINGS,
    ...parts,
  };
}

export function versionRecord(parts: Partial<VersionRecord> = {}): VersionRecord {
  return {
    id: VERSION_ID,
    name: 'one',
    templateID: undefined,
    jobStatus: 'succeeded',
    createdAt: NOW.toISOString(),
    error: undefined,
    errorCode: undefined,
    isArchived: false,
    hasProvisioner: true,
    ...parts,
  };
}

export function seen<T>(value: T, fresh = true): TimedSighting<T> {
  return { seen: 'found', value, fresh };
}

export const unseen = { seen: 'unseen', fresh: true } as const;
export const gone = { seen: 'gone', fresh: true } as const;

/** Everything a creation needs, and nothing of the name yet. */
export const creatable: Partial<WorkspaceFacts> = {
  workspaceByName: unseen,
  owner: { user: { id: OWNER.id, organizationIDs: [ORGANIZATION.id] } },
  template: {
    template: { id: TEMPLATE_ID, organizationID: ORGANIZATION.id, activeVersionID: VERSION_ID },
  },
  definitions: { state: 'known', versionID: VERSION_ID, parameters: [] },
};

export function pendingOperation(parts: Partial<PendingOperation> = {}): PendingOperation {
  return { type: 'Start', id: 'op-1', at: '2026-01-02T03:04:00Z', epoch: 'one', ...parts };
}

export interface ObjectParts<Object extends CoderWorkspace | CoderTemplate> {
  readonly spec?: Object['spec'];
  readonly status?: Object['status'];
  readonly metadata?: Partial<Object['metadata']>;
}

export function workspaceInput(
  parts: ObjectParts<CoderWorkspace> = {},
  facts: Partial<WorkspaceFacts> = {},
  pendingForMs = 0,
): WorkspaceInput {
  return {
    object: {
      metadata: { name: 'acme.ann.dev', namespace: 'team', uid: 'uid-1', generation: 3, ...parts.metadata },
      spec: parts.spec ?? { templateName: 'docker' },
      ...(parts.status === undefined ? {} : { status: parts.status }),
    },
    facts: {
      connection: connected,
      claimedBy: () => undefined,
      isClaimedByAnother: () => false,
      heldDeletions: () => undefined,
      buildSlot: 'granted',
      ...facts,
    },
    pendingForMs,
    now: NOW,
    settings: SETTINGS,
  };
}

/** What was found where the spec says that these files are. */
export function contentFact(
  files: ArchiveFiles,
  parts: Partial<Extract<ContentFact, { state: 'found' }>> = {},
): ContentFact {
  return { state: 'found', filesHash: filesHash(files), files, leftOut: [], variables: [], ...parts };
}

/** The hash of content that consists of these files alone. */
export function keyOf(files: ArchiveFiles): string {
  return contentHash({ filesHash: filesHash(files), provisioner: 'terraform' });
}

/** The answer of an archive that was fetched and holds these files. */
export function fetched(files: ArchiveFiles): ArchiveAnswer {
  return { state: 'ready', files, filesHash: filesHash(files), leftOut: [] };
}

/** A source of Flux with an artifact. */
export function fluxSource(revision: string, sha256: string): FluxSource {
  const url = `http://source-controller.flux-system.svc/${sha256}.tar.gz`;
  return { metadata: { name: 'code' }, status: { artifact: { url, revision, digest: `sha256:${sha256}` } } };
}

/** A Secret that values may come from. Each change of it gives it another version. */
export function valuesSecret(values: Readonly<Record<string, string>>, resourceVersion = '1'): Secret {
  const data = Object.entries(values).map(([key, value]) => [key, Buffer.from(value).toString('base64')]);
  return {
    metadata: { name: 'values', uid: 'uid-values', resourceVersion },
    type: 'coder.com/values',
    data: Object.fromEntries(data) as Readonly<Record<string, string>>,
  };
}

export function templateInput(
  parts: ObjectParts<CoderTemplate> = {},
  facts: Partial<TemplateFacts> = {},
  pendingForMs = 0,
): TemplateInput {
  const spec = parts.spec ?? { files: { 'main.tf': '# one' } };
  return {
    object: {
      metadata: { name: 'acme.docker', namespace: 'team', uid: 'uid-1', generation: 3, ...parts.metadata },
      spec,
      ...(parts.status === undefined ? {} : { status: parts.status }),
    },
    facts: {
      connection: connected,
      claimedBy: () => undefined,
      isClaimedByAnother: () => false,
      usersOf: () => undefined,
      ...(spec.files === undefined ? {} : { content: contentFact(spec.files) }),
      upload: { waitMs: 0 },
      importDetails: new Map(),
      ...facts,
    },
    pendingForMs,
    now: NOW,
    settings: SETTINGS,
  };
}

/** The conditions of a status in short: `Ready=False/Starting`. */
export function shown(status: ConditionedStatus | undefined): readonly string[] {
  return (status?.conditions ?? []).map((c) => `${c.type}=${c.status}/${c.reason}`);
}

/** The message of a condition. */
export function messageOf(status: ConditionedStatus | undefined, type = 'Ready'): string {
  return status?.conditions?.find((c) => c.type === type)?.message ?? '';
}

/** A step's own kind, with its status held to the condition rules on the way. */
export function expectStep<
  Fact,
  Operation,
  Status extends ConditionedStatus,
  Kind extends Step<Fact, Operation, Status>['do'],
>(
  step: Step<Fact, Operation, Status>,
  kind: Kind,
  generation = 3,
): Extract<Step<Fact, Operation, Status>, { do: Kind }> {
  if ('status' in step) assertConditions(step.status, generation);
  if (step.do !== kind) throw new Error(`expected ${kind}, but it is ${JSON.stringify(step, undefined, 2)}`);
  return step as Extract<Step<Fact, Operation, Status>, { do: Kind }>;
}
