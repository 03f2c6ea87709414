import type {
  APIKey,
  AutostartRequirement,
  AutostopRequirement,
  BuildInfo,
  ImportJob,
  JobLog,
  MatchedProvisioners,
  NameValue,
  Organization,
  Preset,
  ProvisionerJob,
  ProvisionerJobInput,
  ProvisionerJobMetadata,
  RichParameter,
  RichParameterOption,
  Template,
  TemplateVersion,
  TemplateVersionVariable,
  User,
  Workspace,
  WorkspaceAgent,
  WorkspaceBuild,
  WorkspaceHealth,
  WorkspaceList,
  WorkspaceResource,
} from './types.ts';
import {
  array,
  arrayOrNull,
  emptyArray,
  flag,
  integer,
  name,
  object,
  optional,
  optionalText,
  text,
  time,
  uuid,
  type Fields,
  type Reader,
} from './validate.ts';

/** Readers of Coder's answers: what is required here is what the operator cannot work without. */

const optionalUuid = optionalText(uuid);
const optionalTime = optional(time);
const optionalName = optionalText(name);

export const readBuildInfo: Reader<BuildInfo> = object<BuildInfo>({
  version: name,
  deployment_id: name,
  dashboard_url: optionalName,
  external_url: optionalName,
});

export const readOrganization: Reader<Organization> = object<Organization>({
  id: uuid,
  name,
  display_name: optional(text),
  is_default: optional(flag),
});

export const readUser: Reader<User> = object<User>({
  id: uuid,
  username: name,
  status: optionalName,
  organization_ids: arrayOrNull(uuid),
});

export const readAPIKey: Reader<APIKey> = object<APIKey>({
  id: name,
  expires_at: optionalTime,
  lifetime_seconds: optional(integer),
});

const readMatchedProvisioners = object<MatchedProvisioners>({ count: integer, available: integer });

const jobFields: Fields<ProvisionerJob> = {
  id: uuid,
  created_at: time,
  started_at: optionalTime,
  completed_at: optionalTime,
  canceled_at: optionalTime,
  error: optionalName,
  error_code: optionalName,
  status: name,
  file_id: optionalUuid,
  initiator_id: optionalUuid,
  organization_id: optionalUuid,
  type: optionalName,
  input: optional(
    object<ProvisionerJobInput>({ template_version_id: optionalUuid, workspace_build_id: optionalUuid }),
  ),
  metadata: optional(
    object<ProvisionerJobMetadata>({
      template_version_name: optionalName,
      template_id: optionalUuid,
      template_name: optionalName,
      workspace_id: optionalUuid,
      workspace_name: optionalName,
    }),
  ),
  queue_position: optional(integer),
  queue_size: optional(integer),
};

export const readProvisionerJob: Reader<ProvisionerJob> = object<ProvisionerJob>(jobFields);

/** A Coder has as many as people wrote into a request or a file; the rest is nothing that we could have asked for. */
const MAX_TAGS = 100;

/** The entries whose value is a text; undefined when there is no such thing. */
const readTags: Reader<Readonly<Record<string, string>> | undefined> = (value) => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const tags = Object.entries(value).filter(
    (entry): entry is [string, string] => typeof entry[1] === 'string',
  );
  return Object.fromEntries(tags.slice(0, MAX_TAGS));
};

/** The job of a version: only there tags matter, and workspaces are too many to keep theirs. */
const readImportJob: Reader<ImportJob> = object<ImportJob>({ ...jobFields, tags: readTags });

export const readTemplate: Reader<Template> = object<Template>({
  id: uuid,
  created_at: time,
  updated_at: time,
  organization_id: uuid,
  organization_name: name,
  name,
  display_name: text,
  description: text,
  icon: text,
  provisioner: optionalName,
  active_version_id: uuid,
  deprecated: optional(flag),
  deprecation_message: optional(text),
  default_ttl_ms: optional(integer),
  activity_bump_ms: optional(integer),
  autostop_requirement: optional(
    object<AutostopRequirement>({ days_of_week: arrayOrNull(name), weeks: optional(integer) }),
  ),
  autostart_requirement: optional(object<AutostartRequirement>({ days_of_week: arrayOrNull(name) })),
  allow_user_autostart: optional(flag),
  allow_user_autostop: optional(flag),
  allow_user_cancel_workspace_jobs: optional(flag),
  failure_ttl_ms: optional(integer),
  time_til_dormant_ms: optional(integer),
  time_til_dormant_autodelete_ms: optional(integer),
  require_active_version: optional(flag),
  max_port_share_level: optionalName,
  cors_behavior: optionalName,
  use_classic_parameter_flow: optional(flag),
});

/** The template after a change, or nothing when there was none to make (304). */
export const readUpdatedTemplate: Reader<Template | undefined> = (value, path) =>
  value === undefined ? undefined : readTemplate(value, path);

