import type { CoderTemplate } from '../../api/kinds.ts';
import { cut } from '../../api/conditions.ts';
import type { ImportDetails, VersionRecord } from './input.ts';

/** Longest text of Coder's own that is kept where Terraform's follows, in characters. */
const LONGEST_BEFORE_LOG = 400;

/**
 * The version with that text of a failed import that may be shown.
 *
 * Terraform may print the values of variables. Where one comes from a Secret its text is not repeated at all: the import
 * may have been made with an older value, which nobody knows any more. What was said of a version once is not said
 * otherwise, also when the reference to the Secret is gone.
 *
 * The same goes for values that the spec does not give and Coder takes over from the version before.
 *
 * @param details with what Terraform said. Coder's own text is often no more than that it failed.
 */
export function withQuotableText(
  object: CoderTemplate,
  version: VersionRecord,
  details: ImportDetails | undefined,
): VersionRecord {
  const { error, errorCode } = version;
  if (error === undefined || errorCode !== undefined) return version;
  const said = saidOf(object, version);
  if (said !== undefined) return { ...version, error: said };
  const isSecretive = hasSecrets(object);
  if (isSecretive || details?.hasOtherValues === true) {
    const why = isSecretive
      ? 'variables come from a Secret'
      : 'it has values of variables that the spec does not give';
    const hint = `the reason is in the log of the version ${version.name} in Coder; it is not repeated here, since ${why}`;
    return { ...version, error: hint };
  }
  const log = details?.log;
  return log === undefined || log === ''
    ? version
    : { ...version, error: `${cut(error, LONGEST_BEFORE_LOG)}: ${log}` };
}

/** Whether what Terraform said of a failed import is to be shown and was not yet. */
export function isQuotable(object: CoderTemplate, version: VersionRecord): boolean {
  return version.errorCode === undefined && saidOf(object, version) === undefined && !hasSecrets(object);
}

function saidOf({ status }: CoderTemplate, version: VersionRecord): string | undefined {
  const said = status?.pendingVersion;
  return said?.id === version.id ? said.error : undefined;
}

function hasSecrets({ spec }: CoderTemplate): boolean {
  return spec.variables?.some((v) => v.valueFrom?.secretKeyRef !== undefined) === true;
}
