import { randomUUID } from 'node:crypto';
import type {
  ImportJob,
  JobLog,
  JobStatus,
  MatchedProvisioners,
  NameValue,
  Preset,
  RichParameter,
  Template,
  TemplateVersion,
  TemplateVersionVariable,
  UpdateTemplateRequest,
} from '../../../src/coder/types.ts';
import { faultOf } from './content.ts';
import { preset, richParameter, type VersionContent } from './definitions.ts';
import type { StoredFile } from './files.ts';
import {
  canTake,
  importTags,
  missingVariables,
  PLAIN_TAGS,
  resolveVariables,
  type ImportFault,
  type Tags,
} from './imports.ts';
import type { JobRow, Jobs } from './jobs.ts';
import { isSameName, ORGANIZATION } from './people.ts';
import { found, invalid, nameTaken } from './refusals.ts';
import { changedSettings, PLAIN, type ShownSettings } from './template-settings.ts';

export interface VersionRow extends JobRow {
  readonly id: string;
  readonly name: string;
  readonly createdAt: string;
  readonly templateID: string | undefined;
  /** Where it was made, until it belongs to a template. */
  readonly organizationID: string;
  readonly content: VersionContent;
  readonly parameters: readonly RichParameter[];
  readonly presets: readonly Preset[];
  /** With the values of sensitive ones; none once the import has shown that the content cannot be read. */
  readonly variables: readonly TemplateVersionVariable[];
  /** Why its import fails, whatever else is wished. */
  readonly fault: ImportFault | undefined;
  /** How many could take it. */
  readonly provisioners: MatchedProvisioners;
  /** Not to be found in the list of versions any more, and not to be used by what is new. */
  readonly archived: boolean;
}

/** A version, whoever asks for it. */
export interface VersionOrder {
  readonly name: string;
  /** Left out: of a template that is not there yet. */
  readonly templateID?: string | undefined;
  /** Default: the organization that everything is in. */
  readonly organizationID?: string;
  readonly initiatorID: string;
  readonly file: StoredFile;
  /** Default `terraform`. */
  readonly provisioner?: string;
  readonly tags?: Tags;
  /** Values of variables. */
  readonly values?: readonly NameValue[];
}

export type TemplateRow = Template & ShownSettings & { readonly deleted: boolean };

/** What Coder knows of templates and their versions. */
export class Templates {
  readonly #jobs: Jobs;
  /** What each provisioner is for. */
  #provisioners: readonly Tags[] = [PLAIN_TAGS];
  /** A licence covers everything. */
  isLicensed = false;
  #versions: readonly VersionRow[] = [];
  #templates: readonly TemplateRow[] = [];

  constructor(jobs: Jobs) {
    this.#jobs = jobs;
  }

  get versions(): readonly VersionRow[] {
    return this.#versions;
  }

  get all(): readonly TemplateRow[] {
    return this.#templates;
  }

  get present(): readonly TemplateRow[] {
    return this.#templates.filter((t) => !t.deleted);
  }

  byName(organization: string, name: string): TemplateRow | undefined {
    return this.present.find(
      (t) => isSameName(t.organization_name, organization) && isSameName(t.name, name),
    );
  }

  /** Deleted or not: a workspace keeps pointing at its template. @throws CoderError 404 */
  template(id: string): TemplateRow {
    return found(this.#templates.find((t) => t.id === id));
  }

  /** The template of a new version, if it has one. @throws CoderError 404 */
  presentFor(id: string | undefined): TemplateRow | undefined {
    if (id === undefined) return undefined;
    return found(
      this.present.find((t) => t.id === id),
      'Template does not exist.',
    );
  }

  /** The organization of a template; without one, where its version was made. */
  organizationOf(templateID: string | undefined, madeIn: string = ORGANIZATION.id): string {
    return templateID === undefined ? madeIn : this.template(templateID).organization_id;
  }

  version(id: string): VersionRow | undefined {
    return this.#versions.find((v) => v.id === id);
  }

  /** A version's name is taken for ever, also by one whose import has failed. @throws CoderError 400, 404, 409 */
  addVersion(order: VersionOrder): VersionRow {
    const { name, templateID, initiatorID, file, provisioner = 'terraform', values = [] } = order;
    const { content } = file;
    const template = this.presentFor(templateID);
    const tags = importTags(content, values, order.tags ?? {}, initiatorID);
    const isTaken = this.#versions.some((v) => v.templateID === templateID && v.name === name);
    if (templateID !== undefined && isTaken) throw nameTaken('Template version', name);
    const active = template === undefined ? undefined : this.version(template.active_version_id);
    const variables = resolveVariables(content.variables ?? [], values, active?.variables ?? []);
    const count = this.#provisioners.filter((provided) => canTake(provided, tags)).length;
    const job = this.#jobs.add(initiatorID, count === 0 ? 'pending' : 'running', { file_id: file.id, tags });
    const row: VersionRow = {
      ...job,
      id: randomUUID(),
      name,
      createdAt: this.#jobs.now(),
      templateID,
      organizationID: order.organizationID ?? ORGANIZATION.id,
      content,
      parameters: (content.parameters ?? []).map(richParameter),
      presets: (content.presets ?? []).map(preset),
      variables,
      fault: faultOf(file.bytes, provisioner) ?? missingVariables(content.variables ?? [], variables),
      provisioners: { count, available: count },
      archived: false,
    };
    this.#versions = [...this.#versions, row];
    return row;
  }

  /** There is one more provisioner. It begins what has waited for its tags. */
  addProvisioner(tags: Tags): void {
    const provided = { ...PLAIN_TAGS, ...tags };
    this.#provisioners = [...this.#provisioners, provided];
    this.#versions = this.#versions.map((v) =>
      v.job.status === 'pending' && canTake(provided, v.job.tags ?? PLAIN_TAGS)
        ? { ...v, ...this.#jobs.begun(v) }
        : v,
    );
  }

  /** Ends imports, all that are under way or those that are chosen. None succeeds that cannot. */
  finishImports(status: JobStatus, error: string, isChosen: (v: VersionRow) => boolean = () => true): void {
    this.#versions = this.#versions.map((v) => {
      // A provisioner that was told to stop reports that as an error.
      if (v.job.status === 'canceling') {
        return { ...v, ...this.#jobs.ended(v, 'failed', 'canceled'), variables: [] };
      }
      if (v.job.status !== 'running' || !isChosen(v)) return v;
      const fault = status === 'succeeded' ? v.fault : undefined;
      const ended =
        fault === undefined
          ? this.#jobs.ended(v, status, error)
          : this.#jobs.ended(v, 'failed', fault.error, fault.code);
      const isRead = ended.job.status === 'succeeded' || fault?.code !== undefined;
      return { ...v, ...ended, variables: isRead ? v.variables : [] };
    });
  }

