import { deletionOf } from '../../api/effective.ts';
import { finalizers, type PendingOperation } from '../../api/kinds.ts';
import { begin } from '../beginning.ts';
import { parseTemplateName } from '../../api/names.ts';
import {
  absent,
  newRequest,
  overruledWarning,
  reconciling,
  requestOf,
  stalled,
  suspensionOf,
  unboundStatus,
} from '../report.ts';
import { noNotes } from '../notes.ts';
import { settleMs } from '../settings.ts';
import { after, withBackoff } from '../step.ts';
import { contentOf, type Content } from './content.ts';
import { decideDeletion } from './deletion.ts';
import { decideFiles, waitForImport } from './files.ts';
import type { Bound, Found, TemplateDraft, TemplateInput, TemplateRecord, TemplateStep } from './input.ts';
import { createTemplate, promote } from './operations.ts';
import { appliedOf, decideSettings, fieldsOf, SET, settled, unsettled } from './setters.ts';
import { hasPendingWork, observedStatus } from './status.ts';
import { upToDate } from './uptodate.ts';

/**
 * Every rule about a template, read from top to bottom: the first that applies decides. Pure: what it needs to know of
 * the world and does not, it asks for with a `read` step and is called again.
 */
export function decideTemplate(input: TemplateInput): TemplateStep {
  return decide({ ...input, suspended: suspensionOf(input.object.spec.suspend, input.facts.connection) });
}

function decide(input: TemplateInput): TemplateStep {
  const status = input.object.status ?? {};
  const beginning = begin(input, status, parseTemplateName, hasPendingWork(input));
  if (beginning.then === 'done') return beginning.step;
  if (beginning.then === 'delete') return decideDeletion(input, beginning.name);

  const bound: Bound = { input, name: beginning.name, coder: beginning.coder, status };
  if (beginning.then === 'rebind') return decideUnbound({ ...bound, status: unboundStatus(status) });
  if (status.pendingOperation !== undefined) return settle(bound);
  return goOnWith(bound);
}

/**
 * An operation was announced and its outcome is not known: look before anything else. Versions and templates are found
 * by their names; the very first version belongs to no template and is found through the provisioner jobs.
 */
function settle(bound: Bound): TemplateStep {
  const { input, status } = bound;
  const { facts } = input;
  const pending = status.pendingOperation;
  if (pending === undefined) return decide(input);
  const cleared: TemplateDraft = { ...status, pendingOperation: undefined };
  const next: Bound = { ...bound, status: cleared };
  const leftMs = settleMs(input.settings) - input.pendingForMs;
  const goOn = (): TemplateStep => (status.id === undefined ? decideUnbound(next) : decideBound(next));
  const waitOrGoOn = (): TemplateStep =>
    leftMs <= 0
      ? goOn()
      : reconciling(
          input,
          status,
          {
            reason: 'OutcomeUnknown',
            message: `It is not known whether Coder took the last request (${pending.type}); looking again before repeating it`,
          },
          after(Math.min(leftMs, 2_000)),
        );

  switch (pending.type) {
    case 'CreateVersion': {
      // A version that nobody wishes any more may be there or not; it is neither looked nor waited for.
      const content = contentOf(input.object.spec, status);
      if (content?.kind !== 'files' || content.versionName !== pending.target) return goOn();
      const fact = status.id === undefined ? 'unattachedVersion' : 'versionByName';
      const sighting = facts[fact];
      if (sighting === undefined) return { do: 'read', fact };
      const found = sighting.version;
      if (found === undefined) return waitOrGoOn();
      const attempt = status.pendingVersion?.name === found.name ? status.pendingVersion.attempt : undefined;
      const pendingVersion = {
        name: found.name,
        id: found.id,
        jobStatus: found.jobStatus,
        attempt: attempt ?? 1,
      };
      return goOnWith({ ...next, status: { ...cleared, pendingVersion } });
    }
    case 'CreateTemplate': {
      if (facts.templateByName === undefined) return { do: 'read', fact: 'templateByName' };
      if (facts.templateByName.seen !== 'found') return waitOrGoOn();
      const record = facts.templateByName.value;
      // The version was ours alone, so a template that stands on it is ours.
      const origin = record.activeVersionID === pending.target ? 'Created' : 'Adopted';
      return decideFound({ ...next, status: { ...cleared, id: record.id, origin } }, record, true);
    }
    case SET:
      return settleSettings(next, pending, leftMs) ?? waitOrGoOn();
    default:
      // Promoting twice is harmless: what is there decides.
      return facts.template?.fresh === true ? goOn() : { do: 'read', fact: 'freshTemplate' };
  }
}

