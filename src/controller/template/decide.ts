import { deletionOf } from '../../api/effective.ts';
import { finalizers, type CoderTemplate, type PendingOperation } from '../../api/kinds.ts';
import { isMirror, isTakenOver, ownedStatus } from '../../api/mirrors.ts';
import { begin } from '../beginning.ts';
import { parseTemplateName } from '../../api/names.ts';
import {
  absent,
  absentMirror,
  adopted,
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
import { takenHash, wishedContent, type Wished } from './content.ts';
import { decideDeletion } from './deletion.ts';
import { decideFiles, waitForImport } from './files.ts';
import type { Bound, Found, TemplateDraft, TemplateInput, TemplateRecord, TemplateStep } from './input.ts';
import { appliedOf, decideSettings, fieldsOf, SET, settled, unsettled } from './setters.ts';
import { hasPendingWork, observedStatus } from './status.ts';
import { upToDate } from './uptodate.ts';
import { decideContent, decideVersion, withoutContent, withSource } from './version.ts';

/**
 * Every rule about a template, read from top to bottom: the first that applies decides. Pure: what it needs to know of
 * the world and does not, it asks for with a `read` step and is called again.
 */
export function decideTemplate(input: TemplateInput): TemplateStep {
  return decide({ ...input, suspended: suspensionOf(input.object, input.facts.connection) });
}

function decide(input: TemplateInput): TemplateStep {
  const status: TemplateDraft = ownedStatus(input.object) ?? {};
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
      const wished = wishedContent(input, status);
      if (wished.then === 'read') return { do: 'read', fact: 'content' };
      // A version that nobody wishes any more may be there or not; it is neither looked nor waited for. As long as the
      // content cannot be told, it may still be the wished one.
      if (wished.then !== 'lack' && versionNameOf(wished) !== pending.target) return goOn();
      const fact = status.id === undefined ? 'unattachedVersion' : 'versionByName';
      const sighting = facts[fact];
      if (sighting === undefined) return { do: 'read', fact };
      const found = sighting.version;
      if (found === undefined || found.name !== pending.target) return waitOrGoOn();
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

function versionNameOf(wished: Wished): string | undefined {
  return wished.then === 'content' && wished.content.kind === 'files'
    ? wished.content.versionName
    : undefined;
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
  const wished = wishedContent(input, status);
  if (wished.then === 'none') {
    return stalled(
      input,
      status,
      {
        reason: 'ContentMissing',
        message: `Coder has no template ${name.template} in the organization ${name.organization}. To create it, set one of spec.files, spec.source and spec.versionID; else correct the name`,
      },
      withBackoff,
    );
  }
  if (wished.then !== 'content') return withoutContent(bound, wished);
  const { content } = wished;
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
  const known = withSource(bound, content);
  return content.kind === 'files'
    ? decideFiles(known, content, { organizationID, template: undefined })
    : decideVersion(known, content, organizationID, undefined);
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
  const wished = wishedContent(input, {});
  if (wished.then === 'read') return { do: 'read', fact: 'content' };
  const lastHandledReconcileAt = requestOf(object);
  const status = observedStatus(
    {
      id: record.id,
      origin: 'Adopted',
      lastHandledReconcileAt,
      activeVersion: active,
      applied: appliedOf(object.spec, lastHandledReconcileAt),
      ...takenOf(wished, object),
    },
    record,
    coder,
    facts.usersOf(record.id),
  );
  const handled = { ...input, object: { ...object, status: { lastHandledReconcileAt } } };
  const known = { input: { ...handled, notes: noNotes }, name, coder, status, record, fresh: true };
  const { found } = decideSettings(known);
  const step =
    wished.then === 'lack'
      ? withoutContent(found, wished)
      : upToDate(found, record, wished.then === 'content' ? wished.content : undefined);
  return step.do === 'report' ? { ...step, rest: after(1) } : step;
}

/**
 * The content of a restored object counts as carried out, also while it cannot be told what that is. With which version
 * nobody knows, so that a person's request finds out.
 */
function takenOf(wished: Wished, object: CoderTemplate): Partial<TemplateDraft> {
  switch (wished.then) {
    case 'content': {
      const { content } = wished;
      const source = content.kind === 'files' ? content.source : undefined;
      return { contentHash: content.key, source };
    }
    case 'lack':
      return { contentHash: takenHash(object) };
    default:
      return {};
  }
}

/** The UUID is known, and it alone says which template is meant. */
function decideBound(bound: Bound): TemplateStep {
  const { input, status, name } = bound;
  const sighting = input.facts.template;
  if (sighting === undefined) return { do: 'read', fact: 'template' };
  if (sighting.seen === 'found') return decideFound(bound, sighting.value, sighting.fresh);

  if (isMirror(input.object)) return absentMirror(input, status, 'template');
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
  const status = observedStatus(bound.status, record, coder, input.facts.usersOf(record.id));

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
  const overruled = overruledWarning(input, choice.overruled, 'template');
  const isNew = input.object.status?.id === undefined || isTakenOver(input.object);
  const event =
    isNew && status.origin === 'Adopted'
      ? adopted(`template ${record.organizationName}/${record.name}`, overruled)
      : overruled;
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
