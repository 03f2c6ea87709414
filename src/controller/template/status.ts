import type { CoderTemplate } from '../../api/kinds.ts';
import type { ConnectedFact } from '../facts.ts';
import { newRequest } from '../report.ts';
import type { TemplateDraft, TemplateInput, TemplateRecord } from './input.ts';
import { shortened } from '../../coder/templatesettings.ts';

/** The status with what Coder has now. Identity and origin are not touched here. */
export function observedStatus(
  status: TemplateDraft,
  record: TemplateRecord,
  coder: ConnectedFact,
  users: number | undefined,
): TemplateDraft {
  return {
    ...status,
    workspaces: users ?? status.workspaces,
    deploymentID: coder.deploymentID,
    organizationName: record.organizationName,
    templateName: record.name,
    url: `${coder.url}/templates/${record.organizationName}/${record.name}`,
    observed: shortened(record.settings),
  };
}

/** Whether something was asked of us that has not been carried out. */
export function hasPendingWork(input: TemplateInput): boolean {
  const { metadata, status } = input.object;
  return (
    metadata.deletionTimestamp !== undefined ||
    status?.id === undefined ||
    status.observedGeneration !== metadata.generation ||
    status.pendingOperation !== undefined ||
    (status.pendingVersion !== undefined && !isAwaitingPromotion(input.object.spec, status)) ||
    status.driftedAt !== undefined ||
    newRequest(input) !== undefined
  );
}

/** Whether a version was imported that somebody else is to make the active one: nothing is left to do for us. */
export function isAwaitingPromotion(
  { promotion }: CoderTemplate['spec'],
  { pendingVersion }: TemplateDraft,
): boolean {
  const isImported = pendingVersion?.jobStatus === 'succeeded' && pendingVersion.error === undefined;
  return promotion === 'Manual' && isImported;
}
