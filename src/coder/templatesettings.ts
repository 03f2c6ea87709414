import { cut } from '../api/conditions.ts';
import type { CoderTemplateStatus } from '../api/generated.ts';
import type { Template, UpdateTemplateRequest } from './types.ts';

/** The settings of a template, as `status.observed` has them. A Coder that does not know one does not show it. */
export type TemplateSettings = NonNullable<CoderTemplateStatus['observed']>;
export type SettingField = keyof TemplateSettings;

/** Every setting, with its name in Coder. */
const NAMES = {
  displayName: 'display_name',
  description: 'description',
  icon: 'icon',
  deprecated: 'deprecation_message',
  defaultTTLMillis: 'default_ttl_ms',
  activityBumpMillis: 'activity_bump_ms',
  autostopRequirement: 'autostop_requirement',
  autostartRequirement: 'autostart_requirement',
  allowUserAutostart: 'allow_user_autostart',
  allowUserAutostop: 'allow_user_autostop',
  allowUserCancelWorkspaceJobs: 'allow_user_cancel_workspace_jobs',
  failureTTLMillis: 'failure_ttl_ms',
  timeTilDormantMillis: 'time_til_dormant_ms',
  timeTilDormantAutodeleteMillis: 'time_til_dormant_autodelete_ms',
  requireActiveVersion: 'require_active_version',
  maxPortShareLevel: 'max_port_share_level',
  corsBehavior: 'cors_behavior',
  useClassicParameterFlow: 'use_classic_parameter_flow',
} as const satisfies Readonly<Record<SettingField, keyof UpdateTemplateRequest>>;

export const SETTING_FIELDS = Object.keys(NAMES) as readonly SettingField[];

const WEEK = ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'];

export function settingsOf(template: Template): TemplateSettings {
  const { autostop_requirement: autostop, autostart_requirement: autostart } = template;
  return {
    displayName: template.display_name,
    description: template.description,
    icon: template.icon,
    deprecated: template.deprecation_message,
    defaultTTLMillis: template.default_ttl_ms,
    activityBumpMillis: template.activity_bump_ms,
    autostopRequirement: autostop && {
      daysOfWeek: inOrder(autostop.days_of_week.map(capitalized)),
      weeks: autostop.weeks ?? 1,
    },
    autostartRequirement: autostart && { daysOfWeek: inOrder(autostart.days_of_week.map(capitalized)) },
    allowUserAutostart: template.allow_user_autostart,
    allowUserAutostop: template.allow_user_autostop,
    allowUserCancelWorkspaceJobs: template.allow_user_cancel_workspace_jobs,
    failureTTLMillis: template.failure_ttl_ms,
    timeTilDormantMillis: template.time_til_dormant_ms,
    timeTilDormantAutodeleteMillis: template.time_til_dormant_autodelete_ms,
    requireActiveVersion: template.require_active_version,
    maxPortShareLevel: template.max_port_share_level && capitalized(template.max_port_share_level),
    corsBehavior: template.cors_behavior && capitalized(template.cors_behavior),
    useClassicParameterFlow: template.use_classic_parameter_flow,
  };
}

/**
 * The whole set as Coder takes it. What a Coder does not know stays out or, where the field may not be left out, is
 * what leaving it out would mean. The name is no setting and stays out, so that nobody's renaming is undone by this.
 */
export function bodyOf(settings: TemplateSettings): UpdateTemplateRequest {
  const { autostopRequirement: autostop, autostartRequirement: autostart } = settings;
  const { maxPortShareLevel, corsBehavior, useClassicParameterFlow } = settings;
  return {
    ...present('display_name', settings.displayName),
    ...present('description', settings.description),
    ...present('icon', settings.icon),
    ...present('deprecation_message', settings.deprecated),
    default_ttl_ms: settings.defaultTTLMillis ?? 0,
    activity_bump_ms: settings.activityBumpMillis ?? 0,
    ...present(
      'autostop_requirement',
      autostop && { days_of_week: (autostop.daysOfWeek ?? []).map(lowered), weeks: autostop.weeks ?? 1 },
    ),
    ...present(
      'autostart_requirement',
      autostart && { days_of_week: (autostart.daysOfWeek ?? []).map(lowered) },
    ),
    allow_user_autostart: settings.allowUserAutostart ?? false,
    allow_user_autostop: settings.allowUserAutostop ?? false,
    allow_user_cancel_workspace_jobs: settings.allowUserCancelWorkspaceJobs ?? false,
    failure_ttl_ms: settings.failureTTLMillis ?? 0,
    time_til_dormant_ms: settings.timeTilDormantMillis ?? 0,
    time_til_dormant_autodelete_ms: settings.timeTilDormantAutodeleteMillis ?? 0,
    require_active_version: settings.requireActiveVersion ?? false,
    ...present('max_port_share_level', maxPortShareLevel && lowered(maxPortShareLevel)),
    ...present('cors_behavior', corsBehavior && lowered(corsBehavior)),
    ...present('use_classic_parameter_flow', useClassicParameterFlow),
  };
}

/** The wish for a setting, in the form in which Coder's are held; undefined for none. */
export function wishOf<Field extends SettingField>(
  spec: Pick<TemplateSettings, Field>,
  field: Field,
): TemplateSettings[Field] {
  const wish: unknown = spec[field];
  if (typeof wish !== 'object' || wish === null) return spec[field];
  const { daysOfWeek = [], weeks = 1 } = wish as NonNullable<TemplateSettings['autostopRequirement']>;
  const requirement = {
    daysOfWeek: inOrder(daysOfWeek),
    ...(field === 'autostopRequirement' ? { weeks } : {}),
  };
  return requirement as TemplateSettings[Field];
}

/** The setting that Coder means by the name of a field that it refuses. */
export function settingNamed(name: string): SettingField | undefined {
  // The only one whose name is another one there.
  if (name === 'max_port_sharing_level') return 'maxPortShareLevel';
  return SETTING_FIELDS.find((field) => name === NAMES[field] || name.startsWith(`${NAMES[field]}.`));
}

/** As a status can hold it: somebody may have written more into Coder than a spec takes. */
export function shortened(settings: TemplateSettings): TemplateSettings {
  const short = (text: string | undefined, most: number): string | undefined => text && cut(text, most);
  return {
    ...settings,
    displayName: short(settings.displayName, 128),
    description: short(settings.description, 256),
    icon: short(settings.icon, 512),
    deprecated: short(settings.deprecated, 1024),
    maxPortShareLevel: short(settings.maxPortShareLevel, 32),
    corsBehavior: short(settings.corsBehavior, 32),
  };
}

/** Each day once, from Monday on. */
function inOrder(days: readonly string[]): readonly string[] {
  return WEEK.filter((day) => days.includes(day));
}

function present<Key extends string, T>(key: Key, value: T | undefined): Readonly<Partial<Record<Key, T>>> {
  return (value === undefined ? {} : { [key]: value }) as Readonly<Partial<Record<Key, T>>>;
}

function capitalized(word: string): string {
  return word.slice(0, 1).toUpperCase() + word.slice(1);
}

function lowered(word: string): string {
  return word.toLowerCase();
}
