import type { Cause } from '../api/conditions.ts';

/** What of Coder may be managed; empty lists mean all. */
export interface Scope {
  readonly organizations: readonly string[];
  readonly owners: readonly string[];
}

/** A Coder server that an object may talk to, and what the control plane lets it do there. */
export interface ConnectedFact {
  readonly deploymentID: string;
  /** UUID of the operator's own Coder user: what it initiated is told by this, never by a name. */
  readonly userID: string;
  /** Where Coder's pages are, without a slash at the end. */
  readonly url: string;
  /** A person has accepted this deployment by annotation: what is bound to another one may be bound anew. */
  readonly isAccepted: boolean;
  readonly scope: Scope;
  /** Whether `deletionPolicy: Delete` counts for what the operator did not create. */
  readonly adoptedDeletion: boolean;
  /** Nothing in Coder may be changed through this control plane now. */
  readonly suspended: boolean;
}

/** What is known about the control plane of an object's namespace. */
export type ConnectionFact =
  | ({ readonly state: 'ready' } & ConnectedFact)
  | { readonly state: 'none' }
  /** A control plane is there and was not talked to yet: nothing can be said, so nothing is written. */
  | { readonly state: 'connecting' }
  | {
      readonly state: 'unavailable';
      readonly controlPlane: string;
      readonly cause: Cause;
      /** How long it has been so. */
      readonly sinceMs: number;
      /** The connection as it last was. A token once read may finish deletions after its Secret is gone. */
      readonly last?: ConnectedFact;
    };

/** Whether a thing is there. `gone` is proof that it was deleted; `unseen` may also mean that we may not see it. */
export type Sighting<T> =
  { readonly seen: 'found'; readonly value: T } | { readonly seen: 'gone' } | { readonly seen: 'unseen' };

/** The same, from a read made in this very pass (`fresh`) or from the observer's memory. */
export type TimedSighting<T> = Sighting<T> & { readonly fresh: boolean };

/** The connection with which something may be deleted: also one whose Secret is gone already. */
export function usableForDeletion(connection: ConnectionFact): ConnectedFact | undefined {
  if (connection.state === 'ready') return connection;
  return connection.state === 'unavailable' ? connection.last : undefined;
}
