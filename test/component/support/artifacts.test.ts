import { gunzipSync } from 'node:zlib';
import { expect } from 'chai';
import { extract } from 'tar-stream';
import { bombOf, tarGzOf, tarOf } from '../../support/archives.ts';
import { ArtifactServer, endless, HeldBack, htmlPage, redirectTo, status } from '../../support/artifacts.ts';
import { eventually } from '../../support/eventually.ts';

async function entriesOf(tar: Buffer): Promise<string[]> {
  const entries: string[] = [];
  const reader = extract();
  reader.end(tar);
  for await (const entry of reader) {
    const { name, type, linkname } = entry.header;
    const chunks: Buffer[] = [];
    for await (const chunk of entry) chunks.push(chunk as Buffer);
    const what = type === 'file' ? Buffer.concat(chunks).toString() : linkname;
    entries.push(`${type} ${name} ${what}`);
  }
  return entries;
}

describe('archives of the tests', () => {
  const files = { 'main.tf': 'a', 'modules/net/main.tf': 'b' };

  it('hold what is asked for, under the names of other programs', async () => {
    expect(await entriesOf(await tarOf(files))).to.deep.equal([
      'file main.tf a',
      'file modules/net/main.tf b',
    ]);
    expect(await entriesOf(gunzipSync(await tarGzOf(files, { prefix: 'repo-abc/' })))).to.deep.equal([
      'file repo-abc/main.tf a',
      'file repo-abc/modules/net/main.tf b',
    ]);
    const folders = (await entriesOf(await tarOf(files, { folders: true }))).filter((e) =>
      e.startsWith('dir'),
    );
    expect(folders.map((e) => e.replace(/\/? \S*$/, ''))).to.deep.equal([
      'directory .',
      'directory modules',
      'directory modules/net',
    ]);
  });

  it('hold what nobody should unpack', async () => {
    const options = { symlinks: { link: '/etc/passwd' }, hardLinks: { other: 'main.tf' } };
    expect(await entriesOf(await tarOf({ '../main.tf': 'x', '/etc/x': 'y' }, options))).to.deep.equal([
      'file ../main.tf x',
      'file /etc/x y',
      'symlink link /etc/passwd',
      'link other main.tf',
    ]);
    const bomb = await bombOf(10_000_000);
    expect(bomb.length).to.be.lessThan(20_000);
    const [only, ...more] = await entriesOf(gunzipSync(bomb));
    expect(only).to.have.length('file main.tf '.length + 10_000_000);
    expect(more).to.deep.equal([]);
  });
});

describe('the artifact server of the tests', () => {
  let server: ArtifactServer;

  beforeEach(async () => {
    server = await ArtifactServer.start();
  });

  afterEach(() => server.close());

  const read = async (path: string): Promise<string> => (await fetch(server.url(path))).text();

  it('serves, replaces and removes files, and counts who asked', async () => {
    const url = server.serve('/a.tar.gz', Buffer.from('one'));
    expect(url).to.match(/^http:\/\/127\.0\.0\.1:\d+\/a\.tar\.gz$/);
    expect(await read('/a.tar.gz?token=x')).to.equal('one');
    server.serve('/a.tar.gz', Buffer.from('two'));
    const answer = await fetch(url, { headers: { 'x-test': 'here' } });
    expect(await answer.text()).to.equal('two');
    server.remove('/a.tar.gz');
    expect((await fetch(url)).status).to.equal(404);
    expect(server.requests('/a.tar.gz')).to.equal(3);
    expect(server.requests('/b.tar.gz')).to.equal(0);
    expect(server.headers('/a.tar.gz').map((h) => h['x-test'])).to.deep.equal([undefined, 'here', undefined]);
  });

  it('answers errors, pages and redirects', async () => {
    server.serve('/error', status(500));
    server.serve('/page', htmlPage());
    server.serve('/moved', redirectTo('https://elsewhere.example.com/'));
    expect((await fetch(server.url('/error'))).status).to.equal(500);
    expect(await read('/page')).to.match(/^<!DOCTYPE html>/);
    const moved = await fetch(server.url('/moved'), { redirect: 'manual' });
    expect([moved.status, moved.headers.get('location')]).to.deep.equal([
      302,
      'https://elsewhere.example.com/',
    ]);
  });

  it('holds the second half back until it is released, or cuts it off', async () => {
    const held = new HeldBack(Buffer.from('both halves'));
    server.serve('/held', held.respond);
    const whole = read('/held');
    await eventually(() => held.waiting === 1);
    held.release();
    expect(await whole).to.equal('both halves');
    await eventually(() => held.waiting === 0);

    const broken = read('/held').then(
      () => 'whole',
      () => 'broken',
    );
    await eventually(() => held.waiting === 1);
    held.cut();
    expect(await broken).to.equal('broken');
  });

  it('never comes to an end of an endless body, and stops when the reader does', async () => {
    server.serve('/endless', endless());
    const { body } = await fetch(server.url('/endless'));
    let bytes = 0;
    for await (const chunk of body ?? []) {
      bytes += (chunk as Uint8Array).length;
      if (bytes > 5_000_000) break;
    }
    expect(bytes).to.be.greaterThan(5_000_000);
  });
});
