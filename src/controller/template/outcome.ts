import { cut, timestamp } from '../../api/conditions.ts';
import type { CoderError } from '../../coder/errors.ts';
import { failureOf } from '../failure.ts';
import type {
  TemplateDraft,
  TemplateInput,
  TemplateOperation,
  TemplateRecord,
  VersionRecord,
} from './input.ts';

/** What Coder made of an operation. */
export type TemplateOutcome =
  | { readonly type: 'CreateVersion'; readonly version: VersionRecord }
  | { readonly type: 'CreateTemplate'; readonly template: TemplateRecord }
  | { readonly type: 'Promote' }
  | { readonly type: 'Delete' };

/** The input after an operation that Coder took: the pass decides again with it. */
export function afterSuccess(
  input: TemplateInput,
  operation: TemplateOperation,
  outcome: TemplateOutcome,
): TemplateInput {
  const status: TemplateDraft = { ...input.object.status, pendingOperation: undefined };
  const facts = input.facts;
  const withStatus = (next: TemplateDraft): TemplateInput => ({
    ...input,
    object: { ...input.object, status: next },
  });
  switch (outcome.type) {
    case 'CreateVersion': {
      const { version } = outcome;
      const pendingVersion = {
        attempt: 1,
        ...status.pendingVersion,
        name: version.name,
        id: version.id,
        jobStatus: version.jobStatus,
        error: undefined,
        failedAt: undefined,
      };
      return {
        ...withStatus({ ...status, pendingVersion }),
        facts: { ...facts, version: { id: version.id, version } },
      };
    }
    case 'CreateTemplate':
      return {
        ...withStatus({ ...status, id: outcome.template.id, origin: 'Created' }),
        facts: { ...facts, template: { seen: 'found', value: outcome.template, fresh: true } },
      };
    case 'Promote': {
      const template = facts.template;
      const byName = facts.templateByName;
      const versionID = operation.type === 'Promote' ? operation.versionID : '';
      return {
        ...withStatus(promoted(input, status, versionID)),
        facts: {
          ...facts,
          ...(template?.seen === 'found'
            ? { template: { ...template, value: { ...template.value, activeVersionID: versionID } } }
            : {}),
          ...(byName?.seen === 'found'
            ? { templateByName: { ...byName, value: { ...byName.value, activeVersionID: versionID } } }
            : {}),
        },
      };
    }
    case 'Delete':
      return { ...withStatus(status), facts: { ...facts, template: { seen: 'gone', fresh: true } } };
  }
}

/** After a promotion the wish counts as carried out, whatever is found to be active later. */
function promoted(input: TemplateInput, status: TemplateDraft, versionID: string): TemplateDraft {
  const name =
    status.pendingVersion?.id === versionID ? status.pendingVersion.name : input.facts.version?.version?.name;
  return { ...status, activeVersion: { id: versionID, name } };
}

/**
 * The status after an operation that failed: an unclear outcome leaves the announcement standing. Files that Coder
 * refuses outright count like an import that failed.
 */
export function afterFailure(
  input: TemplateInput,
  operation: TemplateOperation,
  error: CoderError,
): TemplateDraft {
  const status = input.object.status ?? {};
  if (error.unclear) return status;
  const cleared: TemplateDraft = { ...status, pendingOperation: undefined };
  const isRefused = operation.type === 'CreateVersion' && failureOf(error).cause.reason === 'RefusedByCoder';
  if (!isRefused || status.pendingVersion === undefined) return cleared;
  const pendingVersion = {
    ...status.pendingVersion,
    error: cut(error.message, LONGEST_ERROR),
    failedAt: timestamp(input.now),
  };
  return { ...cleared, pendingVersion };
}

/** Longest error that a status keeps, in characters. */
const LONGEST_ERROR = 1000;
