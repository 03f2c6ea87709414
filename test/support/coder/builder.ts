import type { Clock } from '../../../src/base/clock.ts';
import type { CoderError } from '../../../src/coder/errors.ts';
import type { CreateWorkspaceRequest, NameValue } from '../../../src/coder/types.ts';
import { Jobs } from './jobs.ts';
import { admitFields, failsAsName } from './names.ts';
import { matchingPreset, resolveParameters } from './parameters.ts';
import { People, PREBUILDS, type Person } from './people.ts';
import { conflict, failure, found, invalid, lostRace, nameTaken, notImported } from './refusals.ts';
import { checkedSchedule, checkedTTL } from './schedules.ts';
import { Sight } from './sight.ts';
import { Templates, type TemplateRow, type VersionRow } from './templates.ts';
import { Wire } from './wire.ts';
import { isBusy, lastBuild, Workspaces, type BuildRow, type WorkspaceRow } from './workspaces.ts';

/** A setting of a workspace that can be changed at any time. */
export type Setting = 'ttl' | 'autostart' | 'automaticUpdates';

/** A build, whoever asks for it. */
export interface BuildOrder {
  readonly transition: string;
  readonly reason: string;
  readonly initiator: Person;
  /** Left out: that of the build before. */
  readonly versionID?: string | undefined;
  readonly presetID?: string | undefined;
  readonly given?: readonly NameValue[] | undefined;
}

/** The checks and effects that are the same for our calls, for other people's and for Coder's own acts. */
export class Builder extends Wire {
  protected readonly jobs: Jobs;
  protected readonly people = new People();
  protected readonly sight = new Sight();
  protected readonly templateStore: Templates;
  protected readonly workspaceStore: Workspaces;
  /** Settings that Coder takes with success and without effect. */
  readonly ignoredSettings = new Set<Setting>();
  /** What the loser of a race for a name is told: that it is taken, or, if it was close, what the database says. */
  lostRace: 'taken' | 'duplicate key' = 'taken';
  /** Settings that the template leaves to nobody: 400, whatever the value. */
  readonly refusedSettings = new Set<Setting>();

  constructor(clock: Clock) {
    super(clock);
    this.jobs = new Jobs(clock);
    this.templateStore = new Templates(this.jobs);
    this.workspaceStore = new Workspaces(this.jobs, this.templateStore);
  }

