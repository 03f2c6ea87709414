import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { expect } from 'chai';
import fc from 'fast-check';
import { extract, type Header } from 'tar-stream';
import { OperatorError } from '../../../src/base/errors.ts';
import {
  archiveOf,
  contentHash,
  MAX_ARCHIVE_BYTES,
  versionName,
  type ArchiveFiles,
} from '../../../src/coder/archive.ts';

const FILES = {
  'modules/net/main.tf': 'resource "terraform_data" "net" {}\n',
  'main.tf': 'resource "terraform_data" "dev" {}\n',
  'README.md': '# Größe\n',
};

async function unpack(tar: Buffer): Promise<{ header: Header; content: string }[]> {
  const entries: { header: Header; content: string }[] = [];
  for await (const entry of Readable.from([tar]).pipe(extract())) {
    const chunks: Buffer[] = [];
    for await (const chunk of entry as AsyncIterable<Buffer>) chunks.push(chunk);
    entries.push({ header: entry.header, content: Buffer.concat(chunks).toString() });
  }
  return entries;
}

async function refusal(files: ArchiveFiles): Promise<OperatorError> {
  const error: unknown = await archiveOf(files).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).to.be.instanceOf(OperatorError);
  expect((error as OperatorError).code).to.equal('INVALID_ARCHIVE');
  return error as OperatorError;
}

/** Paths that are fine, and parents never also files: every name of a directory ends in "d". */
const goodPath = fc
  .tuple(
    fc.array(
      fc.stringMatching(/^[a-z0-9_.-]{1,8}$/).map((part) => `${part}d`),
      { maxLength: 3 },
    ),
    fc.stringMatching(/^[a-zé😀0-9_-]{1,20}$/u),
  )
  .map(([directories, file]) => [...directories, `${file}.tf`].join('/'));

