import type { NameValue, TemplateVersionVariable } from '../../../src/coder/types.ts';
import type { VariableDefinition, VersionContent } from './definitions.ts';
import { invalid } from './refusals.ts';

export type Tags = Readonly<Record<string, string>>;

/** What every job has that names no tags, and every provisioner that was given none. */
export const PLAIN_TAGS: Tags = { owner: '', scope: 'organization' };

const REDACTED = '*redacted*';

/** Why an import fails. */
export interface ImportFault {
  readonly error: string;
  readonly code?: string;
  /** What Terraform says of it. */
  readonly log?: readonly string[];
}

/** Variables of a version with their values, by name; sensitive ones in clear. */
export function resolveVariables(
  declared: readonly VariableDefinition[],
  given: readonly NameValue[],
  inherited: readonly TemplateVersionVariable[],
): readonly TemplateVersionVariable[] {
  const values = new Map([...inherited, ...given].map(({ name, value }) => [name, value]));
  const variables = declared.map(({ name, type, default: fallback, sensitive = false }) => ({
    name,
    ...(type === undefined ? {} : { type }),
    value: values.get(name) ?? fallback ?? '',
    default_value: fallback ?? '',
    required: fallback === undefined,
    sensitive,
  }));
  return variables.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Variables as Coder shows them. */
export function shownVariables(
  variables: readonly TemplateVersionVariable[],
): readonly TemplateVersionVariable[] {
  return variables.map((v) => (v.sensitive ? { ...v, value: REDACTED, default_value: REDACTED } : v));
}

/** For Coder, an empty value of a variable without a default is none. */
export function missingVariables(
  declared: readonly VariableDefinition[],
  variables: readonly TemplateVersionVariable[],
): ImportFault | undefined {
  const missing = declared
    .map(({ name }) => variables.find((v) => v.name === name))
    .filter((v) => v?.required === true && v.value === '')
    .map((v) => v?.name);
  if (missing.length === 0) return undefined;
  return {
    error: `update job: required template variables need values: ${missing.join(', ')}`,
    code: 'REQUIRED_TEMPLATE_VARIABLES',
  };
}

/**
 * The tags of an import: those that the request names go before those that the content takes from its variables.
 * @throws CoderError 400 when the value of such a variable is not known
 */
export function importTags(
  content: VersionContent,
  given: readonly NameValue[],
  requested: Tags,
  initiatorID: string,
): Tags {
  const tags: Record<string, string> = {};
  for (const [tag, variable] of Object.entries(content.tags ?? {})) {
    const fallback = content.variables?.find((v) => v.name === variable)?.default;
    const value = given.find((v) => v.name === variable)?.value ?? fallback;
    if (value === undefined) {
      const detail =
        'Tag value is not known, it likely refers to a variable that is not set or has no default.; ';
      throw invalid('Unable to parse workspace tags', [{ field: tag, detail }]);
    }
    tags[tag] = value;
  }
  for (const [tag, value] of Object.entries(requested)) if (value !== '') tags[tag] = value;
  if (tags['scope'] === 'user') return { ...tags, owner: initiatorID };
  return { ...tags, ...PLAIN_TAGS };
}

/** Whether a provisioner has all tags of a job. A job without any waits for a provisioner without any. */
export function canTake(provisioner: Tags, job: Tags): boolean {
  return isWithin(job, provisioner) && (!isWithin(job, PLAIN_TAGS) || isWithin(provisioner, PLAIN_TAGS));
}

function isWithin(tags: Tags, others: Tags): boolean {
  return Object.entries(tags).every(([name, value]) => others[name] === value);
}
