import { ownedStatus } from '../../api/mirrors.ts';
import { parseWorkspaceName, sameName } from '../../api/names.ts';
import { begin } from '../beginning.ts';
import { reconciling, suspensionOf, unboundStatus } from '../report.ts';
import { settleMs } from '../settings.ts';
import { after } from '../step.ts';
import { withApplied } from '../wishes.ts';
import { decideUnbound } from './creation.ts';
import { decideDeletion } from './deletion.ts';
import { decideFound } from './found.ts';
import { decideGone } from './gone.ts';
import type {
  Bound,
  PendingOperation,
  SettingField,
  WorkspaceDraft,
  WorkspaceInput,
  WorkspaceStep,
} from './input.ts';
import { settingOf, valueOf } from './setters.ts';
import { hasPendingWork } from './status.ts';

/**
 * Every rule about a workspace, read from top to bottom: the first that applies decides. Pure: what it needs to know of
 * the world and does not, it asks for with a `read` step and is called again. README.md in this folder has all rules
 * in one table.
 */
export function decideWorkspace(given: WorkspaceInput): WorkspaceStep {
  const { object, facts } = given;
  const input = { ...given, suspended: suspensionOf(object, facts.connection) };
  const status: WorkspaceDraft = ownedStatus(object) ?? {};
  const beginning = begin(input, status, parseWorkspaceName, hasPendingWork(input));
  if (beginning.then === 'done') return beginning.step;
  if (beginning.then === 'delete') return decideDeletion(input, beginning.name);

  const bound: Bound = { input, name: beginning.name, coder: beginning.coder, status };
  if (beginning.then === 'rebind') return decideUnbound({ ...bound, status: unboundStatus(status) });
  if (status.pendingOperation !== undefined) return settle(bound, status.pendingOperation);
  return status.id === undefined ? decideUnbound(bound) : decideBound(bound);
}

/**
 * An operation was announced and its outcome is not known: look before anything else. What is not seen may still land,
 * so it is given the time that a request can take, and looked for once more.
 */
function settle(bound: Bound, pending: PendingOperation): WorkspaceStep {
  const { input, status } = bound;
  const cleared: WorkspaceDraft = { ...status, pendingOperation: undefined };
  const next: Bound = { ...bound, status: cleared };
  const leftMs = settleMs(input.settings) - input.pendingForMs;
  if (pending.type === 'Create') return settleCreation(next, leftMs);

  const sighting = input.facts.workspace;
  if (sighting?.fresh !== true) return { do: 'read', fact: 'freshWorkspace' };
  if (sighting.seen !== 'found') return decideBound(next);
  const field = settingOf(pending);
  if (field === undefined) {
    const moved = sighting.value.build.number > (pending.afterBuildNumber ?? 0);
    return moved || leftMs <= 0 ? decideBound(next) : waitForOutcome(bound, pending, leftMs);
  }
  const value = pending.value ?? '';
  const has = String(sighting.value[field]);
  // Coder said yes: what it has now is what it makes of the wish.
  if (has === value || input.isAnswered === true) {
    const settled: Bound = {
      ...next,
      status: withApplied(cleared, field, valueOf(field, value), has === value),
    };
    const step = decideBound(settled);
    return step.do === 'write' && input.isAnswered === true ? writtenDown(settled, field) : step;
  }
  return leftMs <= 0 ? decideBound(next) : waitForOutcome(bound, pending, leftMs);
}

/** A pass sends one thing. What this one came to is known now only, so it is written down before the next is sent. */
function writtenDown({ input, status }: Bound, field: SettingField): WorkspaceStep {
  const message = `Coder has taken spec.${field}; there is more to do`;
  return reconciling(input, status, { reason: 'Progressing', message }, after(1));
}

/** Coder's unique names make a second workspace impossible; what is to be told is ours from a stranger's. */
function settleCreation(next: Bound, leftMs: number): WorkspaceStep {
  const { input, name, coder } = next;
  const pending = input.object.status?.pendingOperation;
  const sighting = input.facts.workspaceByName;
  if (sighting === undefined) return { do: 'read', fact: 'workspaceByName' };
  if (sighting.seen !== 'found') {
    return leftMs > 0 && pending !== undefined ? waitForOutcome(next, pending, leftMs) : decideUnbound(next);
  }
  const record = sighting.value;
  // A user's workspace names are unique across organizations: this one stands in our way and is not ours.
  if (!sameName(record.organizationName, name.organization)) return decideUnbound(next);
  const first = record.build.number === 1 ? record.build.initiatorID : input.facts.firstInitiator;
  if (first === undefined) return { do: 'read', fact: 'firstInitiator' };
  const origin = first === coder.userID ? 'Created' : 'Adopted';
  return decideFound({ ...next, status: { ...next.status, id: record.id, origin } }, record, true);
}

function waitForOutcome({ input }: Bound, pending: PendingOperation, leftMs: number): WorkspaceStep {
  const message = `It is not known whether Coder took the last request (${pending.type}); looking again before repeating it`;
  // The announcement stands.
  const status = input.object.status ?? {};
  return reconciling(input, status, { reason: 'OutcomeUnknown', message }, after(Math.min(leftMs, 2_000)));
}

/** The UUID is known, and it alone says which workspace is meant. */
function decideBound(bound: Bound): WorkspaceStep {
  const sighting = bound.input.facts.workspace;
  if (sighting === undefined) return { do: 'read', fact: 'workspace' };
  if (sighting.seen === 'found') return decideFound(bound, sighting.value, sighting.fresh);
  return decideGone(bound, sighting.seen);
}
