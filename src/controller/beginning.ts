import { InvalidNameError } from '../api/names.ts';
import type { ConnectedFact, ConnectionFact } from './facts.ts';
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
  | { readonly then: 'go on'; readonly name: Name; readonly coder: ConnectedFact };

/** The first rules: a name that Coder can have, no deletion, a connection that works, and to the right Coder. */
export function begin<Name, Status extends CommonStatus & { readonly deploymentID?: string | undefined }>(
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
  if (status.deploymentID !== undefined && status.deploymentID !== coder.deploymentID) {
    return {
      then: 'done',
      step: stalled(input, status, {
        reason: 'DeploymentMismatch',
        message: `This object belongs to the Coder deployment ${status.deploymentID}, but the control plane reaches ${coder.deploymentID}. Point the control plane back at the first one, or delete this object and apply it again`,
      }),
    };
  }
  return { then: 'go on', name, coder };
}
