import { buffer } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { expect } from 'chai';
import fc from 'fast-check';
import { pack, type Header } from 'tar-stream';
import { OperatorError } from '../../../src/base/errors.ts';
import { archiveOf } from '../../../src/coder/archive.ts';
import { filesHash } from '../../../src/coder/contenthash.ts';
import {
  MAX_ARCHIVE_BYTES,
  MAX_ARCHIVE_FILES,
  pathFault,
  templateFiles,
  type ArchiveFiles,
} from '../../../src/coder/layout.ts';
import { MAX_ENTRIES, unpack, type UnpackOptions } from '../../../src/coder/unpack.ts';

const FILES = {
  'main.tf': 'resource "terraform_data" "dev" {}\n',
  'modules/net/main.tf': '# Größe\n',
  'logo.bin': Uint8Array.of(0, 255, 254, 10),
};

interface RawHeader {
  readonly name: string;
  /** A number is written in octal, bytes as they are. */
  readonly size?: number | Uint8Array;
  /** The type flag. Default a file. */
  readonly type?: string;
  readonly linkname?: string;
  readonly magic?: string;
}

/** One header as it stands in a tar, for what a library would refuse to write. */
function header({ name, size = 0, type = '0', linkname = '', magic = 'ustar\u000000' }: RawHeader): Buffer {
  const block = Buffer.alloc(512);
  block.write(name, 0, 100);
  block.write('0000644\0', 100);
  if (typeof size === 'number') block.write(`${size.toString(8).padStart(11, '0')}\0`, 124);
  else block.set(size, 124);
  block.write('00000000000\0', 136);
  block.write(type, 156);
  block.write(linkname, 157, 100);
  block.write(magic, 257);
  block.fill(' ', 148, 156);
  const sum = block.reduce((a, b) => a + b, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}

/** An entry: its header and its content in whole blocks. */
function entry(fields: RawHeader, content: string | Uint8Array = ''): Buffer {
  const data = Buffer.from(content);
  const padding = Buffer.alloc((512 - (data.length % 512)) % 512);
  return Buffer.concat([header({ size: data.length, ...fields }), data, padding]);
}

const file = (name: string, content: string | Uint8Array = ''): Buffer => entry({ name }, content);
const END = Buffer.alloc(1024);
const tarOf = (...entries: readonly Buffer[]): Buffer => Buffer.concat([...entries, END]);

/** Extended headers as POSIX has them: each record begins with its own length. */
function pax(type: 'x' | 'g', fields: Readonly<Record<string, string>>): Buffer {
  const records = Object.entries(fields).map(([key, value]) => {
    const rest = Buffer.byteLength(` ${key}=${value}\n`);
    let length = rest;
    while (length !== rest + String(length).length) length = rest + String(length).length;
    return `${length} ${key}=${value}\n`;
  });
  return entry({ name: 'pax', type }, records.join(''));
}

/** An archive by the library, with the names as given. */
async function packed(
  entries: readonly (Partial<Header> & { name: string; content?: string })[],
): Promise<Buffer> {
  const tar = pack();
  for (const { content = '', ...fields } of entries) tar.entry(fields, content);
  tar.finalize();
  return buffer(tar);
}

async function fault(bytes: Uint8Array, options: UnpackOptions = {}): Promise<string> {
  const error: unknown = await unpack(bytes, options).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).to.be.instanceOf(OperatorError);
  const { code, message } = error as OperatorError;
  expect(code).to.equal('INVALID_ARCHIVE');
  expect(message).to.match(/^The archive cannot be used: [^\p{Cc}]{1,700}$/u);
  return message.replace('The archive cannot be used: ', '');
}

function text(files: ArchiveFiles): Record<string, string> {
  return Object.fromEntries(
    Object.entries(files).map(([path, data]) => [path, Buffer.from(data).toString()]),
  );
}

