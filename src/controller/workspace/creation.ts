import { finalizers } from '../../api/kinds.ts';
import { sameName } from '../../api/names.ts';
import { scheduleProblem } from '../../api/schedule.ts';
import type { NameValue } from '../../coder/types.ts';
import { nextRung } from '../ladder.ts';
import type { WorkspaceRecord } from '../observer/record.ts';
import {
  newRequest,
  reconciling,
  requestOf,
  stalled,
  synced,
  unlessSuspended,
  withVerdict,
} from '../report.ts';
import { MOST_FAILURES } from '../settings.ts';
import { after, withBackoff } from '../step.ts';
import { TAKEN_AS_APPLIED } from '../wishes.ts';
import { failuresOf } from './failures.ts';
import { adoption, decideFound, decideWishes, refuse } from './found.ts';
import type { Bound, TemplateSummary, WorkspaceDraft, WorkspaceStep } from './input.ts';
import { parameterProblems } from './parameters.ts';
import { withQuotableText } from './quote.ts';
import { SLOT_AGAIN_MS, SLOT_MESSAGE } from './slot.ts';
import { observedStatus } from './status.ts';
import {
  definitionsOf,
  invalid,
  namesAndValues,
  pinnedVersion,
  restOf,
  stall,
  valuesProblem,
  type Ask,
  type Problem,
} from './update.ts';

/** Coder's object is not known yet: the name finds it once. */
export function decideUnbound(bound: Bound): WorkspaceStep {
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
  const isLost = status.conditions === undefined && input.object.status?.id === undefined;
  if (isHeld && isLost) return decideRestored(bound, record, sighting.fresh);
  return decideFound(
    { ...bound, status: { ...status, id: record.id, origin: 'Adopted' } },
    record,
    sighting.fresh,
  );
}

/**
 * Our finalizer without a status: the status was lost, as in a restore. All wishes, and what a person asked by
 * annotation, count as carried out, so that a restored cluster starts or stops nothing by itself; under Enforce what
 * differs is drift. That is recorded before the finalizer goes, since nothing else tells a restored object from a new
 * one.
 */
function decideRestored(before: Bound, seen: WorkspaceRecord, fresh: boolean): WorkspaceStep {
  const record = withQuotableText(before.input, seen);
  const { object } = before.input;
  const { running, ttlMillis, autostartSchedule, automaticUpdates } = object.spec;
  const lastHandledReconcileAt = requestOf(object);
  const bound: Bound = {
    ...before,
    input: { ...before.input, object: { ...object, status: { lastHandledReconcileAt } } },
  };
  const status = observedStatus(
    {
      id: record.id,
      origin: 'Adopted',
      lastHandledReconcileAt,
      applied: { ttlMillis, autostartSchedule, automaticUpdates, update: TAKEN_AS_APPLIED },
      power: running === undefined ? undefined : { running, state: 'Satisfied', build: record.build.number },
    },
    record,
    before.coder,
  );
  const step =
    refuse(bound, record, status) ??
    decideWishes({ ...bound, status, record, fresh, notes: { drifts: [], event: adoption(record) } });
  return step.do === 'report' ? { ...step, rest: after(1), event: adoption(record) } : step;
}

/** Nothing bears our name: create it, if all that it needs is there. */
function decideCreation(bound: Bound): WorkspaceStep {
  const { input, name, status } = bound;
  const { facts, object } = input;
  const { templateName } = object.spec;
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
  const plan = planOf(bound, template);
  if (plan.then === 'read') return { do: 'read', fact: plan.fact };
  if (plan.then === 'stall') return stalled(input, status, plan.cause, restOf(bound, plan));
  if (plan.then === 'wait') return reconciling(input, status, plan.cause, plan.rest);

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
  const isSuspended = input.suspended !== undefined;
  if (!isSuspended) {
    if (object.metadata.finalizers?.includes(finalizers.workspace) !== true) {
      return { do: 'finalizer', present: true };
    }
    if (facts.buildSlot === undefined) return { do: 'read', fact: 'buildSlot' };
    if (facts.buildSlot === 'none') {
      const cause = { reason: 'WaitingForBuildSlot' as const, message: SLOT_MESSAGE };
      return reconciling(input, status, cause, after(SLOT_AGAIN_MS));
    }
  }
  return create(bound, template, plan);
}

