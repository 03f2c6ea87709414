import { isMirror } from '../../api/mirrors.ts';
import { absent, absentMirror, newRequest, reconciling, stalled, unboundStatus } from '../report.ts';
import { after } from '../step.ts';
import { correctionOf, corrects, thenCorrected } from '../correction.ts';
import { decideUnbound } from './creation.ts';
import type { Bound, WorkspaceDraft, WorkspaceStep } from './input.ts';
import { isAutomatic } from './status.ts';

/**
 * The workspace that the object is bound to is not there.
 *
 * A mirror only says so: what becomes of it is the keeper's matter (mirror/decide.ts).
 *
 * | seen | a person asks | driftPolicy | who deleted it | then |
 * |---|---|---|---|---|
 * | gone or unseen | yes | | | create it again |
 * | unseen | no | | | wait: it may only be hidden from us |
 * | gone | no | OnChange | | Stalled: DeletedInCoder |
 * | gone | no | Enforce | Coder's own automation | the same |
 * | gone | no | Enforce | a person | create it again, when it is its turn |
 */
export function decideGone(bound: Bound, seen: 'gone' | 'unseen'): WorkspaceStep {
  const { input, name } = bound;
  const { spec } = input.object;
  if (isMirror(input.object)) return absentMirror(input, bound.status, 'workspace');
  const requested = newRequest(input);
  if (requested !== undefined) {
    const again = { ...unboundStatus(bound.status), lastHandledReconcileAt: requested };
    return createAgain(bound, again, bound.status);
  }
  const label = `${name.owner}/${name.workspace}`;
  const before: WorkspaceDraft = { ...bound.status, driftedAt: undefined };
  const status = seen === 'gone' ? { ...before, running: false } : before;
  const what = { seen, thing: 'workspace', label } as const;
  if (seen === 'unseen' || !corrects(input) || spec.templateName === undefined)
    return absent(input, status, what);
  const fact = input.facts.deletedWorkspace;
  if (fact === undefined) return { do: 'read', fact: 'deletedWorkspace' };
  if (fact.build !== undefined && isAutomatic(fact.build)) {
    return stalled(input, status, {
      reason: 'DeletedInCoder',
      message: `Coder itself deleted the workspace ${label} (${fact.build.reason}), and it is not created again by itself. Set the annotation coder.com/reconcile-requested-at to a new value to have it created again, or delete this object`,
    });
  }
  const correction = correctionOf({ ...bound, status });
  if (correction.when === 'later') {
    const message = `The workspace ${label} was deleted in Coder; ${thenCorrected(correction, input.now)}: it is created again from ${spec.templateName}`;
    return reconciling(
      input,
      correction.status,
      { reason: 'CorrectingDrift', message },
      after(correction.afterMs),
    );
  }
  const { corrections } = correction.status;
  return createAgain(bound, { ...unboundStatus(bound.status), corrections }, correction.unsent);
}

/** As if it had never been bound. While that is suspended it stays bound, and nothing counts as done. */
function createAgain(bound: Bound, unbound: WorkspaceDraft, unsent: WorkspaceDraft): WorkspaceStep {
  const step = decideUnbound({ ...bound, status: unbound });
  if (bound.input.suspended === undefined || step.do !== 'report' || step.status.id !== undefined)
    return step;
  const { observedGeneration, conditions } = step.status;
  return { ...step, status: { ...unsent, observedGeneration, conditions } };
}