export const readTemplateVersion: Reader<TemplateVersion> = object<TemplateVersion>({
  id: uuid,
  template_id: optionalUuid,
  organization_id: optionalUuid,
  created_at: time,
  updated_at: optionalTime,
  name,
  message: optional(text),
  job: readImportJob,
  archived: optional(flag),
  matched_provisioners: optional(readMatchedProvisioners),
});

const readVariable = object<TemplateVersionVariable>({
  name,
  type: optionalName,
  value: text,
  default_value: text,
  required: flag,
  sensitive: flag,
});

export const readJobLog: Reader<JobLog> = object<JobLog>({
  id: integer,
  created_at: optionalTime,
  log_level: optionalName,
  stage: optionalName,
  output: text,
});

const readAgent = object<WorkspaceAgent>({
  id: uuid,
  parent_id: optionalUuid,
  name,
  status: name,
  lifecycle_state: optionalName,
});

const readResource = object<WorkspaceResource>({
  name: optionalName,
  type: optionalName,
  agents: arrayOrNull(readAgent),
});

export const readWorkspaceBuild: Reader<WorkspaceBuild> = object<WorkspaceBuild>({
  id: uuid,
  created_at: time,
  updated_at: optionalTime,
  workspace_id: uuid,
  build_number: integer,
  transition: name,
  status: name,
  reason: optionalName,
  initiator_id: optionalUuid,
  initiator_name: optionalName,
  template_version_id: uuid,
  template_version_name: optionalName,
  template_version_preset_id: optionalUuid,
  job: readProvisionerJob,
  deadline: optionalTime,
  max_deadline: optionalTime,
  resources: arrayOrNull(readResource),
  matched_provisioners: optional(readMatchedProvisioners),
});

export const readWorkspace: Reader<Workspace> = object<Workspace>({
  id: uuid,
  created_at: time,
  name,
  owner_id: uuid,
  owner_name: name,
  organization_id: uuid,
  organization_name: name,
  template_id: uuid,
  template_name: name,
  template_active_version_id: optionalUuid,
  template_require_active_version: optional(flag),
  latest_build: readWorkspaceBuild,
  outdated: optional(flag),
  autostart_schedule: optionalName,
  ttl_ms: optional(integer),
  last_used_at: optionalTime,
  deleting_at: optionalTime,
  dormant_at: optionalTime,
  next_start_at: optionalTime,
  health: optional(object<WorkspaceHealth>({ healthy: flag, failing_agents: arrayOrNull(uuid) })),
  automatic_updates: optionalName,
  is_prebuild: optional(flag),
});

export const readWorkspaceList: Reader<WorkspaceList> = object<WorkspaceList>({
  workspaces: array(readWorkspace),
  count: integer,
});

export const readRichParameter: Reader<RichParameter> = object<RichParameter>({
  name,
  type: name,
  mutable: flag,
  required: flag,
  ephemeral: optional(flag),
  default_value: text,
  options: arrayOrNull(object<RichParameterOption>({ name: text, value: text })),
  validation_regex: optionalName,
  validation_error: optionalName,
  validation_min: optional(integer),
  validation_max: optional(integer),
  validation_monotonic: optionalName,
});

const readPreset = object<Preset>({
  ID: uuid,
  Name: name,
  Parameters: arrayOrNull(object({ Name: name, Value: text })),
});

const readNameValue = object<NameValue>({ name, value: text });

/** `POST /files` calls the file's id "hash". */
export const readUpload: Reader<{ readonly hash: string }> = object<{ readonly hash: string }>({
  hash: uuid,
});

/** An answer whose content says nothing more than its status. */
export const readMessage: Reader<{ readonly message: string }> = object<{ readonly message: string }>({
  message: text,
});

/** What is left of a workspace list once its records have been read one by one. What is still in it was not taken for one. */
export const readCount: Reader<{ readonly count: number }> = (value, path) => {
  const { count } = object<WorkspaceList>({ workspaces: emptyArray, count: integer })(value, path);
  return { count };
};

export const readTemplates: Reader<readonly Template[]> = array(readTemplate);
export const readJobLogs: Reader<readonly JobLog[]> = arrayOrNull(readJobLog);
export const readProvisionerJobs: Reader<readonly ProvisionerJob[]> = arrayOrNull(readProvisionerJob);
export const readWorkspaceBuilds: Reader<readonly WorkspaceBuild[]> = arrayOrNull(readWorkspaceBuild);
export const readRichParameters: Reader<readonly RichParameter[]> = arrayOrNull(readRichParameter);
export const readPresets: Reader<readonly Preset[]> = arrayOrNull(readPreset);
export const readNameValues: Reader<readonly NameValue[]> = arrayOrNull(readNameValue);
export const readVariables: Reader<readonly TemplateVersionVariable[]> = arrayOrNull(readVariable);
/** An answer without a body. */
export const readNothing: Reader<undefined> = () => undefined;
