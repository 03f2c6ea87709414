import { workspaces, type CoderWorkspace } from '../../api/kinds.ts';
import { workspaceStatusFields } from './fields.ts';
import { AGGREGATION_GROUP, AGGREGATION_GROUP_VERSION, AGGREGATION_VERSION } from './group.ts';
import { viewMetadata } from './metadata.ts';
import { namePart } from './names.ts';
import { filled, picked, present } from './present.ts';
import { tableOf } from './table.ts';
import { pastTime } from './times.ts';
import type { ViewKind, ViewObject } from './types.ts';
import { workspaceColumns } from './workspacecolumns.ts';

export const workspaceView: ViewKind<CoderWorkspace> = {
  resource: { ...workspaces, group: AGGREGATION_GROUP, version: AGGREGATION_VERSION },
  source: workspaces,
  singular: 'coderworkspace',
  ...tableOf(workspaceColumns),
  view: viewOf,
};

function viewOf(object: CoderWorkspace): ViewObject {
  return {
    kind: workspaces.kind,
    apiVersion: AGGREGATION_GROUP_VERSION,
    metadata: viewMetadata(object),
    spec: specOf(object),
    status: statusOf(object),
  };
}

/** What Coder has; of a workspace that it does not have yet, or of which that is not known, the wish. */
function specOf(object: CoderWorkspace): object {
  const { metadata, spec, status } = object;
  return present({
    organization: status?.organizationName ?? spec.organization ?? namePart(metadata.name, 0),
    templateName: status?.templateName ?? spec.templateName,
    templateVersionID: status?.latestBuild?.templateVersionID ?? spec.templateVersionID,
    running: isRunning(object),
    // Coder has no value where it never stops or starts the workspace, and neither has the view.
    ttlMillis: filled(status?.observed?.ttlMillis ?? spec.ttlMillis),
    autostartSchedule: filled(status?.observed?.autostartSchedule ?? spec.autostartSchedule),
  });
}

function statusOf({ status = {} }: CoderWorkspace): object {
  const { latestBuild } = status;
  return present({
    id: status.id ?? '',
    latestBuildID: latestBuild?.id,
    latestBuildStatus: latestBuild?.status,
    autoShutdown: latestBuild?.deadline,
    ...picked(status, workspaceStatusFields),
    lastUsedAt: pastTime(status.lastUsedAt),
  });
}

/** The states of a workspace in which a start counts as one that runs, as coder-k8s has it. */
const ON = new Set(['pending', 'starting', 'running']);

function isRunning({ spec, status }: CoderWorkspace): boolean {
  const build = status?.latestBuild;
  if (build === undefined) return spec.running ?? false;
  return build.transition === 'start' && ON.has(build.status);
}
