import { annotations } from '../api/kinds.ts';
import { InvalidNameError, sameName } from '../api/names.ts';
import type { ConnectedFact, ConnectionFact, Scope } from './facts.ts';
import {
  notSynced,
  stalled,
  withoutConnection,
  type CommonInput,
  type CommonStatus,
  type ReportStep,
} from './report.ts';
import type { Settings } from './settings.ts';
import { untilWoken } from './step.ts';

/** What the first rules need, which are the same for everything that lives in Coder. */
export interface BeginningInput<Status extends CommonStatus> extends CommonInput<Status> {
  readonly facts: { readonly connection: ConnectionFact };
  readonly settings: Settings;
}

/** How the first rules end: they have decided already, or name and connection are known. */
export type Beginning<Name, Status> =
  | { readonly then: 'done'; readonly step: ReportStep<Status> }
  | { readonly then: 'delete'; readonly name: Name }
  | { readonly then: 'go on'; readonly name: Name; readonly coder: ConnectedFact }
  /** A person has accepted another Coder: nothing that is known of the thing counts there. */
  | { readonly then: 'rebind'; readonly name: Name; readonly coder: ConnectedFact };

type BoundStatus = CommonStatus & { readonly deploymentID?: string | undefined };

/** The parts of a name that a control plane's scope speaks of. */
export interface ScopedName {
  readonly organization: string;
  readonly owner?: string;
}

/**
 * The first rules: a name that Coder can have, no deletion, a connection that works and allows it, and to the right
 * Coder. An object that was bound to another Coder than the one that a person has accepted goes on without its binding.
 */
export function begin<Name extends ScopedName, Status extends BoundStatus>(
  input: BeginningInput<Status>,
  status: Status,
  parseName: (name: string) => Name,
  hasPendingWork: boolean,
): Beginning<Name, Status> {
  const { object, facts } = input;
  let name: Name;
  try {
    name = parseName(object.metadata.name);
  } catch (error) {
    if (!(error instanceof InvalidNameError)) throw error;
    const cause = { reason: 'InvalidName' as const, message: error.message };
    return { then: 'done', step: stalled(input, status, cause, untilWoken, { synced: notSynced(cause) }) };
  }
  if (object.metadata.deletionTimestamp !== undefined) return { then: 'delete', name };
  if (facts.connection.state !== 'ready') {
    return { then: 'done', step: withoutConnection(input, status, facts.connection, hasPendingWork) };
  }
  const coder = facts.connection;
  const outside = outsideOf(coder.scope, name);
  if (outside !== undefined) {
    const cause = { reason: 'OutOfScope' as const, message: outside };
    return { then: 'done', step: stalled(input, status, cause) };
  }
  if (status.deploymentID !== undefined && status.deploymentID !== coder.deploymentID) {
    if (coder.isAccepted) return { then: 'rebind', name, coder };
    return {
      then: 'done',
      step: stalled(input, status, {
        reason: 'DeploymentMismatch',
        message: `This object belongs to the Coder deployment ${status.deploymentID}, but the control plane reaches ${coder.deploymentID}. Point the control plane back at the first one or, if the other is meant, annotate the control plane with ${annotations.acceptDeployment}: ${coder.deploymentID}`,
      }),
    };
  }
  return { then: 'go on', name, coder };
}

/** Why a thing of this name is not to be managed through the control plane, if that is so. */
export function outsideOf(scope: Scope, { organization, owner }: ScopedName): string | undefined {
  const isIn = (list: readonly string[], name: string): boolean =>
    list.length === 0 || list.some((entry) => sameName(entry, name));
  const again = 'of the control plane, so nothing is done with it: add it there, or delete this object';
  if (!isIn(scope.organizations, organization)) {
    return `The organization ${organization} is not in spec.scope.organizations ${again}`;
  }
  if (owner !== undefined && !isIn(scope.owners, owner)) {
    return `The user ${owner} is not in spec.scope.owners ${again}`;
  }
  return undefined;
}
