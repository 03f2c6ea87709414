import type { Clock } from '../../../src/base/clock.ts';
import type { CoderClient, DeletedOption, JobQuery, WorkspaceQuery } from '../../../src/coder/client.ts';
import type {
  BuildInfo,
  CreateBuildRequest,
  CreateTemplateRequest,
  CreateTemplateVersionRequest,
  CreateWorkspaceRequest,
  JobLog,
  NameValue,
  Preset,
  ProvisionerJob,
  RichParameter,
  Template,
  TemplateVersion,
  TemplateVersionVariable,
  TokenExpiry,
  UpdateTemplateRequest,
  User,
  Workspace,
  WorkspaceBuild,
  WorkspaceList,
} from '../../../src/coder/types.ts';
import { isSegment } from '../../../src/coder/route.ts';
import { Calls } from './calls.ts';
import type { StoredFile } from './files.ts';
import { shownVariables } from './imports.ts';
import {
  admitFields,
  failsAsDescription,
  failsAsDisplayName,
  failsAsName,
  failsAsVersionName,
  isKeptDescription,
} from './names.ts';
import { DEPLOYMENT, isSameName, OPERATOR, ORGANIZATION, ORGANIZATIONS, type Person } from './people.ts';
import {
  conflict,
  failure,
  forbidden,
  found,
  gone,
  invalid,
  notFound,
  tooEarly,
  unknownUser,
} from './refusals.ts';
import { inListOrder, searchFor } from './search.ts';
import { newSettings } from './template-settings.ts';
import { logOf, newVersionOf, versionOf } from './templates.ts';
import { isBusy, type WorkspaceRow } from './workspaces.ts';
import { door, type Held } from './wire.ts';

const DEFAULT_JOB_LIMIT = 50;
const TOKEN_LIFETIME_MS = 86_400_000;

/**
 * Coder as far as the rules depend on it, without a network and in virtual time: unique names, one build at a time,
 * values and versions that are carried over, proofs of absence. It does what the real one does; the contract in
 * `coder-contract.ts` runs against both. Other people act on it through the methods of `Acts`, and requests may be lost.
 */
