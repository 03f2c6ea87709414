import { deletionOf } from '../../api/effective.ts';
import { finalizers } from '../../api/kinds.ts';
import { parseWorkspaceName, sameName } from '../../api/names.ts';
import { begin } from '../beginning.ts';
import { nextRung } from '../ladder.ts';
import type { WorkspaceRecord } from '../observer/record.ts';
import {
  absent,
  newRequest,
  overruledWarning,
  reconciling,
  requestOf,
  stalled,
  synced,
  withVerdict,
} from '../report.ts';
import { MOST_FAILURES, settleMs } from '../settings.ts';
import { after, withBackoff, type StepEvent } from '../step.ts';
import { decideDeletion } from './deletion.ts';
import { failuresOf } from './failures.ts';
import type { Bound, WorkspaceDraft, WorkspaceInput, WorkspaceStep } from './input.ts';
import { decidePower } from './power.ts';
import { hasPendingWork, observedStatus } from './status.ts';

/**
 * Every rule about a workspace, read from top to bottom: the first that applies decides. Pure: what it needs to know of
 * the world and does not, it asks for with a `read` step and is called again.
 */
export function decideWorkspace(input: WorkspaceInput): WorkspaceStep {
  const status = input.object.status ?? {};
  const beginning = begin(input, status, parseWorkspaceName, hasPendingWork(input));
  if (beginning.then === 'done') return beginning.step;
  if (beginning.then === 'delete') return decideDeletion(input, beginning.name);

  const bound: Bound = { input, name: beginning.name, coder: beginning.coder, status };
  if (status.pendingOperation !== undefined) return settle(bound);
  return status.id === undefined ? decideUnbound(bound) : decideBound(bound);
}

/**
 * An operation was announced and its outcome is not known: look before anything else. What is not seen may still land,
 * so it is given the time that a request can take, and looked for once more.
 */
function settle(bound: Bound): WorkspaceStep {
  const { input, status, coder } = bound;
  const pending = status.pendingOperation;
  if (pending === undefined) return decideWorkspace(input);
  const cleared: WorkspaceDraft = { ...status, pendingOperation: undefined };
  const leftMs = settleMs(input.settings) - input.pendingForMs;
  const wait = (): WorkspaceStep =>
    reconciling(
      input,
      status,
      {
        reason: 'OutcomeUnknown',
        message: `It is not known whether Coder took the last request (${pending.type}); looking again before repeating it`,
      },
      after(Math.min(leftMs, 2_000)),
    );

  if (pending.type === 'Create') {
    const sighting = input.facts.workspaceByName;
    if (sighting === undefined) return { do: 'read', fact: 'workspaceByName' };
    if (sighting.seen !== 'found') {
      return leftMs > 0 ? wait() : decideUnbound({ ...bound, status: cleared });
    }
    // A user's workspace names are unique across organizations: this one stands in our way and is not ours.
    if (!sameName(sighting.value.organizationName, bound.name.organization)) {
      return decideUnbound({ ...bound, status: cleared });
    }
    // Coder's unique names make a second workspace impossible; what is to be told is ours from a stranger's.
    const first =
      sighting.value.build.number === 1 ? sighting.value.build.initiatorID : input.facts.firstInitiator;
    if (first === undefined) return { do: 'read', fact: 'firstInitiator' };
    const origin = first === coder.userID ? 'Created' : 'Adopted';
    return decideFound(
      { ...bound, status: { ...cleared, id: sighting.value.id, origin } },
      sighting.value,
      true,
    );
  }

  const sighting = input.facts.workspace;
  if (sighting?.fresh !== true) return { do: 'read', fact: 'freshWorkspace' };
  if (sighting.seen === 'found') {
    const moved = sighting.value.build.number > (pending.afterBuildNumber ?? 0);
    if (!moved && leftMs > 0) return wait();
  }
  return decideBound({ ...bound, status: cleared });
}

