import type { JobStatus, Workspace } from './types.ts';

/** The user that owns all prebuilds in every Coder. */
const PREBUILDS_USER = 'c42fdf75-3097-471c-8c33-fb52454d81c0';

/** Whether Coder made a workspace ahead of anybody's asking. It is nobody's yet. */
export function isPrebuild(workspace: Pick<Workspace, 'is_prebuild' | 'owner_id'>): boolean {
  return workspace.is_prebuild === true || workspace.owner_id === PREBUILDS_USER;
}

/** A job of one of these is still under way. While that of a build is, Coder accepts no other build. */
export const activeStatuses = ['pending', 'running', 'canceling'] as const satisfies readonly JobStatus[];

export function isActiveJob(status: string): boolean {
  return activeStatuses.some((active) => active === status);
}
