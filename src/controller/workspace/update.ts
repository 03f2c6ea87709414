import { createHash } from 'node:crypto';
import type { Cause } from '../../api/conditions.ts';
import type { ReconcilingReason, StalledReason } from '../../api/reasons.ts';
import type { NameValue } from '../../coder/types.ts';
import { hasFailed, type WorkspaceRecord } from '../observer/record.ts';
import { after, untilWoken, withBackoff, type Rest } from '../step.ts';
import { SECRETS_AGAIN_MS, VALUES_AGAIN_MS } from '../values.ts';
import { TAKEN_AS_APPLIED, unlessEmpty } from '../wishes.ts';
import type {
  Bound,
  DefinitionsFact,
  Found,
  WorkspaceDraft,
  WorkspaceFactName,
  WorkspaceStep,
} from './input.ts';
import { differingParameters, parameterProblems } from './parameters.ts';
import { sayStalled, sayWaiting } from './say.ts';

/** Why a build cannot be made as it is wished. */
export type Problem =
  | { readonly then: 'wait'; readonly cause: Cause<ReconcilingReason>; readonly rest: Rest }
  | { readonly then: 'stall'; readonly cause: Cause<StalledReason>; readonly rest?: Rest };

export interface Ask {
  readonly then: 'read';
  readonly fact: WorkspaceFactName;
}

/** What the workspace is built with compared with what is wished. */
export interface Compared {
  readonly then: 'compared';
  readonly status: WorkspaceDraft;
  /** In what they differ, as the subject of a sentence; empty when in nothing. */
  readonly due: readonly string[];
  readonly reason: 'VersionChanged' | 'ParametersChanged';
  /** The wish was not carried out before: it is not somebody else's change that makes the difference. */
  readonly isNew: boolean;
  /** A build of ours was made for it. */
  readonly isSent: boolean;
}

/** With what a build is to be started. */
export interface BuildWith {
  readonly then: 'build';
  /** Left out: Coder takes that of the last build. */
  readonly templateVersionID: string | undefined;
  /** Left out: those of the last build stay. */
  readonly parameters: readonly NameValue[] | undefined;
  /** For `status.applied.update`. */
  readonly hash: string | undefined;
}

const IMPORT_AGAIN_MS = 2_000;
/** Names of parameters that a status holds, so that it stays small. */
const MOST_NAMED = 8;

/** Whether version or parameters are the object's business at all. */
function hasWish({ input }: Bound): boolean {
  const { templateVersionID, templateVersionName, updatePolicy, parameters } = input.object.spec;
  return (
    templateVersionID !== undefined ||
    templateVersionName !== undefined ||
    updatePolicy !== undefined ||
    parameters !== undefined
  );
}

/** After this time an object must be looked at again although nothing wakes it. */
export function secretsAgainMs({ input }: Bound): number | undefined {
  const fromSecret = input.object.spec.parameters?.some((p) => p.valueFrom?.secretKeyRef !== undefined);
  return fromSecret === true ? SECRETS_AGAIN_MS : undefined;
}

/** The version that is wished: pinned, or the template's active one where that is followed. */
function versionWish({ input, record }: Found): { readonly id?: string; readonly name?: string } {
  const { templateVersionID, templateVersionName, updatePolicy } = input.object.spec;
  if (templateVersionID !== undefined) return { id: templateVersionID };
  if (templateVersionName !== undefined) return { name: templateVersionName };
  if (updatePolicy !== undefined && record.templateActiveVersionID !== '')
    return { id: record.templateActiveVersionID };
  return {};
}

/** Compares what the workspace was last built with with the wish. From memory when neither has changed. */
export function compareUpdate(found: Found): Compared | Problem | Ask {
  const { input, record, status } = found;
  const { build } = record;
  const none = { then: 'compared', due: [], reason: 'VersionChanged', isNew: false, isSent: false } as const;
  if (!hasWish(found)) {
    return { ...none, status: { ...withHash(status, undefined), parameters: undefined } };
  }
  const wish = versionWish(found);
  const isOtherVersion =
    (wish.id !== undefined && wish.id !== build.templateVersionID) ||
    (wish.name !== undefined && build.templateVersionName !== '' && wish.name !== build.templateVersionName);
  const versionDue = isOtherVersion
    ? [
        `template version ${wish.name ?? wish.id ?? ''} (it has ${build.templateVersionName || build.templateVersionID})`,
      ]
    : [];

  const compared = compareParameters(found);
  if (compared.then !== 'compared') return compared;
  const { differing } = compared;
  const parametersDue =
    differing.length === 0
      ? []
      : [`${differing.length === 1 ? 'parameter' : 'parameters'} ${listed(differing)}`];
  const hash = hashOf(wish, input.facts.values);
  const due = [...versionDue, ...parametersDue];
  const known = status.applied?.update;
  const taken = `${TAKEN_AS_APPLIED}:${hash}`;
  const isTaken = known === TAKEN_AS_APPLIED || known === taken;
  const isNew = known !== hash && !isTaken;
  const next = { ...status, parameters: compared.parameters };
  return {
    then: 'compared',
    // A wish that finds itself fulfilled, or whose history is lost, counts as carried out.
    status: due.length === 0 ? withHash(next, hash) : isTaken ? withHash(next, taken) : next,
    due,
    reason: versionDue.length > 0 ? 'VersionChanged' : 'ParametersChanged',
    isNew,
    isSent: known === hash,
  };
}

