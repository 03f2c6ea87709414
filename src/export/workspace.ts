import type { CoderWorkspaceSpec } from '../api/generated.ts';
import { isActiveJob } from '../coder/states.ts';
import type { NameValue, RichParameter, Template, Workspace, WorkspaceBuild } from '../coder/types.ts';
import { manifestOf, type Detail, type Exported } from './manifest.ts';

const LONGEST_TTL_MS = 30 * 24 * 3_600_000;
const MINUTE_MS = 60_000;
const LONGEST_SCHEDULE = 128;
const MOST_PARAMETERS = 64;
const LONGEST_PARAMETER_NAME = 128;
const LONGEST_PARAMETER_VALUE = 4096;

/** A template's name as a spec can hold it. */
const TEMPLATE_NAME = /^(?=.{1,32}$)[a-z0-9]+(-[a-z0-9]+)*$/;
/** A schedule as a spec can hold it: what the CRD says. */
const SCHEDULE = /^$|^(CRON_TZ=[A-Za-z0-9_+/-]{1,64} )?[0-9*,/-]+ [0-9*,/-]+ [*] [*] [0-9A-Za-z*,/-]+$/;

/** What is kept of a workspace of a list of ten thousand. */
export interface ListedWorkspace {
  /** As `metadata.name` has it. */
  readonly name: string;
  readonly spec: CoderWorkspaceSpec;
  readonly notes: readonly string[];
  readonly buildID: string;
  /** The version that its next start is made with, by which the operator judges parameters. */
  readonly versionID: string;
}

/**
 * A workspace that is to be taken over. Left out, power and settings are nobody's business but its users'; where they are
 * asked for, each is as it is now, so that applying it sends nothing.
 *
 * @param name as `metadata.name` has it.
 * @param template the workspace's; undefined where the token does not see it.
 */
export function listWorkspace(
  name: string,
  workspace: Workspace,
  template: Template | undefined,
  { withWishes }: Pick<Detail, 'withWishes'>,
): ListedWorkspace {
  const templateName = workspace.template_name.toLowerCase();
  const wishes = withWishes ? wishesOf(workspace, template) : { spec: {}, notes: [] };
  return {
    name,
    // It makes the object a person's and not a mirror, and must be there to create the workspace again.
    spec: { ...(TEMPLATE_NAME.test(templateName) ? { templateName } : {}), ...wishes.spec },
    notes: wishes.notes,
    buildID: workspace.latest_build.id,
    versionID: nextVersionOf(workspace),
  };
}

export function exportWorkspace(
  { name, spec, notes }: ListedWorkspace,
  parameters: Parameters | undefined,
  { namespace }: Detail,
): Exported {
  const full = parameters?.values === undefined ? spec : { ...spec, parameters: parameters.values };
  return {
    manifest: manifestOf('CoderWorkspace', name, namespace, full),
    notes: [...notes, ...(parameters?.notes ?? [])],
  };
}

function wishesOf(
  workspace: Workspace,
  template: Template | undefined,
): { readonly spec: CoderWorkspaceSpec; readonly notes: readonly string[] } {
  const { ttl_ms: ttlMillis = 0, autostart_schedule: schedule = '', automatic_updates: updates } = workspace;
  const power = powerOf(workspace.latest_build);
  const notes: string[] = [];
  if (typeof power === 'string') notes.push(`running is left out: ${power}.`);
  const isTemplates = template?.allow_user_autostop === false;
  const fitsTTL = ttlMillis >= 0 && ttlMillis <= LONGEST_TTL_MS && ttlMillis % MINUTE_MS === 0;
  if (isTemplates) notes.push('ttlMillis is left out: the template says it for all of its workspaces.');
  else if (!fitsTTL) notes.push(`ttlMillis is left out: ${ttlMillis} ms do not fit into it.`);
  const fitsSchedule = schedule.length <= LONGEST_SCHEDULE && SCHEDULE.test(schedule);
  if (!fitsSchedule) notes.push(`autostartSchedule is left out: "${schedule}" does not fit into it.`);
  const automaticUpdates = updates === 'always' ? 'Always' : updates === 'never' ? 'Never' : undefined;
  return {
    spec: {
      ...(typeof power === 'string' ? {} : { running: power }),
      ...(isTemplates || !fitsTTL ? {} : { ttlMillis }),
      ...(fitsSchedule ? { autostartSchedule: schedule } : {}),
      ...(automaticUpdates === undefined ? {} : { automaticUpdates }),
    },
    notes,
  };
}

/**
 * Whether the workspace runs, or why that cannot be wished without building: to the operator a wish is reached only by a
 * start or stop that succeeded. After another end it would build at once, and behind a build under way it would wait with
 * a wish that may not be the one of whoever is building.
 */
function powerOf({ transition, job }: WorkspaceBuild): boolean | string {
  if (isActiveJob(job.status)) return `a build (${transition}) is under way`;
  if (job.status !== 'succeeded') return `the last build (${transition}) has not succeeded`;
  if (transition === 'start') return true;
  return transition === 'stop' ? false : `the last build is of another kind (${transition})`;
}

/** The rule of the operator where no version is wished: that of the last build, but for where Coder takes the active one. */
function nextVersionOf(workspace: Workspace): string {
  const { latest_build: build, template_active_version_id: active } = workspace;
  const isFailedStart =
    build.transition === 'start' && (build.job.status === 'failed' || build.job.status === 'canceled');
  const isUpdated = workspace.automatic_updates === 'always' || isFailedStart;
  return active !== undefined && isUpdated ? active : build.template_version_id;
}

export interface Parameters {
  readonly values: CoderWorkspaceSpec['parameters'];
  readonly notes: readonly string[];
}

/**
 * The values that the workspace was last built with, by name. Left out is what the operator could not take as it is: a
 * parameter that the next start does not know would stall the object, and an ephemeral one counts for one build only, so
 * that wishing it would mean it for every start.
 *
 * @param definitions what the version of the next start asks for.
 */
export function parametersOf(
  values: readonly NameValue[],
  definitions: readonly RichParameter[],
): Parameters {
  const byName = new Map(definitions.map((definition) => [definition.name, definition]));
  const lasting = [...values]
    .filter(({ name }) => byName.get(name)?.ephemeral !== true)
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  const unknown = lasting.filter(({ name }) => !byName.has(name)).map(({ name }) => name);
  const known = lasting.filter(({ name }) => byName.has(name));
  const tooLong = known.filter((parameter) => !fits(parameter)).map(({ name }) => name);
  const fitting = known.filter(fits).map(({ name, value }) => ({ name, value }));
  const tooMany = fitting.slice(MOST_PARAMETERS).map(({ name }) => name);
  return {
    values: fitting.length === 0 ? undefined : fitting.slice(0, MOST_PARAMETERS),
    notes: [
      ...noteOf(unknown, 'the template does not know them any more'),
      ...noteOf(tooLong, 'their values are too long'),
      ...noteOf(tooMany, `there are more than ${MOST_PARAMETERS}`),
    ],
  };
}

/** In place of parameters that cannot be read. */
export const hiddenParameters: Parameters = {
  values: undefined,
  notes: ['Parameters are left out: Coder does not show them to the user of the token, or not yet.'],
};

function fits({ name, value }: NameValue): boolean {
  return name !== '' && name.length <= LONGEST_PARAMETER_NAME && value.length <= LONGEST_PARAMETER_VALUE;
}

function noteOf(names: readonly string[], why: string): readonly string[] {
  return names.length === 0 ? [] : [`Parameters left out, since ${why}: ${names.join(', ')}.`];
}
