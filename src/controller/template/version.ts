import { newRequest, reconciling, stalled } from '../report.ts';
import { withBackoff } from '../step.ts';
import { holdsContent } from './activecontent.ts';
import { takenHash, wishedContent, type Content, type FilesContent, type Wished } from './content.ts';
import { decideFiles, importing } from './files.ts';
import type { Bound, TemplateRecord, TemplateStep } from './input.ts';
import { createTemplate, promote } from './operations.ts';
import { isAwaitingPromotion } from './status.ts';
import { upToDate } from './uptodate.ts';

/** The template is there; shall it consist of something else? */
export function decideContent(bound: Bound, record: TemplateRecord): TemplateStep {
  const { input, status } = bound;
  const { facts, object } = input;
  const isFresh = facts.template?.fresh !== false;
  const wished = wishedContent(input, status);
  if (wished.then === 'none') {
    // What is remembered may be a minute old: a new wish must not count as carried out because of it.
    if (newRequest(input) !== undefined && !isFresh) return { do: 'read', fact: 'freshTemplate' };
    return upToDate({ ...bound, status: { ...status, source: undefined } }, record, undefined);
  }
  if (wished.then !== 'content') return withoutContent(bound, wished);
  const { content } = wished;
  const isFiles = content.kind === 'files';
  // The wish was carried out once; what others promoted since is reported and left.
  const isDone = status.contentHash === content.key || status.contentHash === takenHash(object);
  if (isDone && newRequest(input) === undefined) return upToDate(withSource(bound, content), record, content);
  const isAwaited =
    isFiles &&
    status.pendingVersion?.name === content.versionName &&
    isAwaitingPromotion(object.spec, status);
  if (!isFresh && !isAwaited) return { do: 'read', fact: 'freshTemplate' };
  // A request to carry out again what was done: the version that held this content is known, whatever its name.
  const doneWith = isDone ? status.contentVersionID : undefined;
  // Where no version is known the content only counts as carried out, and was not looked at yet.
  const isUnseen = status.contentHash !== undefined && status.contentVersionID === undefined;
  const known = withSource(
    isUnseen ? { ...bound, status: { ...status, contentHash: undefined } } : bound,
    content,
  );
  if (doneWith !== undefined) {
    return record.activeVersionID === doneWith || (isFiles && object.spec.promotion === 'Manual')
      ? upToDate(known, record, content)
      : promote(known, record, { id: doneWith, name: doneWith });
  }
  if (content.kind === 'version') return decideVersion(known, content, record.organizationID, record);
  return (
    adoptContent(known, record, content) ??
    decideFiles(known, content, { organizationID: record.organizationID, template: record })
  );
}

/** The first content of a template that somebody else made: what is there already is not made again. */
function adoptContent(bound: Bound, record: TemplateRecord, content: FilesContent): TemplateStep | undefined {
  const { input, status } = bound;
  const isFirst = status.contentHash === undefined && status.pendingVersion === undefined;
  if (!isFirst || status.origin === 'Created') return undefined;
  const active = input.facts.activeContent;
  if (active?.versionID !== record.activeVersionID) return { do: 'read', fact: 'activeContent' };
  return holdsContent(active, content) ? upToDate(bound, record, content) : undefined;
}

/** `spec.versionID`: a version that exists shall be the active one. */
export function decideVersion(
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
  if (version.isArchived) {
    return stalled(input, status, {
      reason: 'ImportFailed',
      message: `The version ${version.name} is archived, and Coder makes no such version the active one. Unarchive it in Coder, or name another`,
    });
  }
  if (version.jobStatus === 'failed' || version.jobStatus === 'canceled') {
    // Its error is not repeated: whose Secrets the values of its variables came from is not known.
    return stalled(input, status, {
      reason: 'ImportFailed',
      message: `The import of the version ${version.name} failed; its log in Coder says why. Name a version that was imported`,
    });
  }
  if (version.jobStatus !== 'succeeded') return importing(bound, version);
  return template === undefined
    ? createTemplate(bound, organizationID, version)
    : promote(bound, template, version);
}

/** It is not known yet what the template is to consist of, or that is no template. */
export function withoutContent(
  { input, status }: Bound,
  wished: Extract<Wished, { then: 'read' | 'lack' }>,
): TemplateStep {
  if (wished.then === 'read') return { do: 'read', fact: 'content' };
  const { lack } = wished;
  return lack.state === 'waiting'
    ? reconciling(input, status, lack.cause, lack.rest)
    : stalled(input, status, lack.cause, lack.rest);
}

/** What was read of an archive is remembered, so that it need not be fetched again. */
export function withSource<B extends Bound>(bound: B, content: Content): B {
  const source = content.kind === 'files' ? content.source : undefined;
  return { ...bound, status: { ...bound.status, source } };
}
