import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { stringify } from 'yaml';
import type { CoderWorkspaceStatus } from '../../../src/api/generated.ts';
import { workspaces, type CoderWorkspace } from '../../../src/api/kinds.ts';
import { leases, type Lease } from '../../../src/kube/lease.ts';
import { apiserver } from '../../support/apiserver.ts';
import { FaultProxy, kubeconfigOf, type Fault, type ProxiedRequest } from '../../support/fault-proxy.ts';
import { Loop } from '../../support/loop.ts';
import { isReady } from '../../support/tenant.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const LEASE_MS = 3_000;
/** Beside the lease a successor waits for our request time-out and five seconds before it sends anything again. */
const REQUEST_TIMEOUT_MS = 1_000;

/** One process of the program, as a pod runs it. */
class Program {
  readonly #child: ChildProcess;
  readonly ended: Promise<number | NodeJS.Signals>;
  output = '';

  constructor(kubeconfig: string, namespace: string) {
    this.#child = spawn(
      process.execPath,
      [
        ...['--import', 'tsx', 'src/main.ts', 'controller', '--kubeconfig', kubeconfig],
        ...['--namespace', namespace, '--listen', '127.0.0.1:0'],
        ...['--http-host', '127.0.0.1', '--allow-loopback'],
        ...['--lease-duration', `${LEASE_MS}ms`, '--request-timeout', `${REQUEST_TIMEOUT_MS}ms`],
      ],
      { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] },
    );
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on('data', (chunk: Buffer) => (this.output += chunk.toString()));
    }
    this.ended = new Promise((resolve, reject) => {
      this.#child.once('error', reject);
      this.#child.once('close', (code, signal) => resolve(code ?? signal ?? 'SIGKILL'));
    });
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }
}

/** Crashes are tried by the hundred in process, and with a real Coder in test/e2e/crash.test.ts. */
describe('faults of the process itself', function () {
  this.timeout(60_000);
  let folder: string;
  let loop: Loop | undefined;
  let proxy: FaultProxy | undefined;
  let programs: Program[];

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'operator-'));
    programs = [];
    proxy = await FaultProxy.open((await apiserver()).kubeconfig);
    const kubeconfig = join(folder, 'kubeconfig');
    await writeFile(kubeconfig, stringify(kubeconfigOf(proxy.url)));
    loop = await Loop.open({
      operate: async (namespace, signal) => {
        const program = new Program(kubeconfig, namespace);
        programs.push(program);
        signal.addEventListener('abort', () => program.kill('SIGTERM'));
        await program.ended;
      },
    });
  });

  afterEach(async () => {
    proxy?.mend();
    for (const program of programs) {
      program.kill('SIGCONT');
      program.kill('SIGTERM');
    }
    await Promise.all(programs.map(({ ended }) => ended));
    await loop?.close();
    await proxy?.close();
    await rm(folder, { recursive: true });
    [loop, proxy] = [undefined, undefined];
  });

  function opened(): { readonly loop: Loop; readonly proxy: FaultProxy; readonly first: Program } {
    const [first] = programs;
    if (loop === undefined || proxy === undefined || first === undefined)
      throw new Error('It was not opened.');
    return { loop, proxy, first };
  }

  const lease = ({ kube, namespace }: Loop): Promise<Lease> =>
    kube.get<Lease>(leases, namespace, 'coder-operator');

  it('F20, F21. neither misses nor repeats a build when the leader stands still and another one takes over', async () => {
    const { loop, proxy, first } = opened();
    const w = await loop.applied('dev', { running: true });
    loop.pauseBuilds();
    // The first process is frozen after it has announced the stop, and before it sends it.
    let thaw = (): void => undefined;
    const frozen = new Promise<void>((resolve) => {
      const fault: Fault = async ({ ask, hand }) => {
        const answer = await ask();
        first.kill('SIGSTOP');
        resolve();
        await new Promise<void>((go) => (thaw = go));
        await hand(answer);
      };
      proxy.break(announcesStop, fault, 1);
    });
    await w.patch({ running: false });
    await frozen;
    const before = await lease(loop);
    // The program's own kubeconfig: requests of both come by the same way.
    const second = new Program(join(folder, 'kubeconfig'), loop.namespace);
    programs.push(second);
    const froze = performance.now();
    await loop.until(
      () => lease(loop),
      ({ spec }) => spec?.holderIdentity !== before.spec?.holderIdentity,
    );
    expect(performance.now() - froze, 'the lease, and the start of the process').to.be.below(
      LEASE_MS + 15_000,
    );
    // The build that was announced is sent by nobody but the new leader, when nothing of the old one can come any more.
    thaw();
    first.kill('SIGCONT');
    expect(await first.ended, first.output).to.equal(1);
    expect(w.calls, 'nothing was sent by the old one').to.deep.equal(['create']);
    await loop.until(
      () => loop.activeBuilds,
      (builds) => builds.length === 1,
    );
    loop.resumeBuilds();
    await w.until((o) => isReady(o) && o.status?.running === false);
    expect(w.calls).to.deep.equal(['create', 'stop']);
    expect(first.output).to.match(/lease|leading/i);
  });

  it('F40. ends in order when it is asked to in the middle of a creation', async () => {
    const { loop, first } = opened();
    const held = loop.server.holdNextAnswer('POST', /\/workspaces$/);
    const w = await loop.apply('dev', { running: true });
    await held.arrived;
    first.kill('SIGTERM');
    held.release();
    expect(await first.ended, first.output).to.equal(0);
    const { status } = await loop.kube.get<CoderWorkspace>(workspaces, loop.namespace, w.objectName);
    expect(status).to.include({ id: loop.coder.present[0]?.id, origin: 'Created' });
    expect(status, 'the outcome is written down').not.to.have.property('pendingOperation');
    expect((await lease(loop)).spec?.holderIdentity, 'the lease is free').to.equal('');
    await loop.restart();
    await w.untilWell();
    expect(w.calls).to.deep.equal(['create']);
  });
});

function announcesStop({ method, path, body }: ProxiedRequest): boolean {
  if (method !== 'PUT' || !path.includes('/coderworkspaces/')) return false;
  const { status } = JSON.parse(body.toString()) as { readonly status: CoderWorkspaceStatus };
  return status.pendingOperation?.type === 'Stop';
}
