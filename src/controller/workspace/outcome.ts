import { cut } from '../../api/conditions.ts';
import type { WorkspaceRecord } from '../observer/record.ts';
import type { CoderError } from '../../coder/errors.ts';
import { failureOf } from '../failure.ts';
import { failuresOf, oneMore, type Failures } from './failures.ts';
import type { WorkspaceDraft, WorkspaceInput, WorkspaceOperation } from './input.ts';

/** The input after an operation that Coder took: the pass decides again with it. */
export function afterSuccess(
  input: WorkspaceInput,
  operation: WorkspaceOperation,
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

/** Longest text of a failure that is kept, in characters. */
const LONGEST_MESSAGE = 1000;

const WHAT: Readonly<Record<WorkspaceOperation['type'], Failures['what']>> = {
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
      message: cut(failed.message, LONGEST_MESSAGE),
      build: status.failures?.build ?? 0,
      now: input.now,
    }),
  };
}

/** The template's active version, for the operations that may succeed with another one. */
function templateVersionOf(input: WorkspaceInput, operation: WorkspaceOperation): string | undefined {
  const { template, workspace } = input.facts;
  if (operation.type === 'Create') return template?.template?.activeVersionID;
  if (operation.type !== 'Start' || workspace?.seen !== 'found') return undefined;
  return workspace.value.templateActiveVersionID;
}
