import { expect } from 'chai';
import type { ValuesFact } from '../../../../src/controller/values.ts';
import { withoutText, withQuotableText } from '../../../../src/controller/workspace/quote.ts';
import { build, workspaceInput, workspaceRecord } from '../../../support/controller-records.ts';

const SECRET = 'tr0ub4dor &\n3';

const spec = {
  templateName: 'docker',
  parameters: [{ name: 'password', valueFrom: { secretKeyRef: { name: 'values', key: 'password' } } }],
};

function failed(error: string): ReturnType<typeof workspaceRecord> {
  return workspaceRecord({ build: build({ jobStatus: 'failed', error }) });
}

const values: ValuesFact = {
  state: 'resolved',
  values: [{ name: 'password', value: SECRET, isSecret: true }],
  hash: 'h',
};

describe('what is quoted of a failed build', () => {
  const shown = (error: string, facts: ValuesFact = values): string =>
    withQuotableText(workspaceInput({ spec }, { values: facts }), failed(error))?.build.error ?? '';

  it('is all of it where no value is secret', () => {
    const record = failed('no such image');
    expect(withQuotableText(workspaceInput(), record)).to.equal(record);
    expect(withoutText(workspaceInput(), record)).to.equal(record);
  });

  it('asks for the values first', () => {
    expect(withQuotableText(workspaceInput({ spec }), failed('x'))).to.equal(undefined);
  });

  it('has every form of a secret value taken out', () => {
    for (const form of [SECRET, 'tr0ub4dor & 3', encodeURIComponent(SECRET), JSON.stringify(SECRET)]) {
      const error = shown(`invalid password ${form} given`);
      expect(error).to.contain('invalid password').and.to.contain('[redacted]');
      expect(error).to.not.contain('tr0ub4dor');
    }
  });

  it('does not end in the middle of a secret value', () => {
    for (let kept = 1; kept < SECRET.length; kept++) {
      expect(shown(`invalid password ${SECRET.slice(0, kept)}…`)).to.not.contain('tr0');
    }
  });

  it('is nothing at all while the values are not known, or the object goes', () => {
    const missing: ValuesFact = {
      state: 'missing',
      cause: { reason: 'WaitingForDependency', message: 'no Secret' },
    };
    expect(shown(`bad ${SECRET}`, missing))
      .to.contain('log of build 1')
      .and.to.not.contain('tr0');
    const gone = withoutText(workspaceInput({ spec }), failed(`bad ${SECRET}`));
    expect(gone.build.error).to.contain('log of build 1').and.to.not.contain('tr0');
  });
});