/** Coder's object is not known yet: the name finds it once. */
function decideUnbound(bound: Bound): WorkspaceStep {
  const { input, name, status } = bound;
  const sighting = input.facts.workspaceByName;
  if (sighting === undefined) return { do: 'read', fact: 'workspaceByName' };
  if (sighting.seen !== 'found') return decideCreation(bound);

  const record = sighting.value;
  if (!sameName(record.organizationName, name.organization)) {
    return stalled(
      input,
      status,
      {
        reason: 'ImmutableFieldMismatch',
        message: `${name.owner} has a workspace ${name.workspace} already, in the organization ${record.organizationName} and not in ${name.organization}: a user's workspace names are unique across organizations`,
      },
      withBackoff,
    );
  }
  const isHeld = input.object.metadata.finalizers?.includes(finalizers.workspace) === true;
  if (isHeld && status.conditions === undefined) return decideRestored(bound, record, sighting.fresh);
  return decideFound(
    { ...bound, status: { ...status, id: record.id, origin: 'Adopted' } },
    record,
    sighting.fresh,
  );
}

/**
 * Our finalizer without a status: the status was lost, as in a restore. The wish, and what a person asked by annotation,
 * count as carried out, so that a restored cluster starts or stops nothing by itself. That is recorded before the
 * finalizer goes, since nothing else tells a restored object from a new one.
 */
function decideRestored(before: Bound, record: WorkspaceRecord, fresh: boolean): WorkspaceStep {
  const { object } = before.input;
  const lastHandledReconcileAt = requestOf(object);
  const wished = object.spec.running;
  const bound: Bound = {
    ...before,
    input: { ...before.input, object: { ...object, status: { lastHandledReconcileAt } } },
  };
  const status = observedStatus(
    {
      id: record.id,
      origin: 'Adopted',
      lastHandledReconcileAt,
      power:
        wished === undefined
          ? undefined
          : { running: wished, state: 'Satisfied', build: record.build.number },
    },
    record,
    before.coder,
  );
  const step = refuse(bound, record, status) ?? decidePower({ ...bound, status }, record, fresh);
  return step.do === 'report' ? { ...step, rest: after(1), event: adoption(record) } : step;
}

/** Nothing bears our name: create it, if all that it needs is there. */
function decideCreation(bound: Bound): WorkspaceStep {
  const { input, name, status } = bound;
  const { facts, object } = input;
  const templateName = object.spec.templateName;
  if (templateName === undefined) {
    return stalled(input, status, {
      reason: 'TemplateNameMissing',
      message: `Coder has no workspace ${name.owner}/${name.workspace} yet, and spec.templateName, which is needed to create it, is missing`,
    });
  }
  if (facts.owner === undefined) return { do: 'read', fact: 'owner' };
  if (facts.owner.user === undefined) {
    return waitingFor(bound, `Coder has no user ${name.owner} (or the operator may not see it)`);
  }
  if (facts.template === undefined) return { do: 'read', fact: 'template' };
  const template = facts.template.template;
  if (template === undefined) {
    return waitingFor(
      bound,
      `Coder has no template ${templateName} in the organization ${name.organization} (or the operator may not see it)`,
    );
  }
  if (!facts.owner.user.organizationIDs.includes(template.organizationID)) {
    return stalled(
      input,
      status,
      {
        reason: 'OwnerNotMember',
        message: `${name.owner} is not a member of the organization ${name.organization} and could not use the workspace: add the user to it in Coder`,
      },
      withBackoff,
    );
  }

  const failures = failuresOf(status, 'create', {
    generation: object.metadata.generation ?? 0,
    templateVersionID: template.activeVersionID,
  });
  const requested = newRequest(input);
  const rung = nextRung(
    requested === undefined ? failures : undefined,
    input.settings.retryBaseMs,
    MOST_FAILURES,
    input.now,
  );
  const why = failures?.message ?? '';
  if (rung.climb === 'never') {
    return stalled(input, status, {
      reason: 'BuildRetriesExhausted',
      message: `Coder refused to create the workspace ${MOST_FAILURES + 1} times: ${why}. Change the spec, or set the annotation coder.com/reconcile-requested-at to a new value`,
    });
  }
  if (rung.climb === 'later') {
    return reconciling(
      input,
      status,
      {
        reason: 'RefusedByCoder',
        message: `Coder refused to create the workspace: ${why}. It is tried again`,
      },
      after(rung.afterMs),
    );
  }
  if (object.metadata.finalizers?.includes(finalizers.workspace) !== true) {
    return { do: 'finalizer', present: true };
  }
  const creating = {
    reason: 'Creating' as const,
    message:
      object.spec.running === false
        ? `Creating the workspace from the template ${templateName}; Coder starts every new workspace, so it runs once and is then stopped`
        : `Creating the workspace from the template ${templateName}`,
  };
  return {
    do: 'write',
    operation: { type: 'Create', owner: name.owner, name: name.workspace, templateID: template.id },
    status: withVerdict(
      input,
      {
        ...status,
        lastHandledReconcileAt: requested ?? status.lastHandledReconcileAt,
        failures: requested === undefined ? status.failures : undefined,
      },
      {
        ready: { status: 'False', ...creating },
        synced,
        reconciling: { reason: 'Progressing', message: creating.message },
      },
    ),
    event: { type: 'Normal', ...creating },
  };
}

