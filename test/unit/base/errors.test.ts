import { expect } from 'chai';
import { errorText, OperatorError } from '../../../src/base/errors.ts';

class OwnError extends OperatorError {}

describe('OperatorError', () => {
  it('bears the name of its class, a code, and no traits unless told', () => {
    const error = new OwnError('OWN', 'what and what to do');
    expect(error).to.include({ name: 'OwnError', code: 'OWN', retryable: false, unclear: false });
    expect(Object.hasOwn(error, 'cause')).to.equal(false);
  });

  it('keeps its cause', () => {
    const cause = new Error('below');
    expect(new OwnError('OWN', 'x', { cause, unclear: true })).to.include({ cause, unclear: true });
  });
});

describe('errorText', () => {
  it('is the message of an error, and the text of anything else', () => {
    expect([new Error('a'), 'b', undefined].map(errorText)).to.deep.equal(['a', 'b', 'undefined']);
  });
});
