import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { StackError } from '../../../hack/stack/errors.ts';
import { Guardian } from '../../../hack/stack/guardian.ts';
import { identify, isAlive } from '../../../hack/stack/identity.ts';
import { isFree, Ports } from '../../../hack/stack/ports.ts';
import { Server, stopProcess, type ProcessRecord, type ServerSpec } from '../../../hack/stack/process.ts';
import { removeFolder } from '../../../hack/stack/state.ts';
import { until } from '../../../hack/stack/wait.ts';

const guardianModule = new URL('../../../hack/stack/guardian.ts', import.meta.url).href;

describe('the servers of a stack', function () {
  this.timeout(20_000);
  let dir: string;
  let guardian: Guardian;
  let started: ProcessRecord[];
  let ended: ProcessRecord[];
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'coder-operator-process-test-'));
    guardian = new Guardian();
    started = [];
    ended = [];
  });
  afterEach(() => {
    guardian.close();
    removeFolder(dir);
  });

  /** A server that is a shell script; ready once it has made the file `ready`. */
  const server = (script: string, spec: Partial<ServerSpec> = {}): Server =>
    new Server(
      {
        name: 'example',
        command: '/bin/sh',
        args: ['-c', script],
        cwd: dir,
        logFile: join(dir, 'logs', 'example.log'),
        stopSignal: 'SIGTERM',
        stopWithinMs: 5000,
        readyWithinMs: 10_000,
        ready: () => Promise.resolve(existsSync(join(dir, 'ready'))),
        ...spec,
      },
      { guardian, started: (r) => started.push(r), ended: (r) => ended.push(r) },
    );
  const gone = (pid: number): Promise<true | undefined> =>
    until(() => (identify(pid) === undefined ? true : undefined), { withinMs: 5000 });
  const failure = (promise: Promise<unknown>): Promise<unknown> => promise.catch((error: unknown) => error);

  it('start, write their log and stop with everything that they started', async () => {
    const example = server('sleep 1000 & echo $! > child; echo hello; echo trouble >&2; touch ready; wait');
    await example.start();
    expect(example.running).to.equal(true);
    expect(readFileSync(example.spec.logFile, 'utf8')).to.equal('hello\ntrouble\n');
    await example.stop();
    expect(example.running).to.equal(false);
    expect(await gone(Number(readFileSync(join(dir, 'child'), 'utf8')))).to.equal(true);
    await until(() => (ended.length > 0 ? true : undefined), { withinMs: 5000 });
    expect(ended).to.deep.equal(started);
  });

  it('can be killed and started again', async () => {
    const example = server('touch ready; sleep 1000');
    await example.start();
    const first = example.record?.pid;
    await example.kill();
    rmSync(join(dir, 'ready'));
    await example.start();
    expect(example.running).to.equal(true);
    expect(example.record?.pid).to.not.equal(first);
    await example.kill();
  });

  it('that ignore the request to stop are killed after their time', async () => {
    const example = server('trap "" TERM; touch ready; while :; do sleep 0.05; done', { stopWithinMs: 100 });
    await example.start();
    await example.stop();
    expect(example.running).to.equal(false);
  });

  it('that die at once are reported with the end of their log', async () => {
    const error = await failure(server('echo "flag --nonsense is unknown"; exit 3').start());
    expect(error).to.be.instanceOf(StackError).with.property('code', 'PROCESS_ENDED');
    expect((error as StackError).message)
      .to.include('exit code 3')
      .and.include('flag --nonsense is unknown');
  });

  it('that find their port taken are reported as such', async () => {
    const error = await failure(
      server('echo "listen tcp 127.0.0.1:1: bind: address already in use"; exit 1').start(),
    );
    expect(error).to.have.property('code', 'PORT_TAKEN');
  });

  it('whose program is missing are reported', async () => {
    const error = await failure(server('', { command: '/nowhere/program' }).start());
    expect(error).to.have.property('code', 'PROCESS_ENDED');
  });

  it('that never become ready are ended', async () => {
    const error = await failure(server('sleep 1000', { readyWithinMs: 100 }).start());
    expect(error).to.have.property('code', 'NOT_READY');
    expect(started.map(({ pid }) => identify(pid))).to.deep.equal([undefined]);
  });

  it('are ended when the start is aborted', async () => {
    const abort = new AbortController();
    const starting = failure(server('sleep 1000').start(abort.signal));
    abort.abort();
    expect(await starting).to.have.property('code', 'ABORTED');
    expect(started.map(({ pid }) => identify(pid))).to.deep.equal([undefined]);
  });

  it('are not confused with another process that has got their id', async () => {
    const example = server('touch ready; sleep 1000');
    await example.start();
    const record = started[0]!;
    expect(await stopProcess({ ...record, identity: 'another boot:1' })).to.equal(false);
    expect(isAlive(record)).to.equal(true);
    await example.kill();
  });

  /** A process that starts a server of its own, guards it, does what `then` says and is killed. */
  const serverOfKilledProcess = async (then: string): Promise<number> => {
    const script = `
      import { spawn } from 'node:child_process';
      import { Guardian } from ${JSON.stringify(guardianModule)};
      const guardian = new Guardian();
      const child = spawn('sleep', ['1000'], { detached: true, stdio: 'ignore' });
      guardian.guard(child.pid);
      guardian.removeLater(${JSON.stringify(join(dir, 'temporary data'))});
      ${then}
      setTimeout(() => process.stdout.write(child.pid + '\\n'), 100);
      setInterval(() => {}, 1000);`;
    const parent = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [pid] = (await once(parent.stdout, 'data')) as [Buffer];
    parent.kill('SIGKILL');
    await once(parent, 'exit');
    return Number(pid);
  };

  it('end when the process that started them is killed', async () => {
    expect(await gone(await serverOfKilledProcess(''))).to.equal(true);
  });

  it('live on when they were released before', async () => {
    const pid = await serverOfKilledProcess('guardian.release();');
    const identity = identify(pid);
    expect(identity).to.not.equal(undefined);
    process.kill(pid, 'SIGKILL');
  });

  it('get ports that are free, the one they had before when possible', async () => {
    const ports = new Ports();
    const port = await ports.free();
    expect(await isFree(port)).to.equal(true);
    expect(await ports.free(port), 'nobody else gets it').to.not.equal(port);
    expect(await new Ports().free(port)).to.equal(port);
    const other = createServer().listen(port, '127.0.0.1');
    await once(other, 'listening');
    expect(await new Ports().free(port)).to.not.equal(port);
    other.close();
  });
});
