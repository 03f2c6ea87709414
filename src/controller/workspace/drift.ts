import type { Cause } from '../../api/conditions.ts';
import type { DriftReason } from '../../api/reasons.ts';
import { hasFailed, isOverQuota } from '../observer/record.ts';
import { after, untilWoken } from '../step.ts';
import { correctionOf, corrects, thenCorrected } from '../correction.ts';
import type { Found, WorkspaceStep } from './input.ts';
import type { Drive } from './power.ts';
import { say, sayWaiting } from './say.ts';
import { decideUpdate, withUpdate } from './updating.ts';
import { because, initiatorOf, isAutomatic } from './status.ts';

/**
 * The wish was reached once, and the workspace is not there any more.
 *
 * | driftPolicy | who or what | then |
 * |---|---|---|
 * | OnChange | anybody | yield: say it and leave it |
 * | Enforce | Coder's own automation, by the build's reason | yield |
 * | Enforce | the workspace is dormant, and shall run | yield: starting it would defeat the policy |
 * | Enforce | a build failed for want of quota | yield |
 * | Enforce | a person, or a build of theirs that failed | set right, after the cooldown and within the budget |
 *
 * A yield ends with the next wish, or when anybody starts or stops the workspace as it is wished. Setting right makes
 * the wish a pending one again, so that all that holds for a new wish holds for it too.
 */
export function decideDrift(found: Found, wished: boolean, drive: Drive): WorkspaceStep {
  const { input, record } = found;
  const { build } = record;
  const drift = driftOf(found, wished);
  const isDormant = wished && record.dormantAt !== undefined;
  if (!corrects(input) || isAutomatic(build) || isDormant || isOverQuota(build)) {
    // What else is wished is told all the same.
    return withUpdate(found, (next, update) => {
      const told = decideUpdate(next, update);
      return 'do' in told ? told : yielded(told, wished, drift);
    });
  }
  const correction = correctionOf(found);
  if (correction.when === 'later') {
    const message = `${drift.message}; ${thenCorrected(correction, input.now)}`;
    return sayWaiting(
      found,
      correction.status,
      { reason: 'CorrectingDrift', message },
      after(correction.afterMs),
      { drifted: { ...drift, message, isOverBudget: correction.because === 'budget' } },
    );
  }
  const power = { running: wished, state: 'Pending' as const, after: build.number };
  const again: Found = { ...found, status: { ...correction.status, power } };
  return drive(again, wished, {
    unsent: correction.unsent,
    message: `${wished ? 'Starting' : 'Stopping'} the workspace again: ${drift.message}`,
  });
}

function yielded(found: Found, wished: boolean, drift: Cause<DriftReason>): WorkspaceStep {
  const { record, status } = found;
  const { build } = record;
  const again =
    'Set the annotation coder.com/reconcile-requested-at to a new value to have the wish carried out again';
  if (hasFailed(build)) {
    const message = `Build ${build.number} (${build.transition}) failed${because(build)}, and it is left so. ${again}`;
    return say(found, status, { ready: { status: 'False', reason: 'BuildFailed', message }, drifted: drift });
  }
  const message = `spec.running ${wished} was carried out with build ${status.power?.build ?? 0}; since then the workspace was ${build.transition === 'start' ? 'started' : 'stopped'} in Coder, and is left so. ${again}`;
  const saying = {
    ready: { status: 'True' as const, reason: 'YieldedToCoder' as const, message },
    drifted: drift,
  };
  return say(found, status, saying, untilWoken);
}

/** By the build's reason, what Coder's own automation does to a workspace. */
const AUTOMATIC: Readonly<Record<string, DriftReason>> = {
  autostart: 'StartedByAutostart',
  autostop: 'StoppedByAutostop',
  dormancy: 'StoppedByDormancy',
};

function driftOf({ record, coder }: Found, wished: boolean): Cause<DriftReason> {
  const { build } = record;
  const initiator = initiatorOf(build, record, coder);
  const who = {
    Operator: 'the operator',
    Owner: 'its owner',
    OtherUser: 'another user',
    Coder: 'Coder itself',
  }[initiator];
  if (isOverQuota(build)) {
    const message = `Build ${build.number} by ${who} failed since the owner's quota is used up`;
    return { reason: 'QuotaExceeded', message };
  }
  if (hasFailed(build)) {
    const message = `Build ${build.number} (${build.transition}) by ${who} failed`;
    return { reason: 'BuildFailedInCoder', message };
  }
  const started = build.transition === 'start';
  const message = `Build ${build.number} by ${who} ${started ? 'started' : 'stopped'} the workspace, and spec.running is ${wished}`;
  const automatic = AUTOMATIC[build.reason];
  if (automatic !== undefined) return { reason: automatic, message };
  if (wished && record.dormantAt !== undefined) {
    return {
      reason: 'Dormant',
      message: `The workspace is dormant since ${record.dormantAt}, and spec.running is ${wished}`,
    };
  }
  if (initiator === 'Coder') return { reason: started ? 'StartedByCoder' : 'StoppedByCoder', message };
  return { reason: started ? 'StartedByUser' : 'StoppedByUser', message };
}
