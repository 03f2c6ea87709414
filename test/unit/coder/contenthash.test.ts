import { expect } from 'chai';
import fc from 'fast-check';
import { contentHash, filesHash, versionName } from '../../../src/coder/contenthash.ts';

const FILES = { 'main.tf': 'resource "terraform_data" "dev" {}\n', 'README.md': '# Größe\n' };

describe('filesHash', () => {
  it('changes with every path and every content', () => {
    const hashes = [
      FILES,
      {},
      { ...FILES, 'main.tf': '' },
      { ...FILES, 'other.tf': '' },
      { 'main.tf': FILES['main.tf'] },
      { 'main.tf': FILES['README.md'], 'README.md': FILES['main.tf'] },
    ].map(filesHash);
    expect(new Set(hashes).size).to.equal(hashes.length);
  });

  it('knows neither order nor whether a content is text or bytes', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), { maxKeys: 6 }),
        (files) => {
          const bytes = Object.entries(files).map(([path, text]) => [path, Buffer.from(text)] as const);
          expect(filesHash(Object.fromEntries(bytes.reverse()))).to.equal(filesHash(files));
        },
      ),
      { numRuns: 100 },
    );
  });

  it('tells where one file ends and the next begins', () => {
    expect(filesHash({ a: 'b', c: 'd' })).not.to.equal(filesHash({ a: 'bc', d: '' }));
    expect(filesHash({ 'a","b': '' })).not.to.equal(filesHash({ a: '', b: '' }));
  });

  it('counts a file that is called as something in JavaScript', () => {
    const files = JSON.parse('{"__proto__": "x"}') as Record<string, string>;
    expect(filesHash(files)).not.to.equal(filesHash({}));
  });
});

describe('contentHash', () => {
  const content = {
    filesHash: filesHash(FILES),
    provisioner: 'terraform',
    provisionerTags: { zone: 'x' },
    variablesHash: 'abc',
  };

  it('changes with everything that makes a version another one', () => {
    const hashes = [
      content,
      { ...content, filesHash: filesHash({}) },
      { ...content, provisioner: 'echo' },
      { ...content, variablesHash: 'abd' },
      { ...content, variablesHash: undefined },
      { ...content, provisionerTags: { zone: 'y' } },
      { ...content, provisionerTags: { zone: 'x', a: '1' } },
      { ...content, provisionerTags: undefined },
    ].map(contentHash);
    expect(new Set(hashes).size).to.equal(hashes.length);
  });

  it('takes absent and empty tags for the same, and tags in any order', () => {
    const bare = { filesHash: 'f', provisioner: 'terraform' };
    expect(contentHash({ ...bare, provisionerTags: {} })).to.equal(contentHash(bare));
    expect(contentHash({ ...bare, provisionerTags: { a: '1', b: '2' } })).to.equal(
      contentHash({ ...bare, provisionerTags: { b: '2', a: '1' } }),
    );
  });

  it('is stable from release to release', () => {
    // Versions are found again by it: another hash would import all templates of all users anew.
    expect([filesHash(FILES), contentHash(content)]).to.deep.equal([
      '4449cff2dd3bfe364faaf9996f97fbece910884f9a2a9b6a97ced406f333c49a',
      'bd4707a9b5c833908729e4609d7dcfabe0204e47f94be7184acaef99b7a1361a',
    ]);
  });
});

describe('versionName', () => {
  it('counts the attempts from the second on', () => {
    const hash = 'abcdef0123456789';
    expect([1, 2, 3].map((attempt) => versionName(hash, attempt))).to.deep.equal([
      'k8s-abcdef012345',
      'k8s-abcdef012345-r2',
      'k8s-abcdef012345-r3',
    ]);
  });
});