describe('unpack', () => {
  it('gives the same content from a tar, a tar.gz with "./" before its names, and a record', async () => {
    const dotted = await packed([
      { name: './', type: 'directory' },
      ...Object.entries(FILES).map(([path, content]) => ({ name: `./${path}`, content: content as string })),
    ]);
    const hashes = [
      FILES,
      (await unpack(await archiveOf(FILES))).files,
      (await unpack(gzipSync(await archiveOf(FILES)))).files,
      (await unpack(gzipSync(dotted))).files,
    ].map(filesHash);
    expect(new Set(hashes)).to.have.property('size', 1);
  });

  it('cuts off the path, however it is written', async () => {
    const tar = tarOf(file('a/b/main.tf', 'x'), file('a/bb/main.tf'), file('a/b.tf'), file('main.tf'));
    for (const path of ['a/b', './a/b/', 'a/b/', './a//b/.']) {
      expect(text((await unpack(tar, { path })).files)).to.deep.equal({ 'main.tf': 'x' });
    }
    for (const path of [undefined, '', '.', './']) {
      expect(Object.keys((await unpack(tar, { path })).files)).to.have.length(4);
    }
  });

  it('leaves out what belongs to no template, seen from the path on', async () => {
    const tar = tarOf(
      file('.coder/t/main.tf', 'x'),
      file('.coder/t/.terraform.lock.hcl'),
      file('.coder/t/.git/config'),
      file('.coder/t/terraform.tfstate'),
      file('other/.hidden'),
    );
    const { files, leftOut } = await unpack(tar, { path: '.coder/t' });
    expect(Object.keys(files)).to.deep.equal(['main.tf', '.terraform.lock.hcl']);
    expect(leftOut).to.deep.equal(['.git/', 'terraform.tfstate']);
  });

  it('takes any amount of what is left out, and what else may be in there', async () => {
    const many = Array.from({ length: 2 * MAX_ARCHIVE_FILES }, (_, i) => file(`t/${i}.tfstate`, 'x'));
    const tar = tarOf(
      ...many,
      file('t/.terraform/provider', 'x'.repeat(2 * MAX_ARCHIVE_BYTES)),
      entry({ name: 't/.terraform/link', type: '2', linkname: '/etc/passwd' }),
      file(`t/.git/${'x'.repeat(90)}`),
      file('t/.git/twice'),
      file('t/.git/twice'),
      file('t/main.tf'),
    );
    const { files, leftOut } = await unpack(tar, { path: 't' });
    expect(Object.keys(files)).to.deep.equal(['main.tf']);
    expect(leftOut).to.have.length(100);
  });

  it('reads what git archive, GNU tar and Coder write', async () => {
    const long = `${'folder/'.repeat(30)}main.tf`;
    const git = tarOf(
      pax('g', { comment: '4f2a' }),
      entry({ name: 'repo/', type: '5' }),
      file('repo/main.tf', 'x'),
    );
    expect(text((await unpack(git, { path: 'repo' })).files)).to.deep.equal({ 'main.tf': 'x' });

    const gnu = { magic: 'ustar  \0' };
    const longGnu = entry({ ...gnu, name: '././@LongLink', type: 'L' }, `${long}\0`);
    const viaGnu = tarOf(longGnu, entry({ ...gnu, name: long }, 'x'));
    const viaPax = tarOf(pax('x', { path: long }), file('short', 'x'));
    for (const tar of [viaGnu, viaPax])
      expect(text((await unpack(tar)).files)).to.deep.equal({ [long]: 'x' });

    // Coder's command line writes no end, and old programs mark a folder by nothing but a slash.
    const unended = Buffer.concat([file('modules/'), file('modules/main.tf', 'x')]);
    expect(text((await unpack(unended)).files)).to.deep.equal({ 'modules/main.tf': 'x' });
  });

  it('gives nothing for an archive without files', async () => {
    expect(await unpack(Buffer.alloc(10_240))).to.deep.equal({ files: {}, leftOut: [] });
    expect(
      (await unpack(tarOf(entry({ name: './', type: '5' }), entry({ name: '.', type: '5' })))).files,
    ).to.deep.equal({});
    expect((await unpack(tarOf(entry({ name: 'a/', type: '5' })), { path: 'a' })).files).to.deep.equal({});
  });

  it('takes a name that JavaScript treats otherwise as any other', async () => {
    const { files } = await unpack(tarOf(file('__proto__', 'x'), file('constructor', 'y')));
    expect(Object.entries(text(files))).to.deep.equal([
      ['__proto__', 'x'],
      ['constructor', 'y'],
    ]);
  });

  it('gives back every tree that can be packed', async () => {
    const name = fc.constantFrom('a', 'b', 'main.tf', '.git', 'x.tfstate', '__proto__', 'ü', 'n'.repeat(60));
    const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));
    const content = fc.oneof(fc.uint8Array({ maxLength: 1500 }), fc.string({ unit: 'grapheme' }));
    // The shorter path goes first, so that a file never becomes a folder.
    const tree = fc.array(fc.tuple(path, content), { minLength: 1, maxLength: 8 }).map((all) => {
      const files = new Map<string, string | Uint8Array>();
      for (const [p, data] of all.sort(([a], [b]) => a.length - b.length)) {
        if (![...files.keys()].some((f) => p.startsWith(`${f}/`))) files.set(p, data);
      }
      return Object.fromEntries(files);
    });
    await fc.assert(
      fc.asyncProperty(tree, fc.boolean(), async (files, isZipped) => {
        const tar = await archiveOf(files);
        const wanted = templateFiles(files);
        const got = await unpack(isZipped ? gzipSync(tar) : tar);
        expect(text(got.files)).to.deep.equal(text(wanted.files));
        expect(filesHash(got.files)).to.equal(filesHash(wanted.files));
        expect(got.leftOut).to.deep.equal(wanted.leftOut);
      }),
      { numRuns: 150 },
    );
  });
});

