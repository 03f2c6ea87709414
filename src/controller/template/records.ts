import { cleanText } from '../../coder/redact.ts';
import type { JobLog, Template, TemplateVersion } from '../../coder/types.ts';
import type { TemplateRecord, VersionRecord } from './input.ts';
import { settingsOf } from '../../coder/templatesettings.ts';

/** Longest part of an import's error that is kept, in bytes. */
const LONGEST_ERROR = 1000;

export function templateRecordOf(template: Template): TemplateRecord {
  return {
    id: template.id,
    name: template.name,
    organizationID: template.organization_id,
    organizationName: template.organization_name,
    activeVersionID: template.active_version_id,
    settings: settingsOf(template),
  };
}

/** The name of the object that stands for a template. */
export function templateNameOf({ organizationName, name }: TemplateRecord): string {
  return `${organizationName}.${name}`.toLowerCase();
}

export function versionRecordOf(version: TemplateVersion): VersionRecord {
  const error = version.job.error === undefined ? '' : cleanText(version.job.error, LONGEST_ERROR);
  return {
    id: version.id,
    name: version.name,
    templateID: version.template_id,
    jobStatus: version.job.status,
    createdAt: version.created_at,
    error: error === '' ? undefined : error,
    errorCode: version.job.error_code,
    isArchived: version.archived === true,
    hasProvisioner: version.matched_provisioners === undefined || version.matched_provisioners.count > 0,
  };
}

/** Longest part of an import's log that is kept, in bytes. */
const LONGEST_LOG = 400;

/** What Terraform said when it failed, in one line without the frame that it draws around. */
export function errorsIn(lines: readonly JobLog[]): string {
  const errors = lines.filter(({ log_level: level }) => level === 'error').map(({ output }) => output);
  const text = errors.join(' ').replace(/[\u2500-\u257f]/gu, ' ');
  return cleanText(text, LONGEST_LOG);
}
