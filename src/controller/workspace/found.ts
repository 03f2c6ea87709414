import { deletionOf } from '../../api/effective.ts';
import { finalizers } from '../../api/kinds.ts';
import { isTakenOver } from '../../api/mirrors.ts';
import { sameName } from '../../api/names.ts';
import type { WorkspaceRecord } from '../observer/record.ts';
import { adopted, overruledWarning, stalled } from '../report.ts';
import type { Bound, Found, StepEvent, WorkspaceDraft, WorkspaceStep } from './input.ts';
import { decidePower } from './power.ts';
import { withQuotableText } from './quote.ts';
import { decideSettings } from './setters.ts';
import { observedStatus } from './status.ts';
import { renewWishes } from './wish.ts';

/** The workspace is there: who drives it, what holds its object, what is newly wished, settings, and power at last. */
export function decideFound(bound: Bound, seen: WorkspaceRecord, fresh: boolean): WorkspaceStep {
  const { input, coder } = bound;
  const record = withQuotableText(input, seen);
  const { spec, metadata } = input.object;
  const status = observedStatus(bound.status, record, coder);

  const refusal = refuse(bound, record, status);
  if (refusal !== undefined) return refusal;
  const choice = deletionOf(spec.deletionPolicy, status.origin, coder.adoptedDeletion);
  const held = metadata.finalizers?.includes(finalizers.workspace) === true;
  if (held !== (choice.policy === 'Delete')) return { do: 'finalizer', present: !held };

  const isNew = input.object.status?.id === undefined || isTakenOver(input.object);
  const isAdopted = isNew && status.origin === 'Adopted';
  const overruled = overruledWarning(input, choice.overruled, 'workspace');
  const event = isAdopted ? adoption(record, overruled) : overruled;
  // Whether a wish is still open is to be told afresh at every look.
  const found = {
    ...bound,
    status: { ...status, driftedAt: undefined },
    record,
    fresh,
    notes: { drifts: [], event },
  };
  const step = decideWishes(found);
  // A report has it among its notes.
  return step.do === 'write' ? { ...step, notice: event } : step;
}

/** What is wished of a workspace that is there. */
export function decideWishes(before: Found): WorkspaceStep {
  const renewed = renewWishes(before);
  if ('do' in renewed) return renewed;
  const { found, send } = decideSettings(renewed);
  const power = decidePower(found);
  // A setting that cannot be sent must keep nothing from being started or stopped, so it comes last.
  return power.do === 'report' && send !== undefined ? send(power.status) : power;
}

/** What keeps an object from driving the workspace that it means. */
export function refuse(
  bound: Bound,
  record: WorkspaceRecord,
  status: WorkspaceDraft,
): WorkspaceStep | undefined {
  const { input } = bound;
  const { templateName } = input.object.spec;
  const older = input.facts.claimedBy(record.id);
  if (older !== undefined) {
    return stalled(input, input.object.status ?? {}, {
      reason: 'DuplicateClaim',
      message: `An older object (${older}) is bound to the same workspace in Coder (${record.id}); delete one of them`,
    });
  }
  if (templateName !== undefined && !sameName(templateName, record.templateName)) {
    return stalled(input, status, {
      reason: 'ImmutableFieldMismatch',
      message: `spec.templateName is ${templateName}, but the workspace was made from ${record.templateName}, and Coder cannot change that. Write ${record.templateName}, or delete the workspace first`,
    });
  }
  return undefined;
}

/** That the workspace was taken over, with a warning that is due at the same time. */
export function adoption({ ownerName, name }: WorkspaceRecord, warning?: StepEvent): StepEvent {
  return adopted(`workspace ${ownerName}/${name}`, warning);
}
