import type { CoderTemplateSpec } from '../api/generated.ts';
import type { Template } from '../coder/types.ts';

/** How one setting of Coder's becomes a field of the spec. */
interface Setting {
  /** Undefined where this Coder does not know the setting. */
  readonly read: (template: Template) => unknown;
  /** Whether the CRD takes the value: what it refuses would keep the whole object from being applied. */
  readonly fits: (value: never) => boolean;
}

type SettingField = Exclude<
  keyof CoderTemplateSpec,
  | 'organization'
  | 'files'
  | 'source'
  | 'variables'
  | 'provisioner'
  | 'provisionerTags'
  | 'promotion'
  | 'versionID'
  | 'driftPolicy'
  | 'deletionPolicy'
  | 'suspend'
>;

const TEN_YEARS_MS = 315_360_000_000;
const MINUTE_MS = 60_000;
const WEEK = ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'];

const duration = (ms: number): boolean => Number.isInteger(ms) && ms >= 0 && ms <= TEN_YEARS_MS;
const longDuration = (ms: number): boolean => duration(ms) && (ms === 0 || ms >= MINUTE_MS);
const upTo =
  (most: number) =>
  (text: string): boolean =>
    text.length <= most;
const oneOf =
  (...words: readonly string[]) =>
  (word: string): boolean =>
    words.includes(word);
const flag = (): boolean => true;

/** Every setting, in the order in which the CRD has them. */
const SETTINGS: Readonly<Record<SettingField, Setting>> = {
  displayName: {
    read: (t) => t.display_name,
    fits: (text: string) => text.length <= 64 && /^(\S(.*\S)?)?$/.test(text),
  },
  description: { read: (t) => t.description, fits: upTo(128) },
  icon: { read: (t) => t.icon, fits: isIcon },
  deprecated: { read: (t) => t.deprecation_message, fits: upTo(512) },
  defaultTTLMillis: { read: (t) => t.default_ttl_ms, fits: duration },
  activityBumpMillis: { read: (t) => t.activity_bump_ms, fits: duration },
  autostopRequirement: {
    read: ({ autostop_requirement: autostop }) =>
      autostop && { daysOfWeek: daysOf(autostop.days_of_week), weeks: autostop.weeks ?? 1 },
    fits: ({ weeks }: { readonly weeks: number }) => weeks >= 1 && weeks <= 16,
  },
  autostartRequirement: {
    read: ({ autostart_requirement: autostart }) =>
      autostart && { daysOfWeek: daysOf(autostart.days_of_week) },
    fits: flag,
  },
  allowUserAutostart: { read: (t) => t.allow_user_autostart, fits: flag },
  allowUserAutostop: { read: (t) => t.allow_user_autostop, fits: flag },
  allowUserCancelWorkspaceJobs: { read: (t) => t.allow_user_cancel_workspace_jobs, fits: flag },
  failureTTLMillis: { read: (t) => t.failure_ttl_ms, fits: longDuration },
  timeTilDormantMillis: { read: (t) => t.time_til_dormant_ms, fits: longDuration },
  timeTilDormantAutodeleteMillis: { read: (t) => t.time_til_dormant_autodelete_ms, fits: longDuration },
  requireActiveVersion: { read: (t) => t.require_active_version, fits: flag },
  maxPortShareLevel: {
    read: (t) => capitalized(t.max_port_share_level),
    fits: oneOf('Owner', 'Authenticated', 'Organization', 'Public'),
  },
  corsBehavior: { read: (t) => capitalized(t.cors_behavior), fits: oneOf('Simple', 'Passthru') },
  useClassicParameterFlow: { read: (t) => t.use_classic_parameter_flow, fits: flag },
};

export interface Settings {
  readonly spec: Partial<Pick<CoderTemplateSpec, SettingField>>;
  /** Names of the fields that cannot hold what Coder has. */
  readonly leftOut: readonly string[];
}

/** Every setting that this Coder knows, as it has it: a wish that is fulfilled already, so that nothing is sent for it. */
export function settingsOf(template: Template): Settings {
  const spec: Record<string, unknown> = {};
  const leftOut: string[] = [];
  for (const [field, { read, fits }] of Object.entries(SETTINGS)) {
    const value = read(template);
    if (value === undefined) continue;
    if ((fits as (value: unknown) => boolean)(value)) spec[field] = value;
    else leftOut.push(field);
  }
  return { spec, leftOut };
}

/** Each day once, from Monday on. */
function daysOf(days: readonly string[]): readonly string[] {
  return WEEK.filter((day) => days.some((given) => capitalized(given) === day));
}

function capitalized(word: string | undefined): string | undefined {
  // A Coder that says nothing, or the empty text, has no such setting.
  return word === undefined || word === '' ? undefined : word.slice(0, 1).toUpperCase() + word.slice(1);
}

function isIcon(text: string): boolean {
  if (text.length > 256) return false;
  if (text === '' || text.startsWith('/')) return true;
  // The API server is stricter about escapes than URL is.
  return /^https?:\/\/[\x21-\x7e]+$/.test(text) && !/%(?![0-9A-Fa-f]{2})/.test(text) && URL.canParse(text);
}
