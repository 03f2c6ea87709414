import { cleanText } from '../../coder/redact.ts';
import type { Template, TemplateVersion } from '../../coder/types.ts';
import type { TemplateRecord, VersionRecord } from './input.ts';
import { settingsOf } from './settings.ts';

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

export function versionRecordOf(version: TemplateVersion): VersionRecord {
  const error = version.job.error === undefined ? '' : cleanText(version.job.error, LONGEST_ERROR);
  return {
    id: version.id,
    name: version.name,
    templateID: version.template_id,
    jobStatus: version.job.status,
    createdAt: version.created_at,
    error: error === '' ? undefined : error,
    hasProvisioner: version.matched_provisioners === undefined || version.matched_provisioners.count > 0,
  };
}
