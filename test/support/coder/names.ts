import type { Validation } from '../../../src/coder/errors.ts';
import { invalid } from './refusals.ts';

/** What Coder checks when a template is made; its database has room for one letter more. */
const LONGEST_DESCRIPTION = 127;

/** Fields of a request with the name of the check that each of them fails, if it does. */
export type Checks = Readonly<Record<string, string | undefined>>;

/** @throws CoderError 400 that names every field that fails its check */
export function admitFields(checks: Checks): void {
  const faults: Validation[] = Object.entries(checks).flatMap(([field, tag]) =>
    tag === undefined ? [] : [{ field, detail: `Validation failed for tag "${tag}"` }],
  );
  if (faults.length > 0) throw invalid('Validation failed.', faults);
}

/** Of users, organizations, templates and workspaces. */
export function failsAsName(name: string, tag: string): string | undefined {
  const isFine = /^[a-zA-Z0-9]+(?:-[a-zA-Z0-9]+)*$/.test(name) && name.length <= 32;
  return isFine && name !== 'new' && name !== 'create' ? undefined : tag;
}

export function failsAsVersionName(name: string): string | undefined {
  const isFine = /^[a-zA-Z0-9]+(?:[_.-][a-zA-Z0-9]+)*$/.test(name) && name.length <= 64;
  return isFine ? undefined : 'template_version_name';
}

export function failsAsDisplayName(name = ''): string | undefined {
  const isFine = name === '' || (/^\S(.*\S)?$/.test(name) && name.length <= 64);
  return isFine ? undefined : 'template_display_name';
}

export function failsAsDescription(text = ''): string | undefined {
  return lettersIn(text) > LONGEST_DESCRIPTION ? 'lt' : undefined;
}

/** Whether the database can keep it. */
export function isKeptDescription(text = ''): boolean {
  return lettersIn(text) <= LONGEST_DESCRIPTION + 1;
}

function lettersIn(text: string): number {
  return Array.from(text).length;
}
