import { expect } from 'chai';
import type { CoderTemplateSpec, CoderTemplateStatus } from '../../../../src/api/generated.ts';
import type { CoderTemplate } from '../../../../src/api/kinds.ts';
import { isQuotable, withQuotableText } from '../../../../src/controller/template/quote.ts';
import { VERSION_ID, versionRecord } from '../../../support/controller-records.ts';

const SAID = 'Error: the token hunter2 is wrong';
const failed = versionRecord({ name: 'k8s-1', jobStatus: 'failed', error: SAID });
const plain: CoderTemplateSpec = { variables: [{ name: 'a', value: '1' }] };
const secret: CoderTemplateSpec = {
  variables: [
    { name: 'a', value: '1' },
    { name: 'b', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } },
  ],
};

const LOG = 'main.tf line 3: the token hunter2 is wrong';

function objectOf(spec: CoderTemplateSpec, status?: CoderTemplateStatus): CoderTemplate {
  const metadata = { name: 'acme.docker', namespace: 'team' };
  return { metadata, spec, ...(status === undefined ? {} : { status }) };
}

/** What is said of an import. */
function quoted(spec: CoderTemplateSpec, status?: CoderTemplateStatus, log?: string): string {
  const version = withQuotableText(objectOf(spec, status), failed, log === undefined ? undefined : { log });
  expect(version).to.deep.equal({ ...failed, error: version.error });
  return version.error ?? '';
}

const said = (error: string | undefined, id = VERSION_ID): CoderTemplateStatus => ({
  pendingVersion: { name: 'k8s-1', id, ...(error === undefined ? {} : { error }) },
});

describe('withQuotableText', () => {
  it('repeats what was said of an import into which no secret went, and what Terraform said', () => {
    for (const spec of [{}, plain]) {
      expect(quoted(spec)).to.equal(SAID);
      expect(quoted(spec, undefined, ''), 'Terraform said nothing').to.equal(SAID);
      expect(quoted(spec, undefined, LOG)).to.equal(`${SAID}: ${LOG}`);
    }
  });

  it('does not let a long text of Coder push out what Terraform said', () => {
    const version = { ...failed, error: 'x'.repeat(10_000) };
    const { error } = withQuotableText(objectOf(plain), version, { log: LOG });
    expect(error).to.have.length.below(500);
    expect(error).to.match(/: main\.tf line 3/);
  });

  it('says only where the log is when a variable comes from a Secret', () => {
    for (const log of [undefined, LOG]) {
      const error = quoted(secret, undefined, log);
      expect(error).to.contain('the log of the version k8s-1').and.not.contain('hunter2');
    }
  });

  it('says nothing of an import that went well', () => {
    const succeeded = versionRecord();
    expect(withQuotableText(objectOf(secret), succeeded, undefined)).to.deep.equal(succeeded);
  });

  it('repeats what has a word of its own: that text is not of Terraform', () => {
    const version = {
      ...failed,
      error: 'variables are missing: b',
      errorCode: 'REQUIRED_TEMPLATE_VARIABLES',
    };
    expect(withQuotableText(objectOf(secret), version, { log: LOG })).to.deep.equal(version);
  });

  it('goes on saying what it said of a version, though the Secret is not referred to any more', () => {
    const error = quoted(secret);
    expect(quoted(plain, said(error), LOG)).to.equal(error);
    expect(quoted(secret, said(SAID)), 'it was said before').to.equal(SAID);
  });

  it('lets what was said of one version not stand for another', () => {
    const other = said('something else', 'another');
    expect(quoted(plain, other)).to.equal(SAID);
    expect(quoted(secret, other)).to.not.contain('hunter2');
  });
});

describe('isQuotable', () => {
  const table: readonly [
    string,
    CoderTemplateSpec,
    CoderTemplateStatus | undefined,
    string | undefined,
    boolean,
  ][] = [
    ['of an import into which no secret went', plain, undefined, undefined, true],
    ['while nothing was said of the version', plain, said(undefined), undefined, true],
    ['when it was said of another version', plain, said(SAID, 'another'), undefined, true],
    ['when it was said already', plain, said(SAID), undefined, false],
    ['when a variable comes from a Secret', secret, undefined, undefined, false],
    ['when Coder has a word for it', plain, undefined, 'REQUIRED_TEMPLATE_VARIABLES', false],
  ];
  for (const [name, spec, status, errorCode, answer] of table) {
    it(`${answer ? 'asks' : 'does not ask'} for what Terraform said ${name}`, () => {
      expect(isQuotable(objectOf(spec, status), { ...failed, errorCode })).to.equal(answer);
    });
  }
});
