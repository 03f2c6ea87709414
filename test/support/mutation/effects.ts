import { isDeepStrictEqual } from 'node:util';
import type {
  CoderControlPlaneSpec,
  CoderTemplateSpec,
  CoderWorkspaceSpec,
} from '../../../src/api/generated.ts';
import {
  finalizers,
  type CoderControlPlane,
  type CoderTemplate,
  type CoderWorkspace,
} from '../../../src/api/kinds.ts';
import type { TemplateVersion, Workspace } from '../../../src/coder/types.ts';
import type { TemplateRow } from '../coder/templates.ts';
import { has } from '../tenant.ts';
import type { Realm } from './realm.ts';
import { TERRAFORM, VALUES, type Facts } from './seeds.ts';

/** What should be seen of a field in Coder or in the status, and is not; undefined when it is as it should be. */
export type Effect<View> = (view: View) => string | undefined;

/** Why nothing is to be seen of a field in what a test waits for. */
export interface NoEffect {
  readonly none: string;
}

export type Effects<View> = Readonly<Record<string, Effect<View> | NoEffect>>;

export interface WorkspaceView {
  readonly spec: CoderWorkspaceSpec;
  readonly object: CoderWorkspace;
  readonly realm: Realm;
  /** In Coder. */
  readonly workspace: Workspace;
}

export interface TemplateView {
  readonly spec: CoderTemplateSpec;
  readonly object: CoderTemplate;
  readonly realm: Realm;
  /** In Coder. */
  readonly template: TemplateRow;
  readonly active: TemplateVersion;
  /** Of the active version. */
  readonly files: ReadonlyMap<string, string>;
  /** Of the active version, sensitive ones hidden. */
  readonly variables: Readonly<Record<string, string>>;
}

export interface ControlPlaneView {
  readonly spec: CoderControlPlaneSpec;
  readonly object: CoderControlPlane;
  /** Of `acme.ann.kept`, which an object manages that did not make it, and which is to be deleted with that. */
  readonly kept: CoderWorkspace | undefined;
  /** Names of the objects that the operator made by itself. */
  readonly mirrors: readonly string[];
}

function same(what: string, has: unknown, wish: unknown): string | undefined {
  return isDeepStrictEqual(has, wish)
    ? undefined
    : `${what} is ${JSON.stringify(has)}, and ${JSON.stringify(wish)} is wished`;
}

/** The same unless nothing is wished. */
function wished(what: string, has: unknown, wish: unknown): string | undefined {
  return wish === undefined ? undefined : same(what, has, wish);
}

