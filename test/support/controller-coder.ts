import { randomUUID } from 'node:crypto';
import type { Clock } from '../../src/base/clock.ts';
import type { CoderClient } from '../../src/coder/client.ts';
import { CoderError } from '../../src/coder/errors.ts';
import type {
  CreateBuildRequest,
  CreateTemplateRequest,
  CreateTemplateVersionRequest,
  CreateWorkspaceRequest,
  JobStatus,
  ProvisionerJob,
  Template,
  TemplateVersion,
  Workspace,
  WorkspaceBuild,
} from '../../src/coder/types.ts';

export const ORGANIZATION = { id: '0a000000-0000-4000-8000-000000000001', name: 'acme' };
export const OTHER_ORGANIZATION = { id: '0a000000-0000-4000-8000-000000000002', name: 'other' };
export const OPERATOR = { id: '0b000000-0000-4000-8000-000000000001', username: 'coder-operator' };
export const OWNER = { id: '0b000000-0000-4000-8000-000000000002', username: 'ann' };
export const STRANGER = { id: '0b000000-0000-4000-8000-000000000003', username: 'bob' };
export const DEPLOYMENT = '0d000000-0000-4000-8000-000000000001';

/** What becomes of the next request that changes something. */
export type Fate =
  | 'works'
  /** Lost on its way there. */
  | 'lost'
  /** Carried out; the answer is lost on its way back. */
  | 'answer lost'
  /** Hangs somewhere for a while, and is carried out when nobody waits for the answer any more. */
  | 'late'
  /** 400. */
  | 'refused';

/** A request that changed something, as it arrived. */
export interface Landed {
  readonly what:
    'createWorkspace' | 'createBuild' | 'createVersion' | 'createTemplate' | 'promote' | 'deleteTemplate';
  readonly detail: string;
  /** What the caller said about itself with `sender`, when the request was made. */
  readonly announcement: string | undefined;
}

/** So long after our own time-out a request may still land. */
const LATE_MS = 31_000;

type Builds = readonly [WorkspaceBuild, ...WorkspaceBuild[]];
type Row = Omit<Workspace, 'latest_build'> & { readonly builds: Builds; readonly deleted: boolean };
type VersionRow = TemplateVersion & { readonly initiator: string };
type TemplateRow = Template & { readonly deleted: boolean };

/**
 * Coder as far as the rules depend on it: unique names, one build at a time, proofs of absence, names that a failed
 * version burns. Other people act on it through the methods of the second half, and requests may be lost.
 */
export class SimulatedCoder implements Pick<
  CoderClient,
  | 'user'
  | 'organization'
  | 'templates'
  | 'template'
  | 'templateByName'
  | 'deletedTemplateById'
  | 'createTemplate'
  | 'promoteTemplateVersion'
  | 'deleteTemplate'
  | 'templateVersion'
  | 'templateVersionByName'
  | 'createTemplateVersion'
  | 'uploadArchive'
  | 'provisionerJobs'
  | 'workspaces'
  | 'eachWorkspace'
  | 'workspace'
  | 'workspaceByName'
  | 'createWorkspace'
  | 'createBuild'
  | 'builds'
  | 'close'
