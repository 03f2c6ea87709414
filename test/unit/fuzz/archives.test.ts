import { gzipSync } from 'node:zlib';
import { expect } from 'chai';
import fc from 'fast-check';
import { OperatorError } from '../../../src/base/errors.ts';
import { archiveOf } from '../../../src/coder/archive.ts';
import { archiveFault, leftOutAs, pathFault, quotedPath, templateFiles } from '../../../src/coder/layout.ts';
import { unpack } from '../../../src/coder/unpack.ts';
import { tarOf } from '../../support/archives.ts';
import { damaged, damages, fuzz, fuzzLater, fuzzLong, keeps, phrases } from '../../support/fuzzing.ts';

const signs = [
  'a',
  'main.tf',
  '/',
  '.',
  '..',
  '\\',
  '.git',
  '.terraform.lock.hcl',
  'x.tfstate',
  'terraform.tfvars',
  'ü',
  '\0',
  ' ',
  '__proto__',
  '\ud800',
];
const name = fc.constantFrom(
  'a',
  'b.tf',
  'main.tf',
  'ü',
  '__proto__',
  'constructor',
  '.git',
  '.terraform.lock.hcl',
  'x.tfstate',
  'a b',
);
const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));
const content = fc.oneof(fc.string({ unit: 'binary', maxLength: 40 }), fc.constantFrom('', 'x'.repeat(513)));
const files = fc
  .uniqueArray(fc.tuple(path, content), { minLength: 1, maxLength: 6, selector: ([key]) => key })
  .map((entries) => Object.fromEntries(entries));

/** What an archive is worth, or why it cannot be used. */
async function tried(bytes: Buffer, folder: string): Promise<Readonly<Record<string, Buffer>> | undefined> {
  try {
    const { files: found, leftOut } = await unpack(bytes, { path: folder });
    expect(leftOut.length).to.be.at.most(100);
    return Object.fromEntries(Object.entries(found).map(([key, data]) => [key, Buffer.from(data)]));
  } catch (error) {
    expect(error).to.be.instanceOf(OperatorError).with.property('code', 'INVALID_ARCHIVE');
    const { message } = error as Error;
    expect(message).to.not.match(/\p{Cc}/u);
    expect(message).to.have.length.below(2000);
    return undefined;
  }
}

describe('fuzzing: archives', () => {
  it('give back what was packed, less what belongs to no template', async () => {
    await fuzzLater(
      { parser: 'archives', inputs: fc.tuple(files, fc.boolean()), part: 0.2 },
      async ([all, isZipped]) => {
        if (archiveFault(all) !== undefined) return;
        const tar = await archiveOf(all);
        const found = await tried(isZipped ? gzipSync(tar, { level: 1 }) : tar, '');
        const { files: kept } = templateFiles(all);
        expect(Object.keys(found ?? {}).sort()).to.deep.equal(Object.keys(kept).sort());
        for (const [key, data] of Object.entries(kept))
          expect(found?.[key]?.equals(Buffer.from(data)), key).to.equal(true);
      },
    );
  });

  it('of other programs, with any names and links, never lead outside', async () => {
    const any = fc.uniqueArray(
      fc.tuple(
        phrases(signs, 6).filter((t) => t !== ''),
        content,
      ),
      { maxLength: 4, selector: ([key]) => key },
    );
    const link = fc.dictionary(
      fc.constantFrom('link', '../link', '/link'),
      fc.constantFrom('/etc/passwd', '../../x', 'main.tf'),
      { maxKeys: 1 },
    );
    const inputs = fc.record({
      entries: any,
      symlinks: link,
      hardLinks: link,
      prefix: fc.constantFrom('', './', 'repo-1/', '../'),
      folders: fc.boolean(),
      folder: fc.constantFrom('', 'repo-1', 'a', '..', '/', './a/'),
    });
    await fuzzLater({ parser: 'archives', inputs, part: 0.2 }, async ({ entries, folder, ...options }) => {
      const tar = await tarOf(Object.fromEntries(entries), options).catch(() => undefined);
      if (tar === undefined) return;
      for (const key of Object.keys((await tried(tar, folder)) ?? {}))
        expect(pathFault(key), key).to.equal(undefined);
    });
  });

  it('that were damaged or cut are refused, or are still archives', async () => {
    const [one, other] = [
      await tarOf({ 'main.tf': 'x'.repeat(700), 'a/b.tf': 'y' }, { folders: true }),
      await tarOf({ 'm/main.tf': '' }),
    ];
    const zip = Buffer.from('504b0304140000000000000000000000000000000000000000000500000061', 'hex');
    const kinds = [one, other, gzipSync(one), gzipSync(other), zip, Buffer.alloc(1024)];
    const inputs = fc.record({
      kind: fc.nat(kinds.length - 1),
      changes: damages,
      keep: keeps,
      folder: fc.constantFrom('', 'a', 'm'),
    });
    await fuzzLater(
      { parser: 'archives (damaged)', inputs, part: 0.4 },
      async ({ kind, changes, keep, folder }) => {
        const found = await tried(damaged(kinds[kind] ?? zip, changes, keep), folder);
        for (const key of Object.keys(found ?? {})) expect(pathFault(key), key).to.equal(undefined);
      },
    );
  });

  it('of any bytes are refused, or are archives', async () => {
    const inputs = fc.oneof(
      fc.uint8Array({ maxLength: 1200 }),
      phrases(['PK', '\x1f\x8b\x08', 'ustar', '<html', '{', '\0'.repeat(512)], 6).map((t) =>
        Buffer.from(t, 'latin1'),
      ),
    );
    await fuzzLater({ parser: 'archives (damaged)', inputs, part: 0.3 }, async (bytes) => {
      await tried(Buffer.from(bytes), '');
    });
  });
});

describe('fuzzing: paths in a template', () => {
  it('are refused, or stay where they belong; and can be shown', () => {
    fuzz({ parser: 'paths', inputs: phrases(signs), part: 2 }, (text) => {
      const fault = pathFault(text);
      const shown = JSON.parse(quotedPath(text)) as string;
      expect(shown).to.not.match(/\p{Cc}/u);
      expect(Buffer.byteLength(shown)).to.be.at.most(120);
      if (fault !== undefined) return;
      expect(new URL(text.split('/').map(encodeURIComponent).join('/'), 'file:///root/').pathname).to.match(
        /^\/root\/./,
      );
      const left = leftOutAs(text);
      if (left !== undefined) expect(`${text}/`.startsWith(left)).to.equal(true);
      else
        expect(
          text
            .split('/')
            .slice(0, -1)
            .some((part) => part.startsWith('.')),
        ).to.equal(false);
    });
  });

  it('of any length are read at once', () => {
    fuzzLong({ parser: 'paths', words: signs }, (text) => [
      pathFault(text),
      leftOutAs(text),
      quotedPath(text),
    ]);
  });
});
