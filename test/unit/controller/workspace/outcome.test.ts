import { expect } from 'chai';
import { CoderError, type CoderErrorKind } from '../../../../src/coder/errors.ts';
import type { WorkspaceOperation } from '../../../../src/controller/workspace/input.ts';
import { afterFailure, afterSuccess } from '../../../../src/controller/workspace/outcome.ts';
import {
  creatable,
  pendingOperation,
  seen,
  TEMPLATE_ID,
  VERSION_ID,
  WORKSPACE_ID,
  workspaceInput,
  workspaceRecord,
} from '../../../support/controller-records.ts';

const create: WorkspaceOperation = { type: 'Create', owner: 'ann', name: 'dev', templateID: TEMPLATE_ID };
const start: WorkspaceOperation = { type: 'Start', workspaceID: WORKSPACE_ID, afterBuildNumber: 4 };
const stop: WorkspaceOperation = { ...start, type: 'Stop' };
const input = workspaceInput(
  { status: { pendingOperation: pendingOperation() } },
  { ...creatable, workspace: seen(workspaceRecord()) },
);

describe('afterSuccess', () => {
  it('binds what was created, as ours', () => {
    const next = afterSuccess(input, create, workspaceRecord());
    expect(next.object.status).to.deep.include({ id: WORKSPACE_ID, origin: 'Created' });
    expect(next.object.status?.pendingOperation).to.equal(undefined);
    expect(next.facts.workspace).to.deep.equal(seen(workspaceRecord()));
  });

  it('does not touch the origin after a build', () => {
    const next = afterSuccess(input, start, workspaceRecord());
    expect(next.object.status?.origin).to.equal(undefined);
    expect(next.object.status?.pendingOperation).to.equal(undefined);
  });
});

describe('afterFailure', () => {
  const unclear: CoderErrorKind[] = [
    'Timeout',
    'Unreachable',
    'ServerError',
    'UnexpectedResponse',
    'TooLarge',
    'Aborted',
  ];
  for (const kind of unclear) {
    it(`${kind} leaves the announcement standing`, () => {
      const error = new CoderError(kind, 'x', { mayHaveChanged: true });
      expect(afterFailure(input, start, error)).to.deep.equal(input.object.status);
    });
  }

  const clear: CoderErrorKind[] = [
    'Conflict',
    'Forbidden',
    'NotFound',
    'RateLimited',
    'Unauthorized',
    'NotReady',
  ];
  for (const kind of clear) {
    it(`${kind} takes the announcement back and counts nothing`, () => {
      const status = afterFailure(input, start, new CoderError(kind, 'x', { mayHaveChanged: true }));
      expect(status.pendingOperation).to.equal(undefined);
      expect(status.failures).to.equal(undefined);
    });
  }

  it('a call that was never sent takes the announcement back', () => {
    expect(afterFailure(input, start, new CoderError('Unreachable', 'x')).pendingOperation).to.equal(
      undefined,
    );
  });

  const counted: [WorkspaceOperation, string, string | undefined][] = [
    [create, 'create', VERSION_ID],
    [start, 'start', VERSION_ID],
    [stop, 'stop', undefined],
    [{ ...start, type: 'Delete' }, 'delete', undefined],
  ];
  for (const [operation, what, templateVersionID] of counted) {
    it(`a refused ${what} counts`, () => {
      const status = afterFailure(input, operation, new CoderError('Invalid', 'no quota'));
      expect(status.pendingOperation).to.equal(undefined);
      expect(status.failures).to.deep.include({
        what,
        count: 1,
        generation: 3,
        templateVersionID,
        message: 'no quota',
      });
      const again = workspaceInput({ status }, input.facts);
      expect(afterFailure(again, operation, new CoderError('Invalid', 'x')).failures?.count).to.equal(2);
    });
  }

  it('keeps whole characters of a long message', () => {
    const status = afterFailure(input, start, new CoderError('Invalid', `${'x'.repeat(159)}💥`));
    expect(status.failures?.message).to.equal(`${'x'.repeat(159)}…`);
  });
});
