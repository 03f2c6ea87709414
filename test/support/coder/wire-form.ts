import type { TemplateVersion, Workspace, WorkspaceBuild } from '../../../src/coder/types.ts';

/** What a client leaves out since it says nothing, and Coder sends all the same. */

const ZERO_TIME = '0001-01-01T00:00:00Z';
const NIL = '00000000-0000-0000-0000-000000000000';

export type Json = Readonly<Record<string, unknown>>;

/** Since no build and no setting moves it, `updated_at` is of no use to anybody. */
export function sentWorkspace(workspace: Workspace): Json {
  return {
    dormant_at: null,
    deleting_at: null,
    next_start_at: null,
    latest_app_status: null,
    task_id: null,
    favorite: false,
    updated_at: workspace.created_at,
    ...workspace,
    latest_build: sentBuild(workspace.latest_build),
  };
}

export function sentBuild(build: WorkspaceBuild): Json {
  return {
    template_version_name: '',
    template_version_preset_id: null,
    deadline: ZERO_TIME,
    max_deadline: null,
    ...build,
  };
}

/** Of no template, until one is made of it. */
export function sentVersion(version: TemplateVersion, archived: boolean): Json {
  return { template_id: NIL, archived, ...version };
}
