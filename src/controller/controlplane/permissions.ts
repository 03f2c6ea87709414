import type { CoderControlPlaneSpec } from '../../api/generated.ts';
import { annotations, type CoderControlPlane } from '../../api/kinds.ts';
import type { Permissions } from '../connections.ts';
import type { ConnectedFact } from '../facts.ts';
import type { ConnectedHandshake } from './input.ts';

/** What a control plane's spec allows the objects of its namespace. */
export function permissionsOf(spec: CoderControlPlaneSpec): Permissions {
  return {
    scope: { organizations: spec.scope?.organizations ?? [], owners: spec.scope?.owners ?? [] },
    adoptedDeletion: spec.adoptedDeletion === 'Allow',
    suspended: spec.suspend === true,
  };
}

/** The deployment that a person has accepted in the place of another one. */
export function acceptedDeployment({ metadata }: CoderControlPlane): string | undefined {
  return metadata.annotations?.[annotations.acceptDeployment];
}

/** What the objects of the namespace may know of the connection. */
export function connectedFact(object: CoderControlPlane, handshake: ConnectedHandshake): ConnectedFact {
  const { deploymentID, user, url } = handshake;
  return {
    deploymentID,
    userID: user.id,
    url,
    isAccepted: acceptedDeployment(object) === deploymentID,
    ...permissionsOf(object.spec),
  };
}
