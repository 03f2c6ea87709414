import { randomUUID } from 'node:crypto';
import type {
  JobStatus,
  NameValue,
  ProvisionerJob,
  Workspace,
  WorkspaceAgent,
  WorkspaceBuild,
} from '../../../src/coder/types.ts';
import { isActive, type JobRow, type Jobs } from './jobs.ts';
import { isSameName, PREBUILDS, type Person } from './people.ts';
import type { Templates, VersionRow } from './templates.ts';

export interface AgentRow {
  readonly id: string;
  readonly name: string;
  readonly createdAtMs: number;
  readonly connectionTimeoutMs: number;
  /** Set as soon as it has connected. */
  readonly seen: Pick<WorkspaceAgent, 'status' | 'lifecycle_state'> | undefined;
}

export interface BuildRow extends JobRow {
  readonly id: string;
  readonly number: number;
  readonly createdAt: string;
  readonly transition: string;
  readonly reason: string;
  readonly initiator: Person;
  readonly versionID: string;
  readonly presetID: string | undefined;
  readonly parameters: readonly NameValue[];
  readonly deadline: string | undefined;
  readonly maxDeadline: string | undefined;
  readonly agents: readonly AgentRow[];
}

export interface WorkspaceRow {
  readonly id: string;
  readonly createdAt: string;
  readonly name: string;
  readonly owner: Person;
  readonly templateID: string;
  /** Undefined: never stopped. */
  readonly ttlMs: number | undefined;
  readonly schedule: string | undefined;
  readonly updates: string;
  readonly lastUsedAt: string;
  readonly dormantAt: string | undefined;
  readonly deletingAt: string | undefined;
  readonly deleted: boolean;
  readonly builds: readonly [BuildRow, ...BuildRow[]];
}

export type BuildRequest = Pick<
  BuildRow,
  'transition' | 'reason' | 'initiator' | 'versionID' | 'presetID' | 'parameters'
>;

export type WorkspaceSettings = Pick<WorkspaceRow, 'ttlMs' | 'schedule' | 'updates'>;

/** What Coder knows of workspaces and their builds. */
export class Workspaces {
  readonly #jobs: Jobs;
  readonly #templates: Templates;
  #rows: readonly WorkspaceRow[] = [];
  readonly #listeners = new Set<(id: string) => void>();
  /** Whether new builds wait until a provisioner has time for them. */
  isQueued = false;
  /** From the end of a start on; a template's requirement sets it. Undefined: no limit. */
  maxLifetimeMs: number | undefined;

  constructor(jobs: Jobs, templates: Templates) {
    this.#jobs = jobs;
    this.#templates = templates;
  }

  get all(): readonly WorkspaceRow[] {
    return this.#rows;
  }

  get present(): readonly WorkspaceRow[] {
    return this.#rows.filter((r) => !r.deleted);
  }

  named(owner: string, name: string): WorkspaceRow | undefined {
    return this.present.find((r) => isSameName(r.owner.username, owner) && isSameName(r.name, name));
  }

