import type { CreateTemplateRequest, Template, UpdateTemplateRequest } from '../../../src/coder/types.ts';
import type { Validation } from '../../../src/coder/errors.ts';
import { invalid } from './refusals.ts';

const MINUTE_MS = 60_000;
const MOST_WEEKS = 16;
const WEEK = ['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday'];

/** All that Coder shows as settings of a template. */
export type ShownSettings = Required<
  Pick<
    Template,
    | 'display_name'
    | 'description'
    | 'icon'
    | 'deprecated'
    | 'deprecation_message'
    | 'default_ttl_ms'
    | 'activity_bump_ms'
    | 'autostop_requirement'
    | 'autostart_requirement'
    | 'allow_user_autostart'
    | 'allow_user_autostop'
    | 'allow_user_cancel_workspace_jobs'
    | 'failure_ttl_ms'
    | 'time_til_dormant_ms'
    | 'time_til_dormant_autodelete_ms'
    | 'require_active_version'
    | 'max_port_share_level'
    | 'cors_behavior'
    | 'use_classic_parameter_flow'
  >
>;

/** A template of which nothing is said. */
export const PLAIN: ShownSettings = {
  display_name: '',
  description: '',
  icon: '',
  deprecated: false,
  deprecation_message: '',
  default_ttl_ms: 0,
  activity_bump_ms: 60 * MINUTE_MS,
  autostop_requirement: { days_of_week: [], weeks: 1 },
  autostart_requirement: { days_of_week: WEEK },
  allow_user_autostart: true,
  allow_user_autostop: true,
  allow_user_cancel_workspace_jobs: false,
  failure_ttl_ms: 0,
  time_til_dormant_ms: 0,
  time_til_dormant_autodelete_ms: 0,
  require_active_version: false,
  max_port_share_level: 'public',
  cors_behavior: 'simple',
  use_classic_parameter_flow: false,
};

/** What a Coder without a licence makes of the settings of a new template. */
export function newSettings(body: CreateTemplateRequest): ShownSettings {
  return {
    ...PLAIN,
    display_name: body.display_name ?? '',
    description: body.description ?? '',
    icon: body.icon ?? '',
    default_ttl_ms: body.default_ttl_ms ?? PLAIN.default_ttl_ms,
    activity_bump_ms: body.activity_bump_ms ?? PLAIN.activity_bump_ms,
    allow_user_cancel_workspace_jobs: body.allow_user_cancel_workspace_jobs ?? false,
    cors_behavior: body.cors_behavior ?? PLAIN.cors_behavior,
    use_classic_parameter_flow: body.template_use_classic_parameter_flow ?? false,
  };
}

/**
 * What Coder makes of a change, or undefined when nothing changes, which it tells only when the name is given. Most of
 * what is left out is reset. Without a licence most that belongs to one is taken and has no effect.
 * @throws CoderError 400
 */
export function changedSettings(
  before: Template & ShownSettings,
  body: UpdateTemplateRequest,
  isLicensed: boolean,
): ShownSettings | undefined {
  const message = body.deprecation_message ?? before.deprecation_message;
  const autostop = body.autostop_requirement ?? before.autostop_requirement;
  const wished: ShownSettings = {
    display_name: body.display_name ?? before.display_name,
    description: body.description ?? before.description,
    icon: body.icon ?? before.icon,
    deprecated: message !== '',
    deprecation_message: message,
    default_ttl_ms: body.default_ttl_ms,
    activity_bump_ms: body.activity_bump_ms,
    autostop_requirement: {
      days_of_week: inOrder(autostop.days_of_week),
      weeks: autostop.weeks === undefined || autostop.weeks === 0 ? 1 : autostop.weeks,
    },
    autostart_requirement: {
      days_of_week: inOrder((body.autostart_requirement ?? before.autostart_requirement).days_of_week),
    },
    allow_user_autostart: body.allow_user_autostart,
    allow_user_autostop: body.allow_user_autostop,
    allow_user_cancel_workspace_jobs: body.allow_user_cancel_workspace_jobs,
    failure_ttl_ms: body.failure_ttl_ms,
    time_til_dormant_ms: body.time_til_dormant_ms,
    time_til_dormant_autodelete_ms: body.time_til_dormant_autodelete_ms,
    require_active_version: body.require_active_version,
    max_port_share_level: body.max_port_share_level ?? before.max_port_share_level,
    cors_behavior: body.cors_behavior ?? before.cors_behavior,
    use_classic_parameter_flow: body.use_classic_parameter_flow ?? before.use_classic_parameter_flow,
  };
  const faults = faultsOf(before, wished, isLicensed);
  if (faults.length > 0) throw invalid('Invalid request to update template metadata!', faults);
  const isSame = JSON.stringify(wished) === JSON.stringify(picked(before));
  if (isSame && body.name === before.name) return undefined;
  return isLicensed ? wished : { ...wished, ...ignored(before, message) };
}

/** What stays as it is without a licence. A template may be freed of its deprecation all the same. */
function ignored(before: ShownSettings, message: string): Partial<ShownSettings> {
  const kept = message === '' ? '' : before.deprecation_message;
  return {
    deprecated: kept !== '',
    deprecation_message: kept,
    autostop_requirement: before.autostop_requirement,
    autostart_requirement: before.autostart_requirement,
    allow_user_autostart: before.allow_user_autostart,
    allow_user_autostop: before.allow_user_autostop,
    failure_ttl_ms: before.failure_ttl_ms,
    time_til_dormant_ms: before.time_til_dormant_ms,
    time_til_dormant_autodelete_ms: before.time_til_dormant_autodelete_ms,
    require_active_version: before.require_active_version,
    max_port_share_level: before.max_port_share_level,
  };
}

function faultsOf(before: ShownSettings, wished: ShownSettings, isLicensed: boolean): readonly Validation[] {
  const faults: Validation[] = [];
  const refuse = (field: string, detail: string): void => void faults.push({ field, detail });
  for (const field of ['default_ttl_ms', 'activity_bump_ms'] as const) {
    if (wished[field] < 0) refuse(field, 'Must be a positive integer.');
  }
  if ((wished.autostop_requirement.weeks ?? 1) > MOST_WEEKS) {
    refuse('autostop_requirement.weeks', `Must be less than ${MOST_WEEKS}.`);
  }
  for (const field of ['failure_ttl_ms', 'time_til_dormant_ms', 'time_til_dormant_autodelete_ms'] as const) {
    if (wished[field] !== 0 && wished[field] < MINUTE_MS) refuse(field, 'Value must be at least one minute.');
  }
  if (!isLicensed && wished.max_port_share_level !== before.max_port_share_level) {
    refuse(
      'max_port_sharing_level',
      'Restricting port sharing level is an enterprise feature that is not enabled.',
    );
  }
  if (!['simple', 'passthru'].includes(wished.cors_behavior)) {
    refuse('cors_behavior', `Invalid CORS behavior "${wished.cors_behavior}".`);
  }
  return faults;
}

function picked(template: ShownSettings): ShownSettings {
  const names = Object.keys(PLAIN) as (keyof ShownSettings)[];
  return Object.fromEntries(names.map((name) => [name, template[name]])) as unknown as ShownSettings;
}

/** Each day once, from Monday on, in any case. */
function inOrder(days: readonly string[]): readonly string[] {
  const given = days.map((day) => day.toLowerCase());
  return WEEK.filter((day) => given.includes(day));
}