describe('archiveOf', () => {
  it('gives the bytes it has always given', async () => {
    // Coder finds an upload again by its hash: other bytes would upload all templates of all users anew.
    const hash = createHash('sha256')
      .update(await archiveOf(FILES))
      .digest('hex');
    expect(hash).to.equal('3eab3ba280cb2e8546a4b93c8891ccaef7cbf0c2afbef25be9de0ca7d3943667');
  });

  it('holds directories before their files, with fixed owner, time and mode', async () => {
    const entries = await unpack(await archiveOf(FILES));
    expect(entries.map(({ header }) => [header.name, header.type, header.mode])).to.deep.equal([
      ['README.md', 'file', 0o644],
      ['main.tf', 'file', 0o644],
      ['modules/', 'directory', 0o755],
      ['modules/net/', 'directory', 0o755],
      ['modules/net/main.tf', 'file', 0o644],
    ]);
    for (const { header } of entries) {
      expect([header.uid, header.gid, header.uname, header.gname]).to.deep.equal([0, 0, '', '']);
      expect(header.mtime.getTime()).to.equal(0);
    }
    expect(entries[0]?.content).to.equal('# Größe\n');
  });

  it('gives the same bytes for the same content in any order, and gives the content back', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.dictionary(goodPath, fc.string({ unit: 'grapheme' }), { minKeys: 1, maxKeys: 8 }),
        async (files) => {
          const tar = await archiveOf(files);
          const reversed = Object.fromEntries(Object.entries(files).reverse());
          expect((await archiveOf(reversed)).equals(tar)).to.equal(true);
          const unpacked = await unpack(tar);
          const contents = unpacked.filter(({ header }) => header.type === 'file');
          expect(
            Object.fromEntries(contents.map(({ header, content }) => [header.name, content])),
          ).to.deep.equal(Object.fromEntries(Object.entries(files)));
          expect(contentHash({ files: reversed, provisioner: 'terraform' })).to.equal(
            contentHash({ files, provisioner: 'terraform' }),
          );
        },
      ),
      { numRuns: 60 },
    );
  });

  it('keeps bytes that are no text', async () => {
    const bytes = Uint8Array.from([0, 255, 254, 10]);
    const tar = await archiveOf({ 'provider.bin': bytes });
    expect(tar.includes(Buffer.from(bytes))).to.equal(true);
  });

  const hostile = [
    '',
    '/etc/passwd',
    '../main.tf',
    'a/../../main.tf',
    'a/..',
    './main.tf',
    'a/./b',
    'a//b',
    'a/',
    String.raw`a\b`,
    'a\nb',
    'a\0b',
    'half\ud800',
    'x'.repeat(256),
  ];
  for (const path of hostile) {
    it(`refuses the path ${JSON.stringify(path.slice(0, 20))} and names it`, async () => {
      const error = await refusal({ 'main.tf': '', [path]: '' });
      expect(error.message).to.include(JSON.stringify(path.slice(0, 255)));
    });
  }

  it('never lets a path out of the directory it is unpacked in', async () => {
    const part = fc.constantFrom('..', '.', '', 'a', '/', '\\', '\0', '~', 'C:');
    await fc.assert(
      fc.asyncProperty(fc.array(part, { minLength: 1, maxLength: 5 }), async (parts) => {
        let tar: Buffer;
        try {
          tar = await archiveOf({ [parts.join('/')]: '' });
        } catch (error) {
          expect((error as OperatorError).code).to.equal('INVALID_ARCHIVE');
          return;
        }
        for (const { header } of await unpack(tar)) {
          expect(header.name).not.to.match(/^\/|\\|(?:^|\/)\.{1,2}(?:\/|$)|\/\//);
        }
      }),
    );
  });

  it('refuses a file that is also a directory', async () => {
    expect((await refusal({ 'a/b': '', a: '' })).message).to.include(
      '"a" is a file and the directory of "a/b"',
    );
  });

  it('refuses nothing at all, too many files and too much content', async () => {
    await refusal({});
    await refusal(Object.fromEntries(Array.from({ length: 129 }, (_, i) => [`${i}.tf`, ''])));
    const large = 'x'.repeat(MAX_ARCHIVE_BYTES);
    await archiveOf({ 'main.tf': large });
    expect((await refusal({ 'main.tf': large, 'more.tf': 'x' })).message).to.include('more.tf');
  });

  it('takes a key that JavaScript treats otherwise as any other name', async () => {
    const files = JSON.parse('{"__proto__": "x", "constructor": "y"}') as Record<string, string>;
    const names = (await unpack(await archiveOf(files))).map(({ header }) => header.name);
    expect(names).to.deep.equal(['__proto__', 'constructor']);
  });
});

describe('contentHash', () => {
  const content = {
    files: FILES,
    provisioner: 'terraform',
    variables: { a: '1' },
    provisionerTags: { zone: 'x' },
  };

  it('changes with everything that makes a version another one', () => {
    const hashes = [
      content,
      { ...content, files: { ...FILES, 'main.tf': '' } },
      { ...content, files: { ...FILES, 'other.tf': '' } },
      { ...content, provisioner: 'echo' },
      { ...content, variables: { a: '2' } },
      { ...content, variables: { b: '1' } },
      { ...content, provisionerTags: { zone: 'y' } },
      { ...content, variables: {}, provisionerTags: { zone: 'x', a: '1' } },
    ].map(contentHash);
    expect(new Set(hashes).size).to.equal(hashes.length);
  });

  it('takes absent and empty tags and variables for the same', () => {
    const bare = { files: FILES, provisioner: 'terraform' };
    expect(contentHash({ ...bare, variables: {}, provisionerTags: {} })).to.equal(contentHash(bare));
  });

  it('is stable from release to release', () => {
    // Versions are found again by it: another hash would import all templates of all users anew.
    expect(contentHash(content)).to.equal('22977cab8d1c94cb30e40945e50dbdb656add3fe348f472ae16ef8de99b0e7a3');
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
