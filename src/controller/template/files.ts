import { shorten, timestamp } from '../../api/conditions.ts';
import type { CoderTemplate } from '../../api/kinds.ts';
import { attemptIn, versionName } from '../../coder/contenthash.ts';
import { nextRung } from '../ladder.ts';
import { newRequest, reconciling, report, stalled, synced } from '../report.ts';
import { MOST_IMPORTS } from '../settings.ts';
import { after, withBackoff, type StepEvent } from '../step.ts';
import { placeOf, restWith, wishedContent, type FilesContent } from './content.ts';
import type {
  Bound,
  ImportDetails,
  TemplateDraft,
  TemplateRecord,
  TemplateStep,
  VersionRecord,
} from './input.ts';
import { announced, createTemplate, promote } from './operations.ts';
import { isQuotable, withQuotableText } from './quote.ts';
import { isAwaitingPromotion } from './status.ts';
import { upToDate } from './uptodate.ts';

/** Where the version goes: to a template that is there, or to one that will be created on it. */
export interface Target {
  readonly organizationID: string;
  readonly template: TemplateRecord | undefined;
}

/**
 * From files to a version to the active version. The version's name follows from its content, so that every step can be
 * repeated: what is there already is found and used.
 */
export function decideFiles(bound: Bound, content: FilesContent, target: Target): TemplateStep {
  const { input, status } = bound;
  const { facts } = input;
  const pending = status.pendingVersion?.name === content.versionName ? status.pendingVersion : undefined;

  if (pending !== undefined && pending.id === undefined && pending.failedAt !== undefined) {
    return importFailed(bound, content, target, { name: pending.name, error: pending.error });
  }
  if (pending?.id !== undefined) {
    if (isAwaitingPromotion(input.object.spec, status) && target.template !== undefined) {
      return target.template.activeVersionID === pending.id
        ? upToDate(bound, target.template, content)
        : awaitPromotion(bound, content, pending.name);
    }
    if (facts.version?.id !== pending.id) return { do: 'read', fact: 'version' };
    const { version } = facts.version;
    if (version === undefined && newRequest(input) === undefined) {
      return reconciling(
        input,
        status,
        {
          reason: 'NotVisibleInCoder',
          message: `Coder does not show the version ${pending.name} any more: the operator may not see it. The annotation coder.com/reconcile-requested-at with a new value has it made again`,
        },
        withBackoff,
      );
    }
    // One that belongs elsewhere is of no use: somebody made a template of our name meanwhile, or deleted ours.
    if (version !== undefined && version.templateID === target.template?.id) {
      return decideImport(bound, content, target, version);
    }
  }
  if (target.template !== undefined) {
    if (facts.versionByName?.name !== content.versionName) return { do: 'read', fact: 'versionByName' };
    const found = facts.versionByName.version;
    if (found !== undefined) {
      const attempt = attemptIn(content.key, found.name) ?? content.attempt;
      return decideImport(bound, { ...content, attempt, versionName: found.name }, target, found);
    }
  }
  return create(bound, content, content.attempt, target);
}

function create(bound: Bound, content: FilesContent, attempt: number, target: Target): TemplateStep {
  const { input, status } = bound;
  const name = versionName(content.key, attempt);
  const { upload } = input.facts;
  // Before the turn: one that is taken is to be used at once.
  if (content.files === undefined && input.suspended === undefined) return { do: 'read', fact: 'files' };
  // While suspended nothing is sent, and no turn is taken from others.
  if (input.suspended === undefined && upload === undefined) return { do: 'read', fact: 'upload' };
  if (upload !== undefined && upload.waitMs > 0) {
    const message = `The content waits for its turn to be uploaded as version ${name}: Coder takes twelve uploads a minute`;
    return reconciling(input, status, { reason: 'WaitingForUpload', message }, after(upload.waitMs), {
      ready: { reason: 'Importing', message },
    });
  }
  const leftOut = content.leftOut.length === 0 ? '' : `; left out: ${shortList(content.leftOut)}`;
  return announced(
    bound,
    { ...status, pendingVersion: { name, attempt } },
    {
      type: 'CreateVersion',
      organizationID: target.organizationID,
      templateID: target.template?.id,
      name,
      // Without files only while suspended, when nothing is sent.
      content: { ...content, files: content.files ?? {} },
    },
    {
      reason: 'Importing',
      message: `Uploading the content of ${placeOf(input.object.spec)} as version ${name}${leftOut}`,
    },
  );
}