function compareParameters(found: Found):
  | {
      readonly then: 'compared';
      readonly parameters: WorkspaceDraft['parameters'];
      readonly differing: readonly string[];
    }
  | Problem
  | Ask {
  const { input, record, status } = found;
  const { values, buildParameters } = input.facts;
  if (input.object.spec.parameters === undefined)
    return { then: 'compared', parameters: undefined, differing: [] };
  if (values === undefined) return { then: 'read', fact: 'values' };
  if (values.state !== 'resolved') return valuesProblem(values);
  const known = status.parameters;
  if (known?.wish === values.hash && known.build === record.build.number) {
    return { then: 'compared', parameters: known, differing: known.differing ?? [] };
  }
  if (buildParameters?.buildID !== record.build.id) return { then: 'read', fact: 'buildParameters' };
  const target = targetVersion(found);
  if (typeof target !== 'string') return target;
  const definitions = definitionsOf(input.facts.definitions, target);
  if (definitions.then !== 'known') return definitions;
  const current = buildParameters.values;
  const problems = parameterProblems({ wished: values.values, definitions: definitions.parameters, current });
  if (problems.length > 0) return invalid(problems);
  const differing = differingParameters(values.values, current, definitions.parameters).slice(0, MOST_NAMED);
  return {
    then: 'compared',
    parameters: {
      wish: values.hash,
      build: record.build.number,
      differing: differing.length === 0 ? undefined : differing,
    },
    differing,
  };
}

/** The version that the next build is made with. */
export function targetVersion(found: Found): string | Problem | Ask {
  const { build } = found.record;
  const wish = versionWish(found);
  if (wish.id === undefined && wish.name === undefined) {
    return unpinned(found.record);
  }
  if (wish.id === build.templateVersionID || wish.name === build.templateVersionName)
    return build.templateVersionID;
  if (
    found.input.object.spec.updatePolicy !== undefined &&
    wish.id === found.record.templateActiveVersionID
  ) {
    return wish.id;
  }
  return pinnedVersion(found, found.record.templateID);
}

/**
 * The version of a start for which none is wished: that of the last build, as Coder has it. The active one is taken where
 * Coder's own clients take it, with automatic updates, and after a start that failed, since it may be mended.
 */
function unpinned({ build, automaticUpdates, templateActiveVersionID: active }: WorkspaceRecord): string {
  const isFailedStart = hasFailed(build) && build.transition === 'start';
  return active !== '' && (automaticUpdates === 'Always' || isFailedStart) ? active : build.templateVersionID;
}

/** The version that the spec pins, if it can be built with. */
export function pinnedVersion({ input }: Bound, templateID: string): string | Problem | Ask {
  const { version } = input.facts;
  const { templateVersionID, templateVersionName } = input.object.spec;
  const field = templateVersionID === undefined ? 'templateVersionName' : 'templateVersionID';
  const wished = templateVersionID ?? templateVersionName ?? '';
  if (version === undefined) return { then: 'read', fact: 'version' };
  const found = version.version;
  if (found === undefined) {
    return waiting(
      'WaitingForDependency',
      `Coder has no template version ${wished} (or the operator may not see it): waiting for it`,
    );
  }
  if (found.templateID !== templateID) {
    return stall(
      `spec.${field}: the version ${found.name} belongs to another template, and Coder cannot move a workspace there`,
    );
  }
  if (found.isArchived) {
    return stall(
      `spec.${field}: the version ${found.name} is archived, and nothing is built with it any more`,
    );
  }
  if (found.jobStatus === 'failed' || found.jobStatus === 'canceled') {
    return stall(
      `spec.${field}: the import of the version ${found.name} failed, so nothing can be built with it`,
    );
  }
  if (found.jobStatus !== 'succeeded') return importing(found.name);
  return found.id;
}

