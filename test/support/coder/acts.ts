import { CoderError, isConflict } from '../../../src/coder/errors.ts';
import type {
  AgentLifecycle,
  AgentStatus,
  CreateWorkspaceRequest,
  JobStatus,
  NameValue,
  Template,
  Workspace,
  WorkspaceBuild,
} from '../../../src/coder/types.ts';
import { checkWorkspaceName, type BuildOrder } from './builder.ts';
import { OWNER, PREBUILDS, STRANGER, type Person } from './people.ts';
import { conflict, found, nameTaken, notAllowed } from './refusals.ts';
import { TemplateActs } from './template-acts.ts';
import { isBusy, lastBuild, type WorkspaceRow } from './workspaces.ts';

export interface HandBuild {
  /** Left out: every workspace that is there. */
  readonly workspaceID?: string;
  readonly versionID?: string;
  /** Values of parameters, by name. */
  readonly values?: Readonly<Record<string, string>>;
}

/**
 * What other people and Coder itself do. An act on workspaces concerns every one that is there unless an id is given,
 * and nothing happens where Coder would refuse it, as while a build is active.
 */
export class Acts extends TemplateActs {
  readonly #outsiders = new Set<string>();

  /** The workspaces that are there. */
  get present(): readonly Workspace[] {
    return this.workspaceStore.present.map((r) => this.workspaceStore.shown(r));
  }

  /** All builds that there ever were, with the workspace's first initiator. */
  get history(): readonly { readonly build: WorkspaceBuild; readonly creator: string }[] {
    return this.workspaceStore.all.flatMap((row) =>
      row.builds.map((b) => ({
        build: this.workspaceStore.shownBuild(row, b),
        creator: row.builds[0].initiator.id,
      })),
    );
  }

  /** The values of a workspace's latest build, as its owner sees them. */
  valuesOf(workspaceID: string): Readonly<Record<string, string>> {
    const row = found(this.workspaceStore.all.find((r) => r.id === workspaceID));
    return Object.fromEntries(lastBuild(row).parameters.map(({ name, value }) => [name, value]));
  }

  // Jobs.

  /** Ends every build under way. */
  finishBuilds(status: JobStatus, error = 'terraform says no', workspaceID?: string): void {
    // Also of what is deleted: that may be deleted once more.
    for (const row of this.workspaceStore.all) {
      if (workspaceID === undefined || row.id === workspaceID) {
        this.workspaceStore.finishBuild(row, status, error);
      }
    }
  }

  /** Ends what is under way as the content of its version says. */
  playOut(): void {
    this.endImports();
    for (const row of this.workspaceStore.all) {
      const last = lastBuild(row);
      const { builds = 'succeed' } = this.templateStore.version(last.versionID)?.content ?? {};
      if (builds === 'hang' && last.job.status !== 'canceling') continue;
      this.workspaceStore.finishBuild(row, builds === 'fail' ? 'failed' : 'succeeded', 'terraform says no');
    }
  }

  /** The quota of their owners is used up: no build that is under way gets through. */
  exceedQuota(workspaceID?: string): void {
    this.finishBuilds('failed', 'insufficient quota', workspaceID);
  }

  /** Somebody cancels: one that waits ends as canceled at once, one that runs as failed when it has noticed. */
  cancelBuilds(workspaceID?: string): void {
    for (const row of this.#chosen(workspaceID)) {
      const last = lastBuild(row);
      if (last.job.status !== 'pending' && last.job.status !== 'running') continue;
      this.workspaceStore.setLastBuild(row, this.jobs.cancelled(last));
    }
  }

  /** From now on new builds wait for a provisioner. */
  holdBuilds(): void {
    this.workspaceStore.isQueued = true;
  }

  /** There are provisioners again. */
  releaseBuilds(): void {
    this.workspaceStore.isQueued = false;
    for (const row of this.workspaceStore.present) {
      const last = lastBuild(row);
      if (last.job.status === 'pending') this.workspaceStore.setLastBuild(row, this.jobs.begun(last));
    }
  }

  // People and their workspaces.

  /** Whether somebody belongs to the organization. */
  protected isMember(person: Person): boolean {
    return !this.#outsiders.has(person.id);
  }

  /** Somebody is no member of the organization any more. */
  removeMember(username: string): void {
    this.#outsiders.add(this.people.ensure(username).id);
  }

