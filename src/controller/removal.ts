import { deletionOf } from '../api/effective.ts';
import { annotations, type Origin } from '../api/kinds.ts';
import { outsideOf, type BeginningInput, type ScopedName } from './beginning.ts';
import { usableForDeletion, type ConnectedFact } from './facts.ts';
import { reconciling, stalled, type CommonStatus, type ReportStep } from './report.ts';
import { untilWoken, withBackoff, type Step } from './step.ts';

/** What a person can do with an object whose thing cannot be deleted now. */
export const WAYS_OUT = `or let go of it with spec.deletionPolicy Retain (or, without Coder, with the annotation ${annotations.forceRelease}: <metadata.uid of this object>)`;

/** The part of a status that decides what may be deleted. */
export interface RemovableStatus extends CommonStatus {
  readonly id?: string | undefined;
  readonly origin?: Origin | undefined;
  readonly deploymentID?: string | undefined;
}

/** The part of a decision's input that does. */
export interface RemovalInput<Status extends RemovableStatus> extends BeginningInput<Status> {
  readonly facts: BeginningInput<Status>['facts'] & {
    readonly crdTerminating?: boolean;
    /** Says which older object is bound to this UUID, if there is one. */
    readonly claimedBy: (id: string) => string | undefined;
  };
  readonly object: BeginningInput<Status>['object'] & {
    readonly spec: { readonly deletionPolicy?: 'Delete' | 'Retain' | undefined };
  };
}

export interface Removal {
  readonly thing: 'workspace' | 'template';
  readonly name: ScopedName;
  /** What it is called in Coder, for messages. */
  readonly label: string;
  readonly finalizer: string;
  /** A create was announced and may have landed: whatever it made must be found first. */
  readonly isCreating: boolean;
}

/** How the rules before any removal end: they have decided already, or there is a Coder to delete in. */
export type BeforeRemoval<Status> =
  | {
      readonly then: 'done';
      readonly step: Extract<
        Step<'crdTerminating', never, Status>,
        { do: 'nothing' | 'read' | 'finalizer' | 'report' }
      >;
    }
  | { readonly then: 'remove'; readonly coder: ConnectedFact };

/** Whether something in Coder is to be deleted at all because its object is, and whether it can be now. */
export function beforeRemoval<Status extends RemovableStatus>(
  input: RemovalInput<Status>,
  status: Status,
  removal: Removal,
): BeforeRemoval<Status> {
  const { object, facts } = input;
  const { thing, label } = removal;
  const done = (step: Extract<BeforeRemoval<Status>, { then: 'done' }>['step']): BeforeRemoval<Status> => ({
    then: 'done',
    step,
  });
  if (object.metadata.finalizers?.includes(removal.finalizer) !== true) return done({ do: 'nothing' });
  if (!removal.isCreating && status.id === undefined) {
    return done(release('Nothing in Coder is bound to this object', 'Released'));
  }
  if (object.metadata.annotations?.[annotations.forceRelease] === object.metadata.uid) {
    const message = `Let go of the ${thing} ${label} by the annotation ${annotations.forceRelease}, without asking Coder: it may still be there`;
    return done({
      do: 'finalizer',
      present: false,
      event: { type: 'Warning', reason: 'ForceReleased', message },
    });
  }
  const coder = usableForDeletion(facts.connection);
  // What is being created will be of our making: only the wish to keep it counts then.
  const origin = removal.isCreating ? 'Created' : status.origin;
  const adoptedDeletion = coder?.adoptedDeletion ?? false;
  // Without a connection it is not known what the control plane allows: what was adopted waits if it asks for deletion.
  const isUndecided = coder === undefined && origin !== 'Created' && object.spec.deletionPolicy === 'Delete';
  if (!isUndecided && deletionOf(object.spec.deletionPolicy, origin, adoptedDeletion).policy === 'Retain') {
    return done(release(`Kept the ${thing} ${label} in Coder`, 'Retained'));
  }
  if (coder !== undefined && outsideOf(coder.scope, removal.name) !== undefined) {
    return done(
      release(`Kept the ${thing} ${label} in Coder: it is out of the control plane's scope`, 'Retained'),
    );
  }
  const older = status.id === undefined ? undefined : facts.claimedBy(status.id);
  if (older !== undefined) {
    return done(
      release(`Kept the ${thing} ${label} in Coder: an older object (${older}) drives it`, 'Retained'),
    );
  }
  // Removing the CRD deletes every object of it; that must not take what is in Coder along.
  if (facts.crdTerminating === undefined) return done({ do: 'read', fact: 'crdTerminating' });
  if (facts.crdTerminating) {
    return done(release(`Kept the ${thing} ${label} in Coder: the CRD itself is being removed`, 'Retained'));
  }
  if (facts.connection.state === 'connecting') return done({ do: 'report', status, rest: untilWoken });
  if (coder === undefined) return done(unreachable(input, status, thing));
  if (status.deploymentID !== undefined && status.deploymentID !== coder.deploymentID) {
    if (coder.isAccepted) {
      return done(
        release(`The ${thing} ${label} is in another Coder deployment than the accepted one`, 'Released'),
      );
    }
    return done(
      stalled(input, status, {
        reason: 'DeploymentMismatch',
        message: `The ${thing} belongs to the Coder deployment ${status.deploymentID}, but the control plane reaches ${coder.deploymentID}. Point it back, ${WAYS_OUT}`,
      }),
    );
  }
  return { then: 'remove', coder };
}

function unreachable<Status extends RemovableStatus>(
  input: RemovalInput<Status>,
  status: Status,
  thing: string,
): ReportStep<Status> {
  const { connection } = input.facts;
  const why =
    connection.state === 'unavailable'
      ? `the control plane ${connection.controlPlane} is not ready: ${connection.cause.message}`
      : 'there is no CoderControlPlane in the namespace';
  const message = `The ${thing} cannot be deleted in Coder: ${why}. Mend that, ${WAYS_OUT}`;
  return reconciling(input, status, { reason: 'ControlPlaneNotReady', message }, withBackoff, {
    ready: { reason: 'Deleting', message },
    synced: { status: 'False', reason: 'ControlPlaneNotReady', message },
  });
}

/** Takes the finalizer off: the object may go. */
export function release(
  message: string,
  reason: string,
): Extract<Step<never, never, never>, { do: 'finalizer' }> {
  return { do: 'finalizer', present: false, event: { type: 'Normal', reason, message } };
}
