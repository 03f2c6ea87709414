import type { Workspace, WorkspaceBuild } from '../../coder/types.ts';
import { cleanText } from '../../coder/redact.ts';

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
  readonly startedAt: string | undefined;
  readonly completedAt: string | undefined;
  readonly error: string | undefined;
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
  readonly outdated: boolean;
  readonly healthy: boolean;
  readonly build: BuildRecord;
}

/** Longest part of a job's error that is kept, in bytes. */
const LONGEST_ERROR = 1000;

export function recordOf(workspace: Workspace): WorkspaceRecord {
  return {
    id: workspace.id,
    name: workspace.name,
    ownerID: workspace.owner_id,
    ownerName: workspace.owner_name,
    organizationName: workspace.organization_name,
    templateID: workspace.template_id,
    templateName: workspace.template_name,
    templateActiveVersionID: workspace.template_active_version_id ?? '',
    outdated: workspace.outdated ?? false,
    healthy: workspace.health?.healthy ?? true,
    build: buildRecordOf(workspace.latest_build),
  };
}

export function buildRecordOf(build: WorkspaceBuild): BuildRecord {
  const error = build.job.error === undefined ? '' : cleanText(build.job.error, LONGEST_ERROR);
  return {
    id: build.id,
    number: build.build_number,
    transition: build.transition,
    status: build.status,
    jobStatus: build.job.status,
    reason: build.reason ?? '',
    initiatorID: build.initiator_id ?? '',
    templateVersionID: build.template_version_id,
    templateVersionName: build.template_version_name ?? '',
    startedAt: build.job.started_at,
    completedAt: build.job.completed_at,
    error: error === '' ? undefined : error,
  };
}

/** Whether two looks at a thing say the same, in everything that a rule or a status field depends on. */
export function sameRecord<T extends object>(a: T, b: T): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** Whether a build is still under way. Coder accepts no other one before it ends. */
export function isActive(build: BuildRecord): boolean {
  return build.jobStatus === 'pending' || build.jobStatus === 'running' || build.jobStatus === 'canceling';
}

/** Whether a build ended without success. A build that was cancelled while it ran is "failed" to Coder. */
export function hasFailed(build: BuildRecord): boolean {
  return build.jobStatus === 'failed' || build.jobStatus === 'canceled';
}
