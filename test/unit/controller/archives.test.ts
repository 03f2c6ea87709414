import { expect } from 'chai';
import { silentLogger } from '../../../src/base/logger.ts';
import { filesHash } from '../../../src/coder/contenthash.ts';
import type { ArchiveFiles } from '../../../src/coder/layout.ts';
import { DownloadError } from '../../../src/coder/download.ts';
import { Archives, type ArchiveAnswer, type ArchiveRequest } from '../../../src/controller/archives.ts';
import { sha256Of, tarGzOf, tarOf } from '../../support/archives.ts';
import { FakeClock, settle } from '../../support/clock.ts';

const URL_ = 'https://files.example.com/templates.tar.gz';
const MIB = 1024 * 1024;
const LONGEST_MS = 300_000;

/** One download, which ends when the test says so. */
interface Download {
  readonly url: string;
  readonly sha256: string;
  readonly signal: AbortSignal;
  readonly end: (bytes: Buffer) => void;
  readonly fail: (error: Error) => void;
}

class Bench {
  readonly clock = new FakeClock();
  readonly stop = new AbortController();
  readonly downloads: Download[] = [];
  readonly told: string[] = [];
  readonly archives = new Archives({
    download: (url, sha256, signal) =>
      new Promise((end, fail) => this.downloads.push({ url, sha256, signal, end, fail })),
    clock: this.clock,
    logger: silentLogger,
    signal: this.stop.signal,
    onAnswer: (objectKey) => this.told.push(objectKey),
  });
  #seen = 0;

  /** The next download to begin, when it has. */
  async begun(): Promise<Download> {
    await until(() => this.downloads.length > this.#seen);
    const download = this.downloads[this.#seen++];
    if (download === undefined) throw new Error('there is one');
    return download;
  }

  /** Who was told since the last time. */
  async nowTold(...keys: readonly string[]): Promise<void> {
    await until(() => this.told.length >= keys.length);
    await settle();
    expect(this.told.splice(0)).to.have.members(keys);
  }

  /** Asks, lets the download end so, and waits until the asker is told. */
  async failing(objectKey: string, request: ArchiveRequest, error: Error): Promise<ArchiveAnswer> {
    this.archives.get(objectKey, request);
    (await this.begun()).fail(error);
    await this.nowTold(objectKey);
    return this.archives.get(objectKey, request);
  }

  async fetched(objectKey: string, request: ArchiveRequest, bytes: Buffer): Promise<ArchiveAnswer> {
    this.archives.get(objectKey, request);
    (await this.begun()).end(bytes);
    await this.nowTold(objectKey);
    return this.archives.get(objectKey, request);
  }
}

/** What is unpacked is unpacked by other threads, so no number of turns of the loop is enough for certain. */
async function until(isSo: () => boolean): Promise<void> {
  const giveUpAt = performance.now() + 10_000;
  while (!isSo()) {
    if (performance.now() > giveUpAt) throw new Error(`not within ten seconds: ${isSo.toString()}`);
    await settle();
  }
}

function requestFor(bytes: Uint8Array, parts: Partial<ArchiveRequest> = {}): ArchiveRequest {
  return { url: URL_, sha256: sha256Of(bytes), isReplaced: false, ...parts };
}

function failed(answer: ArchiveAnswer): Extract<ArchiveAnswer, { state: 'failed' }> {
  if (answer.state !== 'failed') throw new Error(`it is ${answer.state}`);
  return answer;
}

function ready(answer: ArchiveAnswer): Extract<ArchiveAnswer, { state: 'ready' }> {
  if (answer.state !== 'ready') throw new Error(`it is ${JSON.stringify(answer)}`);
  return answer;
}

function textsOf(files: ArchiveFiles): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(files).map(([path, data]) => [path, Buffer.from(data).toString()]),
  );
}

const unreachable = (message = 'files.example.com cannot be reached'): DownloadError =>
  new DownloadError('Unreachable', message);

