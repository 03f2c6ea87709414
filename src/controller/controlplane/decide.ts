import { annotations, finalizers } from '../../api/kinds.ts';
import { pollIntervalOf } from '../../api/effective.ts';
import type { Cause } from '../../api/conditions.ts';
import type { ReconcilingReason, StalledReason } from '../../api/reasons.ts';
import { failureOf } from '../failure.ts';
import { newRequest, notSynced, reconciling, report, stalled, synced } from '../report.ts';
import { after, untilWoken, type Rest } from '../step.ts';
import type { ControlPlaneDraft, ControlPlaneInput, ControlPlaneStep } from './input.ts';

/** A Secret that is missing or wrong is read again after this time, since Secrets are not watched. */
const SECRET_AGAIN_MS = 5_000;
/** A refused token may be replaced at any moment; a Coder that does not answer is given more time. */
const TOKEN_AGAIN_MS = 5_000;
const CODER_AGAIN_MS = 10_000;

/** Every rule about a control plane, read from top to bottom: the first that applies decides. Pure. */
export function decideControlPlane(input: ControlPlaneInput): ControlPlaneStep {
  const { object, facts } = input;
  const { metadata } = object;
  const status: ControlPlaneDraft = object.status ?? {};
  const isHeld = metadata.finalizers?.includes(finalizers.controlPlane) === true;
  const isDeleting = metadata.deletionTimestamp !== undefined;

  if (facts.olderOne !== undefined) {
    if (isHeld) return { do: 'finalizer', present: false };
    return refusing(
      input,
      status,
      {
        reason: 'AnotherControlPlane',
        message: `The namespace has the older control plane ${facts.olderOne}, and holds one only: delete one of them, or put this one in a namespace of its own`,
      },
      untilWoken,
    );
  }
  // The connection stays while anything in the namespace has still to be deleted through it.
  const mustHold = facts.held.count > 0;
  if (isHeld && !mustHold) return { do: 'finalizer', present: false };
  if (!isHeld && mustHold && !isDeleting) return { do: 'finalizer', present: true };
  if (isDeleting && !isHeld) return { do: 'nothing' };

  if (facts.secret === undefined) return { do: 'read', fact: 'secret' };
  const { secret } = facts;
  if (secret.state === 'forbidden') {
    return refusing(input, status, sentence(secret.cause), after(SECRET_AGAIN_MS));
  }
  if (secret.state === 'wrong') return failing(input, status, sentence(secret.cause), SECRET_AGAIN_MS);

  if (facts.handshake === undefined) return { do: 'read', fact: 'handshake' };
  const { handshake } = facts;
  const url = secret.credentials.url;
  if (handshake.state === 'unusable') {
    return failing(
      input,
      status,
      {
        reason: 'InvalidCredentials',
        message: `The Secret ${object.spec.credentialsSecretRef.name} cannot be used: ${handshake.message}`,
      },
      SECRET_AGAIN_MS,
    );
  }
  if (handshake.state === 'failed') {
    const { cause } = failureOf(handshake.error);
    const again = handshake.error.kind === 'Unauthorized' ? TOKEN_AGAIN_MS : CODER_AGAIN_MS;
    const where = { ...cause, message: `Coder at ${url}: ${cause.message}` };
    return failing(input, { ...status, url }, where, again);
  }
  if (handshake.state === 'otherDeployment') {
    return refusing(
      input,
      status,
      {
        reason: 'DeploymentMismatch',
        message: `${url} is the Coder deployment ${handshake.deploymentID}, and not ${status.deploymentID ?? ''} as before. The token was not sent and nothing is done. If that is meant, set the annotation ${annotations.acceptDeployment}: ${handshake.deploymentID}`,
      },
      after(CODER_AGAIN_MS),
    );
  }
  const connected: ControlPlaneDraft = {
    ...status,
    url,
    version: handshake.version,
    deploymentID: handshake.deploymentID,
    user: handshake.user,
    lastHandledReconcileAt: newRequest(input) ?? status.lastHandledReconcileAt,
  };
  if (isDeleting) {
    const some = facts.held.some.slice(0, 3).join(', ');
    const message = `Waiting for ${facts.held.count} object(s) that still need this connection to be deleted: ${some}${facts.held.count > 3 ? ', …' : ''}`;
    return reconciling(input, connected, { reason: 'InUse', message }, untilWoken, {
      ready: { reason: 'Deleting', message },
    });
  }
  const message = `Connected to Coder ${handshake.version} as ${handshake.user.name}`;
  return report(
    input,
    connected,
    { ready: { status: 'True', reason: 'Connected', message }, synced },
    after(pollIntervalOf(object.spec)),
    status.deploymentID === undefined ? { type: 'Normal', reason: 'Connected', message } : undefined,
  );
}

/** Stalled, without any exchange with Coder to speak of. */
function refusing(
  input: ControlPlaneInput,
  status: ControlPlaneDraft,
  cause: Cause<StalledReason>,
  rest: Rest,
): ControlPlaneStep {
  return stalled(input, status, cause, rest, { synced: notSynced(cause) });
}

function failing(
  input: ControlPlaneInput,
  status: ControlPlaneDraft,
  cause: Cause<ReconcilingReason>,
  againMs: number,
): ControlPlaneStep {
  return reconciling(input, status, cause, after(againMs), { synced: notSynced(cause) });
}

/** Causes are written to follow a colon; a condition's message begins a sentence. */
function sentence<C extends Cause>(cause: C): C {
  return { ...cause, message: cause.message.charAt(0).toUpperCase() + cause.message.slice(1) };
}
