import { expect } from 'chai';
import fc from 'fast-check';
import {
  archiveFault,
  contentFault,
  foldersOf,
  MAX_ARCHIVE_BYTES,
  MAX_ARCHIVE_FILES,
  pathFault,
  quotedPath,
  templateFiles,
  type ArchiveFiles,
} from '../../../src/coder/layout.ts';

const terraform = { provisioner: 'terraform' } as const;

function named(paths: readonly string[]): ArchiveFiles {
  return Object.fromEntries(paths.map((path) => [path, '']));
}

describe('templateFiles', () => {
  const rows: readonly (readonly [path: string, leftOutAs: string | undefined])[] = [
    ['main.tf', undefined],
    ['modules/net/main.tf.json', undefined],
    ['Dockerfile', undefined],
    ['build/a.b/c', undefined],
    ['.gitignore', '.gitignore'],
    ['docs/.draft', 'docs/.draft'],
    ['.git/config', '.git/'],
    ['.git/refs/heads/main', '.git/'],
    ['example/.terraform/providers/x', 'example/.terraform/'],
    ['...', '...'],
    ['..data/main.tf', '..data/'],
    ['.terraform.lock.hcl', undefined],
    ['example/.terraform.lock.hcl', undefined],
    ['.terraform/.terraform.lock.hcl', '.terraform/'],
    ['.terraform.lock.hcl/x', '.terraform.lock.hcl/'],
    ['terraform.tfstate', 'terraform.tfstate'],
    ['terraform.tfstate.backup', 'terraform.tfstate.backup'],
    ['a/b.tfstate.d/c', 'a/b.tfstate.d/c'],
    ['tfstate', undefined],
    ['terraform.tfvars', 'terraform.tfvars'],
    ['terraform.tfvars.json', 'terraform.tfvars.json'],
    ['example/terraform.tfvars', undefined],
    ['other.tfvars', undefined],
    ['dev.auto.tfvars', 'dev.auto.tfvars'],
    ['a/dev.auto.tfvars.json', 'a/dev.auto.tfvars.json'],
    ['dev.auto.tfvars.txt', undefined],
    ['dev_auto.tfvars', undefined],
  ];
  for (const [path, leftOutAs] of rows) {
    it(`${leftOutAs === undefined ? 'keeps' : 'leaves out'} ${path}`, () => {
      const { files, leftOut } = templateFiles(named([path]));
      expect(Object.keys(files)).to.deep.equal(leftOutAs === undefined ? [path] : []);
      expect(leftOut).to.deep.equal(leftOutAs === undefined ? [] : [leftOutAs]);
    });
  }

  it('names a hidden folder once, sorted among the others', () => {
    const all = named(['z.tfstate', '.git/a', '.git/b/c', 'main.tf', 'm/.x/y']);
    expect(templateFiles(all).leftOut).to.deep.equal(['.git/', 'm/.x/', 'z.tfstate']);
  });

  it('keeps contents as they are, and files that are called as something in JavaScript', () => {
    const bytes = Uint8Array.of(0, 255);
    const odd = JSON.parse('{"__proto__": "x", "constructor": "y", ".hidden": ""}') as ArchiveFiles;
    const { files } = templateFiles({ ...named(['.git/x']), 'a.bin': bytes, ...odd });
    expect(files['a.bin']).to.equal(bytes);
    expect(Object.entries(templateFiles(odd).files)).to.deep.equal([
      ['__proto__', 'x'],
      ['constructor', 'y'],
    ]);
  });

  it('lets no path vanish that must be refused', () => {
    const { files } = templateFiles(named(['../main.tf', './main.tf', 'a/../b']));
    expect(Object.keys(files)).to.have.length(3);
  });

  it('has nothing more to leave out the second time, and loses nothing', () => {
    const part = fc.constantFrom(
      'a',
      '.git',
      '.terraform.lock.hcl',
      'x.tfstate',
      'terraform.tfvars',
      'main.tf',
    );
    const path = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));
    fc.assert(
      fc.property(fc.uniqueArray(path, { maxLength: 10 }), (paths) => {
        const { files, leftOut } = templateFiles(named(paths));
        expect(templateFiles(files)).to.deep.equal({ files, leftOut: [] });
        for (const path of paths) {
          const isNamed = leftOut.some((name) =>
            name.endsWith('/') ? path.startsWith(name) : path === name,
          );
          expect(Object.hasOwn(files, path)).to.equal(!isNamed);
        }
      }),
      { numRuns: 200 },
    );
  });
});