  /** Somebody makes a workspace by hand. */
  addWorkspace(
    owner: string,
    name: string,
    template: Template,
    initiator = STRANGER.id,
    settings: Partial<CreateWorkspaceRequest> = {},
  ): Workspace | undefined {
    try {
      const body = { ...settings, name, template_id: template.id };
      const row = this.newWorkspace(this.people.ensure(owner), body, this.#personWith(initiator));
      return this.workspaceStore.shown(row);
    } catch (error) {
      if (isConflict(error)) return undefined;
      throw error;
    }
  }

  /** Somebody builds by hand, or Coder does by itself; nothing happens while a build is active. */
  build(transition: string, initiator = OWNER.id, reason = 'dashboard', options: HandBuild = {}): void {
    const { workspaceID, versionID, values = {} } = options;
    const given = pairs(values);
    for (const row of this.#chosen(workspaceID)) {
      this.#try(row, { transition, reason, initiator: this.#personWith(initiator), versionID, given });
    }
  }

  /** The owner changes values; that takes a build. */
  changeParameters(values: Readonly<Record<string, string>>, workspaceID?: string): void {
    this.build('start', OWNER.id, 'dashboard', {
      values,
      ...(workspaceID === undefined ? {} : { workspaceID }),
    });
  }

  /** The owner changes settings: the TTL in milliseconds, 0 for never; the schedule, empty for never. */
  changeSettings(
    settings: { readonly ttl?: number; readonly autostart?: string; readonly automaticUpdates?: string },
    workspaceID?: string,
  ): void {
    const { ttl, autostart, automaticUpdates } = settings;
    for (const row of this.#chosen(workspaceID)) {
      if (ttl !== undefined) this.putTTL(row, ttl);
      if (autostart !== undefined) this.putAutostart(row, autostart);
      if (automaticUpdates !== undefined) this.putAutomaticUpdates(row, automaticUpdates);
    }
  }

  rename(name: string, workspaceID?: string): void {
    for (const row of this.#chosen(workspaceID)) {
      const other = this.workspaceStore.named(row.owner.username, name);
      if (other === undefined || other.id === row.id) this.workspaceStore.set(row.id, { name });
    }
  }

  /** The same as a request, which Coder may refuse. @throws CoderError 400, 404, 405, 409 */
  renameWorkspace(id: string, name: string): void {
    const row = found(this.workspaceStore.all.find((r) => r.id === id));
    checkWorkspaceName(name);
    if (row.deleted) throw notAllowed(`Workspace "${row.name}" is deleted and cannot be updated.`);
    const other = this.workspaceStore.named(row.owner.username, name);
    if (other !== undefined && other.id !== id) throw nameTaken('Workspace', name);
    this.workspaceStore.set(id, { name });
  }

  /** Somebody joins the organization. */
  addMember(username: string): Person {
    return this.people.ensure(username);
  }

  /** Whether somebody has this name now. */
  isThere(username: string): boolean {
    return this.people.called(username) !== undefined;
  }

  /** @throws CoderError 404, 409 */
  renameUser(username: string, to: string): void {
    const person = found(this.people.called(username));
    const other = this.people.called(to);
    if (other !== undefined && other.id !== person.id) {
      throw conflict('A user with this username already exists.', [
        { field: 'username', detail: 'This username is already in use.' },
      ]);
    }
    this.#setPerson({ ...person, username: to });
  }

  /** Gives a workspace, a template or a person a name in Coder's database, also one that Coder would refuse. */
  forceName(id: string, name: string): void {
    const person = this.people.called(id);
    if (person !== undefined) this.#setPerson({ ...person, username: name });
    else if (this.templateStore.present.some((t) => t.id === id)) this.templateStore.set(id, { name });
    else this.workspaceStore.set(id, { name });
  }

  #setPerson(person: Person): void {
    this.people.set(person);
    this.workspaceStore.renamePerson(person);
  }

  changeOwner(username: string, workspaceID?: string): void {
    const owner = this.people.ensure(username);
    for (const row of this.#chosen(workspaceID)) {
      if (this.workspaceStore.named(username, row.name) === undefined) {
        this.workspaceStore.set(row.id, { owner });
      }
    }
  }

  /** Coder makes a workspace in advance, for whoever asks first. */
  addPrebuild(template: Template, name = 'prebuild-1'): Workspace | undefined {
    return this.addWorkspace(PREBUILDS.username, name, template, PREBUILDS.id);
  }

  /** Somebody gets the workspaces that were made in advance: another owner and name, and a start for these. */
  claimPrebuilds(owner: Person, name: string): void {
    for (const row of this.workspaceStore.present.filter((r) => r.owner.id === PREBUILDS.id)) {
      if (isBusy(row) || this.workspaceStore.named(owner.username, name) !== undefined) continue;
      const template = this.templateStore.template(row.templateID);
      const ttlMs = template.default_ttl_ms === 0 ? undefined : template.default_ttl_ms;
      this.workspaceStore.set(row.id, { owner, name, ttlMs, lastUsedAt: this.jobs.now() });
      this.#try(this.#again(row), { transition: 'start', reason: 'initiator', initiator: owner });
    }
  }

  /** The owner works in it. */
  use(workspaceID?: string): void {
    for (const row of this.#chosen(workspaceID)) {
      this.workspaceStore.set(row.id, { lastUsedAt: this.jobs.now() });
    }
  }