  /** @throws CoderError 400, 404, 406, 409 */
  protected newWorkspace(owner: Person, body: CreateWorkspaceRequest, initiator: Person): WorkspaceRow {
    checkWorkspaceName(body.name);
    const template = this.#templateFor(body);
    const settings = {
      schedule: checkedSchedule(body.autostart_schedule, 'Invalid Autostart Schedule.'),
      ttlMs:
        checkedTTL(body.ttl_ms, 'Invalid Workspace Time to Shutdown.') ??
        (template.default_ttl_ms === 0 ? undefined : template.default_ttl_ms),
      updates: checkedUpdates(body.automatic_updates ?? 'never'),
    };
    if (this.workspaceStore.named(owner.username, body.name) !== undefined) {
      throw this.taken('Workspace', body.name, 'workspaces_owner_id_lower_idx');
    }
    const version = this.#usableVersion(body.template_version_id ?? template.active_version_id, template.id);
    const given = body.rich_parameter_values ?? [];
    const first = this.#resolved(version, undefined, {
      transition: 'start',
      reason: 'initiator',
      initiator,
      presetID: body.template_version_preset_id ?? matchingPreset(version.presets, given)?.ID,
      given,
    });
    return this.workspaceStore.add(owner, body.name, template.id, settings, first);
  }

  /** @throws CoderError 400, 406, 409 */
  protected newBuild(row: WorkspaceRow, order: BuildOrder): BuildRow {
    const last = lastBuild(row);
    const version = this.#usableVersion(order.versionID ?? last.versionID, row.templateID);
    if (isBusy(row)) throw conflict('A workspace build is already active.');
    const request = this.#resolved(version, last.parameters, order);
    if (order.transition === 'start' && row.dormantAt !== undefined) {
      const awake = { dormantAt: undefined, deletingAt: undefined, lastUsedAt: this.jobs.now() };
      this.workspaceStore.set(row.id, awake);
    }
    return this.workspaceStore.build(this.#row(row.id), request);
  }

  /** Zero means never, and ends the deadline of the present build too. @throws CoderError 400, 409 */
  protected putTTL(row: WorkspaceRow, ms: number): void {
    this.#admit('ttl', row);
    const ttlMs = checkedTTL(ms, 'Error updating workspace time until shutdown.');
    if (this.ignoredSettings.has('ttl')) return;
    this.workspaceStore.set(row.id, { ttlMs });
    const { transition, maxDeadline } = lastBuild(row);
    if (ttlMs !== undefined || transition !== 'start') return;
    this.workspaceStore.setLastBuild(this.#row(row.id), { deadline: maxDeadline });
  }

  /** @throws CoderError 400, 409 */
  protected putAutostart(row: WorkspaceRow, schedule: string): void {
    this.#admit('autostart', row);
    const checked = checkedSchedule(schedule, 'Invalid autostart schedule.');
    if (!this.ignoredSettings.has('autostart')) this.workspaceStore.set(row.id, { schedule: checked });
  }

  /** @throws CoderError 400 */
  protected putAutomaticUpdates(row: WorkspaceRow, updates: string): void {
    this.#admit('automaticUpdates', row);
    const checked = checkedUpdates(updates);
    if (!this.ignoredSettings.has('automaticUpdates')) this.workspaceStore.set(row.id, { updates: checked });
  }

  protected taken(kind: string, name: string, constraint: string): CoderError {
    return this.lostRace === 'taken' ? nameTaken(kind, name) : lostRace('Internal server error', constraint);
  }

  #admit(setting: Setting, row: WorkspaceRow): void {
    if (setting !== 'automaticUpdates' && row.owner.id === PREBUILDS.id) {
      throw conflict('It is not supported for prebuilt workspaces');
    }
    if (this.refusedSettings.has(setting)) {
      throw invalid(`The template does not allow to set ${setting}.`);
    }
  }

  #row(id: string): WorkspaceRow {
    return found(this.workspaceStore.all.find((r) => r.id === id));
  }

  #templateFor({ template_id: id, template_version_id: versionID }: CreateWorkspaceRequest): TemplateRow {
    if ((id === undefined) === (versionID === undefined)) {
      throw invalid('Validation failed.', [
        { field: 'template_id', detail: 'Exactly one of template_id and template_version_id is needed' },
      ]);
    }
    const version = this.templateStore.version(versionID ?? '');
    if (version?.archived === true) {
      throw failure('Archived template versions cannot be used to make a workspace.');
    }
    const templateID = id ?? version?.templateID;
    const template = this.templateStore.all.find((t) => t.id === templateID);
    if (template === undefined) {
      const field = id === undefined ? 'template_version_id' : 'template_id';
      throw invalid("The template doesn't exist.", [{ field, detail: 'template not found' }]);
    }
    return found(template.deleted ? undefined : template);
  }

  #usableVersion(id: string, templateID: string): VersionRow {
    const version = this.templateStore.version(id);
    if (version === undefined) throw invalid('template version does not exist');
    if (version.templateID !== templateID) throw invalid("template version doesn't match template");
    const { status, error = '' } = version.job;
    if (status === 'pending' || status === 'running') throw notImported(status);
    if (status !== 'succeeded') {
      throw invalid(
        `The provided template version "${version.name}" has failed to import: "${error}". You cannot build workspaces with it!`,
      );
    }
    return version;
  }

  #resolved(
    version: VersionRow,
    previous: readonly NameValue[] | undefined,
    order: BuildOrder,
  ): Omit<BuildOrder, 'given'> & Pick<BuildRow, 'versionID' | 'presetID' | 'parameters'> {
    const { given = [], presetID, ...rest } = order;
    const preset = version.presets.find((p) => p.ID === presetID);
    const parameters = resolveParameters({ asked: version.parameters, previous, given, preset });
    // Its database refuses the build for a preset that does not exist.
    if (presetID !== undefined && preset === undefined) throw failure('insert workspace build');
    const marked = preset ?? matchingPreset(version.presets, parameters);
    return { ...rest, versionID: version.id, presetID: marked?.ID, parameters };
  }
}

export function checkWorkspaceName(name: string): void {
  admitFields({ name: failsAsName(name, 'workspace_name') });
}

function checkedUpdates(updates: string): string {
  if (updates === 'always' || updates === 'never') return updates;
  throw invalid('Invalid request', [{ field: 'automatic_updates', detail: 'must be always or never' }]);
}
