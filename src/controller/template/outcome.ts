import { cut, shorten, timestamp } from '../../api/conditions.ts';
import type { CoderError, CoderErrorKind } from '../../coder/errors.ts';
import { failureOf } from '../failure.ts';
import { forgotten, withRefusal } from '../wishes.ts';
import type {
  TemplateDraft,
  TemplateInput,
  TemplateOperation,
  TemplateRecord,
  VersionRecord,
} from './input.ts';
import { SET } from './setters.ts';
import { settingNamed, type SettingField } from '../../coder/templatesettings.ts';

/**
 * The input after settings that Coder took. What it makes of them is to be read, so the operation stays open until the
 * next look: the same rules settle it that settle one whose answer was lost.
 */
export function afterAnswer(input: TemplateInput): TemplateInput {
  const facts = { ...input.facts, template: undefined, templateByName: undefined };
  return { ...input, facts, isAnswered: true };
}

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
  if (operation.type === SET) return afterRefusal(cleared, operation.fields, error);
  const isRefused = operation.type === 'CreateVersion' && failureOf(error).cause.reason === 'RefusedByCoder';
  if (!isRefused || status.pendingVersion === undefined) return cleared;
  const pendingVersion = {
    ...status.pendingVersion,
    error: cut(error.message, LONGEST_ERROR),
    failedAt: timestamp(input.now),
  };
  return { ...cleared, pendingVersion };
}

/** Answers to settings that another try would only get again. */
const REFUSALS = new Set<CoderErrorKind>(['Invalid', 'Forbidden', 'Conflict', 'NotFound']);

/**
 * Settings that were sent and not taken. Coder refuses all for the sake of one: those that it names are refused, or all
 * when it names none, and the others are to be sent again without them.
 */
function afterRefusal(
  status: TemplateDraft,
  fields: readonly SettingField[],
  error: CoderError,
): TemplateDraft {
  if (!REFUSALS.has(error.kind)) return fields.reduce((draft, field) => forgotten(draft, field), status);
  const { validations } = error;
  const whole =
    validations.length > 0
      ? validations.map(({ field, detail }) => `${field}: ${detail}`).join('; ')
      : (error.coderMessage ?? error.message);
  const faults = new Map(validations.map(({ field, detail }) => [settingNamed(field), detail]));
  const isNamed = fields.some((field) => faults.has(field));
  return fields.reduce((draft, field) => {
    if (isNamed && !faults.has(field)) return forgotten(draft, field);
    const why = faults.get(field) ?? whole;
    return withRefusal(draft, field, draft.applied?.[field], shorten(why, LONGEST_REFUSAL));
  }, status);
}

/** Longest error that a status keeps, in characters. */
const LONGEST_ERROR = 1000;
/** The same for each setting. */
const LONGEST_REFUSAL = 256;
