import { cleanText, redact } from '../../coder/redact.ts';
import { isOverQuota, type WorkspaceRecord } from '../observer/record.ts';
import type { WorkspaceInput } from './input.ts';
import { secretTexts } from './parameters.ts';

/** Whether the text of a failed build is Terraform's, and a value of the workspace comes from a Secret. */
function mayTellSecrets({ object }: WorkspaceInput, { build }: WorkspaceRecord): boolean {
  if (build.error === undefined || isOverQuota(build)) return false;
  return object.spec.parameters?.some((p) => p.valueFrom?.secretKeyRef !== undefined) === true;
}

/** The record without the text of a failed build, which may hold a value that must not be shown. */
export function withoutText(input: WorkspaceInput, record: WorkspaceRecord): WorkspaceRecord {
  const { build } = record;
  if (!mayTellSecrets(input, record)) return record;
  const error = `the reason is in the log of build ${build.number} in Coder; it is not repeated here, since parameters come from a Secret`;
  return { ...record, build: { ...build, error } };
}

/** The record with secret values taken out of the text of a failed build; undefined while the values are to be read. */
export function withQuotableText(
  input: WorkspaceInput,
  record: WorkspaceRecord,
): WorkspaceRecord | undefined {
  const { build } = record;
  if (build.error === undefined || !mayTellSecrets(input, record)) return record;
  const { values } = input.facts;
  if (values === undefined) return undefined;
  if (values.state !== 'resolved') return withoutText(input, record);
  const secrets = secretTexts(values.values);
  // What was kept is folded, and may end in the middle of a value.
  const forms = [...secrets, ...secrets.map((secret) => cleanText(secret))];
  const longest = Math.max(0, ...forms.map((form) => form.length));
  const isCut = build.error.endsWith('…');
  const whole = isCut ? `${build.error.slice(0, -longest - 1)}…` : build.error;
  return { ...record, build: { ...build, error: redact(whole, forms) } };
}