> {
  readonly #clock: Clock;
  #rows: Row[] = [];
  #versions: VersionRow[] = [];
  #templates: TemplateRow[] = [];
  fate: Fate = 'works';
  /** Names the announcement under which a request is made. */
  sender: () => string | undefined = () => undefined;
  /** Looked at right before a request leaves. */
  onRequest: (what: Landed['what'], detail: string) => void = () => undefined;
  readonly landed: Landed[] = [];
  /** What must never happen. */
  readonly violations: string[] = [];
  /** When set, every call fails so. */
  outage: CoderError | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** This, where a real client is asked for. */
  get client(): CoderClient {
    return this as unknown as CoderClient;
  }

  close(): void {
    this.outage = new CoderError('Unreachable', 'closed');
  }

  async user(name: string): ReturnType<CoderClient['user']> {
    await this.#arrive();
    const user = [OPERATOR, OWNER, STRANGER].find((u) => u.username === name || u.id === name);
    if (user === undefined) {
      throw new CoderError('Invalid', 'no such user', {
        coderMessage: 'User id must be an existing uuid or username.',
      });
    }
    return { ...user, organization_ids: [ORGANIZATION.id] };
  }

  async organization(name: string): ReturnType<CoderClient['organization']> {
    await this.#arrive();
    return found([ORGANIZATION, OTHER_ORGANIZATION].find((o) => o.name === name));
  }

  async eachWorkspace(onWorkspace: (workspace: Workspace) => void): ReturnType<CoderClient['eachWorkspace']> {
    await this.#arrive();
    const shown = this.#rows.filter((r) => !r.deleted);
    for (const row of shown) onWorkspace(workspaceOf(row));
    return { count: shown.length, skipped: 0 };
  }

  async workspaces(options: { readonly query?: string } = {}): ReturnType<CoderClient['workspaces']> {
    await this.#arrive();
    const ids = /^id:(\S+)/.exec(options.query ?? '')?.[1]?.split(',');
    const template = /template:(\S+)/.exec(options.query ?? '')?.[1];
    const workspaces = this.#rows
      .filter((r) => !r.deleted && (ids === undefined || ids.includes(r.id)))
      .filter((r) => template === undefined || r.template_name === template)
      .map(workspaceOf);
    return { workspaces, count: workspaces.length };
  }

  async workspace(id: string): Promise<Workspace> {
    await this.#arrive();
    const row = found(this.#rows.find((r) => r.id === id));
    if (row.deleted) throw new CoderError('Gone', 'it has been deleted');
    return workspaceOf(row);
  }

  async workspaceByName(owner: string, name: string): Promise<Workspace> {
    await this.#arrive();
    return workspaceOf(found(this.#named(owner, name)));
  }

  async builds(workspaceID: string): Promise<readonly WorkspaceBuild[]> {
    await this.#arrive();
    return [...found(this.#rows.find((r) => r.id === workspaceID)).builds].reverse();
  }

  createWorkspace(owner: string, body: CreateWorkspaceRequest): Promise<Workspace> {
    return this.#change('createWorkspace', `${owner}/${body.name}`, () => {
      const template = found(this.#templates.find((t) => t.id === body.template_id && !t.deleted));
      if (this.#named(owner, body.name) !== undefined) throw new CoderError('Conflict', 'the name is taken');
      return this.#create(owner, body.name, template, OPERATOR.id);
    });
  }

  createBuild(workspaceID: string, body: CreateBuildRequest): Promise<WorkspaceBuild> {
    const isBusy = this.#rows.some((r) => r.id === workspaceID && isActive(r));
    if (isBusy) this.violations.push(`a ${body.transition} was asked for while a build is active`);
    return this.#change('createBuild', body.transition, () => {
      const row = found(this.#rows.find((r) => r.id === workspaceID && !r.deleted));
      if (isActive(row)) throw new CoderError('Conflict', 'a build is active');
      return this.#build(row, body.transition, OPERATOR.id, 'initiator', body.template_version_id);
    });
  }

  async templates(): Promise<readonly Template[]> {
    await this.#arrive();
    return this.#templates.filter((t) => !t.deleted);
  }

  async template(id: string): Promise<Template> {
    await this.#arrive();
    return found(this.#templates.find((t) => t.id === id && !t.deleted));
  }

  async templateByName(organization: string, name: string): Promise<Template> {
    await this.#arrive();
    return found(this.#template(organization, name));
  }

  async deletedTemplateById(id: string): Promise<Template | undefined> {
    await this.#arrive();
    return this.#templates.find((t) => t.id === id && t.deleted);
  }

  createTemplate(organizationID: string, body: CreateTemplateRequest): Promise<Template> {
    return this.#change('createTemplate', body.name, () => {
      const organization = found([ORGANIZATION, OTHER_ORGANIZATION].find((o) => o.id === organizationID));
      const version = found(this.#versions.find((v) => v.id === body.template_version_id));
      if (version.job.status !== 'succeeded') throw new CoderError('NotReady', 'it is being imported');
      if (this.#template(organization.name, body.name) !== undefined || version.template_id !== undefined) {
        throw new CoderError('Conflict', 'the name is taken');
      }
      return this.#newTemplate(organization, body.name, version);
    });
  }

  promoteTemplateVersion(templateID: string, versionID: string): Promise<void> {
    return this.#change('promote', versionID, () => {
      const version = found(this.#versions.find((v) => v.id === versionID && v.template_id === templateID));
      if (version.job.status !== 'succeeded') throw new CoderError('Forbidden', 'it is not imported');
      this.#setTemplate(templateID, { active_version_id: versionID });
    });
  }

  deleteTemplate(id: string): Promise<void> {
    return this.#change('deleteTemplate', id, () => {
      if (this.#rows.some((r) => r.template_id === id && !r.deleted)) {
        throw new CoderError('Invalid', 'workspaces use it');
      }
      this.#setTemplate(id, { deleted: true });
    });
  }

  async templateVersion(id: string): Promise<TemplateVersion> {
    await this.#arrive();
    if (id === '') throw new RangeError('no route is made of an empty id');
    return found(this.#versions.find((v) => v.id === id));
  }

  async templateVersionByName(organization: string, name: string, version: string): Promise<TemplateVersion> {
    await this.#arrive();
    if (version === '') throw new RangeError('no route is made of an empty name');
    const template = found(this.#template(organization, name));
    return found(this.#versions.find((v) => v.template_id === template.id && v.name === version));
  }

  createTemplateVersion(
    _organizationID: string,
    body: CreateTemplateVersionRequest,
  ): Promise<TemplateVersion> {
    return this.#change('createVersion', body.name, () => {
      if (body.template_id !== undefined) {
        found(this.#templates.find((t) => t.id === body.template_id && !t.deleted));
        const taken = this.#versions.some((v) => v.template_id === body.template_id && v.name === body.name);
        if (taken) throw new CoderError('Conflict', 'the name is taken');
      }
      return this.#newVersion(body.name, body.template_id, OPERATOR.id);
    });
  }

  async uploadArchive(): Promise<string> {
    await this.#arrive();
    return '0f000000-0000-4000-8000-000000000001';
  }

  async provisionerJobs(): Promise<readonly ProvisionerJob[]> {
    await this.#arrive();
    return [...this.#versions].reverse().map((v) => ({
      ...v.job,
      type: 'template_version_import',
      input: { template_version_id: v.id },
      metadata: {
        template_version_name: v.name,
        ...(v.template_id === undefined ? {} : { template_id: v.template_id }),
      },
    }));
  }

  // What other people and Coder itself do.

  /** The workspaces that are there. */
  get present(): readonly Workspace[] {
    return this.#rows.filter((r) => !r.deleted).map(workspaceOf);
  }

  /** All builds that there ever were, with the workspace's first initiator. */
  get history(): readonly { readonly build: WorkspaceBuild; readonly creator: string }[] {
    return this.#rows.flatMap((r) =>
      r.builds.map((build) => ({ build, creator: r.builds[0].initiator_id ?? '' })),
    );
  }

  get presentTemplates(): readonly Template[] {
    return this.#templates.filter((t) => !t.deleted);
  }

  get allVersions(): readonly TemplateVersion[] {
    return this.#versions;
  }

  addTemplate(name = 'docker', organization = ORGANIZATION): Template {
    const version = this.#newVersion(`first-${this.#versions.length}`, undefined, STRANGER.id);
    this.finishImports('succeeded');
    return this.#newTemplate(organization, name, version);
  }

  /** Somebody makes a workspace by hand. */
  addWorkspace(
    owner: string,
    name: string,
    template: Template,
    initiator = STRANGER.id,
  ): Workspace | undefined {
    if (this.#named(owner, name) !== undefined) return undefined;
    return this.#create(owner, name, template, initiator);
  }

  /** Somebody builds by hand, or Coder does by itself; nothing happens while a build is active. */
  build(transition: string, initiator = OWNER.id, reason = 'dashboard'): void {
    for (const row of this.#rows) {
      if (!row.deleted && !isActive(row)) this.#build(row, transition, initiator, reason);
    }
  }

  rename(name: string): void {
    this.#rows = this.#rows.map((r) => (r.deleted || this.#named(r.owner_name, name) ? r : { ...r, name }));
  }

  /** Ends every build under way. */
  finishBuilds(status: JobStatus): void {
    this.#rows = this.#rows.map((row) => {
      const last = row.builds.at(-1) ?? row.builds[0];
      if (!isActive(row)) return row;
      const ended: WorkspaceBuild = {
        ...last,
        status:
          status === 'succeeded' ? settled(last.transition) : status === 'canceled' ? 'canceled' : 'failed',
        job: { ...last.job, status, ...(status === 'failed' ? { error: 'terraform says no' } : {}) },
      };
      const [first, ...rest] = [...row.builds.slice(0, -1), ended];
      const deleted = status === 'succeeded' && last.transition === 'delete';
      return { ...row, builds: [first, ...rest], deleted };
    });
  }

  finishImports(status: JobStatus): void {
    this.#versions = this.#versions.map((v) =>
      v.job.status === 'running'
        ? { ...v, job: { ...v.job, status, ...(status === 'failed' ? { error: 'main.tf is wrong' } : {}) } }
        : v,
    );
  }

  /** Somebody uploads a version of the template by hand and makes it active. */
  promoteAnother(): void {
    for (const template of this.#templates.filter((t) => !t.deleted)) {
      const { id } = this.#newVersion(`hand-${this.#versions.length}`, template.id, STRANGER.id);
      this.#versions = this.#versions.map((v) =>
        v.id === id ? { ...v, job: { ...v.job, status: 'succeeded' } } : v,
      );
      this.#setTemplate(template.id, { active_version_id: id });
    }
  }

  removeTemplates(): void {
    this.#templates = this.#templates.map((t) => ({ ...t, deleted: true }));
  }

  #named(owner: string, name: string): Row | undefined {
    return this.#rows.find((r) => !r.deleted && r.owner_name === owner && r.name === name);
  }

  #template(organization: string, name: string): TemplateRow | undefined {
    return this.#templates.find((t) => !t.deleted && t.organization_name === organization && t.name === name);
  }

  #setTemplate(id: string, change: Partial<TemplateRow>): void {
    found(this.#templates.find((t) => t.id === id && !t.deleted));
    this.#templates = this.#templates.map((t) => (t.id === id ? { ...t, ...change } : t));
  }

  #create(owner: string, name: string, template: Template, initiator: string): Workspace {
    const id = randomUUID();
    const row: Row = {
      id,
      created_at: this.#now(),
      name,
      owner_id: owner === OWNER.username ? OWNER.id : STRANGER.id,
      owner_name: owner,
      organization_id: template.organization_id,
      organization_name: template.organization_name,
      template_id: template.id,
      template_name: template.name,
      template_active_version_id: template.active_version_id,
      deleted: false,
      builds: [this.#newBuild(id, 1, 'start', template.active_version_id, initiator, 'initiator')],
    };
    this.#rows.push(row);
    return workspaceOf(row);
  }

  #build(
    row: Row,
    transition: string,
    initiator: string,
    reason: string,
    version = (row.builds.at(-1) ?? row.builds[0]).template_version_id,
  ): WorkspaceBuild {
    const build = this.#newBuild(row.id, row.builds.length + 1, transition, version, initiator, reason);
    this.#rows = this.#rows.map((r) => (r.id === row.id ? { ...r, builds: [...r.builds, build] } : r));
    return build;
  }

  #newBuild(
    workspaceID: string,
    number: number,
    transition: string,
    version: string,
    initiator: string,
    reason: string,
  ): WorkspaceBuild {
    return {
      id: randomUUID(),
      created_at: this.#now(),
      workspace_id: workspaceID,
      build_number: number,
      transition,
      status: transition === 'start' ? 'starting' : transition === 'stop' ? 'stopping' : 'deleting',
      reason,
      initiator_id: initiator,
      template_version_id: version,
      job: { id: randomUUID(), created_at: this.#now(), status: 'running' },
      resources: [],
    };
  }

  #newVersion(name: string, templateID: string | undefined, initiator: string): VersionRow {
    const version: VersionRow = {
      id: randomUUID(),
      ...(templateID === undefined ? {} : { template_id: templateID }),
      created_at: this.#now(),
      name,
      job: { id: randomUUID(), created_at: this.#now(), status: 'running' },
      initiator,
    };
    this.#versions.push(version);
    return version;
  }

  #newTemplate(organization: typeof ORGANIZATION, name: string, version: TemplateVersion): TemplateRow {
    const template: TemplateRow = {
      id: randomUUID(),
      created_at: this.#now(),
      updated_at: this.#now(),
      organization_id: organization.id,
      organization_name: organization.name,
      name,
      display_name: '',
      description: '',
      icon: '',
      active_version_id: version.id,
      deleted: false,
    };
    this.#templates.push(template);
    this.#versions = this.#versions.map((v) =>
      v.id === version.id ? { ...v, template_id: template.id } : v,
    );
    return template;
  }

  #now(): string {
    return new Date(this.#clock.now()).toISOString();
  }

  #arrive(): Promise<void> {
    return this.outage === undefined ? Promise.resolve() : Promise.reject(this.outage);
  }

  async #change<T>(what: Landed['what'], detail: string, apply: () => T): Promise<T> {
    await this.#arrive();
    this.onRequest(what, detail);
    const announcement = this.sender();
    const { fate } = this;
    this.fate = 'works';
    const land = (): T => {
      const answer = apply();
      this.landed.push({ what, detail, announcement });
      return answer;
    };
    const unclear = new CoderError('Timeout', `${what}: no answer within 30 s`, { mayHaveChanged: true });
    switch (fate) {
      case 'refused':
        throw new CoderError('Invalid', `${what}: Coder does not accept the request`);
      case 'lost':
        throw unclear;
      case 'answer lost':
        land();
        throw unclear;
      case 'late':
        this.#clock.after(LATE_MS, () => {
          try {
            land();
          } catch (error) {
            if (!(error instanceof CoderError)) throw error;
          }
        });
        throw unclear;
      case 'works':
        return land();
    }
  }
}

function found<T>(value: T | undefined): T {
  if (value === undefined) throw new CoderError('NotFound', 'it does not exist, or may not be seen');
  return value;
}

function isActive(row: Row): boolean {
  return row.builds.at(-1)?.job.status === 'running';
}

function settled(transition: string): string {
  return transition === 'start' ? 'running' : transition === 'stop' ? 'stopped' : 'deleted';
}

function workspaceOf(row: Row): Workspace {
  return { ...row, latest_build: row.builds.at(-1) ?? row.builds[0] };
}
