import type { Workspace, WorkspaceBuild } from '../../coder/types.ts';
import { cut, timestamp } from '../../api/conditions.ts';
import { cleanText } from '../../coder/redact.ts';
import { isActiveJob, isPrebuild } from '../../coder/states.ts';

/** The newest build of a workspace, as far as any rule or status field needs it. */
export interface BuildRecord {
  readonly id: string;
  readonly number: number;
  readonly transition: string;
  /** Coder's word for the state of the workspace after this build: starting, running, stopped, failed … */
  readonly status: string;
  readonly jobStatus: string;
  readonly reason: string;
  readonly initiatorID: string;
  readonly templateVersionID: string;
  readonly templateVersionName: string;
  readonly createdAt: string;
  readonly startedAt: string | undefined;
  readonly completedAt: string | undefined;
  /** When Coder will stop the workspace, cut to ten minutes. */
  readonly deadline: string | undefined;
  readonly error: string | undefined;
}

export interface AgentRecord {
  readonly name: string;
  readonly status: string;
  readonly lifecycle: string | undefined;
}

/** What the operator remembers of a workspace in Coder: small, since there may be ten thousand. */
export interface WorkspaceRecord {
  readonly id: string;
  readonly name: string;
  readonly ownerID: string;
  readonly ownerName: string;
  readonly organizationName: string;
  readonly templateID: string;
  readonly templateName: string;
  readonly templateActiveVersionID: string;
  /** Made by Coder ahead of anybody's asking, and nobody's workspace yet. */
  readonly isPrebuild: boolean;
  readonly outdated: boolean;
  readonly healthy: boolean;
  /** Milliseconds after a start until Coder stops it; 0 is never. */
  readonly ttlMillis: number;
  /** Empty is never. */
  readonly autostartSchedule: string;
  readonly automaticUpdates: 'Always' | 'Never';
  /** Cut to the hour, or every look would find a change. */
  readonly lastUsedAt: string | undefined;
  readonly dormantAt: string | undefined;
  readonly deletingAt: string | undefined;
  readonly agents: readonly AgentRecord[];
  readonly build: BuildRecord;
}

/** Longest part of a job's error that is kept, in bytes: an object says it in several places and stays small. */
const LONGEST_ERROR = 200;
/** Agents that are remembered of a workspace. */
const MOST_AGENTS = 16;
/** Longest schedule that a status holds; a list of all minutes and hours is shorter. */
const LONGEST_SCHEDULE = 512;
const LAST_USED_STEP_MS = 3_600_000;
const DEADLINE_STEP_MS = 600_000;

/** Gives the copy to keep of a text that many records hold. */
export type Shared = (text: string) => string;

const asItIs: Shared = (text) => text;

/** @param shared for records that are kept in great number. */
export function recordOf(workspace: Workspace, shared = asItIs): WorkspaceRecord {
  const lastUsedAt = coarse(workspace.last_used_at, LAST_USED_STEP_MS);
  return {
    id: workspace.id,
    name: workspace.name,
    ownerID: shared(workspace.owner_id),
    ownerName: shared(workspace.owner_name),
    organizationName: shared(workspace.organization_name),
    templateID: shared(workspace.template_id),
    templateName: shared(workspace.template_name),
    templateActiveVersionID: shared(workspace.template_active_version_id ?? ''),
    isPrebuild: isPrebuild(workspace),
    outdated: workspace.outdated ?? false,
    healthy: workspace.health?.healthy ?? true,
    ttlMillis: workspace.ttl_ms ?? 0,
    autostartSchedule: shared(cut(workspace.autostart_schedule ?? '', LONGEST_SCHEDULE)),
    automaticUpdates: workspace.automatic_updates === 'always' ? 'Always' : 'Never',
    lastUsedAt: lastUsedAt && shared(lastUsedAt),
    dormantAt: whole(workspace.dormant_at),
    deletingAt: whole(workspace.deleting_at),
    agents: agentsOf(workspace.latest_build, shared),
    build: buildRecordOf(workspace.latest_build, shared),
  };
}

/** The name of the object that stands for a workspace. */
export function objectNameOf({ organizationName, ownerName, name }: WorkspaceRecord): string {
  return `${organizationName}.${ownerName}.${name}`.toLowerCase();
}

export function buildRecordOf(build: WorkspaceBuild, shared = asItIs): BuildRecord {
  const error = build.job.error === undefined ? '' : cleanText(build.job.error, LONGEST_ERROR);
  return {
    id: build.id,
    number: build.build_number,
    transition: shared(build.transition),
    status: shared(build.status),
    jobStatus: shared(build.job.status),
    reason: shared(build.reason ?? ''),
    initiatorID: shared(build.initiator_id ?? ''),
    templateVersionID: shared(build.template_version_id),
    templateVersionName: shared(build.template_version_name ?? ''),
    createdAt: build.created_at,
    startedAt: whole(build.job.started_at),
    completedAt: whole(build.job.completed_at),
    // Coder gives one to a stop, too, where it means nothing.
    deadline: build.transition === 'start' ? coarse(build.deadline, DEADLINE_STEP_MS) : undefined,
    error: error === '' ? undefined : error,
  };
}

/** The agents by name; those that run inside another one are that one's matter. */
function agentsOf(build: WorkspaceBuild, shared: Shared): readonly AgentRecord[] {
  return (
    build.resources
      .flatMap((resource) => resource.agents)
      .filter((agent) => agent.parent_id === undefined)
      .map((agent) => ({
        name: shared(cut(agent.name, 64)),
        status: shared(cut(agent.status, 32)),
        lifecycle: agent.lifecycle_state === undefined ? undefined : shared(cut(agent.lifecycle_state, 32)),
      }))
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      // A status holds each name once.
      .filter((agent, i, all) => agent.name !== all[i - 1]?.name)
      .slice(0, MOST_AGENTS)
  );
}

/** A time in whole seconds, as Kubernetes writes it. */
function whole(time: string | undefined): string | undefined {
  return coarse(time, 1000);
}

/** A time that moves in steps only. */
function coarse(time: string | undefined, stepMs: number): string | undefined {
  const ms = time === undefined ? NaN : Date.parse(time);
  return Number.isNaN(ms) ? undefined : timestamp(new Date(Math.floor(ms / stepMs) * stepMs));
}

/** Whether two looks at a thing say the same, in everything that a rule or a status field depends on. */
export function sameRecord(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  const [fieldsOfA, fieldsOfB] = [a, b] as readonly Readonly<Record<string, unknown>>[];
  for (const key in fieldsOfA) if (!sameRecord(fieldsOfA[key], fieldsOfB?.[key])) return false;
  // What only the other one has counts, unless it is not there either.
  for (const key in fieldsOfB)
    if (fieldsOfA?.[key] === undefined && fieldsOfB[key] !== undefined) return false;
  return true;
}

/** Whether a build is still under way. Coder accepts no other one before it ends. */
export function isActive({ jobStatus }: Pick<BuildRecord, 'jobStatus'>): boolean {
  return isActiveJob(jobStatus);
}

/** Whether a build failed because its owner may use no more: Coder's policy, which nobody mends by trying again. */
export function isOverQuota(build: BuildRecord): boolean {
  // The whole of what the provisioner says then (provisionerd/runner).
  return hasFailed(build) && build.error === 'insufficient quota';
}

/** Whether a build ended without success. A build that was cancelled while it ran is "failed" to Coder. */
export function hasFailed(build: BuildRecord): boolean {
  return build.jobStatus === 'failed' || build.jobStatus === 'canceled';
}
