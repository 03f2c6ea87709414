import type { Verdict } from '../../api/conditions.ts';
import { isMirror } from '../../api/mirrors.ts';
import { sameName } from '../../api/names.ts';
import { newRequest, report, synced } from '../report.ts';
import type { StepEvent } from '../step.ts';
import { restWith, takenHash, type Content } from './content.ts';
import type { Bound, TemplateDraft, TemplateRecord, TemplateStep } from './input.ts';

/** The wished content is active, or was made active once. */
export function upToDate(bound: Bound, record: TemplateRecord, content: Content | undefined): TemplateStep {
  const { input, name } = bound;
  const requested = newRequest(input);
  const isTaken = bound.status.contentHash === takenHash(input.object);
  const isNew = content !== undefined && !isTaken && bound.status.contentHash !== content.key;
  const status: TemplateDraft = {
    ...bound.status,
    lastHandledReconcileAt: requested ?? bound.status.lastHandledReconcileAt,
    pendingVersion: undefined,
    ...(content === undefined
      ? { contentHash: undefined, contentVersionID: undefined }
      : isNew
        ? { contentHash: content.key, contentVersionID: record.activeVersionID }
        : { contentHash: content.key }),
  };
  const active = status.activeVersion?.name ?? record.activeVersionID;
  const changed = status.contentVersionID !== undefined && status.contentVersionID !== record.activeVersionID;
  const isOurs = isMirror(input.object);
  const message = changed
    ? `${active} was made the active version in Coder, after the wished content had been`
    : content === undefined
      ? notManaged(active, isOurs)
      : status.contentVersionID === undefined
        ? `The active version is ${active}; the wished content counts as brought there, since the status was lost`
        : `The wished content is active as version ${active}`;
  const isRenamed =
    !sameName(record.name, name.template) || !sameName(record.organizationName, name.organization);
  const drifted: Verdict['drifted'] = changed
    ? { reason: 'ActiveVersionChanged', message }
    : isRenamed
      ? {
          reason: 'RenamedInCoder',
          message: `In Coder the template is now ${record.organizationName}/${record.name}`,
        }
      : undefined;
  const reason = isOurs ? 'Mirrored' : changed ? 'YieldedToCoder' : 'UpToDate';
  const event: StepEvent | undefined = isNew ? { type: 'Normal', reason: 'UpToDate', message } : undefined;
  return report(
    input,
    status,
    { ready: { status: 'True', reason, message }, synced, drifted },
    restWith(content),
    event,
  );
}

function notManaged(active: string, isOurs: boolean): string {
  return isOurs
    ? `The active version is ${active}. Nothing is wished of the template here: set any field of spec, and it is managed`
    : `The active version is ${active}; its content is not managed here`;
}
