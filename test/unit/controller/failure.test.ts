import { expect } from 'chai';
import { CODER_ERROR_KINDS, CoderError, type CoderErrorKind } from '../../../src/coder/errors.ts';
import { failureOf, reportFailure } from '../../../src/controller/failure.ts';
import { assertConditions } from '../../support/conditions.ts';
import { shown, workspaceInput } from '../../support/controller-records.ts';

const KINDS = Object.keys(CODER_ERROR_KINDS) as CoderErrorKind[];

describe('failureOf', () => {
  const table: Record<CoderErrorKind, [string, 'True' | 'False', boolean]> = {
    Invalid: ['RefusedByCoder', 'True', false],
    Unauthorized: ['TokenRefused', 'False', true],
    Forbidden: ['Forbidden', 'False', false],
    NotFound: ['WaitingForDependency', 'True', false],
    Gone: ['WaitingForDependency', 'True', false],
    Conflict: ['Progressing', 'True', false],
    NotReady: ['WaitingForImport', 'True', false],
    RateLimited: ['RateLimited', 'False', false],
    ServerError: ['ServerError', 'False', true],
    Redirected: ['UnexpectedResponse', 'False', true],
    UnexpectedResponse: ['UnexpectedResponse', 'False', true],
    TooLarge: ['UnexpectedResponse', 'False', false],
    Timeout: ['CoderUnreachable', 'False', true],
    Unreachable: ['CoderUnreachable', 'False', true],
    AddressRefused: ['InvalidCredentials', 'False', true],
    Aborted: ['Progressing', 'True', false],
  };
  for (const kind of KINDS) {
    const [reason, synced, isOfConnection] = table[kind];
    it(`${kind}: ${reason}, Synced=${synced}${isOfConnection ? ", the connection's fault" : ''}`, () => {
      const failure = failureOf(new CoderError(kind, 'what happened'));
      expect(failure.cause).to.deep.equal({ reason, message: 'what happened' });
      expect(failure.synced.status).to.equal(synced);
      expect(failure.isOfConnection).to.equal(isOfConnection);
    });
  }

  it('waits as long as Coder asks', () => {
    const error = new CoderError('RateLimited', 'x', { retryAfterMs: 7_500 });
    expect(failureOf(error).rest).to.deep.equal({ until: 'time', afterMs: 7_500 });
    expect(failureOf(new CoderError('NotReady', 'x')).rest).to.deep.equal({ until: 'time', afterMs: 2_000 });
    expect(failureOf(new CoderError('Conflict', 'x')).rest).to.deep.equal({ until: 'backoff' });
  });
});

describe('reportFailure', () => {
  const status = { observedGeneration: 3 };
  const input = workspaceInput({ status });
  const others: CoderErrorKind[] = [
    'Unauthorized',
    'RateLimited',
    'ServerError',
    'Redirected',
    'UnexpectedResponse',
    'Timeout',
    'Unreachable',
    'AddressRefused',
    'Aborted',
  ];
  for (const kind of KINDS) {
    const isOthers = others.includes(kind);
    it(`at rest, ${kind} ${isOthers ? 'changes nothing' : 'is told'}`, () => {
      const report = reportFailure(input, status, new CoderError(kind, 'What happened'), true);
      if (isOthers) expect(report.status).to.equal(status);
      else assertConditions(report.status, 3);
    });

    it(`with work to do, ${kind} ${kind === 'Aborted' ? 'changes nothing' : 'is told'}`, () => {
      const report = reportFailure(input, status, new CoderError(kind, 'What happened'), false);
      if (kind === 'Aborted') expect(report.status).to.equal(status);
      else
        expect(shown(report.status)).to.include(
          `Reconciling=True/${failureOf(new CoderError(kind, 'x')).cause.reason}`,
        );
    });
  }
});