describe('contentFault', () => {
  it('has nothing against a template', () => {
    for (const path of ['main.tf', 'x.tf.json']) {
      expect(contentFault(named([path, 'README.md', 'a/b/c']), terraform)).to.equal(undefined);
    }
  });

  it('tells when there is nothing', () => {
    expect(contentFault({}, terraform)).to.equal('no file is left in it but hidden ones, state and tfvars');
  });

  it('wants Terraform at the root', () => {
    expect(contentFault(named(['README.md', 'x.tfvars', 'tf']), terraform)).to.equal(
      'there is no .tf or .tf.json file at its root',
    );
    expect(contentFault(named(['docker/main.tf']), terraform)).to.equal(
      'there is no .tf or .tf.json file at its root; "docker/main.tf" lies deeper, where it is no template',
    );
  });

  it('wants no Terraform for echo', () => {
    expect(contentFault(named(['0.plan.protobuf']), { provisioner: 'echo' })).to.equal(undefined);
  });

  it('bounds files, folders and bytes, and takes what just fits', () => {
    const paths = Array.from({ length: MAX_ARCHIVE_FILES }, (_, i) => `${i}.tf`);
    expect(contentFault(named(paths), terraform)).to.equal(undefined);
    expect(contentFault(named([...paths, 'more.tf']), terraform)).to.include('more than 1024 files');

    const deep = Array.from({ length: 100 }, (_, i) => `${i}/${'d/'.repeat(20)}x`);
    expect(contentFault(named(['main.tf', ...deep]), terraform)).to.include('more than 1024 folders');

    const full = { 'main.tf': 'é'.repeat(MAX_ARCHIVE_BYTES / 2) };
    expect(contentFault(full, terraform)).to.equal(undefined);
    expect(contentFault({ ...full, 'b.tf': Uint8Array.of(0) }, terraform)).to.include(
      'with "b.tf" it grows beyond 1 MiB',
    );
  });

  it('tells a file that is also a folder, however deep', () => {
    expect(contentFault(named(['main.tf', 'a/b/c/d', 'a/b']), terraform)).to.equal(
      '"a/b" is a file and the folder of "a/b/c/d" at once; rename one of them',
    );
    const odd = JSON.parse('{"main.tf": "", "__proto__": "", "__proto__/x": ""}') as ArchiveFiles;
    expect(contentFault(odd, terraform)).to.include('"__proto__" is a file and the folder');
    expect(contentFault(named(['main.tf', 'constructor/x', '__proto__/y']), terraform)).to.equal(undefined);
  });

  it('tells a bad path, shortened and without control characters', () => {
    expect(archiveFault(named(['main.tf', 'a/../b']))).to.equal('the path "a/../b" has a part "." or ".."');
    const fault = archiveFault(named([`\u001b[31m${'x'.repeat(5000)}\n`])) ?? '';
    expect(fault).to.match(/is longer than 255 bytes$/);
    expect(fault.length).to.be.lessThan(200);
    expect(fault).not.to.match(/\p{Cc}/u);
  });
});

describe('pathFault', () => {
  const bad: readonly (readonly [string, string])[] = [
    ['', 'is empty'],
    ['/etc/passwd', 'is absolute'],
    ['../main.tf', 'has a part "." or ".."'],
    ['a/../../main.tf', 'has a part "." or ".."'],
    ['a/..', 'has a part "." or ".."'],
    ['./main.tf', 'has a part "." or ".."'],
    ['a/./b', 'has a part "." or ".."'],
    ['a//b', 'has an empty part'],
    ['a/', 'has an empty part'],
    [String.raw`a\b`, 'holds a backslash'],
    ['a\nb', 'holds a control character'],
    ['a\0b', 'holds a control character'],
    ['a\u0085b', 'holds a control character'],
    ['half\ud800', 'half a character'],
    ['half\ufffd', 'half a character'],
    ['x'.repeat(256), 'is longer than 255 bytes'],
    ['é'.repeat(128), 'is longer than 255 bytes'],
  ];
  for (const [path, fault] of bad) {
    it(`refuses ${JSON.stringify(path.slice(0, 20))}: it ${fault}`, () => {
      expect(pathFault(path)).to.include(fault);
    });
  }

  it('takes every other path', () => {
    for (const path of ['a', 'a/b.tf', '...', 'a..b', '~', 'C:', 'ü/ß 😀', 'x'.repeat(255)]) {
      expect(pathFault(path)).to.equal(undefined);
    }
  });
});

describe('quotedPath', () => {
  it('is short, on one line and in quotation marks', () => {
    expect(quotedPath('a "b"\u202e\r\nc')).to.equal(String.raw`"a \"b\" c"`);
    expect(Buffer.byteLength(quotedPath('😀'.repeat(1000)))).to.be.at.most(122);
  });
});

describe('foldersOf', () => {
  it('lists every folder once, at all depths', () => {
    expect([...foldersOf(['a/b/c', 'a/d', 'e'])]).to.deep.equal(['a', 'a/b']);
  });
});