const MOST_LISTED = 5;
/** Longest error that a status keeps, in characters. */
const LONGEST_ERROR = 1000;

function shortList(names: readonly string[]): string {
  return `${names.slice(0, MOST_LISTED).join(', ')}${names.length > MOST_LISTED ? ', …' : ''}`;
}

function decideImport(
  bound: Bound,
  content: FilesContent,
  target: Target,
  seen: VersionRecord,
): TemplateStep {
  const { input } = bound;
  const before = bound.status.pendingVersion;
  const details = input.facts.importDetails;
  if (details === undefined && needsDetails(input.object, content, seen)) {
    return { do: 'read', fact: 'importDetails' };
  }
  const version = withQuotableText(input.object, seen, details?.get(seen.id));
  const pendingVersion = {
    name: version.name,
    id: version.id,
    jobStatus: version.jobStatus,
    attempt: content.attempt,
    error: version.error,
    failedAt: before?.id === version.id ? before.failedAt : undefined,
  };
  const status: TemplateDraft = { ...bound.status, pendingVersion };
  const next: Bound = { ...bound, status };

  switch (version.jobStatus) {
    case 'succeeded': {
      if (target.template?.activeVersionID === version.id) return upToDate(next, target.template, content);
      const unknown = undeclared(content, details?.get(version.id));
      if (unknown !== undefined) {
        const error = shorten(`spec.variables: ${unknown}`, LONGEST_ERROR);
        const failed = { ...status, pendingVersion: { ...pendingVersion, error } };
        return stalled(input, failed, { reason: 'InvalidContent', message: error }, restWith(content));
      }
      // Its name is taken for ever, like that of a failed one.
      if (version.isArchived) return create(next, content, content.attempt + 1, target);
      if (target.template === undefined) return createTemplate(next, target.organizationID, version);
      return input.object.spec.promotion === 'Manual'
        ? awaitPromotion(next, content, version.name)
        : promote(next, target.template, version);
    }
    case 'failed':
    case 'canceled':
      return importFailed(next, content, target, version);
    default:
      return importing(next, version);
  }
}

/** Whether more must be known of an import that ended than its state. */
function needsDetails(object: CoderTemplate, content: FilesContent, version: VersionRecord): boolean {
  switch (version.jobStatus) {
    case 'succeeded':
      return content.variables.length > 0;
    case 'failed':
      return isQuotable(object, version);
    default:
      return false;
  }
}

/** Coder drops values of variables that are not there without a word: most often a name is misspelt. */
function undeclared(content: FilesContent, details: ImportDetails | undefined): string | undefined {
  const declared = details?.variables;
  const unknown = content.variables.filter(({ name }) => declared?.includes(name) === false);
  if (declared === undefined || unknown.length === 0) return undefined;
  const known = declared.length === 0 ? 'it has none' : `it has ${shortList(declared)}`;
  return `the template has no variable ${shortList(unknown.map(({ name }) => name))} (${known}): correct the name, or leave it out`;
}

/** `promotion: Manual`: the version is there, and somebody is to make it the active one. */
function awaitPromotion(bound: Bound, content: FilesContent, versionName: string): TemplateStep {
  const { input, status } = bound;
  const message = `The version ${versionName} is imported and waits to be made the active one, since spec.promotion is Manual: do that in Coder, or set it to Automatic`;
  const told = input.object.status?.pendingVersion;
  const isNew = told?.name !== versionName || told.jobStatus !== 'succeeded';
  const event: StepEvent | undefined = isNew
    ? { type: 'Normal', reason: 'WaitingForPromotion', message }
    : undefined;
  return report(
    input,
    { ...status, lastHandledReconcileAt: newRequest(input) ?? status.lastHandledReconcileAt },
    { ready: { status: 'True', reason: 'WaitingForPromotion', message }, synced },
    restWith(content),
    event,
  );
}

