import { expect } from 'chai';
import { workspaces } from '../../../src/api/kinds.ts';
import type { CoderWorkspaceStatus } from '../../../src/api/generated.ts';
import { apiserver } from '../../support/apiserver.ts';
import { FaultProxy, refusal, reset, type Fault, type ProxiedRequest } from '../../support/fault-proxy.ts';
import { statusBody } from '../../support/kube-server.ts';
import { Loop, type LoopWorkspace } from '../../support/loop.ts';
import { isReady } from '../../support/tenant.ts';

const KINDS = '/apis/coder.com/';

/** A faulty API server, or a faulty way to it, and a Coder that works. */
describe('faults of Kubernetes, through the running loop', function () {
  this.timeout(60_000);
  let proxy: FaultProxy;
  let loop: Loop;

  before(async () => {
    proxy = await FaultProxy.open((await apiserver()).kubeconfig);
    loop = await Loop.open({ connection: await proxy.connect() });
  });

  afterEach(() => {
    proxy.mend();
    loop.resumeBuilds();
  });

  after(async () => {
    // Absent when `before` has failed.
    await (loop as Loop | undefined)?.close();
    await (proxy as FaultProxy | undefined)?.close();
  });

  const objectName = (name: string): string => `acme.ann.${name}`;

  /** A write of the status of this workspace that says this. */
  const writes =
    (name: string, isSo: (status: CoderWorkspaceStatus) => boolean) =>
    ({ method, path, body }: ProxiedRequest): boolean =>
      method === 'PUT' &&
      new URL(path, 'http://proxy').pathname.endsWith(`/${objectName(name)}/status`) &&
      isSo((JSON.parse(body.toString()) as { readonly status: CoderWorkspaceStatus }).status);
  const announces = (status: CoderWorkspaceStatus): boolean => status.pendingOperation !== undefined;
  const binds = (status: CoderWorkspaceStatus): boolean =>
    status.id !== undefined && status.pendingOperation === undefined;

  /** Somebody touches the object at the very moment, so that the write is made on a stale copy. */
  const touchFirst =
    (name: string, onTouched: () => void = () => undefined): Fault =>
    async ({ ask, hand }) => {
      const metadata = { annotations: { 'example.com/touched': 'by somebody' } };
      await loop.kube.mergePatch(workspaces, loop.namespace, objectName(name), { metadata });
      const answer = await ask();
      expect(answer.statusCode, 'the API server says that the copy is stale').to.equal(409);
      onTouched();
      await hand(answer);
    };

  const outcomes = (name: string): readonly string[] =>
    loop.results.filter(({ key }) => key.endsWith(`/${objectName(name)}`)).map(({ outcome }) => outcome);
  const creations = (w: LoopWorkspace): readonly string[] => w.calls.filter((call) => call === 'create');
  /** What Coder was asked to change so far, whatever for. */
  const changes = (): number => loop.server.changes.length;

  it('F1. sends nothing to Coder whose announcement met a stale copy, and announces it again', async () => {
    const before = changes();
    let atConflict = -1;
    const rule = proxy.break(
      writes('stale', announces),
      touchFirst('stale', () => (atConflict = changes())),
      1,
    );
    const w = await loop.applied('stale', { running: true });
    expect(rule.hits).to.equal(1);
    expect(atConflict, 'sent before').to.equal(before);
    expect(w.calls).to.deep.equal(['create']);
    expect(outcomes('stale'), 'no error').to.include('conflict').and.not.include('error');
  });

  it('F2. finds what it has made when the write that tells of it met a stale copy', async () => {
    const rule = proxy.break(writes('outcome', binds), touchFirst('outcome'), 1);
    const w = await loop.applied('outcome', { running: true });
    expect(rule.hits).to.equal(1);
    expect(w.calls).to.deep.equal(['create']);
    expect(w.object.status).to.include({ origin: 'Created' });
    expect(new Set(w.statuses.map(({ id }) => id).filter((id) => id !== undefined)).size).to.equal(1);
    expect(outcomes('outcome'), 'no error').to.include('conflict').and.not.include('error');
  });

  it('F3. does nothing twice when watches are gone, broken or refused for a while, and misses nothing', async () => {
    const stopped = await loop.applied('away-stopped', { running: true });
    const deleted = await loop.applied('away-deleted', { running: true });
    loop.pauseBuilds();
    const building = await loop.apply('away-building', { running: true });
    await building.until((o) => o.status?.id !== undefined);

    const gone = proxy.break(({ isWatch }) => isWatch, refusal(410, 'Expired'), 3);
    for (const watch of proxy.watches) {
      watch.inject(`${JSON.stringify({ type: 'ERROR', object: statusBody(410, 'Expired') })}\n`);
    }
    await loop.until(
      () => gone.hits,
      (hits) => hits === 3,
    );
    await proxy.refuse();
    await stopped.patch({ running: false });
    await loop.kube.delete(workspaces, loop.namespace, deleted.objectName);
    loop.coder.playOut();
    const before = changes();
    const asked = loop.kubeRequests.length;
    await loop.until(
      () => loop.kubeRequests.length,
      (length) => length >= asked + 8,
    );
    expect(changes(), 'sent to Coder while nothing could be announced').to.equal(before);
    await proxy.accept();
    loop.resumeBuilds();

    await stopped.until((o) => isReady(o) && o.status?.running === false);
    await building.untilWell();
    await loop.until(
      () => ({ object: loop.workspace(deleted.objectName) }),
      ({ object }) => object === undefined,
    );
    expect(stopped.calls).to.deep.equal(['create', 'stop']);
    expect(building.calls).to.deep.equal(['create']);
    expect(deleted.calls).to.deep.equal(['create', 'delete']);
  });

  it('F4. waits as long as a busy API server asks before it announces again, and sends nothing until then', async () => {
    const busy = refusal(429, 'TooManyRequests', { 'retry-after': '1' });
    let refusedAt = 0;
    proxy.break(
      writes('busy', announces),
      (passage) => {
        refusedAt = performance.now();
        return busy(passage);
      },
      1,
    );
    let sentAfter = 0;
    loop.coder.onRequest = () => (sentAfter = performance.now() - refusedAt);
    const w = await loop.applied('busy', { running: true });
    loop.coder.onRequest = () => undefined;
    // The API server gives whole seconds, and timers may be a little early.
    expect(sentAfter).to.be.at.least(950);
    expect(w.calls).to.deep.equal(['create']);
  });

  it('F39. changes nothing in Coder while the API server can be read and not written', async () => {
    const there = await loop.applied('full-there', { running: true });
    const full = refusal(500, 'InternalError');
    const rule = proxy.break(({ method, path }) => method !== 'GET' && path.startsWith(KINDS), full);
    const before = changes();
    await there.patch({ running: false });
    const made = await loop.apply('full-new', { running: true });
    const deletion = await loop.apply('full-gone', { running: true });
    await loop.until(
      () => rule.hits,
      (hits) => hits >= 6,
    );
    expect(changes(), 'sent without an announcement').to.equal(before);
    rule.end();
    await there.until((o) => isReady(o) && o.status?.running === false);
    await made.untilWell();
    await deletion.untilWell();
    expect(there.calls).to.deep.equal(['create', 'stop']);
    for (const w of [made, deletion]) expect(creations(w)).to.have.length(1);
  });

  it('F39. finds what it has made when the disk is full right after', async () => {
    const isWrite = ({ method, path }: ProxiedRequest): boolean => method !== 'GET' && path.startsWith(KINDS);
    const rules: { end(): void; readonly hits: number }[] = [];
    loop.coder.onRequest = () => {
      loop.coder.onRequest = () => undefined;
      rules.push(proxy.break(isWrite, refusal(500, 'InternalError')), proxy.break(isWrite, reset, 1));
    };
    const w = await loop.apply('full-after', { running: true });
    await loop.until(
      () => rules[0]?.hits,
      (hits) => hits >= 2,
    );
    expect(creations(w)).to.have.length(1);
    for (const rule of rules) rule.end();
    await w.untilWell();
    expect(w.calls).to.deep.equal(['create']);
    expect(w.object.status).to.include({ origin: 'Created' });
  });
});
