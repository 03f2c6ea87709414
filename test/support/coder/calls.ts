import type { JobLog, TemplateVersion, WorkspaceBuild } from '../../../src/coder/types.ts';
import { Acts } from './acts.ts';
import { isActive } from './jobs.ts';
import { admitFields, failsAsVersionName } from './names.ts';
import { failure, forbidden, found, invalid, unexpected } from './refusals.ts';
import { versionOf, type VersionRow } from './templates.ts';
import { WatchFrames } from './watch.ts';
import { lastBuild, type BuildRow, type WorkspaceRow } from './workspaces.ts';

/** Requests that Coder takes and that our client does not make: people make them, and tests. */
export class Calls extends Acts {
  /** @throws CoderError 404 */
  workspaceBuild(id: string): WorkspaceBuild {
    const [row, build] = this.#build(id);
    return this.workspaceStore.shownBuild(row, build);
  }

  /** @throws CoderError 404 */
  buildByNumber(owner: string, name: string, number: number): WorkspaceBuild {
    const row = found(this.workspaceStore.named(owner, name));
    const build = found(row.builds.find((b) => b.number === number));
    return this.workspaceStore.shownBuild(row, build);
  }

  /** Looks on at a workspace for as long as the frames are read. @throws CoderError 404 */
  watch(id: string): WatchFrames {
    const row = this.seenRow(id);
    return new WatchFrames({
      clock: this.clock,
      onChange: (listener) =>
        this.workspaceStore.onChange((changed) => {
          if (changed === row.id) listener();
        }),
      shown: () => this.workspaceStore.shown(this.#row(row.id)),
    });
  }

  /** Lines with a higher number. Of all that a build says, that it is over. @throws CoderError 404 */
  buildLogs(id: string, after: number): readonly JobLog[] {
    const [, { job }] = this.#build(id);
    const lines = job.completed_at === undefined ? [] : [{ stage: 'Cleaning Up', output: '' }];
    return lines
      .map((line, i) => ({ ...line, id: i + 1, log_level: 'info' }))
      .filter((line) => line.id > after);
  }

  /**
   * Only where the template allows it, since the user of the token is no owner of the site. What is expected to wait gets
   * past that check, and fails at the next one.
   * @throws CoderError 400, 403, 404, 412, 500
   */
  cancelBuild(id: string, expected: string): void {
    const [row, { number, job }] = this.#build(id);
    if (expected !== '' && expected !== 'running' && expected !== 'pending') {
      throw invalid(`Invalid expect_status "${expected}". Only 'running' or 'pending' are allowed.`);
    }
    const { allow_user_cancel_workspace_jobs: isAllowed } = this.templateStore.template(row.templateID);
    if (expected !== 'pending' && !isAllowed) {
      throw forbidden('User is not allowed to cancel workspace builds. Owner role is required.');
    }
    admitCancel(job);
    if (expected !== '' && job.status !== expected) throw unexpected('Job is not in the expected state.');
    if (!isAllowed) throw failure('Internal error updating provisioner job.');
    if (number === lastBuild(row).number) this.cancelBuilds(row.id);
  }

  /** Oldest first, archived ones only when they are asked for. @throws CoderError 404 */
  versionsOf(templateID: string, includeArchived: boolean): readonly TemplateVersion[] {
    this.#template(templateID);
    return this.templateStore.versions
      .filter((v) => v.templateID === templateID && (includeArchived || !v.archived))
      .sort((a, b) => a.order - b.order)
      .map(versionOf);
  }

  /** @throws CoderError 400, 404 */
  cancelImport(versionID: string): void {
    const { job } = this.versionRow(versionID);
    admitCancel(job);
    this.templateStore.cancelImport(versionID);
  }

  isArchived(versionID: string): boolean {
    return this.versionRow(versionID).archived;
  }

  /** @throws CoderError 400, 404, 500 */
  archive(versionID: string): void {
    const version = this.versionRow(versionID);
    if (version.archived) throw invalid('Template version already archived');
    this.#ofTemplate(version);
    if (!this.#isUnused(version)) throw failure('Internal error fetching template version.');
    this.templateStore.setVersion(versionID, { archived: true });
  }

  /** @throws CoderError 400, 404 */
  unarchive(versionID: string): void {
    const version = this.versionRow(versionID);
    if (!version.archived) throw invalid('Template version already unarchived');
    this.#ofTemplate(version);
    this.templateStore.setVersion(versionID, { archived: false });
  }

  /** All that nobody uses, or those alone whose import has failed. Ids of what is archived now. @throws CoderError 404 */
  archiveUnused(templateID: string, isAll: boolean): readonly string[] {
    this.#template(templateID);
    const unused = this.templateStore.versions.filter(
      (v) =>
        v.templateID === templateID &&
        !v.archived &&
        this.#isUnused(v) &&
        (isAll || v.job.status === 'failed'),
    );
    for (const { id } of unused) this.templateStore.setVersion(id, { archived: true });
    return unused.map(({ id }) => id);
  }

  /** @throws CoderError 400, 404 */
  renameVersion(versionID: string, name = ''): TemplateVersion {
    const version = this.versionRow(versionID);
    if (name === '' || name === version.name) return versionOf(version);
    admitFields({ name: failsAsVersionName(name) });
    const isTaken = this.templateStore.versions.some(
      (v) => v.templateID !== undefined && v.templateID === version.templateID && v.name === name,
    );
    if (isTaken) {
      throw invalid('template version name must be unique for a template', [
        { field: 'name', detail: 'Name is already used' },
      ]);
    }
    this.templateStore.setVersion(versionID, { name });
    return versionOf(this.versionRow(versionID));
  }

  /** A workspace, deleted or not, that the token may see. @throws CoderError 404 */
  protected seenRow(id: string): WorkspaceRow {
    return found(this.workspaceStore.all.find((r) => r.id === id && this.sight.ofWorkspace(r)));
  }

  /** @throws CoderError 404 */
  protected versionRow(id: string): VersionRow {
    return found(this.templateStore.version(id));
  }

  #ofTemplate({ templateID }: VersionRow): void {
    if (templateID === undefined) {
      throw invalid('Cannot archive template versions not associate with a template.');
    }
  }

  /** Neither the active one, nor that of a workspace's last build, nor under way. */
  #isUnused({ id, templateID = '', job }: VersionRow): boolean {
    const isUsed = this.workspaceStore.all.some((row) => {
      const last = lastBuild(row);
      return last.versionID === id && last.transition !== 'delete';
    });
    const isActiveOne = this.templateStore.template(templateID).active_version_id === id;
    return !isUsed && !isActiveOne && job.status !== 'pending' && job.status !== 'running';
  }

  #row(id: string): WorkspaceRow {
    return found(this.workspaceStore.all.find((r) => r.id === id));
  }

  #build(id: string): readonly [WorkspaceRow, BuildRow] {
    const rows = this.workspaceStore.all.filter((row) => this.sight.ofWorkspace(row));
    const row = found(rows.find(({ builds }) => builds.some((build) => build.id === id)));
    return [row, found(row.builds.find((build) => build.id === id))];
  }

  #template(id: string): void {
    found(this.templateStore.present.find((t) => t.id === id && this.sight.ofTemplate(id)));
  }
}

/** @throws CoderError 400 */
function admitCancel(job: BuildRow['job']): void {
  if (!isActive(job)) throw invalid('Job has already completed!');
  if (job.status === 'canceling') throw invalid('Job has already been marked as canceled!');
}