describe('Archives', () => {
  let bench: Bench;
  let bytes: Buffer;
  let request: ArchiveRequest;

  beforeEach(async () => {
    bench = new Bench();
    bytes = await tarGzOf({ 'main.tf': '# one', 'a/main.tf': '# a', 'b/main.tf': '# b', '.env': 'TOKEN=1' });
    request = requestFor(bytes);
  });
  afterEach(() => {
    bench.stop.abort();
    expect(bench.clock.pending, 'timers').to.equal(0);
  });

  describe('what is there', () => {
    it('is fetched once for all who ask, and each of them is told once', async () => {
      const askers = ['team/a', 'team/b', 'other/c'];
      for (const key of [...askers, ...askers]) {
        expect(bench.archives.get(key, request), 'nobody waits').to.deep.equal({ state: 'fetching' });
      }
      const { url, sha256, end } = await bench.begun();
      expect({ url, sha256 }).to.deep.equal({ url: URL_, sha256: request.sha256 });
      end(bytes);
      await bench.nowTold(...askers);
      for (const key of [...askers, 'late/d']) {
        const { files, ...rest } = ready(bench.archives.get(key, request));
        expect(textsOf(files)).to.deep.equal({ 'main.tf': '# one', 'a/main.tf': '# a', 'b/main.tf': '# b' });
        expect(rest).to.deep.equal({ state: 'ready', filesHash: filesHash(files), leftOut: ['.env'] });
      }
      await settle();
      expect(bench.downloads).to.have.length(1);
      expect(bench.told, 'nobody waited any more').to.deep.equal([]);
    });

    it('is taken from the folder that was asked for', async () => {
      const { files } = ready(await bench.fetched('team/a', { ...request, path: 'a' }, bytes));
      expect(textsOf(files)).to.deep.equal({ 'main.tf': '# a' });
    });

    it('is fetched once for several folders, for thirty seconds after it was last used', async () => {
      bench.archives.get('team/a', { ...request, path: 'a' });
      bench.archives.get('team/b', { ...request, path: 'b' });
      const slow = await bench.begun();
      await bench.clock.advance(45_000);
      slow.end(bytes);
      await bench.nowTold('team/a', 'team/b');
      expect(textsOf(ready(bench.archives.get('team/b', { ...request, path: 'b' })).files)).to.deep.equal({
        'main.tf': '# b',
      });
      await bench.clock.advance(29_999);
      bench.archives.get('team/root', request);
      await bench.nowTold('team/root');
      expect(bench.downloads).to.have.length(1);
      await bench.clock.advance(29_999);
      expect(bench.clock.pending, 'still kept').to.equal(1);
      await bench.clock.advance(1);
      expect(bench.clock.pending, 'freed').to.equal(0);
      bench.archives.get('team/c', { ...request, path: './a' });
      await bench.begun();
    });

    it('is fetched once for several folders also when another archive is wanted in between', async () => {
      const other = await tarGzOf({ 'a/main.tf': '# other a', 'b/main.tf': '# other b' });
      const wanted = [
        ['team/a', { ...request, path: 'a' }],
        ['team/x', requestFor(other, { path: 'a' })],
        ['team/b', { ...request, path: 'b' }],
        ['team/y', requestFor(other, { path: 'b' })],
      ] as const;
      for (const [key, what] of wanted) bench.archives.get(key, what);
      (await bench.begun()).end(bytes);
      (await bench.begun()).end(other);
      await bench.nowTold('team/a', 'team/b', 'team/x', 'team/y');
      for (const [key, what] of wanted) ready(bench.archives.get(key, what));
      expect(bench.downloads).to.have.length(2);
    });

    it('is kept as it came while all of them are small enough, and as long as it is on its way', async () => {
      const tar = await tarOf({ 'main.tf': '#', 'a/main.tf': '#' });
      const [large, larger] = [20 * MIB, 21 * MIB].map((n) => Buffer.concat([tar, Buffer.alloc(n)]));
      if (large === undefined || larger === undefined) throw new Error('there are two');
      bench.archives.get('team/slow', request);
      const slow = await bench.begun();
      await bench.fetched('team/a', requestFor(large), large);
      await bench.fetched('team/b', requestFor(larger), larger);
      bench.archives.get('team/folder', { ...request, path: 'a' });
      await settle();
      expect(bench.downloads, 'the one on its way').to.have.length(3);
      slow.end(bytes);
      await bench.nowTold('team/slow', 'team/folder');
      bench.archives.get('team/b', requestFor(larger, { path: 'a' }));
      await bench.nowTold('team/b');
      expect(bench.downloads, 'the last one that is large').to.have.length(3);
      bench.archives.get('team/a', requestFor(large, { path: 'a' }));
      await bench.begun();
    });

    it('is fetched at two at once at most', async () => {
      const many = await Promise.all([1, 2, 3, 4].map((n) => tarGzOf({ 'main.tf': `# ${n}` })));
      for (const [i, b] of many.entries()) bench.archives.get(`team/${i}`, requestFor(b));
      await settle();
      expect(bench.downloads).to.have.length(2);
      bench.downloads[1]?.end(many[1] ?? bytes);
      await bench.nowTold('team/1');
      expect(bench.downloads).to.have.length(3);
    });
  });

  describe('a failure that heals', () => {
    it('is tried again later and later, and is told meanwhile', async () => {
      let answer = await bench.failing('team/a', request, unreachable('cannot be reached (1)'));
      for (const [i, seconds] of [5, 10, 20, 40, 80, 160, 300, 300].entries()) {
        const message = `cannot be reached (${i + 1})`;
        expect(answer).to.deep.equal({ state: 'failed', message, retryAfterMs: seconds * 1_000 });
        await bench.clock.advance(seconds * 1_000 - 1);
        expect(bench.archives.get('team/a', request)).to.deep.equal({
          state: 'failed',
          message,
          retryAfterMs: 1,
        });
        expect(bench.archives.get('team/new', request), 'also to others').to.include({ message });
        await settle();
        expect(bench.downloads).to.have.length(i + 1);
        await bench.clock.advance(1);
        answer = await bench.failing('team/a', request, unreachable(`cannot be reached (${i + 2})`));
      }
    });

    it('makes nobody ask again and again while it is tried', async () => {
      await bench.failing('team/a', request, unreachable());
      await bench.clock.advance(5_000);
      for (const key of ['team/a', 'team/b', 'team/a']) {
        expect(failed(bench.archives.get(key, request)).retryAfterMs).to.equal(LONGEST_MS);
      }
      (await bench.begun()).end(bytes);
      await bench.nowTold('team/a', 'team/b');
      ready(bench.archives.get('team/a', request));
    });

    it('is tried as late as the server asks, but for more than five minutes', async () => {
      const busy = (retryAfterMs: number): DownloadError =>
        new DownloadError('ServerError', 'status 503', { retryAfterMs });
      for (const [askedMs, expectedMs] of [
        [60_000, 60_000],
        [1_000, 10_000],
        [3_600_000, LONGEST_MS],
      ] as const) {
        const answer = failed(await bench.failing('team/a', request, busy(askedMs)));
        expect(answer.retryAfterMs).to.equal(expectedMs);
        await bench.clock.advance(expectedMs);
      }
    });

    it('is told to those who asked since the last try, and to nobody twice', async () => {
      for (const key of ['team/a', 'team/b', 'team/c']) bench.archives.get(key, request);
      (await bench.begun()).fail(unreachable());
      await bench.nowTold('team/a', 'team/b', 'team/c');
      expect(bench.downloads, 'one try for them all').to.have.length(1);
      await bench.clock.advance(5_000);
      await bench.failing('team/b', request, unreachable());
      expect(bench.told).to.deep.equal([]);
    });

    it('is tried at once when a person asks', async () => {
      await bench.failing('team/a', { ...request, request: 'one' }, unreachable());
      const answer = bench.archives.get('team/a', { ...request, request: 'two' });
      expect(failed(answer).retryAfterMs).to.equal(LONGEST_MS);
      (await bench.begun()).end(bytes);
      await bench.nowTold('team/a');
    });

    it('may be any that nobody thought of, and is tried less and less often too', async () => {
      for (const seconds of [5, 10, 20]) {
        const answer = failed(await bench.failing('team/a', request, new TypeError('x is not a function')));
        expect(answer).to.include({ message: 'x is not a function', retryAfterMs: seconds * 1_000 });
        await bench.clock.advance(seconds * 1_000);
      }
    });

    it('may be a wrong digest of what is replaced now and then, and of nothing else', async () => {
      const wrong = new DownloadError('WrongDigest', 'has not the SHA-256');
      const replaced = failed(await bench.failing('team/a', { ...request, isReplaced: true }, wrong));
      expect(replaced.retryAfterMs).to.equal(5_000);
      const fixed = failed(await bench.failing('team/b', request, wrong));
      expect(fixed.retryAfterMs).to.equal(undefined);
      await bench.clock.advance(5_000);
      bench.archives.get('team/a', { ...request, isReplaced: true });
      (await bench.begun()).end(bytes);
      await bench.nowTold('team/a');
    });
  });

  describe('a failure that does not heal', () => {
    const refused = (): DownloadError => new DownloadError('Refused', 'the server refuses (status 403)');

    it('is not tried again by itself, but once for whoever asks for the first time', async () => {
      const answer = await bench.failing('team/a', request, refused());
      expect(answer).to.deep.equal({
        state: 'failed',
        message: 'the server refuses (status 403)',
        retryAfterMs: undefined,
      });
      await bench.clock.advance(24 * 3_600_000);
      expect(bench.archives.get('team/a', request)).to.deep.equal(answer);
      await settle();
      expect(bench.downloads).to.have.length(1);
      expect(bench.told).to.deep.equal([]);
      await bench.failing('team/b', request, refused());
      for (const key of ['team/a', 'team/b']) expect(bench.archives.get(key, request)).to.deep.equal(answer);
      await settle();
      expect(bench.downloads).to.have.length(2);
    });

    it('is tried once more when the same asker asks anew', async () => {
      await bench.failing('team/a', request, refused());
      await bench.failing('team/a', { ...request, request: 'one' }, refused());
      expect(bench.downloads).to.have.length(2);
      bench.archives.get('team/a', { ...request, request: 'one' });
      await settle();
      expect(bench.downloads).to.have.length(2);
      const mended = await bench.fetched('team/a', { ...request, request: 'two' }, bytes);
      ready(mended);
    });

    it('goes round in no circle between askers with different requests', async () => {
      const one = { ...request, request: 'one' };
      const two = { ...request, request: 'two' };
      await bench.failing('team/a', one, refused());
      await bench.failing('team/b', two, refused());
      await bench.failing('team/c', request, refused());
      for (let i = 0; i < 5; i++) {
        bench.archives.get('team/b', two);
        bench.archives.get('team/a', one);
        bench.archives.get('team/c', request);
      }
      await settle();
      expect(bench.downloads).to.have.length(3);
    });

    it('is an archive that is none, or has no such folder', async () => {
      const html = Buffer.from('<!DOCTYPE html>'.repeat(64));
      const none = failed(await bench.fetched('team/a', requestFor(html), html));
      expect(none).to.include({ retryAfterMs: undefined });
      expect(none.message).to.contain('web page');
      const lacking = failed(await bench.fetched('team/b', { ...request, path: 'nowhere' }, bytes));
      expect(lacking).to.include({ retryAfterMs: undefined });
      expect(lacking.message).to.contain('nowhere');
    });

    it('of one address does not count for another with the same digest', async () => {
      const elsewhere = { ...request, url: 'https://mirror.example.com/one.tar.gz' };
      bench.archives.get('mallory/a', elsewhere);
      bench.archives.get('team/b', request);
      (await bench.begun()).fail(refused());
      (await bench.begun()).end(bytes);
      await bench.nowTold('mallory/a', 'team/b');
      failed(bench.archives.get('mallory/a', elsewhere));
      ready(bench.archives.get('team/b', request));
    });
  });

  describe('its memory', () => {
    /** Of a template that is as large as may be. */
    const fat = (n: number): Promise<Buffer> =>
      tarGzOf({ 'main.tf': `# ${n}`, 'data.bin': Buffer.alloc(MIB - 64) });

    it('holds 32 MiB of content: what was not used for longest goes first, and is fetched when asked for again', async () => {
      const lost = { ...request, url: 'https://lost.example.com/' };
      await bench.failing('team/lost', lost, new DownloadError('Refused', 'status 403'));
      const all = await Promise.all(Array.from({ length: 34 }, (_, n) => fat(n)));
      const requests = all.map((b) => requestFor(b));
      const [first, second] = requests;
      if (first === undefined || second === undefined) throw new Error('there are many');
      for (const [i, b] of all.entries()) {
        await bench.fetched(`team/${i}`, requests[i] ?? first, b);
        if (i === 30) ready(bench.archives.get('team/0', first));
      }
      ready(bench.archives.get('team/0', first));
      failed(bench.archives.get('team/lost', lost));
      expect(bench.downloads, 'a failure takes no room').to.have.length(35);
      await bench.clock.advance(60_000);
      expect(bench.archives.get('team/1', second)).to.deep.equal({ state: 'fetching' });
      (await bench.begun()).end(all[1] ?? bytes);
      await bench.nowTold('team/1');
      ready(bench.archives.get('team/1', second));
    });

    it('does not forget what is being fetched, whatever else is asked for', async () => {
      bench.archives.get('team/slow', request);
      const slow = await bench.begun();
      for (let i = 0; i < 34; i++) {
        const b = await fat(i);
        await bench.fetched(`team/${i}`, requestFor(b), b);
      }
      bench.archives.get('team/folder', { ...request, path: 'a' });
      for (let i = 0; i < 1_001; i++) {
        bench.archives.get(`team/many-${i}`, { ...request, url: `https://files.example.com/${i}` });
      }
      bench.archives.get('team/second', request);
      slow.end(bytes);
      await bench.nowTold('team/slow', 'team/second', 'team/folder');
      ready(bench.archives.get('team/slow', request));
      expect(bench.downloads.filter(({ url }) => url === URL_)).to.have.length(35);
    });
  });

  describe('its end', () => {
    it('tells nobody, begins nothing and leaves nothing', async () => {
      const waiting = await Promise.all([1, 2, 3].map((n) => tarGzOf({ 'main.tf': `# ${n}` })));
      await bench.fetched('team/a', request, bytes);
      for (const [i, b] of waiting.entries()) bench.archives.get(`team/${i}`, requestFor(b));
      const [heeding, heedless] = [await bench.begun(), await bench.begun()];
      bench.stop.abort();
      expect(heeding.signal.aborted).to.equal(true);
      heeding.fail(new DownloadError('Aborted', 'the download was given up'));
      heedless.end(waiting[1] ?? bytes);
      bench.archives.get('team/late', requestFor(await tarGzOf({ 'main.tf': '# late' })));
      await settle();
      expect(bench.told).to.deep.equal([]);
      expect(bench.downloads, 'of the first one and these two').to.have.length(3);
      expect(bench.clock.pending).to.equal(0);
    });
  });
});
