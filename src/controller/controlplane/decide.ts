import { findCondition } from '../../api/conditions.ts';
import { pollIntervalOf } from '../../api/effective.ts';
import { finalizers } from '../../api/kinds.ts';
import { newRequest, reconciling, report, synced } from '../report.ts';
import { after, untilWoken, type StepEvent } from '../step.ts';
import { causeOf, failing, mismatchOf, refusing, sentence, stayingWithFormer } from './causes.ts';
import type { Counts } from './counts.ts';
import type { ConnectedHandshake, ControlPlaneDraft, ControlPlaneInput, ControlPlaneStep } from './input.ts';
import { isEnding, writtenExpiry } from './token.ts';

/** Secrets are not watched: one that is missing, wrong or does not work yet is read again after this time. */
const SECRET_AGAIN_MS = 5_000;
/** A refused token may be replaced at any moment; a Coder that does not answer is given more time. */
const TOKEN_AGAIN_MS = 5_000;
const CODER_AGAIN_MS = 10_000;

/** Every rule about a control plane, read from top to bottom: the first that applies decides. Pure. */
export function decideControlPlane(given: ControlPlaneInput): ControlPlaneStep {
  const { object, facts } = given;
  const { metadata, spec } = object;
  const isHeld = metadata.finalizers?.includes(finalizers.controlPlane) === true;
  const isDeleting = metadata.deletionTimestamp !== undefined;

  if (facts.olderOne !== undefined) {
    if (isHeld) return { do: 'finalizer', present: false };
    return refusing(
      given,
      object.status ?? {},
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
  const input = suspendedInput(given);
  const status = heard(input);
  if (secret.state === 'forbidden') {
    return refusing(input, status, sentence(secret.cause), after(SECRET_AGAIN_MS));
  }
  if (secret.state === 'wrong') return failing(input, status, sentence(secret.cause), SECRET_AGAIN_MS);

  if (facts.handshake === undefined) return { do: 'read', fact: 'handshake' };
  const { handshake } = facts;
  const { url } = secret.credentials;
  switch (handshake.state) {
    case 'unusable':
      return failing(input, status, causeOf(input, handshake, url), SECRET_AGAIN_MS);
    case 'failed': {
      const again = handshake.error.kind === 'Unauthorized' ? TOKEN_AGAIN_MS : CODER_AGAIN_MS;
      return failing(input, { ...status, url }, causeOf(input, handshake, url), again);
    }
    case 'otherDeployment':
      return refusing(input, status, mismatchOf(input, handshake), after(CODER_AGAIN_MS));
    case 'former': {
      const former = connectedStatus(input, status, handshake.former);
      return stayingWithFormer(input, former, handshake.refused, url, SECRET_AGAIN_MS);
    }
    case 'connected':
      break;
  }
  const connected = connectedStatus(input, status, handshake);
  if (isDeleting) {
    const some = facts.held.some.slice(0, 3).join(', ');
    const message = `Waiting for ${facts.held.count} object(s) that still need this connection to be deleted: ${some}${facts.held.count > 3 ? ', …' : ''}`;
    return reconciling(input, connected, { reason: 'InUse', message }, untilWoken, {
      ready: { reason: 'Deleting', message },
    });
  }
  const greeting = `Connected to Coder ${handshake.version} as ${handshake.user.name}`;
  const ending = tokenEnding(input, connected, handshake);
  const message = [greeting, input.suspended?.message, ending, ...facts.remarks]
    .filter((part) => part !== undefined)
    .join('. ');
  return report(
    input,
    connected,
    { ready: { status: 'True', reason: 'Connected', message }, synced },
    after(pollIntervalOf(spec)),
    connectedEvent(input, greeting, ending),
  );
}

/** A suspended control plane goes on reading, and every status of it says that nothing in Coder is changed. */
function suspendedInput(input: ControlPlaneInput): ControlPlaneInput {
  if (input.object.spec.suspend !== true) return input;
  const message = 'Nothing in Coder is changed while spec.suspend is true';
  return { ...input, suspended: { reason: 'SuspendedBySpec', message } };
}

/**
 * A person's request is heard whatever comes of the look that it asks for, and releases the deletions that are held: all
 * that were asked for until now, by the API server's clock. A control plane that is seen for the first time, or that
 * has lost its status, releases none: nobody has seen yet what is held.
 */
function heard(input: ControlPlaneInput): ControlPlaneDraft {
  const status = input.object.status ?? {};
  const requested = newRequest(input);
  if (requested === undefined) return status;
  const handled = { ...status, lastHandledReconcileAt: requested };
  if (status.deploymentID === undefined) return handled;
  return { ...handled, deletionsReleasedAt: input.facts.lastDeletion ?? status.deletionsReleasedAt };
}

/** What is known of the Coder that the objects of the namespace are connected to. */
function connectedStatus(
  { facts }: ControlPlaneInput,
  status: ControlPlaneDraft,
  handshake: ConnectedHandshake,
): ControlPlaneDraft {
  const { url, version, deploymentID, user, token } = handshake;
  return {
    ...status,
    url,
    version,
    deploymentID,
    user,
    tokenExpiresAt: writtenExpiry(status.tokenExpiresAt, token),
    counts: facts.counts === undefined ? status.counts : { ...mirroredIn(status), ...facts.counts },
  };
}

/** What was counted before, as long as it is not known anew: a restart must not make the counts flap. */
function mirroredIn({ counts }: ControlPlaneDraft): Pick<Counts, 'mirrored' | 'unmirrored'> {
  return { mirrored: counts?.mirrored, unmirrored: counts?.unmirrored };
}

/** That the token is about to end, and what to do; undefined while it is not. */
function tokenEnding(
  { object, now }: ControlPlaneInput,
  { tokenExpiresAt }: ControlPlaneDraft,
  { token }: ConnectedHandshake,
): string | undefined {
  if (tokenExpiresAt === undefined || !isEnding(token, now)) return undefined;
  return `The token expires on ${tokenExpiresAt.slice(0, 10)}: replace it in the Secret ${object.spec.credentialsSecretRef.name}`;
}

/** Said once: what the object says already is no event any more. */
function connectedEvent(
  { object }: ControlPlaneInput,
  greeting: string,
  ending: string | undefined,
): StepEvent | undefined {
  const said = findCondition(object.status?.conditions, 'Ready')?.message ?? '';
  if (ending !== undefined && !said.includes(ending)) {
    return { type: 'Warning', reason: 'TokenExpiring', message: ending };
  }
  if (object.status?.deploymentID !== undefined) return undefined;
  return { type: 'Normal', reason: 'Connected', message: greeting };
}