describe('unpack: what an archive must not hold', () => {
  const names: readonly (readonly [string, string])[] = [
    ['../main.tf', 'has a part "." or ".."'],
    ['a/../../main.tf', 'has a part "." or ".."'],
    ['./../main.tf', 'has a part "." or ".."'],
    ['..', 'has a part "." or ".."'],
    ['/etc/passwd', 'is absolute'],
    [String.raw`a\..\b`, 'holds a backslash'],
    ['a\nb', 'holds a control character'],
    ['a//b', 'has an empty part'],
    ['', 'is empty'],
  ];
  for (const [name, reason] of names) {
    it(`refuses the name ${JSON.stringify(name)} wherever it stands, and in every notation`, async () => {
      for (const path of [undefined, 'good']) {
        for (const tar of [
          tarOf(file('good/main.tf'), file(name)),
          tarOf(file('good/main.tf'), entry({ name, type: '2', linkname: 'x' })),
          ...(name === '' ? [] : [tarOf(file('good/main.tf'), pax('x', { path: name }), file('good/x'))]),
        ]) {
          expect(await fault(tar, { path }))
            .to.include(`the name of its entry`)
            .and.include(reason);
        }
      }
    });
  }

  it('refuses folders by such names', async () => {
    for (const name of ['/', '../', '/a/', 'a/../', 'a//']) {
      expect(await fault(tarOf(entry({ name, type: '5' })))).to.include('the name of its entry');
    }
  });

  it('takes slashes after a leading "./" for one', async () => {
    expect(Object.keys((await unpack(tarOf(file('.//./etc/passwd')))).files)).to.deep.equal(['etc/passwd']);
  });

  const kinds: readonly (readonly [type: string, kind: string])[] = [
    ['1', 'a hard link'],
    ['2', 'a symbolic link'],
    ['3', 'a device'],
    ['4', 'a device'],
    ['6', 'a named pipe'],
    ['S', 'of an unknown kind'],
  ];
  for (const [type, kind] of kinds) {
    it(`refuses what is ${kind} (type ${type}) under the path, and passes over it elsewhere`, async () => {
      const tar = tarOf(
        file('good/main.tf', 'x'),
        entry({ name: 'bad/dev', type, linkname: 'good/main.tf' }),
        file('good/b.tf', 'y'),
      );
      const message = `its entry "bad/dev" is ${kind}; a template consists of files and folders only`;
      expect(await fault(tar, { path: 'bad' })).to.equal(message);
      expect(await fault(tar)).to.equal(message);
      expect(text((await unpack(tar, { path: 'good' })).files)).to.deep.equal({
        'main.tf': 'x',
        'b.tf': 'y',
      });
    });
  }

  it('refuses a file that is there twice, also under two notations', async () => {
    expect(await fault(tarOf(file('main.tf', 'x'), file('./main.tf', 'y')))).to.equal(
      'it holds "./main.tf" twice',
    );
    expect((await unpack(tarOf(file('a/x'), file('a/x'), file('b/x')), { path: 'b' })).files).to.have.keys(
      'x',
    );
  });

  it('refuses names that are no UTF-8', async () => {
    const odd = header({ name: 'a?.tf' });
    odd[1] = 0xff;
    odd.write(`${(8 * 32 + sumOf(odd)).toString(8).padStart(6, '0')}\0 `, 148);
    expect(await fault(tarOf(odd))).to.include('half a character');
  });

  it('shortens and cleans the names that it quotes', async () => {
    const name = `${'x'.repeat(3000)}\u001b[31m\u202e/../y`;
    const message = await fault(tarOf(pax('x', { path: name }), file('short')));
    expect(message).to.match(/^the name of its entry "x+…" holds a control character/);
    expect(message.length).to.be.lessThan(250);
    expect(await fault(tarOf(pax('x', { path: 'x'.repeat(5000) }), file('short')))).to.include(
      'longer than 4096',
    );
  });
});

