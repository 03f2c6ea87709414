import { correctionOf, corrects, thenCorrected } from '../correction.ts';
import { nextRung } from '../ladder.ts';
import { noted } from '../notes.ts';
import { synced, unlessSuspended, withVerdict } from '../report.ts';
import { MOST_FAILURES } from '../settings.ts';
import { after } from '../step.ts';
import { failuresOf } from './failures.ts';
import type { Found, WorkspaceDraft, WorkspaceStep } from './input.ts';
import { sayStalled, sayWaiting } from './say.ts';
import { waitForSlot } from './slot.ts';
import { initiatorOf, isAutomatic } from './status.ts';
import {
  buildWith,
  compareUpdate,
  sayProblem,
  secretsAgainMs,
  targetVersion,
  type Compared,
} from './update.ts';

/**
 * Version or parameters differ from what the workspace was built with.
 *
 * | updatePolicy | runs, and shall | the wish | then |
 * |---|---|---|---|
 * | OnNextStart | | | said: it takes effect with the next start |
 * | Restart | no | | the same |
 * | Restart | yes | new | stop it, and start it with what is wished |
 * | Restart | yes | carried out with our own newest build, which made no difference | said: Coder does not take it |
 * | Restart | yes | carried out, and Coder's own automation built it otherwise | said |
 * | Restart | yes | carried out, and somebody changed it | OnChange: said. Enforce: as new, when it is its turn |
 *
 * The stop makes `spec.running` a pending wish again, so the start follows whatever happens in between. Either is one
 * build, announced by itself.
 */
export function decideUpdate(found: Found, update: Compared): Found | WorkspaceStep {
  const { input, record, coder } = found;
  const { spec } = input.object;
  const { due, isNew } = update;
  if (due.length === 0) return { ...found, status: { ...found.status, failures: undefined } };
  const what = due.join(' and ');
  // A start that failed is for power to mend, or to yield to.
  const runs =
    spec.running === true && record.build.transition === 'start' && record.build.jobStatus === 'succeeded';
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
  if (isNew) return restart(found, what, found.status, found.status);
  if (update.isSent && initiatorOf(record.build, record, coder) === 'Operator') {
    return waits(`Sent with build ${record.build.number}, and Coder did not take it: ${what}`);
  }
  const built = `Somebody built it otherwise in Coder than wished: ${what}`;
  if (!corrects(input) || isAutomatic(record.build)) return waits(built);
  const correction = correctionOf(found);
  if (correction.when === 'now') return restart(found, what, correction.status, correction.unsent);
  const message = `${built}; ${thenCorrected(correction, input.now)}`;
  return noted(
    { ...found, status: correction.status },
    {
      drifts: [{ reason, message, isOverBudget: correction.because === 'budget' }],
      afterMs: correction.afterMs,
    },
  );
}

function restart(found: Found, what: string, status: WorkspaceDraft, unsent: WorkspaceDraft): WorkspaceStep {
  const { input, record } = found;
  if (!found.fresh) return { do: 'read', fact: 'freshWorkspace' };
  // What could not be started must not be stopped.
  const next = buildWith(found);
  if (next.then === 'read') return { do: 'read', fact: next.fact };
  if (next.then !== 'build') return sayProblem(found, unsent, next);
  const refused = refusedTooOften(found, unsent);
  if (refused !== undefined) return refused;
  const waits = waitForSlot(found, unsent);
  if (waits !== undefined) return waits;
  const message = `Restarting the workspace for ${what}`;
  // That the wish was carried out is recorded with the start: this stop may come to nothing.
  const sent: WorkspaceDraft = {
    ...status,
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

/** Coder takes the stop not at all: tried again by the ladder. */
function refusedTooOften(found: Found, status: WorkspaceDraft): WorkspaceStep | undefined {
  const { input } = found;
  const failures = failuresOf(status, 'stop', { generation: input.object.metadata.generation ?? 0 });
  const rung = nextRung(failures, input.settings.retryBaseMs, MOST_FAILURES, input.now);
  const why = failures?.message === undefined ? '' : `: ${failures.message}`;
  switch (rung.climb) {
    case 'now':
      return undefined;
    case 'later': {
      const message = `Coder refused to stop the workspace for its restart${why}. It is tried again`;
      return sayWaiting(found, status, { reason: 'RefusedByCoder', message }, after(rung.afterMs));
    }
    case 'never':
      return sayStalled(found, status, {
        reason: 'BuildRetriesExhausted',
        message: `Coder refused to stop the workspace for its restart ${MOST_FAILURES + 1} times${why}. Change the spec, or set the annotation coder.com/reconcile-requested-at to a new value`,
      });
  }
}

/** Goes on when it is known what version and parameters have to say. */
export function withUpdate(
  found: Found,
  goOn: (next: Found, update: Compared) => WorkspaceStep,
): WorkspaceStep {
  const update = compareUpdate(found);
  switch (update.then) {
    case 'read':
      return { do: 'read', fact: update.fact };
    case 'compared':
      return goOn(noted({ ...found, status: update.status }, { afterMs: secretsAgainMs(found) }), update);
    default:
      return sayProblem(found, found.status, update);
  }
}
