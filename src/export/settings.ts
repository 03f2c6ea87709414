import type { CoderTemplateSpec } from '../api/generated.ts';
import { settingsOf, type SettingField } from '../coder/templatesettings.ts';
import type { Template } from '../coder/types.ts';

/** Whether the CRD takes a value: what it refuses would keep the whole object from being applied. */
type Fits = (value: never) => boolean;

const TEN_YEARS_MS = 315_360_000_000;
const MINUTE_MS = 60_000;

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
const any = (): boolean => true;

/** Every setting, in the order in which the CRD has them. */
const FITS: Readonly<Record<SettingField, Fits>> = {
  displayName: (text: string) => text.length <= 64 && /^(\S(.*\S)?)?$/.test(text),
  description: upTo(128),
  icon: isIcon,
  deprecated: upTo(512),
  defaultTTLMillis: duration,
  activityBumpMillis: duration,
  autostopRequirement: ({ weeks }: { readonly weeks: number }) => weeks >= 1 && weeks <= 16,
  autostartRequirement: any,
  allowUserAutostart: any,
  allowUserAutostop: any,
  allowUserCancelWorkspaceJobs: any,
  failureTTLMillis: longDuration,
  timeTilDormantMillis: longDuration,
  timeTilDormantAutodeleteMillis: longDuration,
  requireActiveVersion: any,
  maxPortShareLevel: oneOf('Owner', 'Authenticated', 'Organization', 'Public'),
  corsBehavior: oneOf('Simple', 'Passthru'),
  useClassicParameterFlow: any,
};

/** A Coder that says the empty text for these has no such setting. */
const WORDS: ReadonlySet<SettingField> = new Set(['maxPortShareLevel', 'corsBehavior']);

export interface Settings {
  readonly spec: Partial<Pick<CoderTemplateSpec, SettingField>>;
  /** Names of the fields that cannot hold what Coder has. */
  readonly leftOut: readonly string[];
}

/** Every setting that this Coder knows, as it has it: a wish that is fulfilled already, so that nothing is sent for it. */
export function exportedSettings(template: Template): Settings {
  const settings = settingsOf(template);
  const spec: Record<string, unknown> = {};
  const leftOut: string[] = [];
  for (const [name, fits] of Object.entries(FITS)) {
    const field = name as SettingField;
    const value = settings[field];
    if (value === undefined || (value === '' && WORDS.has(field))) continue;
    if ((fits as (value: unknown) => boolean)(value)) spec[field] = value;
    else leftOut.push(field);
  }
  return { spec, leftOut };
}

function isIcon(text: string): boolean {
  if (text.length > 256) return false;
  if (text === '' || text.startsWith('/')) return true;
  // The API server is stricter about escapes than URL is.
  return /^https?:\/\/[\x21-\x7e]+$/.test(text) && !/%(?![0-9A-Fa-f]{2})/.test(text) && URL.canParse(text);
}