function sumOf(block: Buffer): number {
  return block.reduce((sum, byte, i) => (i >= 148 && i < 156 ? sum : sum + byte), 0);
}

describe('unpack: the path', () => {
  const tar = tarOf(...['c', 'b', 'a'].map((name) => file(`${name}/main.tf`)), file('README.md'));

  it('refuses one that leads outside', async () => {
    expect(await fault(tar, { path: '../a' })).to.equal('the path "../a" has a part "." or ".."');
    expect(await fault(tar, { path: 'a/../b' })).to.include('has a part "." or ".."');
    expect(await fault(tar, { path: '/a' })).to.equal(
      'the path "/a" is absolute; it is relative to the root of the archive',
    );
    expect(await fault(tar, { path: String.raw`a\b` })).to.include('holds a backslash');
  });

  it('says what there is when the folder is not', async () => {
    expect(await fault(tar, { path: 'd' })).to.equal(
      'there is no folder "d" in it; it has "c", "b", "a" at its root',
    );
    expect(await fault(tarOf(file('main.tf')), { path: 'a/b' })).to.equal(
      'there is no folder "a/b" in it; it has no folders at all',
    );
    const many = tarOf(...Array.from({ length: 9 }, (_, i) => entry({ name: `f${i}/`, type: '5' })));
    expect(await fault(many, { path: 'd' })).to.match(/"f0", "f1", "f2", "f3", "f4" and more at its root$/);
  });

  it('refuses what is no folder', async () => {
    expect(await fault(tar, { path: 'README.md' })).to.include(
      '"README.md" is a file in it and not a folder',
    );
    const linked = tarOf(entry({ name: 'now', type: '2', linkname: 'a' }), file('a/main.tf'));
    expect(await fault(linked, { path: 'now' })).to.include(
      '"now" is a symbolic link in it and not a folder',
    );
  });
});

