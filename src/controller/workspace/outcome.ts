import { shorten } from '../../api/conditions.ts';
import type { WorkspaceRecord } from '../observer/record.ts';
import type { CoderError, CoderErrorKind } from '../../coder/errors.ts';
import { failureOf } from '../failure.ts';
import { withRefusal } from '../wishes.ts';
import { failuresOf, LONGEST_MESSAGE, oneMore, type Failures } from './failures.ts';
import type { WorkspaceDraft, WorkspaceInput, WorkspaceOperation } from './input.ts';
import { valueOf } from './setters.ts';

type Setting = Extract<WorkspaceOperation, { type: 'Set' }>;
type Building = Exclude<WorkspaceOperation, Setting>;

/**
 * The input after a setting that Coder took. What it makes of it is to be read, so the operation stays open until the
 * next look: the same rules settle it that settle one whose answer was lost.
 */
export function afterAnswer(input: WorkspaceInput): WorkspaceInput {
  return { ...input, facts: { ...input.facts, workspace: undefined }, isAnswered: true };
}

/** The input after a build that Coder took: the pass decides again with it. */
export function afterSuccess(
  input: WorkspaceInput,
  operation: Building,
  record: WorkspaceRecord,
): WorkspaceInput {
  const status: WorkspaceDraft = {
    ...input.object.status,
    pendingOperation: undefined,
    ...(operation.type === 'Create' ? { id: record.id, origin: 'Created' as const } : {}),
  };
  return {
    ...input,
    object: { ...input.object, status },
    facts: { ...input.facts, workspace: { seen: 'found', value: record, fresh: true } },
  };
}

const WHAT: Readonly<Record<Building['type'], Failures['what']>> = {
  Create: 'create',
  Start: 'start',
  Stop: 'stop',
  Delete: 'delete',
};

/**
 * The status after an operation that failed. An unclear outcome leaves the announcement standing, so that the next pass
 * looks; a refusal takes it back and, when repeating it at once could not help, counts on the ladder.
 */
export function afterFailure(
  input: WorkspaceInput,
  operation: WorkspaceOperation,
  failed: CoderError,
): WorkspaceDraft {
  const status = input.object.status ?? {};
  if (failed.unclear) return status;
  const cleared: WorkspaceDraft = { ...status, pendingOperation: undefined };
  if (operation.type === 'Set') {
    const { field, value } = operation;
    const message = shorten(failed.coderMessage ?? failed.message, LONGEST_MESSAGE);
    return REFUSALS.has(failed.kind) ? withRefusal(cleared, field, valueOf(field, value), message) : cleared;
  }
  if (failureOf(failed).cause.reason !== 'RefusedByCoder') return cleared;
  const what = WHAT[operation.type];
  const templateVersionID = templateVersionOf(input, operation);
  const attempt = {
    generation: input.object.metadata.generation ?? 0,
    ...(templateVersionID === undefined ? {} : { templateVersionID }),
  };
  return {
    ...cleared,
    failures: oneMore(failuresOf(status, what, attempt), what, attempt, {
      message: failed.message,
      build: status.failures?.build ?? 0,
      now: input.now,
    }),
  };
}

/** Answers to a setting that another try would only get again; it must not keep anything else from being done. */
const REFUSALS = new Set<CoderErrorKind>(['Invalid', 'Forbidden', 'Conflict', 'NotFound']);

/** The template's active version, for the operations that may succeed with another one. */
function templateVersionOf(input: WorkspaceInput, operation: Building): string | undefined {
  const { template, workspace } = input.facts;
  if (operation.type === 'Create') return template?.template?.activeVersionID;
  if (operation.type !== 'Start' || workspace?.seen !== 'found') return undefined;
  return workspace.value.templateActiveVersionID;
}
