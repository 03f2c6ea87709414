import { newRequest, synced, unlessSuspended, withVerdict } from '../report.ts';
import type {
  Bound,
  TemplateDraft,
  TemplateOperation,
  TemplateRecord,
  TemplateStep,
  VersionRecord,
} from './input.ts';

/** Make a version the one that new workspaces get. */
export function promote(
  bound: Bound,
  template: TemplateRecord,
  version: Pick<VersionRecord, 'id' | 'name'>,
): TemplateStep {
  return announced(
    bound,
    bound.status,
    { type: 'Promote', templateID: template.id, versionID: version.id },
    { reason: 'Progressing', message: `Making ${version.name} the active version` },
  );
}

/** Create the template on a version that was imported. */
export function createTemplate(bound: Bound, organizationID: string, version: VersionRecord): TemplateStep {
  return announced(
    bound,
    bound.status,
    { type: 'CreateTemplate', organizationID, name: bound.name.template, versionID: version.id },
    { reason: 'Creating', message: `Creating the template with the version ${version.name}` },
  );
}

/** The step that announces an operation and carries it out, once the template was looked at in this very pass. */
export function announced(
  bound: Bound,
  status: TemplateDraft,
  operation: TemplateOperation,
  doing: { readonly reason: 'Progressing' | 'Creating' | 'Importing' | 'Deleting'; readonly message: string },
): TemplateStep {
  const { input } = bound;
  // What is remembered may be of a template that is not there any more: look before anything is sent.
  const { template } = input.facts;
  if (template?.seen === 'found' && !template.fresh) return { do: 'read', fact: 'freshTemplate' };
  return unlessSuspended(
    input,
    {
      do: 'write',
      operation,
      status: withVerdict(
        input,
        { ...status, lastHandledReconcileAt: newRequest(input) ?? status.lastHandledReconcileAt },
        {
          ready: { status: 'False', ...doing },
          synced,
          reconciling: { reason: 'Progressing', message: doing.message },
        },
      ),
      event: { type: 'Normal', ...doing },
    },
    bound.status,
  );
}
