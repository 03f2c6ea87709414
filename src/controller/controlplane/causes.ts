import type { Cause, Verdict } from '../../api/conditions.ts';
import { annotations } from '../../api/kinds.ts';
import type { ReconcilingReason, StalledReason } from '../../api/reasons.ts';
import { failureOf } from '../failure.ts';
import { notSynced, reconciling, stalled, synced } from '../report.ts';
import { after, type Rest } from '../step.ts';
import type { ControlPlaneDraft, ControlPlaneInput, ControlPlaneStep, RefusedHandshake } from './input.ts';

type OtherDeployment = Extract<RefusedHandshake, { state: 'otherDeployment' }>;

/** Stalled, without any exchange with Coder to speak of. */
export function refusing(
  input: ControlPlaneInput,
  status: ControlPlaneDraft,
  cause: Cause<StalledReason>,
  rest: Rest,
): ControlPlaneStep {
  return stalled(input, status, cause, rest, { synced: notSynced(cause) });
}

/** It does not work now, and is tried again; `connection` is synced when another connection still does. */
export function failing(
  input: ControlPlaneInput,
  status: ControlPlaneDraft,
  cause: Cause<ReconcilingReason>,
  againMs: number,
  connection: Verdict['synced'] = notSynced(cause),
): ControlPlaneStep {
  return reconciling(input, status, cause, after(againMs), { synced: connection });
}

/** Why a Secret's credentials gave no connection. */
export function causeOf(
  { object }: ControlPlaneInput,
  refused: Exclude<RefusedHandshake, OtherDeployment>,
  url: string,
): Cause<ReconcilingReason> {
  if (refused.state === 'failed') {
    const { reason, message } = failureOf(refused.error).cause;
    return { reason, message: `Coder at ${url}: ${message}` };
  }
  return {
    reason: 'InvalidCredentials',
    message: `The Secret ${object.spec.credentialsSecretRef.name} cannot be used: ${refused.message}`,
  };
}

/** Another Coder answers, and which one a person would have to accept. */
export function mismatchOf(
  { object }: ControlPlaneInput,
  other: OtherDeployment,
): Cause<'DeploymentMismatch'> {
  return {
    reason: 'DeploymentMismatch',
    message: `${other.url} is the Coder deployment ${other.deploymentID}, and not ${object.status?.deploymentID ?? ''} as before. The token was not sent and nothing is done. If that is meant, set the annotation ${annotations.acceptDeployment}: ${other.deploymentID}`,
  };
}

/** New credentials do not work while those of before do: no object of the namespace notices anything. */
export function stayingWithFormer(
  input: ControlPlaneInput,
  status: ControlPlaneDraft,
  refused: RefusedHandshake,
  url: string,
  againMs: number,
): ControlPlaneStep {
  const cause =
    refused.state === 'otherDeployment'
      ? { reason: 'InvalidCredentials' as const, message: mismatchOf(input, refused).message }
      : causeOf(input, refused, url);
  const { name } = input.object.spec.credentialsSecretRef;
  const message = `${cause.message}. The former token is still in use, until what is in the Secret ${name} works`;
  return failing(input, status, { reason: cause.reason, message }, againMs, synced);
}

/** Causes are written to follow a colon; a condition's message begins a sentence. */
export function sentence<C extends Cause>(cause: C): C {
  return { ...cause, message: cause.message.charAt(0).toUpperCase() + cause.message.slice(1) };
}
