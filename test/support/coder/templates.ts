import { randomUUID } from 'node:crypto';
import type {
  JobStatus,
  Preset,
  RichParameter,
  Template,
  TemplateVersion,
  UpdateTemplateRequest,
} from '../../../src/coder/types.ts';
import { preset, richParameter, type VersionContent } from './definitions.ts';
import type { JobRow, Jobs } from './jobs.ts';
import { isSameName, type ORGANIZATION } from './people.ts';
import { found, invalid, nameTaken } from './refusals.ts';
import { changedSettings, PLAIN, type ShownSettings } from './template-settings.ts';

export interface VersionRow extends JobRow {
  readonly id: string;
  readonly name: string;
  readonly createdAt: string;
  readonly templateID: string | undefined;
  readonly content: VersionContent;
  readonly parameters: readonly RichParameter[];
  readonly presets: readonly Preset[];
}

export type TemplateRow = Template & ShownSettings & { readonly deleted: boolean };

/** What Coder knows of templates and their versions. */
export class Templates {
  readonly #jobs: Jobs;
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

  version(id: string): VersionRow | undefined {
    return this.#versions.find((v) => v.id === id);
  }

  /** A version's name is taken for ever, also by one whose import has failed. @throws CoderError 404, 409 */
  addVersion(
    name: string,
    templateID: string | undefined,
    initiatorID: string,
    content: VersionContent = {},
  ): VersionRow {
    if (templateID !== undefined) {
      found(this.present.find((t) => t.id === templateID));
      const isTaken = this.#versions.some((v) => v.templateID === templateID && v.name === name);
      if (isTaken) throw nameTaken('Template version', name);
    }
    const row: VersionRow = {
      ...this.#jobs.add(initiatorID),
      id: randomUUID(),
      name,
      createdAt: this.#jobs.now(),
      templateID,
      content,
      parameters: (content.parameters ?? []).map(richParameter),
      presets: (content.presets ?? []).map(preset),
    };
    this.#versions = [...this.#versions, row];
    return row;
  }

  /** Ends imports, all that are under way or those that are chosen. */
  finishImports(status: JobStatus, error: string, isChosen: (v: VersionRow) => boolean = () => true): void {
    this.#versions = this.#versions.map((v) =>
      v.job.status === 'running' && isChosen(v) ? { ...v, ...this.#jobs.ended(v, status, error) } : v,
    );
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

/** The version as Coder shows it. */
export function versionOf(row: VersionRow): TemplateVersion {
  return {
    id: row.id,
    ...(row.templateID === undefined ? {} : { template_id: row.templateID }),
    created_at: row.createdAt,
    name: row.name,
    job: row.job,
  };
}
