import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { expect } from 'chai';
import fc from 'fast-check';
import { extract, type Header } from 'tar-stream';
import { OperatorError } from '../../../src/base/errors.ts';
import { archiveOf } from '../../../src/coder/archive.ts';
import { MAX_ARCHIVE_BYTES, type ArchiveFiles } from '../../../src/coder/layout.ts';

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

  it('refuses what cannot be packed, and says why', async () => {
    const reasons = {
      'no file is left in it but hidden ones, state and tfvars': {},
      'the path "../main.tf" has a part "." or ".."': { '../main.tf': '' },
      '"a" is a file and the folder of "a/b" at once': { 'a/b': '', a: '' },
      'with "more.tf" it grows beyond 1 MiB': { 'main.tf': 'x'.repeat(MAX_ARCHIVE_BYTES), 'more.tf': 'x' },
    };
    for (const [reason, files] of Object.entries(reasons)) {
      expect((await refusal(files)).message).to.include(`The template's content cannot be packed: ${reason}`);
    }
  });

  it('packs as much as is allowed', async () => {
    await archiveOf({ 'main.tf': 'x'.repeat(MAX_ARCHIVE_BYTES) });
  });

  it('needs no Terraform: whoever imports it decides that', async () => {
    await archiveOf({ '0.plan.protobuf': Uint8Array.of(1) });
  });

  it('takes a key that JavaScript treats otherwise as any other name', async () => {
    const files = JSON.parse('{"__proto__": "x", "constructor": "y"}') as Record<string, string>;
    const names = (await unpack(await archiveOf(files))).map(({ header }) => header.name);
    expect(names).to.deep.equal(['__proto__', 'constructor']);
  });
});
