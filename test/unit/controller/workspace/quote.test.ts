import { expect } from 'chai';
import { withQuotableText } from '../../../../src/controller/workspace/quote.ts';
import { build, workspaceInput, workspaceRecord } from '../../../support/controller-records.ts';

const SECRET = 'tr0ub4dor &\n3';

const spec = {
  templateName: 'docker',
  parameters: [{ name: 'password', valueFrom: { secretKeyRef: { name: 'values', key: 'password' } } }],
};

function failed(error: string): ReturnType<typeof workspaceRecord> {
  return workspaceRecord({ build: build({ jobStatus: 'failed', error }) });
}

describe('what is quoted of a failed build', () => {
  const shown = (error: string, input = workspaceInput({ spec })): string =>
    withQuotableText(input, failed(error)).build.error ?? '';

  it('is all of it where no value is secret', () => {
    const record = failed('no such image');
    expect(withQuotableText(workspaceInput(), record)).to.equal(record);
  });

  it('is nothing where one is: it may be an older one than that of now', () => {
    expect(shown(`bad ${SECRET}`))
      .to.contain('log of build 1')
      .and.to.not.contain('tr0');
  });

  it('is said once for a build, also when the reference to the Secret is gone', () => {
    const first = shown(`bad ${SECRET}`);
    const { id, number, transition, status } = build();
    const latestBuild = { id, number, transition, status, error: first };
    expect(shown(`bad ${SECRET}`, workspaceInput({ status: { latestBuild } }))).to.equal(first);
  });

  it('is what Coder says when the quota is used up', () => {
    expect(shown('insufficient quota')).to.equal('insufficient quota');
  });
});