function parametersOf({ spec, realm, workspace }: WorkspaceView): string | undefined {
  const values = realm.coder.valuesOf(workspace.id);
  for (const { name, value, valueFrom } of spec.parameters ?? []) {
    const key = valueFrom?.secretKeyRef?.key ?? valueFrom?.configMapKeyRef?.key ?? '';
    const wish = valueFrom === undefined ? value : (VALUES as Readonly<Record<string, string>>)[key];
    const problem = wished(`the parameter ${name}`, values[name], wish);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

export const WORKSPACE_EFFECTS: Effects<WorkspaceView> = {
  organization: ({ spec, workspace }) =>
    wished('the organization', workspace.organization_name, spec.organization),
  templateName: ({ spec, workspace }) => wished('the template', workspace.template_name, spec.templateName),
  running: ({ spec, workspace, object }) =>
    wished('running', workspace.latest_build.status === 'running', spec.running) ??
    wished('status.running', object.status?.running, spec.running),
  templateVersionID: ({ spec, workspace }) =>
    wished('the version', workspace.latest_build.template_version_id, spec.templateVersionID),
  templateVersionName: ({ spec, workspace }) =>
    wished('the version', workspace.latest_build.template_version_name, spec.templateVersionName),
  parameters: parametersOf,
  presetName: {
    none: 'A workspace is created from it; one that exists is not changed by it, as its description says.',
  },
  ttlMillis: ({ spec, workspace, object }) =>
    wished('the TTL', workspace.ttl_ms ?? 0, spec.ttlMillis) ??
    wished('status.observed.ttlMillis', object.status?.observed?.ttlMillis, spec.ttlMillis),
  autostartSchedule: ({ spec, workspace, object }) =>
    wished('the schedule', workspace.autostart_schedule ?? '', spec.autostartSchedule) ??
    wished('the observed one', object.status?.observed?.autostartSchedule, spec.autostartSchedule),
  automaticUpdates: ({ spec, workspace }) =>
    wished('automatic updates', workspace.automatic_updates, spec.automaticUpdates?.toLowerCase()),
  updatePolicy: {
    none: 'It says when a changed version or parameter takes effect; by itself it changes nothing.',
  },
  driftPolicy: { none: 'It counts when somebody changes something in Coder, and nobody does here.' },
  deletionPolicy: ({ spec, object }) =>
    same(
      'the finalizer',
      object.metadata.finalizers?.includes(finalizers.workspace) === true,
      spec.deletionPolicy !== 'Retain',
    ),
  buildTimeout: { none: 'No build takes so long here.' },
  suspend: ({ spec, object }) =>
    same('Suspended', has(object, 'Suspended', 'True', 'SuspendedBySpec'), spec.suspend === true),
};

/** The files that a spec wishes, where they are known here. */
function wishedFiles(
  { files, source }: CoderTemplateSpec,
  { sha256 }: Facts,
): Readonly<Record<string, string>> | undefined {
  if (files !== undefined) {
    return Object.fromEntries(Object.entries(files).filter(([path]) => !path.startsWith('.')));
  }
  const items = source?.configMapRef?.items;
  if (source?.configMapRef?.name === 'values' && items !== undefined) {
    const values: Readonly<Record<string, string>> = VALUES;
    return Object.fromEntries(items.map(({ key, path }) => [path, values[key] ?? '']));
  }
  if (source === undefined || !/^(\.\/)?dev\/*$/.test(source.path ?? '')) return undefined;
  // The hash says which archive is meant, wherever it is: one that was read before is not fetched again.
  if (source.archive?.sha256 === sha256.next || source.sourceRef?.name === 'next') {
    return { 'main.tf': `${TERRAFORM}# Next\n` };
  }
  return { 'main.tf': TERRAFORM };
}

const content: Effect<TemplateView> = ({ spec, files, realm }) =>
  wished('the content of the active version', Object.fromEntries(files), wishedFiles(spec, realm.facts));

/** A setting with its name in Coder. */
function setting(
  field: keyof CoderTemplateSpec & keyof NonNullable<NonNullable<CoderTemplate['status']>['observed']>,
  name: keyof TemplateRow,
): Effect<TemplateView> {
  return ({ spec, object, template }) => {
    const wish = spec[field];
    if (wish === undefined) return undefined;
    const inCoder =
      typeof wish === 'object'
        ? requirementOf(wish as DaysWish, field === 'autostopRequirement')
        : typeof wish === 'string' && ['maxPortShareLevel', 'corsBehavior'].includes(field)
          ? wish.toLowerCase()
          : wish;
    const observed = object.status?.observed?.[field];
    return (
      same(`${name} in Coder`, template[name], inCoder) ??
      (typeof wish === 'object' ? undefined : same(`status.observed.${field}`, observed, wish))
    );
  };
}

interface DaysWish {
  readonly daysOfWeek?: readonly string[];
  readonly weeks?: number;
}

const WEEK = ['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday'];

/** In Coder's form and order. */
function requirementOf({ daysOfWeek = [], weeks = 1 }: DaysWish, hasWeeks: boolean): object {
  const days = daysOfWeek.map((day) => day.toLowerCase());
  return { days_of_week: WEEK.filter((day) => days.includes(day)), ...(hasWeeks ? { weeks } : {}) };
}

export const TEMPLATE_EFFECTS: Effects<TemplateView> = {
  organization: ({ spec, template }) =>
    wished('the organization', template.organization_name, spec.organization),
  files: content,
  source: content,
  variables: ({ spec, variables }) => {
    const plain = (spec.variables ?? []).filter(({ valueFrom }) => valueFrom === undefined);
    const problems = plain.map(({ name, value }) => wished(`the variable ${name}`, variables[name], value));
    return problems.find((problem) => problem !== undefined);
  },
  provisioner: { none: 'What the scripted Coder imports with shows in whether it can.' },
  provisionerTags: ({ spec, active }) => {
    const tags: Readonly<Record<string, string>> = active.job.tags ?? {};
    const known = Object.keys(spec.provisionerTags ?? {}).map((tag) => [tag, tags[tag] ?? ''] as const);
    return wished('the tags of the active version', Object.fromEntries(known), spec.provisionerTags);
  },
  promotion: { none: 'It counts when the content changes.' },
  versionID: ({ spec, template }) => wished('the active version', template.active_version_id, spec.versionID),
  displayName: setting('displayName', 'display_name'),
  description: setting('description', 'description'),
  icon: setting('icon', 'icon'),
  deprecated: setting('deprecated', 'deprecation_message'),
  defaultTTLMillis: setting('defaultTTLMillis', 'default_ttl_ms'),
  activityBumpMillis: setting('activityBumpMillis', 'activity_bump_ms'),
  autostopRequirement: setting('autostopRequirement', 'autostop_requirement'),
  autostartRequirement: setting('autostartRequirement', 'autostart_requirement'),
  allowUserAutostart: setting('allowUserAutostart', 'allow_user_autostart'),
  allowUserAutostop: setting('allowUserAutostop', 'allow_user_autostop'),
  allowUserCancelWorkspaceJobs: setting('allowUserCancelWorkspaceJobs', 'allow_user_cancel_workspace_jobs'),
  failureTTLMillis: setting('failureTTLMillis', 'failure_ttl_ms'),
  timeTilDormantMillis: setting('timeTilDormantMillis', 'time_til_dormant_ms'),
  timeTilDormantAutodeleteMillis: setting('timeTilDormantAutodeleteMillis', 'time_til_dormant_autodelete_ms'),
  requireActiveVersion: setting('requireActiveVersion', 'require_active_version'),
  maxPortShareLevel: setting('maxPortShareLevel', 'max_port_share_level'),
  corsBehavior: setting('corsBehavior', 'cors_behavior'),
  useClassicParameterFlow: setting('useClassicParameterFlow', 'use_classic_parameter_flow'),
  driftPolicy: { none: 'It counts when somebody changes something in Coder, and nobody does here.' },
  deletionPolicy: ({ spec, object }) =>
    same(
      'the finalizer',
      object.metadata.finalizers?.includes(finalizers.template) === true,
      spec.deletionPolicy !== 'Retain' && object.status?.origin === 'Created',
    ),
  suspend: ({ spec, object }) =>
    same('Suspended', has(object, 'Suspended', 'True', 'SuspendedBySpec'), spec.suspend === true),
};

function isIn(list: readonly string[] | undefined, name: string): boolean {
  return list === undefined || list.length === 0 || list.some((n) => n.toLowerCase() === name);
}

function isKeptInScope({ scope }: CoderControlPlaneSpec): boolean {
  return isIn(scope?.organizations, 'acme') && isIn(scope?.owners, 'ann');
}

const scope: Effect<ControlPlaneView> = ({ spec, kept }) =>
  same(
    'OutOfScope of acme.ann.kept',
    kept && has(kept, 'Stalled', 'True', 'OutOfScope'),
    !isKeptInScope(spec),
  );

/** What `realm.ts` puts into Coder, and no object manages. */
const LOOSE: Readonly<
  Record<string, readonly (readonly [name: string, organization: string, owner?: string])[]>
> = {
  workspaces: [
    ['acme.ann.loose', 'acme', 'ann'],
    ['acme.bob.loose', 'acme', 'bob'],
  ],
  templates: [
    ['acme.dev', 'acme'],
    ['acme.other', 'acme'],
    ['other.abroad', 'other'],
  ],
};

const mirror: Effect<ControlPlaneView> = ({ spec, mirrors }) => {
  const shown = (['workspaces', 'templates'] as const).flatMap((kind) =>
    spec.mirror?.[kind] === 'Disabled'
      ? []
      : (LOOSE[kind] ?? [])
          .filter(([, organization]) => isIn(spec.scope?.organizations, organization))
          .filter(([, , owner]) => owner === undefined || isIn(spec.scope?.owners, owner))
          .map(([name]) => name),
  );
  return same('what is mirrored', [...mirrors].sort(), shown.sort());
};

export const CONTROL_PLANE_EFFECTS: Effects<ControlPlaneView> = {
  credentialsSecretRef: ({ spec }) => wished('the Secret', spec.credentialsSecretRef.name, 'coder'),
  pollInterval: { none: 'A rhythm; that of the hastened clock is not measured.' },
  scope,
  mirror,
  adoptedDeletion: ({ spec, kept }) =>
    isKeptInScope(spec)
      ? same(
          'the finalizer of acme.ann.kept',
          kept?.metadata.finalizers?.includes(finalizers.workspace) === true,
          spec.adoptedDeletion === 'Allow',
        )
      : undefined,
  requestsPerMinute: { none: 'A limit that nothing here comes near to.' },
  maxConcurrentBuilds: { none: 'A limit that nothing here comes near to.' },
  suspend: ({ spec, object, kept }) =>
    same('Suspended', has(object, 'Suspended', 'True', 'SuspendedBySpec'), spec.suspend === true) ??
    same(
      'Suspended of acme.ann.kept',
      kept && has(kept, 'Suspended', 'True', 'SuspendedByControlPlane'),
      spec.suspend === true,
    ),
};

/** What a field does, if its kind says so: its own effect, or that of the field that it is in. */
export function effectFor<View>(effects: Effects<View>, path: string): Effect<View> | NoEffect | undefined {
  return effects[path.split(/[.[{]/)[0] ?? ''];
}
