/**
 * The parts of Coder's answers that this operator uses, in Coder's own wire form.
 *
 * Servers older and newer than the one this was written against leave fields out and add values to enums, so
 * whatever is not needed to identify an object is optional, and every enum admits unknown values. Times are RFC 3339
 * texts; Coder's zero time (`0001-01-01T00:00:00Z`), null and the nil UUID all mean "none" and are left out.
 */

/** One of the known values, or one that a newer Coder has added. */
export type OpenEnum<Known extends string> = Known | (string & Record<never, never>);

export type JobStatus = OpenEnum<
  'pending' | 'running' | 'succeeded' | 'canceling' | 'canceled' | 'failed' | 'unknown'
>;

export type WorkspaceTransition = OpenEnum<'start' | 'stop' | 'delete'>;

export type WorkspaceStatus = OpenEnum<
  | 'pending'
  | 'starting'
  | 'running'
  | 'stopping'
  | 'stopped'
  | 'failed'
  | 'canceling'
  | 'canceled'
  | 'deleting'
  | 'deleted'
>;

export type BuildReason = OpenEnum<
  | 'initiator'
  | 'autostart'
  | 'autostop'
  | 'dormancy'
  | 'dashboard'
  | 'cli'
  | 'ssh_connection'
  | 'vscode_connection'
  | 'jetbrains_connection'
>;

export type AgentStatus = OpenEnum<'connecting' | 'connected' | 'disconnected' | 'timeout'>;

export type AgentLifecycle = OpenEnum<
  | 'created'
  | 'starting'
  | 'start_timeout'
  | 'start_error'
  | 'ready'
  | 'shutting_down'
  | 'shutdown_timeout'
  | 'shutdown_error'
  | 'off'
>;

/** `GET /buildinfo`, the one answer that needs no token. */
export interface BuildInfo {
  readonly version: string;
  /** Stays the same for the life of Coder's database; tells one deployment from another. */
  readonly deployment_id: string;
  /** Where Coder says its pages are. */
  readonly dashboard_url?: string;
  readonly external_url?: string;
}

export interface Organization {
  readonly id: string;
  readonly name: string;
  readonly display_name?: string;
  readonly is_default?: boolean;
}

export interface User {
  readonly id: string;
  readonly username: string;
  readonly status?: OpenEnum<'active' | 'dormant' | 'suspended'>;
  /** Coder creates workspaces for people outside the organization; this list is how to tell beforehand. */
  readonly organization_ids: readonly string[];
}

/** The record of a token, without its secret part. */
export interface APIKey {
  readonly id: string;
  readonly expires_at?: string;
  /** For so long use moves the end on, if this Coder does that. */
  readonly lifetime_seconds?: number;
}

/** When a token ends. */
export interface TokenExpiry {
  readonly at: string;
  /** For so long each use moves the end on, if this Coder does that. */
  readonly lifetimeMs?: number;
}

export interface ProvisionerJob {
  readonly id: string;
  readonly created_at: string;
  readonly started_at?: string;
  readonly completed_at?: string;
  readonly canceled_at?: string;
  /** Free-form output of the provisioner, possibly long and coloured: clean it before showing it. */
  readonly error?: string;
  readonly error_code?: string;
  readonly status: JobStatus;
  readonly file_id?: string;
  readonly initiator_id?: string;
  readonly organization_id?: string;
  readonly type?: OpenEnum<'template_version_import' | 'workspace_build' | 'template_version_dry_run'>;
  readonly input?: ProvisionerJobInput;
  /** Filled by the job list only. */
  readonly metadata?: ProvisionerJobMetadata;
  readonly queue_position?: number;
  readonly queue_size?: number;
}

export interface ProvisionerJobInput {
  readonly template_version_id?: string;
  readonly workspace_build_id?: string;
}

export interface ProvisionerJobMetadata {
  readonly template_version_name?: string;
  readonly template_id?: string;
  readonly template_name?: string;
  readonly workspace_id?: string;
  readonly workspace_name?: string;
}

/** The import of a template version. */
export interface ImportJob extends ProvisionerJob {
  /** What a provisioner must have to take it: those of the request, of the content, and Coder's own `scope` and `owner`. */
  readonly tags?: Readonly<Record<string, string>>;
}

/** How many provisioners could take a job; `count` 0 means that none has its tags. */
export interface MatchedProvisioners {
  readonly count: number;
  readonly available: number;
}

