import { expect } from 'chai';
import {
  CODER_ERROR_KINDS,
  CoderError,
  errorFromAnswer,
  isConflict,
  isForbidden,
  isGone,
  isInvalid,
  isNotFound,
  isNotReady,
  isRateLimited,
  isUnauthorized,
  isUnavailable,
  isUnknownUser,
  UnexpectedResponseError,
  type CoderErrorKind,
  type ErrorAnswer,
} from '../../../src/coder/errors.ts';

const NOW = Date.parse('2026-01-01T00:00:00Z');

function answer(status: number, over: Partial<ErrorAnswer> = {}): ErrorAnswer {
  return {
    call: 'POST /workspaces/{id}/builds',
    status,
    body: { message: 'Coder says so.' },
    retryAfter: undefined,
    requestID: 'request-1',
    mutation: true,
    now: NOW,
    ...over,
  };
}

describe('errorFromAnswer', () => {
  const table: [number, CoderErrorKind, { retryable: boolean; unclear: boolean }][] = [
    [301, 'Redirected', { retryable: false, unclear: false }],
    [304, 'Redirected', { retryable: false, unclear: false }],
    [307, 'Redirected', { retryable: false, unclear: false }],
    [400, 'Invalid', { retryable: false, unclear: false }],
    [401, 'Unauthorized', { retryable: false, unclear: false }],
    [403, 'Forbidden', { retryable: false, unclear: false }],
    [404, 'NotFound', { retryable: false, unclear: false }],
    [405, 'Invalid', { retryable: false, unclear: false }],
    [406, 'NotReady', { retryable: true, unclear: false }],
    [408, 'Timeout', { retryable: true, unclear: true }],
    [409, 'Conflict', { retryable: true, unclear: false }],
    [410, 'Gone', { retryable: false, unclear: false }],
    [412, 'Conflict', { retryable: true, unclear: false }],
    [425, 'NotReady', { retryable: true, unclear: false }],
    [429, 'RateLimited', { retryable: true, unclear: false }],
    [500, 'ServerError', { retryable: true, unclear: true }],
    [502, 'ServerError', { retryable: true, unclear: true }],
    [503, 'ServerError', { retryable: true, unclear: true }],
    [504, 'ServerError', { retryable: true, unclear: true }],
  ];
  for (const [status, kind, traits] of table) {
    it(`makes ${kind} of ${status}`, () => {
      const error = errorFromAnswer(answer(status));
      expect(error).to.be.instanceOf(CoderError);
      expect(error).to.include({
        kind,
        status,
        requestID: 'request-1',
        code: CODER_ERROR_KINDS[kind].code,
        ...traits,
      });
      expect(error.message).to.include('POST /workspaces/{id}/builds').and.to.include(String(status));
    });
  }

  it('is never unclear for a call that only reads', () => {
    expect(errorFromAnswer(answer(503, { mutation: false })).unclear).to.equal(false);
  });

  it('quotes what Coder says, with the fields it found fault with', () => {
    const body = { message: 'Validation failed.', validations: [{ field: 'name', detail: 'is taken' }] };
    const error = errorFromAnswer(answer(400, { body }));
    expect(error.coderMessage).to.equal('Validation failed.');
    expect(error.validations).to.deep.equal([{ field: 'name', detail: 'is taken' }]);
    expect(error.message).to.include('Validation failed. (name: is taken)');
  });

  it('cleans, shortens and redacts what it quotes', () => {
    const message = `\u001b[31mbad\u0000 token tok-secret ${'x'.repeat(5000)}`;
    const body = { message, validations: [{ field: 'tok-secret', detail: 'tok-secret\n' }] };
    const error = errorFromAnswer(answer(400, { body }), ['tok-secret']);
    expect(error.coderMessage).to.match(/^bad token \[redacted\] x+…$/);
    expect(Buffer.byteLength(error.coderMessage ?? '')).to.be.at.most(1024);
    expect(Buffer.byteLength(error.message)).to.be.below(1300);
    expect(JSON.stringify(error.validations)).not.to.include('tok-secret');
  });

  const foreign: [string, unknown][] = [
    ['no JSON', undefined],
    ['a text', 'Not Found'],
    ['null', null],
    ['an empty object', {}],
    ["somebody else's JSON", { error: 'secret internals' }],
    ['a message that is no text', { message: { a: 1 } }],
  ];
  for (const [what, body] of foreign) {
    it(`does not take a 404 for Coder's when its body is ${what}, and never quotes it`, () => {
      const error = errorFromAnswer(answer(404, { body }));
      expect(error).to.be.instanceOf(UnexpectedResponseError);
      expect(isNotFound(error)).to.equal(false);
      expect(error.message).not.to.include('internals');
      expect(error.coderMessage).to.equal(undefined);
    });
  }

  it('does not take a 410 or 400 of a proxy for an answer of Coder', () => {
    expect(isGone(errorFromAnswer(answer(410, { body: undefined })))).to.equal(false);
    expect(isInvalid(errorFromAnswer(answer(400, { body: undefined })))).to.equal(false);
  });

  it('knows overload and failure by the status alone', () => {
    expect(errorFromAnswer(answer(502, { body: undefined })).kind).to.equal('ServerError');
    expect(errorFromAnswer(answer(429, { body: undefined })).kind).to.equal('RateLimited');
  });

  it('F7. takes a violated unique key for a lost race', () => {
    const detail = 'pq: duplicate key value violates unique constraint "workspaces_owner_id_lower_idx"';
    const error = errorFromAnswer(answer(500, { body: { message: 'Internal server error', detail } }));
    expect(isConflict(error)).to.equal(true);
    expect(error.unclear).to.equal(false);
    expect(error.message).not.to.include('workspaces_owner_id_lower_idx');
  });

  it('takes a refusal of the database layer for a missing right', () => {
    const detail = 'update active version: unauthorized: rbac: forbidden';
    const error = errorFromAnswer(answer(500, { body: { message: 'Internal error.', detail } }));
    expect(isForbidden(error)).to.equal(true);
    expect(error.unclear).to.equal(false);
  });

  it('F13. says how long to wait after too many requests', () => {
    const wait = (retryAfter: string | undefined): number | undefined =>
      errorFromAnswer(answer(429, { retryAfter })).retryAfterMs;
    expect(wait('7')).to.equal(7000);
    expect(wait('Thu, 01 Jan 2026 00:00:30 GMT')).to.equal(30_000);
    expect(wait('Thu, 01 Jan 2025 00:00:00 GMT')).to.equal(1000);
    expect(wait('0')).to.equal(1000);
    expect(wait('999999999')).to.equal(600_000);
    expect(wait('soon')).to.equal(60_000);
    expect(wait(undefined)).to.equal(60_000);
  });
});

describe('guards of Coder errors', () => {
  const guards: [(error: unknown) => boolean, number][] = [
    [isInvalid, 400],
    [isUnauthorized, 401],
    [isForbidden, 403],
    [isNotFound, 404],
    [isNotReady, 406],
    [isConflict, 409],
    [isGone, 410],
    [isRateLimited, 429],
    [isUnavailable, 503],
  ];
  for (const [guard, status] of guards) {
    it(`${guard.name} is true for ${status} alone`, () => {
      const matching = guards
        .map(([, other]) => other)
        .filter((other) => guard(errorFromAnswer(answer(other))));
      expect(matching).to.deep.equal([status]);
      expect(guard(new Error('x'))).to.equal(false);
      expect(guard(undefined)).to.equal(false);
    });
  }

  it('tells an unknown user from other bad requests', () => {
    const body = { message: '"user" must be an existing uuid or username.' };
    expect(isUnknownUser(errorFromAnswer(answer(400, { body })))).to.equal(true);
    expect(isUnknownUser(errorFromAnswer(answer(404, { body })))).to.equal(false);
    expect(isUnknownUser(errorFromAnswer(answer(400)))).to.equal(false);
  });
});