export class SimulatedCoder
  extends Calls
  implements
    Pick<
      CoderClient,
      | 'buildInfo'
      | 'tokenExpiry'
      | 'me'
      | 'user'
      | 'organization'
      | 'templates'
      | 'template'
      | 'templateByName'
      | 'deletedTemplateById'
      | 'createTemplate'
      | 'updateTemplate'
      | 'promoteTemplateVersion'
      | 'deleteTemplate'
      | 'templateVersion'
      | 'templateVersionByName'
      | 'createTemplateVersion'
      | 'richParameters'
      | 'presets'
      | 'templateVersionVariables'
      | 'templateVersionLogs'
      | 'uploadArchive'
      | 'file'
      | 'provisionerJobs'
      | 'workspaces'
      | 'eachWorkspace'
      | 'workspace'
      | 'workspaceByName'
      | 'createWorkspace'
      | 'createBuild'
      | 'buildParameters'
      | 'setTTL'
      | 'setAutostart'
      | 'setAutomaticUpdates'
      | 'builds'
      | 'close'
    >
{
  /** What must never happen. */
  readonly violations: string[] = [];
  /** What it calls itself. */
  readonly version = 'v2.30.0+scripted';
  /** Of Coder's database. */
  deploymentID = DEPLOYMENT;
  /** What becomes of the rows of a whole list on their way: a page that moved, a proxy, a fault in Coder. */
  ofList: (rows: readonly Workspace[]) => readonly Workspace[] = (rows) => rows;
  #nextList: ReturnType<typeof door> | undefined;

  get time(): Clock {
    return this.clock;
  }

  /** This, where a real client is asked for. */
  get client(): CoderClient {
    return this as unknown as CoderClient;
  }

  /** What whole lists tell the token when nothing goes wrong on their way. */
  get listed(): { readonly workspaces: readonly Workspace[]; readonly templates: readonly Template[] } {
    const isSeen = (row: WorkspaceRow): boolean =>
      this.sight.ofWorkspace(row) && this.sight.ofTemplate(row.templateID);
    return {
      workspaces: this.workspaceStore.present.filter(isSeen).map((row) => this.workspaceStore.shown(row)),
      templates: this.templateStore.present.filter((t) => this.sight.ofTemplate(t.id)),
    };
  }

  /** Whether the token is told that this workspace, or this template, is deleted. */
  provesGone(id: string): boolean {
    const workspace = this.workspaceStore.all.find((row) => row.id === id);
    if (workspace !== undefined) return workspace.deleted && this.sight.ofWorkspace(workspace);
    return this.templateStore.all.some((t) => t.id === id && t.deleted) && this.sight.ofTemplate(id);
  }

  /** The next whole list tells what is there when it is asked for, and is answered when it is let go. */
  holdNextList(): Held {
    this.#nextList = door();
    return this.#nextList;
  }

  async buildInfo(): Promise<BuildInfo> {
    await this.arrive();
    return { version: this.version, deployment_id: this.deploymentID };
  }

  async tokenExpiry(): Promise<TokenExpiry> {
    await this.arrive();
    return { at: '2099-01-01T00:00:00Z', lifetimeMs: TOKEN_LIFETIME_MS };
  }

  async me(): Promise<User> {
    return this.user(OPERATOR.id);
  }

  async user(name: string): Promise<User> {
    await this.arrive();
    const user = this.#person(name);
    if (!this.sight.ofPerson(user)) throw unknownUser();
    return { ...user, status: 'active', organization_ids: this.isMember(user) ? [ORGANIZATION.id] : [] };
  }

  async organization(name: string): ReturnType<CoderClient['organization']> {
    await this.arrive();
    return found(ORGANIZATIONS.find((o) => o.id === name || isSameName(o.name, name)));
  }

  // Workspaces.

  async eachWorkspace(
    onWorkspace: (workspace: Workspace) => void,
    options: WorkspaceQuery = {},
  ): ReturnType<CoderClient['eachWorkspace']> {
    const { workspaces, count } = await this.workspaces(options);
    for (const workspace of workspaces) onWorkspace(workspace);
    return { count, skipped: 0 };
  }

  async workspaces({ query = '', limit = 0, offset = 0 }: WorkspaceQuery = {}): Promise<WorkspaceList> {
    await this.arrive();
    const isFound = searchFor(query, OPERATOR.username);
    const isWhole = query === '';
    const counted = this.workspaceStore.present
      .filter((row) => this.sight.ofWorkspace(row))
      .map((row) => this.workspaceStore.shown(row))
      .filter(isFound)
      .sort(inListOrder);
    const page = counted.slice(offset, limit === 0 ? undefined : offset + limit);
    // Counted is also what is left out because its template is not to be seen.
    const rows = page.filter((workspace) => this.sight.ofTemplate(workspace.template_id));
    const answer = { workspaces: isWhole ? this.ofList(rows) : rows, count: counted.length };
    if (!isWhole) return answer;
    const held = this.#nextList;
    this.#nextList = undefined;
    await held?.pass();
    return answer;
  }

  async workspace(id: string, options: DeletedOption = {}): Promise<Workspace> {
    await this.arrive();
    const row = this.seenRow(id);
    if (row.deleted && options.includeDeleted !== true) throw gone();
    if (!this.sight.ofTemplate(row.templateID)) throw forbidden('Forbidden.');
    return this.workspaceStore.shown(row);
  }

  async workspaceByName(owner: string, name: string, options: DeletedOption = {}): Promise<Workspace> {
    await this.arrive();
    this.#person(owner);
    const present = this.workspaceStore.named(owner, name);
    const deleted = this.workspaceStore.all.filter(
      (r) => r.deleted && isSameName(r.owner.username, owner) && isSameName(r.name, name),
    );
    const row = found(present ?? (options.includeDeleted === true ? deleted.at(-1) : undefined));
    const isSeen = this.sight.ofWorkspace(row) && this.sight.ofTemplate(row.templateID);
    return this.workspaceStore.shown(found(isSeen ? row : undefined));
  }

  createWorkspace(owner: string, body: CreateWorkspaceRequest): Promise<Workspace> {
    return this.change('createWorkspace', `${owner}/${body.name}`, () => {
      const person = this.#person(owner);
      if (!this.sight.ofPerson(person)) throw forbidden('Unauthorized to create workspace.');
      const row = this.newWorkspace(person, body, OPERATOR);
      return {
        ...this.workspaceStore.shown(row),
        latest_build: this.workspaceStore.answered(row, row.builds[0]),
      };
    });
  }

  createBuild(workspaceID: string, body: CreateBuildRequest): Promise<WorkspaceBuild> {
    const isOverlapping = this.workspaceStore.all.some((r) => r.id === workspaceID && isBusy(r));
    if (isOverlapping) this.violations.push(`a ${body.transition} was asked for while a build is active`);
    return this.change('createBuild', body.transition, () => {
      const row = this.seenRow(workspaceID);
      if (row.deleted && body.transition !== 'delete') {
        throw conflict(`Cannot ${body.transition} a deleted workspace!`);
      }
      if (body.orphan === true && body.transition !== 'delete') {
        throw invalid('Orphan is only permitted when deleting a workspace.');
      }
      const build = this.newBuild(row, {
        transition: body.transition,
        reason: 'initiator',
        initiator: OPERATOR,
        versionID: body.template_version_id,
        presetID: body.template_version_preset_id,
        given: body.rich_parameter_values,
      });
      return this.workspaceStore.answered(row, build);
    });
  }

  setTTL(workspaceID: string, ttlMillis: number): Promise<void> {
    return this.change('setTTL', `${ttlMillis}`, () => this.putTTL(this.seenRow(workspaceID), ttlMillis));
  }

  setAutostart(workspaceID: string, schedule: string): Promise<void> {
    return this.change('setAutostart', schedule, () =>
      this.putAutostart(this.seenRow(workspaceID), schedule),
    );
  }

  setAutomaticUpdates(workspaceID: string, updates: 'always' | 'never'): Promise<void> {
    return this.change('setAutomaticUpdates', updates, () =>
      this.putAutomaticUpdates(this.seenRow(workspaceID), updates),
    );
  }

  async buildParameters(buildID: string): Promise<readonly NameValue[]> {
    await this.arrive();
    const seen = this.workspaceStore.all.filter((row) => this.sight.ofWorkspace(row));
    const builds = seen.flatMap((row) => row.builds);
    return found(builds.find((b) => b.id === buildID)).parameters;
  }

  async builds(
    workspaceID: string,
    options: { readonly limit?: number } = {},
  ): Promise<readonly WorkspaceBuild[]> {
    await this.arrive();
    const row = this.seenRow(workspaceID);
    const newestFirst = [...row.builds].reverse().map((b) => this.workspaceStore.shownBuild(row, b));
    return newestFirst.slice(0, options.limit ?? newestFirst.length);
  }

  // Templates and versions.

  async templates(): Promise<readonly Template[]> {
    await this.arrive();
    return this.listed.templates;
  }

  async template(id: string): Promise<Template> {
    await this.arrive();
    return found(this.templateStore.present.find((t) => t.id === id && this.sight.ofTemplate(id)));
  }

  async templateByName(organization: string, name: string): Promise<Template> {
    await this.arrive();
    const template = this.templateStore.byName(organization, name);
    return found(template !== undefined && this.sight.ofTemplate(template.id) ? template : undefined);
  }

  async deletedTemplateById(id: string): Promise<Template | undefined> {
    await this.arrive();
    return this.templateStore.all.find((t) => t.id === id && t.deleted && this.sight.ofTemplate(id));
  }

  createTemplate(organizationID: string, body: CreateTemplateRequest): Promise<Template> {
    return this.change('createTemplate', body.name, () => {
      admitFields({
        name: failsAsName(body.name, 'template_name'),
        display_name: failsAsDisplayName(body.display_name),
        description: failsAsDescription(body.description),
      });
      const organization = found(ORGANIZATIONS.find((o) => o.id === organizationID));
      const version = found(
        this.templateStore.version(body.template_version_id),
        `Template version "${body.template_version_id}" does not exist.`,
      );
      if (this.templateStore.byName(organization.name, body.name) !== undefined) {
        throw this.taken('Template', body.name, 'templates_organization_id_name_idx');
      }
      return this.templateStore.addTemplate(organization, body.name, version, newSettings(body));
    });
  }

  updateTemplate(id: string, body: UpdateTemplateRequest): Promise<Template | undefined> {
    return this.change('updateTemplate', id, () => {
      this.#admitChange();
      admitFields({
        name: body.name === undefined ? undefined : failsAsName(body.name, 'template_name'),
        display_name: failsAsDisplayName(body.display_name),
      });
      if (!isKeptDescription(body.description)) throw failure('An internal server error occurred.');
      return this.templateStore.update(id, body);
    });
  }

  promoteTemplateVersion(templateID: string, versionID: string): Promise<void> {
    return this.change('promote', versionID, () => {
      this.#admitChange();
      const version = this.versionRow(versionID);
      if (version.templateID !== templateID) {
        throw invalid("The provided template version doesn't belong to the specified template.");
      }
      if (version.job.status !== 'succeeded') {
        throw forbidden('Only versions that have been built successfully can be promoted.');
      }
      if (version.archived) throw invalid('The provided template version is archived.');
      this.promote(templateID, versionID);
    });
  }

  deleteTemplate(id: string): Promise<void> {
    return this.change('deleteTemplate', id, () => {
      if (this.workspaceStore.present.some((r) => r.templateID === id)) {
        throw invalid('All workspaces must be deleted before a template can be removed.');
      }
      this.templateStore.set(id, { deleted: true });
    });
  }

  async templateVersion(id: string): Promise<TemplateVersion> {
    await this.arrive();
    if (id === '') throw new RangeError('no route is made of an empty id');
    return versionOf(this.versionRow(id));
  }

  async templateVersionByName(organization: string, name: string, version: string): Promise<TemplateVersion> {
    await this.arrive();
    if (!isSegment(version)) throw new RangeError(`no route is made of the name ${JSON.stringify(version)}`);
    const template = found(this.templateStore.byName(organization, name));
    return versionOf(
      found(this.templateStore.versions.find((v) => v.templateID === template.id && v.name === version)),
    );
  }

  createTemplateVersion(
    organizationID: string,
    body: CreateTemplateVersionRequest,
  ): Promise<TemplateVersion> {
    return this.change('createVersion', body.name, () => {
      this.#admitChange();
      const { name, template_id: templateID, file_id: fileID, provisioner } = body;
      admitFields({ name: failsAsVersionName(name) });
      // Coder looks for the template before it looks for the file.
      this.templateStore.presentFor(templateID);
      const file = found(this.#readable(fileID), 'File not found.');
      const row = this.templateStore.addVersion({
        name,
        templateID,
        organizationID,
        initiatorID: OPERATOR.id,
        file,
        provisioner,
        tags: body.tags ?? {},
        values: body.user_variable_values ?? [],
      });
      return newVersionOf(row);
    });
  }

  async richParameters(versionID: string): Promise<readonly RichParameter[]> {
    await this.arrive();
    const { job, parameters } = this.versionRow(versionID);
    if (job.completed_at === undefined) throw tooEarly('Template version job has not finished');
    return job.status === 'succeeded' ? parameters : [];
  }

  async presets(versionID: string): Promise<readonly Preset[]> {
    await this.arrive();
    const { job, presets } = this.versionRow(versionID);
    return job.status === 'succeeded' ? presets : [];
  }

  async templateVersionVariables(versionID: string): Promise<readonly TemplateVersionVariable[]> {
    await this.arrive();
    const { job, variables } = this.versionRow(versionID);
    if (job.completed_at === undefined) throw forbidden('Template version job has not finished');
    return shownVariables(variables);
  }

  /** Of all that an import says, what is said of its fault, and that it is over. */
  async templateVersionLogs(
    id: string,
    options: { readonly lines?: number } = {},
  ): Promise<readonly JobLog[]> {
    await this.arrive();
    const all = logOf(this.versionRow(id));
    return all.slice(Math.max(0, all.length - (options.lines ?? all.length)));
  }

  /** Whether the client has uploaded these bytes before. */
  knowsArchive(tar: Buffer): boolean {
    return this.files.knows(OPERATOR.id, tar);
  }

  async uploadArchive(tar: Buffer): Promise<string> {
    await this.arrive();
    return this.files.upload(OPERATOR.id, tar).id;
  }

  async file(id: string): Promise<Buffer> {
    await this.arrive();
    this.files.admitRead(OPERATOR.id, id);
    return found(this.#readable(id)).bytes;
  }

  /** Our own files, and those of versions that belong to a template, be it a deleted one. */
  #readable(id: string): StoredFile | undefined {
    const file = this.files.find(id);
    const isUsed = this.templateStore.versions.some(
      (v) => v.job.file_id === id && v.templateID !== undefined,
    );
    return file?.creatorID === OPERATOR.id || isUsed ? file : undefined;
  }

  async provisionerJobs(organizationID: string, query: JobQuery = {}): Promise<readonly ProvisionerJob[]> {
    await this.arrive();
    if (!this.sight.hasRole || !ORGANIZATIONS.some((o) => o.id === organizationID)) throw notFound();
    const { limit = DEFAULT_JOB_LIMIT, status, ids, initiator } = query;
    return this.#jobs(organizationID)
      .filter((j) => status?.includes(j.status) ?? true)
      .filter((j) => ids?.includes(j.id) ?? true)
      .filter((j) => initiator === undefined || j.initiator_id === initiator)
      .slice(0, limit);
  }

  /** Newest first. */
  #jobs(organizationID: string): readonly ProvisionerJob[] {
    const imports = this.templateStore.versions.map((v) => ({
      order: v.order,
      organizationID: this.templateStore.organizationOf(v.templateID, v.organizationID),
      job: {
        ...v.job,
        type: 'template_version_import',
        input: { template_version_id: v.id },
        metadata: {
          template_version_name: v.name,
          ...(v.templateID === undefined ? {} : { template_id: v.templateID }),
        },
      },
    }));
    const builds = this.workspaceStore.all.flatMap((row) =>
      row.builds.map((b) => ({
        order: b.order,
        organizationID: this.templateStore.organizationOf(row.templateID),
        job: {
          ...b.job,
          type: 'workspace_build',
          input: { workspace_build_id: b.id },
          metadata: { template_id: row.templateID, workspace_id: row.id, workspace_name: row.name },
        },
      })),
    );
    return [...imports, ...builds]
      .filter((entry) => entry.organizationID === organizationID)
      .sort((a, b) => b.order - a.order)
      .map(({ job }) => job);
  }

  /** Templates are not for every member to change. */
  #admitChange(): void {
    if (!this.sight.hasRole) throw forbidden('Forbidden.');
  }

  #person(name: string): Person {
    const person = this.people.called(name);
    if (person === undefined) throw unknownUser();
    return person;
  }
}