export interface Template {
  readonly id: string;
  readonly created_at: string;
  readonly updated_at: string;
  readonly organization_id: string;
  readonly organization_name: string;
  readonly name: string;
  readonly display_name: string;
  readonly description: string;
  readonly icon: string;
  readonly provisioner?: string;
  readonly active_version_id: string;
  readonly deprecated?: boolean;
  readonly deprecation_message?: string;
  readonly default_ttl_ms?: number;
  readonly activity_bump_ms?: number;
  readonly autostop_requirement?: AutostopRequirement;
  readonly autostart_requirement?: AutostartRequirement;
  readonly allow_user_autostart?: boolean;
  readonly allow_user_autostop?: boolean;
  readonly allow_user_cancel_workspace_jobs?: boolean;
  readonly failure_ttl_ms?: number;
  readonly time_til_dormant_ms?: number;
  readonly time_til_dormant_autodelete_ms?: number;
  readonly require_active_version?: boolean;
  readonly max_port_share_level?: string;
  readonly cors_behavior?: string;
  readonly use_classic_parameter_flow?: boolean;
}

export interface AutostopRequirement {
  readonly days_of_week: readonly string[];
  readonly weeks?: number;
}

export interface AutostartRequirement {
  readonly days_of_week: readonly string[];
}

export interface TemplateVersion {
  readonly id: string;
  /** Left out while the version belongs to no template yet. */
  readonly template_id?: string;
  readonly organization_id?: string;
  readonly created_at: string;
  readonly updated_at?: string;
  readonly name: string;
  readonly message?: string;
  readonly job: ImportJob;
  readonly archived?: boolean;
  readonly matched_provisioners?: MatchedProvisioners;
}

/** A Terraform variable of a version; `GET /templateversions/{id}/variables`. */
export interface TemplateVersionVariable {
  readonly name: string;
  /** As Terraform writes it, such as `list(string)`; left out when the content does not say. */
  readonly type?: string;
  /** `*redacted*` for a sensitive one. */
  readonly value: string;
  /** `*redacted*` for a sensitive one. */
  readonly default_value: string;
  /** It has no default, or null: Coder then takes an empty value for none. */
  readonly required: boolean;
  readonly sensitive: boolean;
}

/** One line of a job's log. */
export interface JobLog {
  readonly id: number;
  readonly created_at?: string;
  readonly log_level?: OpenEnum<'trace' | 'debug' | 'info' | 'warn' | 'error'>;
  readonly stage?: string;
  readonly output: string;
}

export interface WorkspaceAgent {
  readonly id: string;
  /** Set for agents that run inside another one, such as dev containers. */
  readonly parent_id?: string;
  readonly name: string;
  readonly status: AgentStatus;
  readonly lifecycle_state?: AgentLifecycle;
}

export interface WorkspaceResource {
  readonly name?: string;
  readonly type?: string;
  readonly agents: readonly WorkspaceAgent[];
}

export interface WorkspaceBuild {
  readonly id: string;
  readonly created_at: string;
  readonly updated_at?: string;
  readonly workspace_id: string;
  readonly build_number: number;
  readonly transition: WorkspaceTransition;
  readonly status: WorkspaceStatus;
  readonly reason?: BuildReason;
  readonly initiator_id?: string;
  readonly initiator_name?: string;
  readonly template_version_id: string;
  /** Empty in the answer to the request that made the build. */
  readonly template_version_name?: string;
  readonly template_version_preset_id?: string;
  readonly job: ProvisionerJob;
  readonly deadline?: string;
  readonly max_deadline?: string;
  readonly resources: readonly WorkspaceResource[];
  readonly matched_provisioners?: MatchedProvisioners;
}

export interface WorkspaceHealth {
  readonly healthy: boolean;
  readonly failing_agents: readonly string[];
}

/** `updated_at` is left out on purpose: Coder does not move it when a workspace changes. */
export interface Workspace {
  readonly id: string;
  readonly created_at: string;
  readonly name: string;
  readonly owner_id: string;
  readonly owner_name: string;
  readonly organization_id: string;
  readonly organization_name: string;
  readonly template_id: string;
  readonly template_name: string;
  readonly template_active_version_id?: string;
  readonly template_require_active_version?: boolean;
  readonly latest_build: WorkspaceBuild;
  readonly outdated?: boolean;
  readonly autostart_schedule?: string;
  readonly ttl_ms?: number;
  readonly last_used_at?: string;
  readonly deleting_at?: string;
  readonly dormant_at?: string;
  readonly next_start_at?: string;
  readonly health?: WorkspaceHealth;
  readonly automatic_updates?: OpenEnum<'always' | 'never'>;
  readonly is_prebuild?: boolean;
}

export interface WorkspaceList {
  readonly workspaces: readonly Workspace[];
  /** All matches of the query, whatever the limit. */
  readonly count: number;
}

/** A parameter that a template version asks for; `GET /templateversions/{id}/rich-parameters`. */
export interface RichParameter {
  readonly name: string;
  readonly type: OpenEnum<'string' | 'number' | 'bool' | 'list(string)'>;
  /** False: the value of the first build stays for ever. */
  readonly mutable: boolean;
  readonly required: boolean;
  /** True: the value counts for one build and is reset by the next. */
  readonly ephemeral?: boolean;
  readonly default_value: string;
  /** Not empty: one of these values, or several of them for a list. */
  readonly options: readonly RichParameterOption[];
  readonly validation_regex?: string;
  readonly validation_error?: string;
  readonly validation_min?: number;
  readonly validation_max?: number;
  readonly validation_monotonic?: OpenEnum<'increasing' | 'decreasing'>;
}

