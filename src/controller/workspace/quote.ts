import { isOverQuota, type WorkspaceRecord } from '../observer/record.ts';
import type { WorkspaceInput } from './input.ts';

/**
 * The record with that text of a failed build that may be shown.
 *
 * Terraform may print the values of parameters. Where one comes from a Secret its text is not repeated at all: the
 * build may have been made with an older value, which nobody knows any more. And what was said of a build once is not
 * said otherwise, also when the reference to the Secret is gone.
 */
export function withQuotableText({ object }: WorkspaceInput, record: WorkspaceRecord): WorkspaceRecord {
  const { build } = record;
  if (build.error === undefined || isOverQuota(build)) return record;
  const said = object.status?.latestBuild;
  if (said?.id === build.id && said.error !== undefined) return withText(record, said.error);
  const hasSecrets = object.spec.parameters?.some((p) => p.valueFrom?.secretKeyRef !== undefined) === true;
  return hasSecrets
    ? withText(
        record,
        `the reason is in the log of build ${build.number} in Coder; it is not repeated here, since parameters come from a Secret`,
      )
    : record;
}

function withText(record: WorkspaceRecord, error: string): WorkspaceRecord {
  return { ...record, build: { ...record.build, error } };
}
