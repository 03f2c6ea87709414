import { CoderError } from '../coder/errors.ts';

/** The connection ended between the decision and the call. Nothing was sent. */
export class NotConnectedError extends CoderError {
  constructor(namespace: string) {
    super('Unreachable', `The control plane of the namespace ${namespace} has just been disconnected`);
  }
}

/** The control plane was suspended between the decision and the call. Nothing was sent. */
export class SuspendedError extends CoderError {
  constructor(namespace: string) {
    super('Aborted', `The control plane of the namespace ${namespace} has just been suspended`);
  }
}
