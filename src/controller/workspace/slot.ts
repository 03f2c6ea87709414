import { after } from '../step.ts';
import type { Found, WorkspaceDraft, WorkspaceStep } from './input.ts';
import { sayWaiting } from './say.ts';

/** Whoever waits is woken when a place becomes free; this is for the case that nobody is left to wake it. */
export const SLOT_AGAIN_MS = 30_000;

export const SLOT_MESSAGE =
  'As many builds as spec.maxConcurrentBuilds of the control plane allows are under way: waiting for one of them to end';

/** Makes sure that one more build may be under way; undefined when it may. */
export function waitForSlot(found: Found, status: WorkspaceDraft): WorkspaceStep | undefined {
  // Nothing is sent while it is suspended, so no place is taken either.
  if (found.input.suspended !== undefined) return undefined;
  switch (found.input.facts.buildSlot) {
    case undefined:
      return { do: 'read', fact: 'buildSlot' };
    case 'granted':
      return undefined;
    case 'none':
      return sayWaiting(
        found,
        status,
        { reason: 'WaitingForBuildSlot', message: SLOT_MESSAGE },
        after(SLOT_AGAIN_MS),
      );
  }
}
