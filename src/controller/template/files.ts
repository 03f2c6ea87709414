import { timestamp } from '../../api/conditions.ts';
import { versionName } from '../../coder/archive.ts';
import { nextRung } from '../ladder.ts';
import { newRequest, reconciling, stalled } from '../report.ts';
import { MOST_IMPORTS } from '../settings.ts';
import { after, untilWoken, withBackoff } from '../step.ts';
import { contentOf, contentProblem, type Content } from './content.ts';
import type { Bound, TemplateDraft, TemplateRecord, TemplateStep, VersionRecord } from './input.ts';
import { announced, createTemplate, promote } from './operations.ts';
import { upToDate } from './uptodate.ts';

/** Where the version goes: to a template that is there, or to one that will be created on it. */
export interface Target {
  readonly organizationID: string;
  readonly template: TemplateRecord | undefined;
}

type Files = Extract<Content, { kind: 'files' }>;

/**
 * From files to a version to the active version. The version's name follows from its content, so that every step can be
 * repeated: what is there already is found and used.
 */
export function decideFiles(bound: Bound, content: Files, target: Target): TemplateStep {
  const { input, status } = bound;
  const { facts } = input;
  const problem = contentProblem(content.files);
  if (problem !== undefined) {
    return stalled(input, status, {
      reason: 'InvalidContent',
      message: `spec.files: ${problem}. Rename one of them`,
    });
  }
  const pending = status.pendingVersion?.name === content.versionName ? status.pendingVersion : undefined;

  if (pending !== undefined && pending.id === undefined && pending.failedAt !== undefined) {
    return importFailed(bound, content, target, { name: pending.name, error: pending.error });
  }
  if (pending?.id !== undefined) {
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
    if (facts.versionByName.version !== undefined) {
      return decideImport(bound, content, target, facts.versionByName.version);
    }
  }
  return create(bound, content, content.attempt, target);
}

function create(bound: Bound, content: Files, attempt: number, target: Target): TemplateStep {
  const name = versionName(content.key, attempt);
  return announced(
    bound,
    { ...bound.status, pendingVersion: { name, attempt } },
    {
      type: 'CreateVersion',
      organizationID: target.organizationID,
      templateID: target.template?.id,
      name,
      files: content.files,
    },
    { reason: 'Importing', message: `Uploading the files as version ${name}` },
  );
}

function decideImport(bound: Bound, content: Files, target: Target, version: VersionRecord): TemplateStep {
  const before = bound.status.pendingVersion;
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
    case 'succeeded':
      if (target.template === undefined) return createTemplate(next, target.organizationID, version);
      return target.template.activeVersionID === version.id
        ? upToDate(next, target.template, content)
        : promote(next, target.template, version);
    case 'failed':
    case 'canceled':
      return importFailed(next, content, target, version);
    default:
      return importing(next, version);
  }
}

const ENDED = new Set(['succeeded', 'failed', 'canceled']);

/** While the pending version is imported, nothing else has to be known: it alone is looked at. */
export function waitForImport(bound: Bound): TemplateStep | undefined {
  const { input, status } = bound;
  const pending = status.pendingVersion;
  const content = contentOf(input.object.spec, status);
  if (pending?.id === undefined || content?.kind !== 'files' || pending.name !== content.versionName)
    return undefined;
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

function importing(bound: Bound, version: VersionRecord): TemplateStep {
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

/** The name of a failed version is burnt, so each new try bears a suffix. */
function importFailed(
  bound: Bound,
  content: Files,
  target: Target,
  version: Pick<VersionRecord, 'name' | 'error'>,
): TemplateStep {
  const { input } = bound;
  const failedAt = bound.status.pendingVersion?.failedAt ?? timestamp(input.now);
  const status: TemplateDraft = {
    ...bound.status,
    pendingVersion: { name: version.name, ...bound.status.pendingVersion, failedAt },
  };
  const why = version.error === undefined ? '' : `: ${version.error}`;
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
          message: `The import of these files failed ${content.attempt} times${why}. Change spec.files, or set the annotation coder.com/reconcile-requested-at to a new value`,
        },
        untilWoken,
      );
  }
}