/** What came of settings that were announced; undefined while that is open. */
function settleSettings(next: Bound, pending: PendingOperation, leftMs: number): TemplateStep | undefined {
  const { input, status } = next;
  const sighting = input.facts.template;
  if (sighting?.fresh !== true) return { do: 'read', fact: 'freshTemplate' };
  if (sighting.seen !== 'found') return decideBound(next);
  const fields = fieldsOf(pending);
  const isAnswered = input.isAnswered === true;
  const known = settled(status, fields, sighting.value, isAnswered);
  if (known === undefined) {
    if (leftMs > 0) return undefined;
    return decideBound({ ...next, status: unsettled(status, fields, sighting.value) });
  }
  const step = decideBound({ ...next, status: known });
  return step.do === 'write' && isAnswered ? writtenDown(input, known) : step;
}

/** A pass sends one thing. What settings came to is known now only, so it is written down before the next is sent. */
function writtenDown(input: TemplateInput, status: TemplateDraft): TemplateStep {
  const message = 'Coder has taken the settings; there is more to do';
  return reconciling(input, status, { reason: 'Progressing', message }, after(1));
}

function goOnWith(bound: Bound): TemplateStep {
  return bound.status.id === undefined ? (waitForImport(bound) ?? decideUnbound(bound)) : decideBound(bound);
}

/** Coder's object is not known yet: the name finds it once. */
function decideUnbound(bound: Bound): TemplateStep {
  const { input, status, name } = bound;
  const sighting = input.facts.templateByName;
  if (sighting === undefined) return { do: 'read', fact: 'templateByName' };
  if (sighting.seen === 'found') {
    const isHeld = input.object.metadata.finalizers?.includes(finalizers.template) === true;
    if (isHeld && status.conditions === undefined) return decideRestored(bound, sighting.value);
    return decideFound(
      { ...bound, status: { ...status, id: sighting.value.id, origin: 'Adopted' } },
      sighting.value,
      sighting.fresh,
    );
  }
  const content = contentOf(input.object.spec, status);
  if (content === undefined) {
    return stalled(
      input,
      status,
      {
        reason: 'ContentMissing',
        message: `Coder has no template ${name.template} in the organization ${name.organization} yet, and spec.files or spec.versionID, one of which is needed to create it, is missing`,
      },
      withBackoff,
    );
  }
  if (input.facts.organization === undefined) return { do: 'read', fact: 'organization' };
  const organizationID = input.facts.organization.id;
  if (organizationID === undefined) {
    return reconciling(
      input,
      status,
      {
        reason: 'WaitingForDependency',
        message: `Coder has no organization ${name.organization} (or the operator may not see it): waiting for it`,
      },
      withBackoff,
    );
  }
  const wantsFinalizer =
    input.suspended === undefined &&
    deletionOf(input.object.spec.deletionPolicy, 'Created', bound.coder.adoptedDeletion).policy === 'Delete';
  if (wantsFinalizer && input.object.metadata.finalizers?.includes(finalizers.template) !== true) {
    return { do: 'finalizer', present: true };
  }
  return content.kind === 'files'
    ? decideFiles(bound, content, { organizationID, template: undefined })
    : decideVersion(bound, content, organizationID, undefined);
}

/**
 * Our finalizer without a status: the status was lost, as in a restore. The wish, and what a person asked by annotation,
 * count as carried out, so that a restored cluster promotes nothing by itself. That is recorded before the finalizer
 * goes, since nothing else tells a restored object from a new one.
 */
function decideRestored({ input, name, coder }: Bound, record: TemplateRecord): TemplateStep {
  const { object, facts } = input;
  const active = facts.activeVersionName;
  if (active?.id !== record.activeVersionID) return { do: 'read', fact: 'activeVersionName' };
  const content = contentOf(object.spec, {});
  const lastHandledReconcileAt = requestOf(object);
  const status = observedStatus(
    {
      id: record.id,
      origin: 'Adopted',
      lastHandledReconcileAt,
      activeVersion: active,
      applied: appliedOf(object.spec, lastHandledReconcileAt),
      ...(content === undefined
        ? {}
        : { contentHash: content.key, contentVersionID: record.activeVersionID }),
    },
    record,
    coder,
  );
  const handled = { ...input, object: { ...object, status: { lastHandledReconcileAt } } };
  const known = { input: { ...handled, notes: noNotes }, name, coder, status, record, fresh: true };
  const step = upToDate(decideSettings(known).found, record, content);
  return step.do === 'report' ? { ...step, rest: after(1) } : step;
}

/** The UUID is known, and it alone says which template is meant. */
function decideBound(bound: Bound): TemplateStep {
  const { input, status, name } = bound;
  const sighting = input.facts.template;
  if (sighting === undefined) return { do: 'read', fact: 'template' };
  if (sighting.seen === 'found') return decideFound(bound, sighting.value, sighting.fresh);

  const requested = newRequest(input);
  if (requested !== undefined) {
    // A person's word to create again what is not there any more.
    return decideUnbound({
      ...bound,
      status: { lastHandledReconcileAt: requested, conditions: status.conditions },
    });
  }
  return absent(input, status, {
    seen: sighting.seen,
    thing: 'template',
    label: `${name.organization}/${name.template}`,
  });
}

