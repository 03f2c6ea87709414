import type { Clock } from '../../../src/base/clock.ts';
import type { JobStatus, Template, TemplateVersion } from '../../../src/coder/types.ts';
import { Builder } from './builder.ts';
import type { VersionContent } from './definitions.ts';
import { Files, type StoredFile, type Upload } from './files.ts';
import type { Tags } from './imports.ts';
import { ORGANIZATION, STRANGER, type Person } from './people.ts';
import { found } from './refusals.ts';
import type { ShownSettings } from './template-settings.ts';
import { versionOf, type VersionOrder, type VersionRow } from './templates.ts';

const IMPORT_ERROR = 'main.tf is wrong';

/** What other people do with templates, their versions and files. */
export class TemplateActs extends Builder {
  protected readonly files: Files;

  constructor(clock: Clock) {
    super(clock);
    this.files = new Files(clock);
  }

  /** Every request to upload a file, oldest first. */
  get uploads(): readonly Upload[] {
    return this.files.uploads;
  }

  get presentTemplates(): readonly Template[] {
    return this.templateStore.present;
  }

  get allVersions(): readonly TemplateVersion[] {
    return this.templateStore.versions.map(versionOf);
  }

  /** Somebody makes a template; one of that name that is there already is left as it is. */
  addTemplate(
    name = 'docker',
    organization = ORGANIZATION,
    content: VersionContent = {},
    settings: Partial<ShownSettings> = {},
  ): Template {
    const present = this.templateStore.byName(organization.name, name);
    if (present !== undefined) return present;
    const { id } = this.templateStore.addVersion({
      name: `first-${this.templateStore.versions.length}`,
      initiatorID: STRANGER.id,
      file: this.files.keepContent(STRANGER.id, content),
    });
    this.finishImports('succeeded');
    return this.templateStore.addTemplate(
      organization,
      name,
      found(this.templateStore.version(id)),
      settings,
    );
  }

  /** Somebody uploads a version of a template by hand. Its import has ended, unless its content says `hang`. */
  addVersion(templateID: string | undefined, content: VersionContent = {}, name?: string): TemplateVersion {
    const file = this.files.keepContent(STRANGER.id, content);
    return this.addVersionOf(file, { templateID, ...(name === undefined ? {} : { name }) });
  }

  /** The same, of a file that is there. */
  addVersionOf(
    file: StoredFile,
    order: Partial<Omit<VersionOrder, 'file' | 'initiatorID'>> = {},
  ): TemplateVersion {
    const name = order.name ?? `hand-${this.templateStore.versions.length}`;
    const { id } = this.templateStore.addVersion({ ...order, name, initiatorID: STRANGER.id, file });
    this.endImports((v) => v.id === id);
    return versionOf(found(this.templateStore.version(id)));
  }

  /** Somebody uploads a file, and is not held to any limit. */
  uploadBy(person: Person, tar: Buffer): StoredFile {
    return this.files.keep(person.id, tar);
  }

  /** From now on there is a provisioner with these tags. */
  addProvisioner(tags: Tags): void {
    this.templateStore.addProvisioner(tags);
  }

  /** Somebody makes a version the active one. */
  promote(templateID: string, versionID: string): void {
    this.templateStore.set(templateID, { active_version_id: versionID });
  }

  /** Somebody uploads a version of each template by hand and makes it active. */
  promoteAnother(content: VersionContent = {}): void {
    for (const { id } of this.templateStore.present) this.promote(id, this.addVersion(id, content).id);
  }

  /** Somebody gives a template another name; nothing happens when it is taken. */
  renameTemplate(id: string, name: string): void {
    const { organization_name: organization } = this.templateStore.template(id);
    const other = this.templateStore.byName(organization, name);
    if (other === undefined || other.id === id) this.templateStore.set(id, { name });
  }

  /** The template is in another organization now, with all of its workspaces and jobs. */
  moveTemplate(id: string, { id: organization_id, name: organization_name }: typeof ORGANIZATION): void {
    this.templateStore.set(id, { organization_id, organization_name });
  }

  /** Somebody deletes a template that nobody uses. */
  removeTemplate(id: string): void {
    this.templateStore.set(id, { deleted: true });
  }

  removeTemplates(): void {
    this.templateStore.removeAll();
  }

  /** Somebody changes settings of every template, or Coder's own operators do in its database. */
  changeTemplates(settings: Partial<ShownSettings>): void {
    for (const { id } of this.templateStore.present) this.templateStore.set(id, settings);
  }

  /** Somebody wishes that nobody takes this template any more. */
  deprecate(id: string): void {
    this.templateStore.set(id, { deprecated: true, deprecation_message: 'use another one' });
  }

  /** From now on Coder has a licence for everything. */
  license(): void {
    this.templateStore.isLicensed = true;
  }

  /** The template takes the TTL into its own hands; one that is set from now on is taken and not shown. */
  fixTTL(templateID: string, ms: number): void {
    this.templateStore.set(templateID, { allow_user_autostop: false, default_ttl_ms: ms });
  }

  /** Ends every import under way. */
  finishImports(status: JobStatus): void {
    this.templateStore.finishImports(status, IMPORT_ERROR);
  }

  /** Ends imports as the content of the version says. */
  protected endImports(isChosen: (v: VersionRow) => boolean = () => true): void {
    const ending = (v: VersionRow): boolean => isChosen(v) && v.content.imports !== 'hang';
    const isFailing = (v: VersionRow): boolean => v.content.imports === 'fail';
    this.templateStore.finishImports('failed', IMPORT_ERROR, (v) => ending(v) && isFailing(v));
    this.templateStore.finishImports('succeeded', '', ending);
  }
}
