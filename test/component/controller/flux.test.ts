import { expect } from 'chai';
import { systemClock } from '../../../src/base/clock.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import { artifactOf, fluxKinds, FluxSources, type FluxRef } from '../../../src/controller/flux.ts';
import { apiserver, type ApiServer } from '../../support/apiserver.ts';
import { FluxObject, installFluxCrds, removeFluxCrds } from '../../support/flux.ts';
import { eventually } from '../../support/eventually.ts';

/** A CRD that comes or goes is noticed within 15 seconds, and the API server needs some for it. */
const NOTICED_MS = 25_000;

describe('FluxSources on a real API server', function () {
  this.timeout(120_000);
  const namespace = 'flux-watched';
  const refs: readonly FluxRef[] = fluxKinds.map((kind) => ({ kind, name: 'code' }));
  const url = 'http://source-controller.flux-system.svc.cluster.local./code.tar.gz';
  let server: ApiServer;
  let stop: AbortController;
  let told: Set<string>;
  let sources: FluxSources;

  before(async function () {
    this.timeout(900_000);
    server = await apiserver();
    await server.kubectl(['create', 'namespace', namespace]);
  });

  beforeEach(async () => {
    await removeFluxCrds(server.client);
    stop = new AbortController();
    told = new Set();
    sources = new FluxSources({
      kube: server.client,
      clock: systemClock,
      logger: silentLogger,
      signal: stop.signal,
      onChange: (_, { kind, name }) => told.add(`${kind} ${name}`),
    });
  });

  afterEach(async () => {
    stop.abort();
    await removeFluxCrds(server.client);
  });

  /** What is known of the source of each kind: its revision, or why there is none. */
  const known = (): Promise<unknown[]> =>
    Promise.all(
      refs.map(async (ref) => {
        const answer = await sources.read(namespace, ref);
        return typeof answer === 'object' ? (answer.status?.artifact?.revision ?? 'no artifact') : answer;
      }),
    );
  const each = (answer: unknown): unknown[] => refs.map(() => answer);

  /** Looks again whenever something was told, as an object that is woken does, until all answers are so. */
  async function becomes(answer: unknown): Promise<void> {
    const end = performance.now() + NOTICED_MS;
    let answers = await known();
    while (answers.some((a) => a !== answer) && performance.now() < end) {
      await eventually(() => told.size > 0, NOTICED_MS);
      told.clear();
      answers = await known();
    }
    expect(answers).to.deep.equal(each(answer));
  }

  it('notices CRDs that come, go and come again, and what their objects hold', async () => {
    sources.refer(namespace, 'template', refs);
    expect(await known()).to.deep.equal(each('unknownKind'));
    for (const revision of ['main@sha1:1', 'main@sha1:2']) {
      await installFluxCrds(server.client);
      await becomes(undefined);
      const objects = await Promise.all(
        fluxKinds.map((kind) => FluxObject.create(server.client, namespace, kind, 'code')),
      );
      await becomes('no artifact');
      const bytes = Buffer.from(revision);
      await Promise.all(objects.map((object) => object.publish({ url, bytes, revision })));
      await becomes(revision);
      await removeFluxCrds(server.client);
      await becomes('unknownKind');
    }
  });

  it('tells an artifact, and nothing of a look that failed', async () => {
    await installFluxCrds(server.client);
    const [code, marker] = await Promise.all(
      ['code', 'marker'].map((name) => FluxObject.create(server.client, namespace, 'GitRepository', name)),
    );
    if (code === undefined || marker === undefined) return expect.fail();
    sources.refer(namespace, 'template', [code.ref, marker.ref]);
    await sources.read(namespace, code.ref);
    await code.publish({ url, bytes: Buffer.from('content'), revision: 'main@sha1:1' });
    await eventually(() => told.delete('GitRepository code'));
    await code.fail();
    // A watch is in order: once this is told, the failure was seen.
    await marker.publish({ url, bytes: Buffer.from('other') });
    await eventually(() => told.has('GitRepository marker'));
    expect([...told]).to.deep.equal(['GitRepository marker']);
    const source = await sources.read(namespace, code.ref);
    if (typeof source !== 'object') return expect.fail();
    expect(artifactOf(source)).to.include({ url, revision: 'main@sha1:1' });
  });
});