/** The template is there. */
function decideFound(bound: Bound, record: TemplateRecord, fresh: boolean): TemplateStep {
  const { input, coder } = bound;
  const { spec, metadata } = input.object;
  const status = observedStatus(bound.status, record, coder);

  const older = input.facts.claimedBy(record.id);
  if (older !== undefined) {
    return stalled(input, input.object.status ?? {}, {
      reason: 'DuplicateClaim',
      message: `An older object (${older}) is bound to the same template in Coder (${record.id}); delete one of them`,
    });
  }
  const held = metadata.finalizers?.includes(finalizers.template) === true;
  const choice = deletionOf(spec.deletionPolicy, status.origin, coder.adoptedDeletion);
  if (held !== (choice.policy === 'Delete')) return { do: 'finalizer', present: !held };

  const named = status.activeVersion?.id === record.activeVersionID ? status.activeVersion.name : undefined;
  const read =
    input.facts.activeVersionName?.id === record.activeVersionID
      ? input.facts.activeVersionName.name
      : undefined;
  if (named === undefined && read === undefined) return { do: 'read', fact: 'activeVersionName' };
  const event = overruledWarning(input, choice.overruled, 'template');
  const known: Found = {
    ...bound,
    input: { ...input, notes: { drifts: [], event } },
    status: {
      ...status,
      activeVersion: { id: record.activeVersionID, name: named ?? read },
      // Whether a wish is still open is to be told afresh at every look.
      driftedAt: undefined,
    },
    record,
    fresh,
  };
  const { found, send } = decideSettings(known);
  const content = waitForImport(found) ?? decideContent(found, record);
  // A setting that cannot be sent must keep no content from being imported or promoted, so it comes last.
  const step = content.do === 'report' && send !== undefined ? send(content) : content;
  // A report has it among its notes.
  return step.do === 'write' ? { ...step, notice: step.notice ?? event } : step;
}

function decideContent(bound: Bound, record: TemplateRecord): TemplateStep {
  const { input, status } = bound;
  const { facts, object } = input;
  const content = contentOf(object.spec, status);
  // The wish was carried out once; what others promoted since is reported and left.
  const isDone = content === undefined || status.contentHash === content.key;
  if (isDone && newRequest(input) === undefined) return upToDate(bound, record, content);
  // What is remembered may be a minute old: a new wish must not count as carried out because of it.
  if (facts.template?.fresh === false) return { do: 'read', fact: 'freshTemplate' };
  if (content === undefined) return upToDate(bound, record, undefined);
  // A request to carry out again what was done: the version that held this content is known, whatever its name.
  const doneWith = status.contentHash === content.key ? status.contentVersionID : undefined;
  if (doneWith !== undefined) {
    return record.activeVersionID === doneWith
      ? upToDate(bound, record, content)
      : promote(bound, record, { id: doneWith, name: doneWith });
  }
  return content.kind === 'files'
    ? decideFiles(bound, content, { organizationID: record.organizationID, template: record })
    : decideVersion(bound, content, record.organizationID, record);
}

/** `spec.versionID`: a version that exists shall be the active one. */
function decideVersion(
  bound: Bound,
  content: Extract<Content, { kind: 'version' }>,
  organizationID: string,
  template: TemplateRecord | undefined,
): TemplateStep {
  const { input, status, name } = bound;
  if (template?.activeVersionID === content.versionID) {
    return upToDate(bound, template, content);
  }
  const fact = input.facts.version;
  if (fact?.id !== content.versionID) return { do: 'read', fact: 'version' };
  const version = fact.version;
  const waiting = (message: string): TemplateStep =>
    reconciling(input, status, { reason: 'WaitingForDependency', message }, withBackoff);
  if (version === undefined) {
    return waiting(
      `Coder has no template version ${content.versionID} (or the operator may not see it): waiting for it`,
    );
  }
  // A template is made on a version of none, and takes only its own from then on.
  if (version.templateID !== template?.id) {
    return stalled(input, status, {
      reason: 'ImmutableFieldMismatch',
      message: `The version ${version.name} (${version.id}) does not belong to the template ${name.template}, and Coder cannot move it there`,
    });
  }
  if (version.jobStatus === 'failed' || version.jobStatus === 'canceled') {
    const why = version.error === undefined ? '' : `: ${version.error}`;
    return stalled(input, status, {
      reason: 'ImportFailed',
      message: `The import of the version ${version.name} failed${why}. Name a version that was imported`,
    });
  }
  if (version.jobStatus !== 'succeeded') {
    return reconciling(
      input,
      status,
      {
        reason: 'WaitingForImport',
        message: `The version ${version.name} is being imported (${version.jobStatus})`,
      },
      after(1_000),
    );
  }
  return template === undefined
    ? createTemplate(bound, organizationID, version)
    : promote(bound, template, version);
}