describe('unpack: how much there may be', () => {
  it('bounds the files and bytes that are kept, and takes what just fits', async () => {
    const files = Array.from({ length: MAX_ARCHIVE_FILES }, (_, i) => file(`t/${i}.tf`));
    expect((await unpack(tarOf(...files), { path: 't' })).files).to.have.property('0.tf');
    expect(await fault(tarOf(...files, file('t/more.tf')), { path: 't' })).to.include('more than 1024 files');

    const full = file('t/main.tf', 'x'.repeat(MAX_ARCHIVE_BYTES));
    expect((await unpack(tarOf(full, file('u/x', 'x')), { path: 't' })).files).to.have.property('main.tf');
    expect(await fault(tarOf(full, file('t/more.tf', 'x')), { path: 't' })).to.include(
      'with "more.tf" it grows beyond 1 MiB',
    );
  });

  it('bounds the entries', async () => {
    const one = file('elsewhere/x');
    const most = Buffer.alloc((MAX_ENTRIES + 1) * one.length, one);
    expect(await fault(gzipSync(most), { path: 't' })).to.equal('it has more than 100000 entries');
    expect(await fault(gzipSync(most.subarray(one.length)), { path: 't' })).to.include('no folder "t"');
  });

  it('stops a bomb while it inflates, and holds none of it', async () => {
    // 64 GiB out of 64 MiB: 1,024 members that inflate to 64 MiB each. To inflate all of it takes minutes.
    const zeros = gzipSync(Buffer.alloc(64 * 1024 * 1024));
    const size = Buffer.from('800000000000001000000000', 'hex'); // 64 GiB
    const bomb = Buffer.concat([
      gzipSync(header({ name: 'elsewhere/x', size })),
      ...Array.from({ length: 1024 }, () => zeros),
    ]);
    const before = process.memoryUsage().arrayBuffers;
    let most = 0;
    const watch = setInterval(() => (most = Math.max(most, process.memoryUsage().arrayBuffers)), 5);
    try {
      expect(await fault(bomb, { path: 't' })).to.equal('it inflates to more than 256 MiB');
    } finally {
      clearInterval(watch);
    }
    expect(most).to.be.greaterThan(0);
    expect(most - before).to.be.lessThan(128 * 1024 * 1024);
  });

  it('refuses a file by the size it promises, before it is read', async () => {
    const sizes = {
      'octal, as large as it goes': Buffer.from('77777777777\0'),
      'base 256': Buffer.from('800000000000001000000000', 'hex'),
      'base 256, as large as it goes': Buffer.from(`80${'ff'.repeat(11)}`, 'hex'),
    };
    for (const [name, size] of Object.entries(sizes)) {
      expect(await fault(header({ name, size }))).to.include('it grows beyond 1 MiB');
    }
    const viaPax = Buffer.concat([pax('x', { size: '99999999999999999999' }), header({ name: 'main.tf' })]);
    expect(await fault(viaPax)).to.include('it grows beyond 1 MiB');
  });

  it('refuses sizes that are none', async () => {
    const sizes = [
      Buffer.from(`${'ff'.repeat(11)}fe`, 'hex'),
      Buffer.from('ff'.padEnd(24, '0'), 'hex'),
      Buffer.from('-1'),
    ];
    for (const size of [...sizes, Buffer.from('abc'), Buffer.from('c0'.padEnd(24, '1'), 'hex')]) {
      for (const path of [undefined, 'elsewhere']) {
        expect(await fault(Buffer.concat([header({ name: 'main.tf', size }), END]), { path })).to.equal(
          'its tar is damaged',
        );
      }
      await fault(Buffer.concat([header({ name: 'main.tf', type: 'x', size }), file('main.tf')]), {
        path: 'y',
      });
    }
  });

  it('does not wait for content that a folder claims', async () => {
    const claimed = Buffer.concat([header({ name: 'a/', type: '5', size: 512 }), file('main.tf', 'x'), END]);
    expect(text((await unpack(claimed)).files)).to.deep.equal({ 'main.tf': 'x' });
  });

  it('bounds extended headers', async () => {
    const fields = (many: number): Record<string, string> =>
      Object.fromEntries(Array.from({ length: many }, (_, i) => [`k${i}`, '']));
    const large = tarOf(pax('x', fields(300_000)), file('main.tf'));
    expect(await fault(gzipSync(large))).to.include('more than 64 KiB of headers or padding');
    const inherited = tarOf(pax('g', fields(300)), pax('x', { path: 'main.tf' }), file('x'));
    expect(await fault(inherited)).to.include('more than 256 extended fields');
    const several = Array.from({ length: 200 }, () => pax('g', { comment: 'x' }));
    expect(await fault(tarOf(...several, file('main.tf')))).to.include('more than 64 KiB');
    // As much as is fine, again and again.
    const fine = Array.from({ length: 20 }, (_, i) => [
      pax('g', { comment: 'x'.repeat(20_000) }),
      file(`${i}.tf`),
    ]);
    expect((await unpack(tarOf(...fine.flat()))).files).to.have.property('19.tf');
  });

  it('lets others have their turn meanwhile', async () => {
    const tar = tarOf(file('elsewhere/x', Buffer.alloc(8 * 1024 * 1024)), file('t/main.tf'));
    for (const bytes of [tar, gzipSync(tar)]) {
      let turns = 0;
      let isDone = false;
      const count = (): void => {
        turns++;
        if (!isDone) setImmediate(count);
      };
      count();
      await unpack(bytes, { path: 't' });
      isDone = true;
      expect(turns).to.be.greaterThan(200);
    }
  });
});

