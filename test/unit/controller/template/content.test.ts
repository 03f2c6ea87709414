import { expect } from 'chai';
import { contentOf, contentProblem } from '../../../../src/controller/template/content.ts';

describe('contentProblem', () => {
  it('finds a path that is a file and a folder at once', () => {
    expect(contentProblem({ a: '', 'a/b': '' })).to.equal('a cannot be a file and, because of a/b, a folder');
    expect(contentProblem({ 'x/y/z': '', 'x/y': '' })).to.contain('x/y cannot be a file');
  });

  it('finds nothing wrong with files in folders', () => {
    expect(contentProblem({ 'main.tf': '', 'a/b': '', 'a/c': '', ab: '' })).to.equal(undefined);
  });
});

describe('contentOf', () => {
  const files = { 'main.tf': 'x' };

  it('names the version after the content, and after the try', () => {
    const first = contentOf({ files }, {});
    if (first?.kind !== 'files') throw new Error('files are files');
    expect(first.versionName).to.match(/^k8s-[0-9a-f]{12}$/);
    const second = contentOf({ files }, { pendingVersion: { name: `${first.versionName}-r2`, attempt: 2 } });
    expect(second).to.deep.include({ versionName: `${first.versionName}-r2`, attempt: 2, key: first.key });
    const other = contentOf(
      { files: { 'main.tf': 'y' } },
      { pendingVersion: { name: `${first.versionName}-r2`, attempt: 2 } },
    );
    expect(other).to.deep.include({ attempt: 1 });
  });

  it('takes a version by its UUID, or nothing', () => {
    expect(contentOf({ versionID: 'v1' }, {})).to.deep.equal({ kind: 'version', key: 'v1', versionID: 'v1' });
    expect(contentOf({}, {})).to.equal(undefined);
  });
});