function waitingFor(bound: Bound, missing: string): WorkspaceStep {
  return reconciling(
    bound.input,
    bound.status,
    { reason: 'WaitingForDependency', message: `${missing}: waiting for it` },
    withBackoff,
  );
}

/** The UUID is known, and it alone says which workspace is meant. */
function decideBound(bound: Bound): WorkspaceStep {
  const { input, status, name } = bound;
  const sighting = input.facts.workspace;
  if (sighting === undefined) return { do: 'read', fact: 'workspace' };
  if (sighting.seen === 'found') return decideFound(bound, sighting.value, sighting.fresh);

  const requested = newRequest(input);
  if (requested !== undefined) {
    // A person's word to create again what is not there any more.
    return decideUnbound({
      ...bound,
      status: { lastHandledReconcileAt: requested, conditions: status.conditions },
    });
  }
  return absent(input, sighting.seen === 'gone' ? { ...status, running: false } : status, {
    seen: sighting.seen,
    thing: 'workspace',
    label: `${name.owner}/${name.workspace}`,
  });
}

/** The workspace is there. */
function decideFound(bound: Bound, record: WorkspaceRecord, fresh: boolean): WorkspaceStep {
  const { input, coder } = bound;
  const { spec, metadata } = input.object;
  const status = observedStatus(bound.status, record, coder);

  const refusal = refuse(bound, record, status);
  if (refusal !== undefined) return refusal;
  const choice = deletionOf(spec.deletionPolicy, status.origin);
  const held = metadata.finalizers?.includes(finalizers.workspace) === true;
  if (held !== (choice.policy === 'Delete')) return { do: 'finalizer', present: !held };

  const adopted = bound.input.object.status?.id === undefined && status.origin === 'Adopted';
  const step = decidePower({ ...bound, status }, record, fresh);
  if (step.do !== 'report' || step.event !== undefined) return step;
  if (adopted) return { ...step, event: adoption(record) };
  const event = overruledWarning(input, choice.overruled, 'workspace');
  return event === undefined ? step : { ...step, event };
}

/** What keeps an object from driving the workspace that it means. */
function refuse(bound: Bound, record: WorkspaceRecord, status: WorkspaceDraft): WorkspaceStep | undefined {
  const { input } = bound;
  const { templateName } = input.object.spec;
  const older = input.facts.claimedBy(record.id);
  if (older !== undefined) {
    return stalled(input, input.object.status ?? {}, {
      reason: 'DuplicateClaim',
      message: `An older object (${older}) is bound to the same workspace in Coder (${record.id}); delete one of them`,
    });
  }
  if (templateName !== undefined && !sameName(templateName, record.templateName)) {
    return stalled(input, status, {
      reason: 'ImmutableFieldMismatch',
      message: `spec.templateName is ${templateName}, but the workspace was made from ${record.templateName}, and Coder cannot change that. Write ${record.templateName}, or delete the workspace first`,
    });
  }
  return undefined;
}

function adoption(record: WorkspaceRecord): StepEvent {
  const message = `Took over the workspace ${record.ownerName}/${record.name}`;
  return { type: 'Normal', reason: 'Adopted', message };
}