  add(
    owner: Person,
    name: string,
    templateID: string,
    settings: WorkspaceSettings,
    first: BuildRequest,
  ): WorkspaceRow {
    const row: WorkspaceRow = {
      ...settings,
      id: randomUUID(),
      createdAt: this.#jobs.now(),
      name,
      owner,
      templateID,
      lastUsedAt: this.#jobs.now(),
      dormantAt: undefined,
      deletingAt: undefined,
      deleted: false,
      builds: [this.#newBuild(1, first)],
    };
    this.#rows = [...this.#rows, row];
    return row;
  }

  set(id: string, change: Partial<WorkspaceRow>): void {
    this.#rows = this.#rows.map((r) => (r.id === id ? { ...r, ...change } : r));
    // Whoever looks on is told of builds and names, and not of settings.
    if (change.builds !== undefined || change.name !== undefined) {
      for (const listener of this.#listeners) listener(id);
    }
  }

  /** Calls with the id of each workspace that is built or renamed, until what is returned is called. */
  onChange(listener: (id: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Somebody has another name, in all that was there before, too. */
  renamePerson(person: Person): void {
    const now = (before: Person): Person => (before.id === person.id ? person : before);
    this.#rows = this.#rows.map((row) => {
      const [first, ...others] = row.builds;
      const again = (build: BuildRow): BuildRow => ({ ...build, initiator: now(build.initiator) });
      return { ...row, owner: now(row.owner), builds: [again(first), ...others.map(again)] };
    });
  }

  build(row: WorkspaceRow, request: BuildRequest): BuildRow {
    const build = this.#newBuild(lastBuild(row).number + 1, request);
    this.set(row.id, { builds: [...row.builds, build] });
    return build;
  }

  setLastBuild(row: WorkspaceRow, change: Partial<BuildRow>): void {
    const [first, ...others] = row.builds;
    const changed = { ...lastBuild(row), ...change };
    const builds: WorkspaceRow['builds'] =
      others.length === 0 ? [changed] : [first, ...others.slice(0, -1), changed];
    this.set(row.id, { builds });
  }

  /** Ends the build under way; nothing happens without one. */
  finishBuild(row: WorkspaceRow, status: JobStatus, error: string): void {
    const last = lastBuild(row);
    if (!isActive(last.job)) return;
    // A provisioner that was told to stop reports that as an error.
    if (last.job.status === 'canceling') {
      this.setLastBuild(row, this.#jobs.ended(last, 'failed', 'canceled'));
      return;
    }
    const ended = this.#jobs.ended(last, status, error);
    if (status !== 'succeeded') {
      this.setLastBuild(row, ended);
      return;
    }
    this.setLastBuild(row, { ...ended, ...this.#deadlines(row), agents: this.#agentsOf(last) });
    if (last.transition === 'delete') this.set(row.id, { deleted: true });
  }

  /** The workspace as Coder shows it. */
  shown(row: WorkspaceRow): Workspace {
    const template = this.#templates.template(row.templateID);
    const latest = this.shownBuild(row, lastBuild(row));
    const failing = latest.resources.flatMap((r) => r.agents).filter(isFailing);
    // A template may take the choice away from its users: then its own value is shown, whatever was set.
    const ttl = template.allow_user_autostop ? row.ttlMs : template.default_ttl_ms;
    return {
      id: row.id,
      created_at: row.createdAt,
      name: row.name,
      owner_id: row.owner.id,
      owner_name: row.owner.username,
      organization_id: template.organization_id,
      organization_name: template.organization_name,
      template_id: template.id,
      template_name: template.name,
      template_active_version_id: template.active_version_id,
      template_require_active_version: template.require_active_version,
      latest_build: latest,
      outdated: latest.template_version_id !== template.active_version_id,
      ...(row.schedule === undefined ? {} : { autostart_schedule: row.schedule }),
      ...(ttl === undefined ? {} : { ttl_ms: ttl }),
      last_used_at: row.lastUsedAt,
      ...(row.dormantAt === undefined ? {} : { dormant_at: row.dormantAt }),
      ...(row.deletingAt === undefined ? {} : { deleting_at: row.deletingAt }),
      health: { healthy: failing.length === 0, failing_agents: failing.map(({ id }) => id) },
      automatic_updates: row.updates,
      is_prebuild: row.owner.id === PREBUILDS.id,
    };
  }

  shownBuild(row: WorkspaceRow, build: BuildRow): WorkspaceBuild {
    return this.#buildOf(row, build, this.#templates.version(build.versionID)?.name);
  }

  /** The answer to the request that made the build: nothing has happened yet, and the version has no name. */
  answered(row: WorkspaceRow, build: BuildRow): WorkspaceBuild {
    const { id, created_at, initiator_id } = build.job;
    const job: ProvisionerJob = {
      id,
      created_at,
      status: 'pending',
      ...(initiator_id === undefined ? {} : { initiator_id }),
    };
    return this.#buildOf(row, { ...build, job }, undefined);
  }

  #buildOf(row: WorkspaceRow, build: BuildRow, version: string | undefined): WorkspaceBuild {
    const { transition, presetID, deadline, maxDeadline, job } = build;
    return {
      id: build.id,
      created_at: build.createdAt,
      workspace_id: row.id,
      build_number: build.number,
      transition,
      status: statusOf(transition, job.status),
      reason: build.reason,
      initiator_id: build.initiator.id,
      initiator_name: build.initiator.username,
      template_version_id: build.versionID,
      ...(version === undefined ? {} : { template_version_name: version }),
      ...(presetID === undefined ? {} : { template_version_preset_id: presetID }),
      job,
      ...(deadline === undefined ? {} : { deadline }),
      ...(maxDeadline === undefined ? {} : { max_deadline: maxDeadline }),
      resources:
        build.agents.length === 0
          ? []
          : [{ name: 'dev', type: 'compute', agents: build.agents.map((a) => this.#agent(a)) }],
    };
  }

  #newBuild(number: number, request: BuildRequest): BuildRow {
    return {
      ...request,
      ...this.#jobs.add(request.initiator.id, this.isQueued ? 'pending' : 'running'),
      id: randomUUID(),
      number,
      createdAt: this.#jobs.now(),
      deadline: undefined,
      maxDeadline: undefined,
      agents: [],
    };
  }

  /** Set by the end of any build that succeeds, a stop too. */
  #deadlines(row: WorkspaceRow): Pick<BuildRow, 'deadline' | 'maxDeadline'> {
    if (row.owner.id === PREBUILDS.id) return { deadline: undefined, maxDeadline: undefined };
    const limits = [row.ttlMs, this.maxLifetimeMs].filter((ms) => ms !== undefined);
    return {
      deadline: limits.length === 0 ? undefined : this.#jobs.at(Math.min(...limits)),
      maxDeadline: this.maxLifetimeMs === undefined ? undefined : this.#jobs.at(this.maxLifetimeMs),
    };
  }

  #agentsOf(build: BuildRow): readonly AgentRow[] {
    if (build.transition !== 'start') return [];
    const version: VersionRow | undefined = this.#templates.version(build.versionID);
    return (version?.content.agents ?? []).map(({ name, connectionTimeoutSeconds = 0 }) => ({
      id: randomUUID(),
      name,
      createdAtMs: Date.parse(this.#jobs.now()),
      connectionTimeoutMs: connectionTimeoutSeconds * 1000,
      seen: undefined,
    }));
  }

  #agent({ id, name, createdAtMs, connectionTimeoutMs, seen }: AgentRow): WorkspaceAgent {
    const waitedMs = Date.parse(this.#jobs.now()) - createdAtMs;
    const isLate = connectionTimeoutMs > 0 && waitedMs > connectionTimeoutMs;
    return {
      id,
      name,
      ...(seen ?? { status: isLate ? 'timeout' : 'connecting', lifecycle_state: 'created' }),
    };
  }
}

export function lastBuild(row: WorkspaceRow): BuildRow {
  return row.builds.at(-1) ?? row.builds[0];
}

export function isBusy(row: WorkspaceRow): boolean {
  return isActive(lastBuild(row).job);
}

function statusOf(transition: string, status: JobStatus): string {
  const [running, done] =
    transition === 'start'
      ? ['starting', 'running']
      : transition === 'stop'
        ? ['stopping', 'stopped']
        : ['deleting', 'deleted'];
  return status === 'running' ? running : status === 'succeeded' ? done : status;
}

function isFailing({ status, lifecycle_state: lifecycle = 'ready' }: WorkspaceAgent): boolean {
  return (
    status === 'timeout' ||
    status === 'disconnected' ||
    lifecycle === 'start_error' ||
    lifecycle === 'off' ||
    lifecycle.startsWith('shut')
  );
}