describe('unpack: what is no archive', () => {
  const looks: readonly (readonly [string | Uint8Array, string])[] = [
    ['', 'it is empty'],
    ['<!DOCTYPE html><html>', 'it looks like a web page (HTML)'],
    [`\ufeff\n <HTML>${' '.repeat(1000)}`, 'it looks like a web page (HTML)'],
    ['<?xml version="1.0"?><Error/>', 'it looks like XML'],
    ['{"message": "not found"}', 'it looks like JSON'],
    [Uint8Array.of(0x50, 0x4b, 3, 4, 20), 'it looks like a zip archive'],
    [Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd), 'it looks like zstd'],
    [Uint8Array.of(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0), 'it looks like xz'],
    ['BZh91AY', 'it looks like bzip2'],
    ['resource "terraform_data" "dev" {}', 'it begins like neither of them'],
    [Buffer.alloc(100), 'it begins like neither of them'],
  ];
  for (const [content, look] of looks) {
    it(`says that ${look} (${Buffer.from(content).subarray(0, 12).toString('hex')})`, async () => {
      const message = `it is no tar and no tar.gz: ${look}`;
      expect(await fault(Buffer.from(content))).to.equal(message);
      expect(await fault(gzipSync(content))).to.equal(message);
    });
  }

  it('tells what is cut short from what is damaged', async () => {
    const tar = await archiveOf(FILES);
    const gz = gzipSync(tar);
    for (let length = 1; length < tar.length - 1024; length += 100) {
      if (length >= 512 && length % 512 !== 0)
        expect(await fault(tar.subarray(0, length))).to.equal('it is cut short');
    }
    for (let length = 2; length < gz.length; length += 7) {
      expect(await fault(gz.subarray(0, length))).to.equal('it is cut short');
    }
    const damaged = Buffer.from(tar);
    damaged[3] = 1;
    expect(await fault(damaged)).to.equal('its tar is damaged');
    const broken = Buffer.from(gz);
    broken[broken.length - 5] = ~broken[broken.length - 5]! & 0xff; // the check sum
    expect(await fault(broken)).to.equal('its gzip compression is damaged');
  });

  const tree = {
    'main.tf': 'x'.repeat(700),
    [`${'a/'.repeat(60)}main.tf`]: 'y',
    'modules/net/main.tf': 'z'.repeat(5000),
    'ü.tf': '',
  };

  it('comes to an end with whatever it gets, and never leads outside', async () => {
    const tar = await archiveOf(tree);
    const byte = fc.record({ at: fc.nat(), to: fc.nat(255) });
    const damage = fc.record({
      isZipped: fc.boolean(),
      bytes: fc.array(byte, { maxLength: 8 }),
      // Most of a tar is content: what matters are the headers.
      headers: fc.array(byte, { maxLength: 8 }),
      length: fc.option(fc.nat(), { nil: undefined }),
      path: fc.constantFrom('', 'modules', 'a/a'),
    });
    await fc.assert(
      fc.asyncProperty(damage, async ({ isZipped, bytes, headers, length, path }) => {
        const damaged = Buffer.from(isZipped ? gzipSync(tar) : tar);
        for (const { at, to } of bytes) damaged[at % damaged.length] = to;
        for (const { at, to } of headers) mendedAt(damaged, isZipped ? 0 : at, to);
        const cut = damaged.subarray(0, length === undefined ? undefined : length % damaged.length);
        try {
          const { files } = await unpack(cut, { path });
          for (const name of Object.keys(files)) expect(pathFault(name)).to.equal(undefined);
        } catch (error) {
          expect(error).to.be.instanceOf(OperatorError).and.to.have.property('code', 'INVALID_ARCHIVE');
        }
      }),
      { numRuns: 400 },
    );
  });

  /** Changes a byte of some header, and its check sum with it, so that it is read on. */
  function mendedAt(tar: Buffer, at: number, to: number): void {
    const starts: number[] = [];
    for (let start = 0; start + 512 <= tar.length; start += 512) {
      if (tar.toString('latin1', start + 257, start + 262) === 'ustar') starts.push(start);
    }
    const start = starts[at % starts.length];
    if (start === undefined) return;
    const block = tar.subarray(start, start + 512);
    // Name, size, type and prefix are where it may hurt.
    const offsets = [...Array(8).keys(), ...[124, 125, 130, 134, 135], 156, 345, 346];
    block[offsets[at % offsets.length]!] = to;
    block.write(`${(8 * 32 + sumOf(block)).toString(8).padStart(6, '0')}\0 `, 148);
  }
});

describe('unpack: being stopped', () => {
  it('ends with the reason of the signal, before and during', async () => {
    const reason = new Error('shutting down');
    const zeros = gzipSync(Buffer.alloc(64 * 1024 * 1024));
    const size = Buffer.from('800000000000001000000000', 'hex');
    for (const bytes of [
      Buffer.concat([gzipSync(header({ name: 'x/x', size })), zeros, zeros, zeros]),
      Buffer.concat([header({ name: 'x/x', size }), Buffer.alloc(64 * 1024 * 1024)]),
    ]) {
      for (const abortNow of [true, false]) {
        const controller = new AbortController();
        if (abortNow) controller.abort(reason);
        else setImmediate(() => controller.abort(reason));
        const error: unknown = await unpack(bytes, { path: 't', signal: controller.signal }).catch(
          (thrown: unknown) => thrown,
        );
        expect(error).to.equal(reason);
      }
    }
  });
});