/** With what the next start is to be made; everything is checked before anything is sent. */
export function buildWith(found: Found): BuildWith | Problem | Ask {
  const { input, record } = found;
  const target = targetVersion(found);
  if (typeof target !== 'string') return target;
  const wish = versionWish(found);
  // Left out where it would be that of the last build: a start that failed may then take a mended one.
  const isChosen =
    wish.id !== undefined || wish.name !== undefined || target !== record.build.templateVersionID;
  const templateVersionID = isChosen ? target : undefined;
  const hash = hasWish(found) ? hashOf(wish, input.facts.values) : undefined;
  if (input.object.spec.parameters === undefined)
    return { then: 'build', templateVersionID, parameters: undefined, hash };

  const { values, buildParameters } = input.facts;
  if (values === undefined) return { then: 'read', fact: 'values' };
  if (values.state !== 'resolved') return valuesProblem(values);
  if (buildParameters?.buildID !== record.build.id) return { then: 'read', fact: 'buildParameters' };
  const definitions = definitionsOf(input.facts.definitions, target);
  if (definitions.then !== 'known') return definitions;
  const problems = parameterProblems({
    wished: values.values,
    definitions: definitions.parameters,
    current: buildParameters.values,
  });
  if (problems.length > 0) return invalid(problems);
  return { then: 'build', templateVersionID, parameters: namesAndValues(values.values), hash };
}

/** What a version asks for, when it is that version's that is known. */
export function definitionsOf(
  fact: DefinitionsFact | undefined,
  versionID: string,
): (Extract<DefinitionsFact, { state: 'known' }> & { readonly then: 'known' }) | Problem | Ask {
  if (fact?.versionID !== versionID) return { then: 'read', fact: 'definitions' };
  switch (fact.state) {
    case 'known':
      return { ...fact, then: 'known' };
    case 'importing':
      return importing(versionID);
    case 'missing':
      return waiting(
        'WaitingForDependency',
        `Coder has no template version ${versionID} (or the operator may not see it): waiting for it`,
      );
  }
}

/** The version whose definitions are to be read next: that which the next build is made with. */
export function wantedVersion(input: Found['input'], record: Found['record'] | undefined): string {
  const { version, template } = input.facts;
  const { templateVersionID, templateVersionName, updatePolicy } = input.object.spec;
  const pinned = version?.version?.id ?? templateVersionID;
  if (record === undefined) return pinned ?? template?.template?.activeVersionID ?? '';
  const { build } = record;
  if (templateVersionName !== undefined && templateVersionName === build.templateVersionName)
    return build.templateVersionID;
  if (templateVersionID !== undefined || templateVersionName !== undefined)
    return pinned ?? build.templateVersionID;
  const { templateActiveVersionID: active } = record;
  return updatePolicy !== undefined && active !== '' ? active : unpinned(record);
}

/** The report of a problem with version or parameters. */
export function sayProblem(found: Found, status: WorkspaceDraft, problem: Problem): WorkspaceStep {
  return problem.then === 'stall'
    ? sayStalled(found, status, problem.cause, restOf(found, problem))
    : sayWaiting(found, status, problem.cause, problem.rest);
}

/** A Secret that is mended wakes nobody, so what came of one is looked at again. */
export function restOf(bound: Bound, problem: Extract<Problem, { then: 'stall' }>): Rest {
  const againMs = secretsAgainMs(bound);
  return problem.rest ?? (againMs === undefined ? untilWoken : after(againMs));
}

export function valuesProblem(
  values: Exclude<NonNullable<Found['input']['facts']['values']>, { state: 'resolved' }>,
): Problem {
  const message = `spec.parameters: ${values.cause.message}`;
  return values.state === 'missing'
    ? { then: 'wait', cause: { ...values.cause, message }, rest: after(VALUES_AGAIN_MS) }
    : { then: 'stall', cause: { ...values.cause, message }, rest: after(VALUES_AGAIN_MS) };
}

export function invalid(problems: readonly string[]): Problem {
  return stall(`spec.parameters: ${problems.join('; ')}`);
}

export function stall(message: string): Problem {
  return { then: 'stall', cause: { reason: 'InvalidParameters', message } };
}

function waiting(reason: ReconcilingReason, message: string): Problem {
  return { then: 'wait', cause: { reason, message }, rest: withBackoff };
}

function importing(version: string): Problem {
  const message = `The template version ${version} is being imported: waiting for it`;
  return { then: 'wait', cause: { reason: 'WaitingForImport', message }, rest: after(IMPORT_AGAIN_MS) };
}

export function namesAndValues(values: readonly NameValue[]): readonly NameValue[] {
  return values.map(({ name, value }) => ({ name, value }));
}

function hashOf(
  wish: { readonly id?: string; readonly name?: string },
  values: Found['input']['facts']['values'],
): string {
  const parameters = values?.state === 'resolved' ? values.hash : '';
  return createHash('sha256')
    .update(JSON.stringify([wish.id, wish.name, parameters]))
    .digest('hex')
    .slice(0, 16);
}

/** The status that says with which wish the workspace was last built. */
export function withHash(status: WorkspaceDraft, hash: string | undefined): WorkspaceDraft {
  return { ...status, applied: unlessEmpty({ ...status.applied, update: hash }) };
}

function listed(names: readonly string[]): string {
  return names.length <= 5
    ? names.join(', ')
    : `${names.slice(0, 5).join(', ')} and ${names.length - 5} more`;
}
