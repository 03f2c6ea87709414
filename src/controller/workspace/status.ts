import { sameName, type WorkspaceName } from '../../api/names.ts';
import type { ConnectedFact } from '../facts.ts';
import type { BuildRecord, WorkspaceRecord } from '../observer/record.ts';
import { newRequest } from '../report.ts';
import type { WorkspaceDraft, WorkspaceInput } from './input.ts';

/** The status with what Coder has now. Identity and origin are not touched here. */
export function observedStatus(
  status: WorkspaceDraft,
  record: WorkspaceRecord,
  coder: ConnectedFact,
): WorkspaceDraft {
  const build = record.build;
  return {
    ...status,
    deploymentID: coder.deploymentID,
    ownerName: record.ownerName,
    organizationName: record.organizationName,
    templateName: record.templateName,
    workspaceName: record.name,
    url: `${coder.url}/@${record.ownerName}/${record.name}`,
    running: build.transition === 'start' && build.jobStatus === 'succeeded',
    healthy: record.healthy,
    outdated: record.outdated,
    latestBuild: {
      id: build.id,
      number: build.number,
      transition: build.transition,
      status: build.status,
      reason: build.reason === '' ? undefined : build.reason,
      initiator: initiatorOf(build, record, coder),
      templateVersionID: build.templateVersionID,
      templateVersionName: build.templateVersionName === '' ? undefined : build.templateVersionName,
      startedAt: build.startedAt,
      completedAt: build.completedAt,
      deadline: build.deadline,
      error: build.error,
    },
    agents: record.agents.length === 0 ? undefined : record.agents,
    lastUsedAt: record.lastUsedAt,
    dormantAt: record.dormantAt,
    deletingAt: record.deletingAt,
    observed: {
      ttlMillis: record.ttlMillis,
      autostartSchedule: record.autostartSchedule,
      automaticUpdates: record.automaticUpdates,
    },
  };
}

/** Reasons of builds that Coder makes by itself (coderd/database, build_reason). */
const AUTOMATIC = new Set([
  'autostart',
  'autostop',
  'dormancy',
  'failedstop',
  'autodelete',
  'task_auto_pause',
]);

/** Whether Coder's own automation made a build; that is told by the reason, whoever is named as its initiator. */
export function isAutomatic({ reason }: BuildRecord): boolean {
  return AUTOMATIC.has(reason);
}

/** What Coder says of a failed build, as the end of a sentence. */
export function because({ error }: BuildRecord): string {
  return error === undefined ? '' : `: ${error}`;
}

/** Who asked for a build: Coder's automation by the reason first, then by user id, never by a name. */
export function initiatorOf(
  build: BuildRecord,
  record: WorkspaceRecord,
  coder: ConnectedFact,
): 'Operator' | 'Owner' | 'OtherUser' | 'Coder' {
  if (isAutomatic(build)) return 'Coder';
  if (build.initiatorID === coder.userID) return 'Operator';
  return build.initiatorID === record.ownerID ? 'Owner' : 'OtherUser';
}

/** Whether something was asked of us that has not been carried out. */
export function hasPendingWork(input: WorkspaceInput): boolean {
  const { metadata, status } = input.object;
  return (
    metadata.deletionTimestamp !== undefined ||
    status?.id === undefined ||
    status.observedGeneration !== metadata.generation ||
    status.pendingOperation !== undefined ||
    status.power?.state === 'Pending' ||
    status.driftedAt !== undefined ||
    newRequest(input) !== undefined
  );
}

/** Whether Coder's workspace still bears the name that the object says. */
export function isRenamed(record: WorkspaceRecord, name: WorkspaceName): boolean {
  return !sameName(record.name, name.workspace) || !sameName(record.ownerName, name.owner);
}
