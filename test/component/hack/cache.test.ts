import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { cached } from '../../../hack/stack/cache.ts';
import { StackError } from '../../../hack/stack/errors.ts';
import { silentProgress, type Progress } from '../../../hack/stack/progress.ts';
import { until } from '../../../hack/stack/wait.ts';

const cacheModule = new URL('../../../hack/stack/cache.ts', import.meta.url).href;
const key = '0123456789abcdef';

describe('the cache of built programs', function () {
  this.timeout(20_000);
  let cache: string;
  let children: ChildProcess[];
  beforeEach(() => {
    cache = mkdtempSync(join(tmpdir(), 'coder-operator-cache-test-'));
    children = [];
  });
  afterEach(() => {
    for (const child of children) child.kill('SIGKILL');
    rmSync(cache, { recursive: true, force: true });
  });

  let built: number;
  beforeEach(() => (built = 0));
  /** A builder that counts its work. */
  const get = (
    options: { progress?: Progress; signal?: AbortSignal; content?: string } = {},
  ): Promise<string> =>
    cached({
      cache,
      program: 'tool',
      key,
      file: 'tool',
      progress: options.progress ?? silentProgress,
      signal: options.signal,
      build: async (folder) => {
        built++;
        await new Promise((resolve) => setImmediate(resolve));
        writeFileSync(join(folder, 'tool'), options.content ?? 'the whole program');
      },
    });

  /** Another process that begins to build and never ends. */
  const hangingBuilder = async (): Promise<ChildProcess> => {
    const script = `
      import { cached } from ${JSON.stringify(cacheModule)};
      import { writeFileSync } from 'node:fs';
      setInterval(() => {}, 1000);
      await cached({
        cache: ${JSON.stringify(cache)}, program: 'tool', key: '${key}', file: 'tool',
        progress: { step() {}, done() {}, note() {} },
        build: async (folder) => { writeFileSync(folder + '/tool', 'half of'); console.log('building'); await new Promise(() => {}); },
      });`;
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    children.push(child);
    await once(child.stdout, 'data');
    return child;
  };

  it('builds once and answers from the cache from then on', async () => {
    const path = await get();
    expect(readFileSync(path, 'utf8')).to.equal('the whole program');
    expect(await get()).to.equal(path);
    expect(built).to.equal(1);
  });

  it('builds again what has been cut short', async () => {
    truncateSync(await get(), 3);
    expect(readFileSync(await get(), 'utf8')).to.equal('the whole program');
    expect(built).to.equal(2);
  });

  it('builds again what lost its program or its record', async () => {
    rmSync(await get());
    await get();
    rmSync(join(cache, 'tool', key, 'entry.json'));
    await get();
    expect(built).to.equal(3);
  });

  it('builds once for two that ask at the same time in one process', async () => {
    const [one, two] = await Promise.all([get(), get()]);
    expect(one).to.equal(two);
    expect(built).to.equal(1);
  });

  it('leaves nothing behind when a build fails, and tries again', async () => {
    const failing = cached({
      cache,
      program: 'tool',
      key,
      file: 'tool',
      progress: silentProgress,
      build: (folder) => {
        writeFileSync(join(folder, 'tool'), 'half of');
        return Promise.reject(new StackError('BUILD_FAILED', 'no disk'));
      },
    });
    const error: unknown = await failing.catch((reason: unknown) => reason);
    expect(error).to.be.instanceOf(StackError).with.property('message', 'no disk');
    expect(readdirSync(join(cache, 'tool'))).to.deep.equal([]);
    expect(readFileSync(await get(), 'utf8')).to.equal('the whole program');
  });

  it('waits for another process that builds, says so, and takes over when it is killed', async () => {
    const other = await hangingBuilder();
    const notes: string[] = [];
    const waiting = get({ progress: { ...silentProgress, note: (text) => notes.push(text) } });
    await until(() => (notes.length > 0 ? true : undefined), { withinMs: 5000 });
    expect(notes).to.deep.equal([`tool is being built by process ${other.pid}; waiting for it`]);
    expect(built, 'nothing was built while the other was at it').to.equal(0);
    other.kill('SIGKILL');
    expect(readFileSync(await waiting, 'utf8')).to.equal('the whole program');
    expect(readdirSync(join(cache, 'tool')), 'neither lock nor half a build is left').to.deep.equal([key]);
  });

  it('ends the waiting when it is aborted, and leaves the other’s build alone', async () => {
    await hangingBuilder();
    const abort = new AbortController();
    const waiting = get({
      signal: abort.signal,
      progress: { ...silentProgress, note: () => abort.abort() },
    });
    const error: unknown = await waiting.catch((reason: unknown) => reason);
    expect(error).to.be.instanceOf(StackError).with.property('code', 'ABORTED');
    expect(existsSync(join(cache, 'tool', `${key}.lock`))).to.equal(true);
    expect(built).to.equal(0);
  });
});
