import { isEnforced } from '../../api/effective.ts';
import { correctionOf, thenCorrected } from '../correction.ts';
import { noted } from '../notes.ts';
import { synced, unlessSuspended, withVerdict } from '../report.ts';
import type { Found, WorkspaceDraft, WorkspaceStep } from './input.ts';
import { waitForSlot } from './slot.ts';
import { initiatorOf } from './status.ts';
import { buildWith, sayProblem, targetVersion, withHash, type Compared } from './update.ts';

/**
 * Version or parameters differ from what the workspace was built with.
 *
 * | updatePolicy | runs, and shall | the wish | then |
 * |---|---|---|---|
 * | OnNextStart | | | said: it takes effect with the next start |
 * | Restart | no | | the same |
 * | Restart | yes | new | stop it, and start it with what is wished |
 * | Restart | yes | carried out, and our own newest build made no difference | said: Coder does not take it |
 * | Restart | yes | carried out, and somebody changed it | OnChange: said. Enforce: as new, when it is its turn |
 *
 * The stop makes `spec.running` a pending wish again, so the start follows whatever happens in between. Either is one
 * build, announced by itself.
 */
export function decideUpdate(found: Found, update: Compared): Found | WorkspaceStep {
  const { input, record, coder } = found;
  const { spec } = input.object;
  const { due, isNew } = update;
  if (due.length === 0) return found;
  const what = due.join(' and ');
  const runs = spec.running === true && record.build.transition === 'start';
  const reason = isNew ? 'WaitsForNextStart' : update.reason;
  const waits = (message: string): Found => noted(found, { drifts: [{ reason, message }] });

  if (spec.updatePolicy !== 'Restart' || !runs) {
    // What the next start could not be made with is told now, and not only when that start comes.
    const next = targetVersion(found);
    if (typeof next !== 'string') {
      return next.then === 'read' ? { do: 'read', fact: next.fact } : sayProblem(found, found.status, next);
    }
    const why = spec.updatePolicy !== 'Restart' ? '' : ' (updatePolicy Restart needs spec.running true)';
    return waits(`Takes effect with the next start${why}: ${what}`);
  }
  if (isNew) return restart(found, update, what, { ...found.status }, found.status);
  if (initiatorOf(record.build, record, coder) === 'Operator') {
    return waits(`Sent with build ${record.build.number}, and Coder did not take it: ${what}`);
  }
  const built = `Somebody built it otherwise in Coder than wished: ${what}`;
  if (!isEnforced(spec)) return waits(built);
  const correction = correctionOf(found);
  if (correction.when === 'now') return restart(found, update, what, correction.status, correction.unsent);
  const message = `${built}; ${thenCorrected(correction, input.now)}`;
  return noted(
    { ...found, status: correction.status },
    {
      drifts: [{ reason, message, isOverBudget: correction.because === 'budget' }],
      afterMs: correction.afterMs,
    },
  );
}

function restart(
  found: Found,
  update: Compared,
  what: string,
  status: WorkspaceDraft,
  unsent: WorkspaceDraft,
): WorkspaceStep {
  const { input, record } = found;
  if (!found.fresh) return { do: 'read', fact: 'freshWorkspace' };
  // What could not be started must not be stopped.
  const next = buildWith(found);
  if (next.then === 'read') return { do: 'read', fact: next.fact };
  if (next.then !== 'build') return sayProblem(found, unsent, next);
  const waits = waitForSlot(found, unsent);
  if (waits !== undefined) return waits;
  const message = `Restarting the workspace for ${what}`;
  const sent: WorkspaceDraft = {
    ...withHash(status, update.hash),
    power: { running: true, state: 'Pending', after: record.build.number },
  };
  return unlessSuspended(
    input,
    {
      do: 'write',
      operation: { type: 'Stop', workspaceID: record.id, afterBuildNumber: record.build.number },
      status: withVerdict(input, sent, {
        ready: { status: 'False', reason: 'Updating', message },
        synced,
        reconciling: { reason: 'Progressing', message },
      }),
      event: { type: 'Normal', reason: 'Updating', message },
    },
    unsent,
  );
}