/** What a creation is made of, once everything that it needs is known and checked. */
interface Plan {
  readonly then: 'create';
  readonly templateVersionID: string | undefined;
  readonly presetID: string | undefined;
  readonly parameters: readonly NameValue[] | undefined;
}

function planOf(bound: Bound, template: TemplateSummary): Plan | Problem | Ask {
  const { facts, object } = bound.input;
  const { spec } = object;
  const schedule = spec.autostartSchedule === undefined ? undefined : scheduleProblem(spec.autostartSchedule);
  if (schedule !== undefined) return stall(`spec.autostartSchedule: ${schedule}`);

  const isPinned = spec.templateVersionID !== undefined || spec.templateVersionName !== undefined;
  const version = isPinned ? pinnedVersion(bound, template.id) : template.activeVersionID;
  if (typeof version !== 'string') return version;
  const definitions = definitionsOf(facts.definitions, version);
  if (definitions.then !== 'known') return definitions;

  const preset = presetOf(bound, version);
  if (preset.then !== 'preset') return preset;
  if (spec.parameters !== undefined && facts.values === undefined) return { then: 'read', fact: 'values' };
  if (facts.values !== undefined && facts.values.state !== 'resolved') return valuesProblem(facts.values);
  const wished = facts.values?.values ?? [];
  const problems = parameterProblems({
    wished,
    definitions: definitions.parameters,
    current: undefined,
    presetValues: preset.values,
  });
  if (problems.length > 0) return invalid(problems);
  return {
    then: 'create',
    templateVersionID: isPinned ? version : undefined,
    presetID: preset.id,
    parameters: spec.parameters === undefined ? undefined : namesAndValues(wished),
  };
}

type PresetChoice = {
  readonly then: 'preset';
  readonly id: string | undefined;
  readonly values: readonly NameValue[];
};

function presetOf({ input }: Bound, version: string): PresetChoice | Problem | Ask {
  const { presetName } = input.object.spec;
  if (presetName === undefined) return { then: 'preset', id: undefined, values: [] };
  const fact = input.facts.presets;
  if (fact?.versionID !== version) return { then: 'read', fact: 'presets' };
  const preset = fact.presets.find((p) => p.Name === presetName);
  if (preset === undefined) {
    const names = fact.presets
      .map((p) => p.Name)
      .slice(0, 10)
      .join(', ');
    const has = names === '' ? 'has none' : `has ${names}`;
    return stall(`spec.presetName: the template version has no preset ${presetName}; it ${has}`);
  }
  return {
    then: 'preset',
    id: preset.ID,
    values: preset.Parameters.map((p) => ({ name: p.Name, value: p.Value })),
  };
}

function create(bound: Bound, template: TemplateSummary, plan: Plan): WorkspaceStep {
  const { input, name, status } = bound;
  const { spec } = input.object;
  const requested = newRequest(input);
  const from = `Creating the workspace from the template ${spec.templateName ?? ''}`;
  const creating = {
    reason: 'Creating' as const,
    message:
      spec.running === false
        ? `${from}; Coder starts every new workspace, so it runs once and is then stopped`
        : from,
  };
  const next: WorkspaceDraft = {
    ...status,
    driftedAt: undefined,
    lastHandledReconcileAt: requested ?? status.lastHandledReconcileAt,
    failures: requested === undefined ? status.failures : undefined,
    // The first build is the one that is made for the wish to run.
    power:
      spec.running === undefined
        ? undefined
        : { running: spec.running, state: 'Pending', after: 0, build: spec.running ? 1 : undefined },
  };
  return unlessSuspended(
    input,
    {
      do: 'write',
      operation: {
        type: 'Create',
        owner: name.owner,
        name: name.workspace,
        templateID: template.id,
        templateVersionID: plan.templateVersionID,
        presetID: plan.presetID,
        parameters: plan.parameters,
        ttlMillis: spec.ttlMillis,
        autostartSchedule: spec.autostartSchedule,
        automaticUpdates: spec.automaticUpdates,
      },
      status: withVerdict(input, next, {
        ready: { status: 'False', ...creating },
        synced,
        reconciling: { reason: 'Progressing', message: creating.message },
      }),
      event: { type: 'Normal', ...creating },
    },
    status,
  );
}

function waitingFor(bound: Bound, missing: string): WorkspaceStep {
  return reconciling(
    bound.input,
    bound.status,
    { reason: 'WaitingForDependency', message: `${missing}: waiting for it` },
    withBackoff,
  );
}