export interface RichParameterOption {
  readonly name: string;
  readonly value: string;
}

/** A named set of parameter values; Coder spells the fields of this one in upper case. */
export interface Preset {
  readonly ID: string;
  readonly Name: string;
  readonly Parameters: readonly { readonly Name: string; readonly Value: string }[];
}

/** A parameter of a build or a variable of a version; Coder takes texts only. */
export interface NameValue {
  readonly name: string;
  readonly value: string;
}

/**
 * Body of `POST /organizations/{organization}/templates`. Three settings are spelled otherwise than in `Template`:
 * `dormant_ttl_ms`, `delete_ttl_ms` and `template_use_classic_parameter_flow`.
 */
export interface CreateTemplateRequest {
  readonly name: string;
  /** Must belong to the organization and to no template yet. */
  readonly template_version_id: string;
  readonly display_name?: string;
  readonly description?: string;
  readonly icon?: string;
  readonly default_ttl_ms?: number;
  readonly activity_bump_ms?: number;
  readonly autostop_requirement?: AutostopRequirement;
  readonly autostart_requirement?: AutostartRequirement;
  readonly allow_user_autostart?: boolean;
  readonly allow_user_autostop?: boolean;
  readonly allow_user_cancel_workspace_jobs?: boolean;
  readonly failure_ttl_ms?: number;
  readonly dormant_ttl_ms?: number;
  readonly delete_ttl_ms?: number;
  readonly disable_everyone_group_access?: boolean;
  readonly require_active_version?: boolean;
  readonly max_port_share_level?: string;
  readonly template_use_classic_parameter_flow?: boolean;
  readonly cors_behavior?: string;
}

/**
 * Body of `PATCH /templates/{id}`. Most of what is left out is not kept but set to false or 0, so those fields cannot be
 * left out here. The others keep their value.
 */
export interface UpdateTemplateRequest {
  /** With it Coder tells whether anything changes at all, and answers 304 when nothing does. */
  readonly name?: string;
  readonly display_name?: string;
  readonly description?: string;
  readonly icon?: string;
  /** Empty: not deprecated. */
  readonly deprecation_message?: string;
  readonly default_ttl_ms: number;
  readonly activity_bump_ms: number;
  readonly autostop_requirement?: AutostopRequirement;
  readonly autostart_requirement?: AutostartRequirement;
  readonly allow_user_autostart: boolean;
  readonly allow_user_autostop: boolean;
  readonly allow_user_cancel_workspace_jobs: boolean;
  readonly failure_ttl_ms: number;
  readonly time_til_dormant_ms: number;
  readonly time_til_dormant_autodelete_ms: number;
  readonly require_active_version: boolean;
  /** Without a licence, 400 for any other value than the one that Coder shows. */
  readonly max_port_share_level?: string;
  readonly cors_behavior?: string;
  readonly use_classic_parameter_flow?: boolean;
}

/** Body of `POST /organizations/{organization}/templateversions`. */
export interface CreateTemplateVersionRequest {
  /** Unique within the template for ever, also when the import fails. */
  readonly name: string;
  readonly message?: string;
  /** Left out for the first version of a template that does not exist yet. */
  readonly template_id?: string;
  /** What `uploadArchive` answered. */
  readonly file_id: string;
  readonly provisioner: 'terraform' | 'echo';
  /** Empty ones do not count. They go before those that the content names itself (`coder_workspace_tags`). */
  readonly tags?: Readonly<Record<string, string>>;
  /**
   * A variable that is left out keeps its value from the template's active version, even where only the default has
   * changed. Values for what the content does not declare are dropped without a word.
   */
  readonly user_variable_values?: readonly NameValue[];
}

/** Body of `POST /users/{user}/workspaces`; exactly one of the two template fields. */
export interface CreateWorkspaceRequest {
  readonly name: string;
  readonly template_id?: string;
  readonly template_version_id?: string;
  readonly autostart_schedule?: string;
  readonly ttl_ms?: number;
  readonly rich_parameter_values?: readonly NameValue[];
  readonly automatic_updates?: OpenEnum<'always' | 'never'>;
  readonly template_version_preset_id?: string;
}

/** Body of `POST /workspaces/{id}/builds`. Coder builds again even when nothing would change. */
export interface CreateBuildRequest {
  readonly transition: 'start' | 'stop' | 'delete';
  /** Without it the build takes the version of the build before, not the template's active one. */
  readonly template_version_id?: string;
  /** A parameter that is left out keeps its value from the build before. */
  readonly rich_parameter_values?: readonly NameValue[];
  readonly template_version_preset_id?: string;
  /** With `delete` only: forget the workspace without destroying what it stands for. */
  readonly orphan?: boolean;
}