  /** What Coder hears from the agents of running workspaces. */
  agentsBecome(status: AgentStatus, lifecycle: AgentLifecycle = 'ready', workspaceID?: string): void {
    for (const row of this.#chosen(workspaceID)) {
      const seen = { status, lifecycle_state: lifecycle };
      this.workspaceStore.setLastBuild(row, { agents: lastBuild(row).agents.map((a) => ({ ...a, seen })) });
    }
  }

  // What the client's token may see.

  /** A workspace or a template is not shown to the token any more; it is there all the same. */
  hide(id: string): void {
    this.sight.hide(id);
  }

  show(id: string): void {
    this.sight.show(id);
  }

  /** The token's user has no role in the organization any more. */
  loseRole(): void {
    this.sight.hasRole = false;
  }

  regainRole(): void {
    this.sight.hasRole = true;
  }

  // Coder's own acts. It makes each build in the name of the workspace's owner.

  /** The deadline has come. */
  autostop(workspaceID?: string): void {
    for (const row of this.#idle(workspaceID, 'start')) {
      this.workspaceStore.setLastBuild(row, { deadline: this.jobs.now() });
      this.#automatic(this.#again(row), 'stop', 'autostop');
    }
  }

  /** A start lives so long at most, whatever its TTL: those that run now and, without an id, all that follow. */
  limitLifetime(ms: number, workspaceID?: string): void {
    if (workspaceID === undefined) this.workspaceStore.maxLifetimeMs = ms;
    for (const row of this.#idle(workspaceID, 'start')) {
      const { deadline } = lastBuild(row);
      const limit = this.jobs.at(ms);
      const isSooner = deadline !== undefined && deadline < limit;
      this.workspaceStore.setLastBuild(row, {
        maxDeadline: limit,
        deadline: isSooner ? deadline : limit,
      });
    }
  }

  /** The maximum lifetime has ended; Coder gives the same reason as for a TTL. */
  endLifetime(workspaceID?: string): void {
    for (const row of this.#idle(workspaceID, 'start')) {
      const now = this.jobs.now();
      this.workspaceStore.setLastBuild(row, { deadline: now, maxDeadline: now });
      this.#automatic(this.#again(row), 'stop', 'autostop');
    }
  }

  /** The time of the schedule has come. With automatic updates the active version is taken. */
  autostart(workspaceID?: string): void {
    for (const row of this.#idle(workspaceID, 'stop')) {
      const { active_version_id: active, require_active_version: isRequired } = this.templateStore.template(
        row.templateID,
      );
      const isUpdated = row.updates === 'always' || isRequired;
      this.#automatic(row, 'start', 'autostart', isUpdated ? active : undefined);
    }
  }

  /** Nobody has used it for long. A running one is stopped with that. */
  becomeDormant(deleteAfterMs?: number, workspaceID?: string): void {
    for (const row of this.#chosen(workspaceID)) {
      if (isBusy(row) || row.dormantAt !== undefined) continue;
      this.workspaceStore.set(row.id, {
        dormantAt: this.jobs.now(),
        deletingAt: deleteAfterMs === undefined ? undefined : this.jobs.at(deleteAfterMs),
      });
      if (lastBuild(row).transition === 'start') this.#automatic(this.#again(row), 'stop', 'dormancy');
    }
  }

  /** What is dormant has been so for too long. */
  autodelete(workspaceID?: string): void {
    for (const row of this.#chosen(workspaceID)) {
      if (row.dormantAt !== undefined) this.#automatic(row, 'delete', 'autodelete');
    }
  }

  #automatic(row: WorkspaceRow, transition: string, reason: string, versionID?: string): void {
    this.#try(row, { transition, reason, initiator: row.owner, versionID });
  }

  /** Builds, unless Coder refuses. */
  #try(row: WorkspaceRow, order: BuildOrder): void {
    try {
      this.newBuild(row, order);
    } catch (error) {
      if (!(error instanceof CoderError)) throw error;
    }
  }

  #chosen(workspaceID: string | undefined): readonly WorkspaceRow[] {
    return this.workspaceStore.present.filter((r) => workspaceID === undefined || r.id === workspaceID);
  }

  /** Those whose last build was of this kind and did not fail, and that are not dormant. */
  #idle(workspaceID: string | undefined, transition: string): readonly WorkspaceRow[] {
    return this.#chosen(workspaceID).filter((row) => {
      const last = lastBuild(row);
      const isFit = last.transition === transition && last.job.status !== 'failed';
      return isFit && !isBusy(row) && row.dormantAt === undefined;
    });
  }

  #personWith(id: string): Person {
    return this.people.called(id) ?? { id, username: 'somebody' };
  }

  #again(row: WorkspaceRow): WorkspaceRow {
    return found(this.workspaceStore.all.find((r) => r.id === row.id));
  }
}

function pairs(values: Readonly<Record<string, string>>): readonly NameValue[] {
  return Object.entries(values).map(([name, value]) => ({ name, value }));
}