const ENDED = new Set(['succeeded', 'failed', 'canceled']);

/** While the pending version is imported, nothing else has to be known: it alone is looked at. */
export function waitForImport(bound: Bound): TemplateStep | undefined {
  const { input, status } = bound;
  const pending = status.pendingVersion;
  if (pending?.id === undefined || ENDED.has(pending.jobStatus ?? '')) return undefined;
  const wished = wishedContent(input, status);
  if (wished.then === 'read') return { do: 'read', fact: 'content' };
  if (wished.then !== 'content' || wished.content.kind !== 'files') return undefined;
  if (pending.name !== wished.content.versionName) return undefined;
  if (input.facts.version?.id !== pending.id) return { do: 'read', fact: 'version' };
  const { version } = input.facts.version;
  if (version === undefined || ENDED.has(version.jobStatus)) return undefined;
  return importing(
    { ...bound, status: { ...status, pendingVersion: { ...pending, jobStatus: version.jobStatus } } },
    version,
  );
}

const IMPORT_FASTEST_MS = 1_000;
const IMPORT_SLOWEST_MS = 30_000;

/** Somebody's import is under way; it is looked at again, the later the longer it takes. */
export function importing(bound: Bound, version: VersionRecord): TemplateStep {
  const without = version.hasProvisioner ? '' : ': no provisioner in Coder can take it';
  const message = `Coder is importing the version ${version.name} (${version.jobStatus})${without}`;
  // A quarter of the time it has taken so far: short imports are seen soon, and long ones cost little.
  const soFarMs = bound.input.now.getTime() - new Date(version.createdAt).getTime();
  const againMs = version.hasProvisioner
    ? Math.min(IMPORT_SLOWEST_MS, Math.max(IMPORT_FASTEST_MS, soFarMs / 4))
    : IMPORT_SLOWEST_MS;
  return reconciling(bound.input, bound.status, { reason: 'WaitingForImport', message }, after(againMs), {
    ready: { reason: 'Importing', message },
  });
}

/** Coder's word for variables that are required and were not given. */
const VARIABLES_MISSING = 'REQUIRED_TEMPLATE_VARIABLES';

/** The name of a failed version is burnt, so each new try bears a suffix. */
function importFailed(
  bound: Bound,
  content: FilesContent,
  target: Target,
  version: Pick<VersionRecord, 'name' | 'error'> & { readonly errorCode?: string | undefined },
): TemplateStep {
  const { input } = bound;
  const place = placeOf(input.object.spec);
  const failedAt = bound.status.pendingVersion?.failedAt ?? timestamp(input.now);
  const status: TemplateDraft = {
    ...bound.status,
    pendingVersion: { name: version.name, ...bound.status.pendingVersion, failedAt },
  };
  const why = version.error === undefined ? '' : `: ${version.error}`;
  // The same content lacks the same variables each time.
  if (version.errorCode === VARIABLES_MISSING && newRequest(input) === undefined) {
    const message = `Variables of the template have no value${why}. Give them in spec.variables`;
    return stalled(input, status, { reason: 'ImportFailed', message }, restWith(content));
  }
  const rung =
    newRequest(input) === undefined
      ? nextRung(
          { count: content.attempt, at: failedAt },
          input.settings.retryBaseMs,
          MOST_IMPORTS - 1,
          input.now,
        )
      : ({ climb: 'now' } as const);
  switch (rung.climb) {
    case 'now':
      return create({ ...bound, status }, content, content.attempt + 1, target);
    case 'later':
      return reconciling(
        input,
        status,
        {
          reason: 'ImportFailed',
          message: `The import of the version ${version.name} failed${why}. Try ${content.attempt + 1} of ${MOST_IMPORTS} follows`,
        },
        after(rung.afterMs),
      );
    case 'never':
      return stalled(
        input,
        status,
        {
          reason: 'ImportFailed',
          message: `The import of this content failed ${content.attempt} times${why}. Mend it in ${place}, or set the annotation coder.com/reconcile-requested-at to a new value`,
        },
        restWith(content),
      );
  }
}