  /** Somebody cancels an import that is under way. */
  cancelImport(id: string): void {
    this.#versions = this.#versions.map((v) => (v.id === id ? { ...v, ...this.#jobs.cancelled(v) } : v));
  }

  setVersion(id: string, change: Partial<VersionRow>): void {
    this.#versions = this.#versions.map((v) => (v.id === id ? { ...v, ...change } : v));
  }

  /** @throws CoderError 400, 409 */
  addTemplate(
    organization: typeof ORGANIZATION,
    name: string,
    version: VersionRow,
    settings: Partial<ShownSettings> = {},
  ): TemplateRow {
    if (this.byName(organization.name, name) !== undefined) throw nameTaken('Template', name);
    if (version.templateID !== undefined) {
      throw invalid(`Template version ${version.id} is already part of a template`, [
        { field: 'template_version_id', detail: 'This value is invalid.' },
      ]);
    }
    const template: TemplateRow = {
      ...PLAIN,
      ...settings,
      id: randomUUID(),
      created_at: this.#jobs.now(),
      updated_at: this.#jobs.now(),
      organization_id: organization.id,
      organization_name: organization.name,
      name,
      active_version_id: version.id,
      deleted: false,
    };
    this.#templates = [...this.#templates, template];
    this.#versions = this.#versions.map((v) => (v.id === version.id ? { ...v, templateID: template.id } : v));
    return template;
  }

  /** @throws CoderError 404 when it is deleted */
  set(id: string, change: Partial<TemplateRow>): void {
    found(this.present.find((t) => t.id === id));
    this.#templates = this.#templates.map((t) => (t.id === id ? { ...t, ...change } : t));
  }

  /** Undefined when nothing changes. @throws CoderError 400, 404, 409 */
  update(id: string, body: UpdateTemplateRequest): TemplateRow | undefined {
    const before = found(this.present.find((t) => t.id === id));
    const settings = changedSettings(before, body, this.isLicensed);
    if (settings === undefined) return undefined;
    const { name = before.name } = body;
    const other = this.byName(before.organization_name, name);
    if (other !== undefined && other.id !== id) throw nameTaken('Template', name);
    this.set(id, { ...settings, name, updated_at: this.#jobs.now() });
    return this.template(id);
  }

  removeAll(): void {
    this.#templates = this.#templates.map((t) => ({ ...t, deleted: true }));
  }
}

/** The version as Coder shows it; how many provisioners could take it, while none has. */
export function versionOf(row: VersionRow): TemplateVersion {
  return {
    id: row.id,
    ...(row.templateID === undefined ? {} : { template_id: row.templateID }),
    created_at: row.createdAt,
    name: row.name,
    job: row.job,
    ...(row.job.status === 'pending' ? { matched_provisioners: row.provisioners } : {}),
  };
}

export function logOf({ job, fault }: VersionRow): readonly JobLog[] {
  if (job.completed_at === undefined) return [];
  const errors = job.error !== undefined && job.error === fault?.error ? (fault.log ?? []) : [];
  const lines = [
    ...errors.map((output) => ({ log_level: 'error', output })),
    { log_level: 'info', stage: 'Cleaning Up', output: '' },
  ];
  return lines.map((line, i) => ({ ...line, id: i + 1 }));
}

/** The version as Coder answers the request that makes it: nothing has happened yet. */
export function newVersionOf(row: VersionRow): TemplateVersion {
  const { id, created_at, initiator_id, file_id, tags } = row.job;
  const job: ImportJob = {
    id,
    created_at,
    status: 'pending',
    ...(initiator_id === undefined ? {} : { initiator_id }),
    ...(file_id === undefined ? {} : { file_id }),
    ...(tags === undefined ? {} : { tags }),
  };
  return { ...versionOf(row), job, matched_provisioners: row.provisioners };
}
