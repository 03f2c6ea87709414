import { expect } from 'chai';
import {
  deadlineError,
  errorFromAnswer,
  errorFromNetwork,
  isAlreadyExists,
  isConflict,
  isGone,
  isNamespaceTerminating,
  isNotFound,
  isReset,
  isTooLargeResourceVersion,
} from '../../../src/kube/errors.ts';
import { statusBody } from '../../support/kube-server.ts';

const read = { verb: 'get', target: 'widgets default/a' } as const;
const write = { verb: 'update', target: 'widgets/status default/a' } as const;

function answered(status: number, reason: string, more: object = {}): ReturnType<typeof errorFromAnswer> {
  return errorFromAnswer(write, status, statusBody(status, reason, more), undefined, 0);
}

describe('errorFromAnswer', () => {
  it('quotes the message of a Status and says what was tried', () => {
    expect(answered(409, 'Conflict').message).to.equal(
      'Kubernetes refused to update widgets/status default/a: scripted Conflict (409 Conflict)',
    );
  });

  it('quotes no more than 1 KiB, on one line', () => {
    const { message } = answered(400, 'BadRequest', { message: `a\nb${'x'.repeat(5000)}` });
    expect(message).to.include('a b').and.not.include('\n');
    expect(message.length).to.be.below(1200);
  });

  it('quotes nothing of a body that is not a Status', () => {
    const { message } = errorFromAnswer(read, 502, { message: 'secret' }, undefined, 0);
    expect(message).to.include('502').and.not.include('secret');
  });

  it('tells a missing object from a missing resource', () => {
    expect(isNotFound(answered(404, 'NotFound'))).to.equal(true);
    expect(isNotFound(errorFromAnswer(read, 404, undefined, undefined, 0))).to.equal(false);
  });

  it('tells the conflicts apart', () => {
    expect([isConflict, isAlreadyExists].map((is) => is(answered(409, 'Conflict')))).to.deep.equal([
      true,
      false,
    ]);
    expect([isConflict, isAlreadyExists].map((is) => is(answered(409, 'AlreadyExists')))).to.deep.equal([
      false,
      true,
    ]);
  });

  it('knows history that is gone, a server behind us and a namespace that is going', () => {
    const causes = (reason: string): object => ({ details: { causes: [{ reason }] } });
    expect(isGone(answered(410, 'Expired'))).to.equal(true);
    expect(isTooLargeResourceVersion(answered(504, 'Timeout', causes('ResourceVersionTooLarge')))).to.equal(
      true,
    );
    expect(isNamespaceTerminating(answered(403, 'Forbidden', causes('NamespaceTerminating')))).to.equal(true);
    expect(isNamespaceTerminating(answered(403, 'Forbidden'))).to.equal(false);
  });

  it('marks what may work later and what may have been carried out', () => {
    const traits = (status: number): readonly boolean[] => {
      const { retryable, unclear } = answered(status, 'X');
      return [retryable, unclear];
    };
    expect(traits(429)).to.deep.equal([true, false]);
    expect(traits(500)).to.deep.equal([true, true]);
    expect(traits(504)).to.deep.equal([true, true]);
    expect(traits(409)).to.deep.equal([false, false]);
    expect(traits(422)).to.deep.equal([false, false]);
    expect(errorFromAnswer(read, 500, undefined, undefined, 0).unclear).to.equal(false);
  });

  it('reads Retry-After as seconds, as a date and from the Status, up to ten minutes', () => {
    const now = Date.parse('2026-01-01T00:00:00Z');
    const wait = (header: string | undefined, body?: unknown): number | undefined =>
      errorFromAnswer(read, 429, body, header, now).retryAfterMs;
    expect(wait('3')).to.equal(3000);
    expect(wait('Thu, 01 Jan 2026 00:00:07 GMT')).to.equal(7000);
    expect(wait(undefined, statusBody(429, 'X', { details: { retryAfterSeconds: 2 } }))).to.equal(2000);
    expect(wait('86400')).to.equal(600_000);
    expect(wait('soon')).to.equal(undefined);
  });
});

describe('errorFromNetwork', () => {
  const coded = (code: string): Error => Object.assign(new Error('x'), { code });

  it('is unclear only when the request may have left', () => {
    expect(errorFromNetwork(write, coded('ECONNREFUSED')).unclear).to.equal(false);
    expect(errorFromNetwork(write, coded('ECONNRESET')).unclear).to.equal(true);
    expect(errorFromNetwork(read, coded('ECONNRESET')).unclear).to.equal(false);
    expect(deadlineError(write, 5).unclear).to.equal(true);
  });

  it('looks for the code below wrappers', () => {
    const error = errorFromNetwork(read, new Error('outer', { cause: coded('ENOTFOUND') }));
    expect(error.message).to.include('ENOTFOUND');
    expect(isReset(errorFromNetwork(read, coded('EPIPE')))).to.equal(true);
    expect(isReset(error)).to.equal(false);
  });
});
