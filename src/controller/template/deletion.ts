import { finalizers } from '../../api/kinds.ts';
import type { TemplateName } from '../../api/names.ts';
import type { ConnectedFact } from '../facts.ts';
import { beforeRemoval, release } from '../removal.ts';
import { reconciling } from '../report.ts';
import { settleMs } from '../settings.ts';
import { after, withBackoff } from '../step.ts';
import type { TemplateDraft, TemplateInput, TemplateRecord, TemplateStep } from './input.ts';
import { announced } from './operations.ts';
import { observedStatus } from './status.ts';

/** Workspaces of objects wake the template when they go; those of others are looked for after this time. */
const WORKSPACES_AGAIN_MS = 30_000;

/** The object is being deleted. Our finalizer holds it until the template is gone for certain, or is to be kept. */
export function decideDeletion(input: TemplateInput, name: TemplateName): TemplateStep {
  const status = input.object.status ?? {};
  const isCreating = status.pendingOperation?.type === 'CreateTemplate';
  const before = beforeRemoval(input, status, {
    thing: 'template',
    name,
    label: `${name.organization}/${name.template}`,
    finalizer: finalizers.template,
    isCreating,
  });
  if (before.then === 'done') return before.step;
  return isCreating
    ? settleCreation(input, name, status, before.coder)
    : remove(input, name, status, before.coder);
}

/** A create was announced and may have landed, or may still land: what it made must not be left behind. */
function settleCreation(
  input: TemplateInput,
  name: TemplateName,
  status: TemplateDraft,
  coder: ConnectedFact,
): TemplateStep {
  const sighting = input.facts.templateByName;
  if (sighting === undefined) return { do: 'read', fact: 'templateByName' };
  if (sighting.seen !== 'found') {
    const leftMs = settleMs(input.settings) - input.pendingForMs;
    if (leftMs <= 0) return release('No template was created in Coder', 'Released');
    const message = 'Making sure that the last request created nothing in Coder';
    return reconciling(input, status, { reason: 'OutcomeUnknown', message }, after(Math.min(leftMs, 2_000)), {
      ready: { reason: 'Deleting', message },
    });
  }
  const record = sighting.value;
  if (input.facts.isClaimedByAnother(record.id)) {
    return release('The template of that name is bound to another object, and stays', 'Retained');
  }
  if (record.activeVersionID !== status.pendingOperation?.target) {
    return release("The template of that name is not the operator's, and stays", 'Retained');
  }
  return removeFound(
    input,
    name,
    { ...status, id: record.id, origin: 'Created', pendingOperation: undefined },
    record,
    coder,
  );
}

function remove(
  input: TemplateInput,
  name: TemplateName,
  status: TemplateDraft,
  coder: ConnectedFact,
): TemplateStep {
  const sighting = input.facts.template;
  if (sighting?.fresh !== true) return { do: 'read', fact: 'freshTemplate' };
  switch (sighting.seen) {
    case 'gone':
      return release('The template is deleted in Coder', 'Deleted');
    case 'unseen': {
      const message = `Coder does not show the template ${status.id ?? ''}: it is gone, or the operator may not see it any more. If it is gone for certain, set spec.deletionPolicy to Retain to let go of it`;
      return reconciling(input, status, { reason: 'NotVisibleInCoder', message }, withBackoff, {
        ready: { reason: 'Deleting', message },
      });
    }
    case 'found':
      return removeFound(input, name, { ...status, pendingOperation: undefined }, sighting.value, coder);
  }
}

/** Coder refuses to delete a template while any workspace uses it, whoever manages that; so wait for them. */
function removeFound(
  input: TemplateInput,
  name: TemplateName,
  before: TemplateDraft,
  record: TemplateRecord,
  coder: ConnectedFact,
): TemplateStep {
  const status = observedStatus(before, record, coder, input.facts.usersOf(record.id));
  const users = input.facts.workspaces;
  if (users === undefined) return { do: 'read', fact: 'workspaces' };
  if (users.count > 0) {
    const some = users.some.slice(0, 3).join(', ');
    const message = `The template is deleted when no workspace uses it any more: there ${users.count === 1 ? 'is' : 'are'} ${users.count} (${some}${users.count > 3 ? ', …' : ''})`;
    return reconciling(input, status, { reason: 'WorkspacesExist', message }, after(WORKSPACES_AGAIN_MS), {
      ready: { reason: 'Deleting', message },
    });
  }
  return announced(
    { input, name, coder, status },
    status,
    { type: 'Delete', templateID: record.id },
    { reason: 'Deleting', message: 'Deleting the template in Coder' },
  );
}
