import { newRequest } from '../report.ts';
import type { Found, WorkspaceDraft, WorkspaceStep } from './input.ts';

/**
 * What is newly wished, as the status records it.
 *
 * A person's request by annotation makes every wish new and forgets all failures, refusals and corrections. A changed
 * `spec.running` makes that wish new. Builds up to the newest one now count neither for nor against a new wish.
 *
 * What is remembered may be a minute old, so a new wish is held against a fresh look only: it must not count as
 * reached because of an old one.
 */
export function renewWishes(found: Found): Found | WorkspaceStep {
  const { input, record, fresh, status } = found;
  const wished = input.object.spec.running;
  const requested = newRequest(input);
  const isNew =
    requested !== undefined ||
    (wished !== undefined && (status.power === undefined || status.power.running !== wished));
  if (isNew && !fresh) return { do: 'read', fact: 'freshWorkspace' };
  const power: WorkspaceDraft['power'] =
    wished === undefined
      ? undefined
      : isNew
        ? { running: wished, state: 'Pending', after: record.build.number }
        : status.power;
  if (requested === undefined) return { ...found, status: { ...status, power } };
  return {
    ...found,
    status: {
      ...status,
      power,
      lastHandledReconcileAt: requested,
      failures: undefined,
      refusals: undefined,
      corrections: undefined,
      driftedAt: undefined,
      applied: undefined,
      parameters: undefined,
    },
  };
}
