import { expect } from 'chai';
import { silentLogger } from '../../../src/base/logger.ts';
import {
  artifactOf,
  fluxKinds,
  fluxResources,
  FluxSources,
  type FluxRef,
  type FluxSource,
} from '../../../src/controller/flux.ts';
import { resourcePath } from '../../../src/kube/objects.ts';
import { FakeClock, settle } from '../../support/clock.ts';
import { forbidden, unknownKind, WatchedKube } from '../../support/watched-kube.ts';

const sha256 = 'a1'.repeat(32);
const url = 'http://source-controller.flux-system.svc.cluster.local./gitrepository/team/code/1.tar.gz';

function source(artifact: object | undefined): FluxSource {
  return { metadata: { name: 'code' }, ...(artifact === undefined ? {} : { status: { artifact } }) };
}

describe('FluxSources', () => {
  const code: FluxRef = { kind: 'GitRepository', name: 'code' };
  let kube: WatchedKube;
  let clock: FakeClock;
  let stop: AbortController;
  let changes: string[];
  let sources: FluxSources;

  beforeEach(() => {
    kube = new WatchedKube();
    put('main@sha1:1');
    clock = new FakeClock();
    stop = new AbortController();
    changes = [];
    sources = new FluxSources({
      kube: kube.client,
      clock,
      logger: silentLogger,
      signal: stop.signal,
      onChange: (namespace, { kind, name }) => changes.push(`${kind} ${namespace}/${name}`),
    });
  });

  afterEach(async () => {
    stop.abort();
    await settle();
    expect(kube.watched, 'no watch is left').to.deep.equal([]);
    expect(clock.pending, 'no timer is left').to.equal(0);
  });

  /** The GitRepository `code` as Flux has it. */
  function put(revision: string | undefined, conditions: readonly object[] = []): void {
    const artifact =
      revision === undefined ? {} : { artifact: { url, revision, digest: `sha256:${sha256}` } };
    const spec = { url: 'https://example.com/code.git', secretRef: { name: 'token' } };
    kube.put(fluxResources.GitRepository, 'team', 'code', { spec, status: { conditions, ...artifact } });
  }

  const revision = async (ref = code): Promise<unknown> => {
    const answer = await sources.read('team', ref);
    return typeof answer === 'object' ? answer.status?.artifact?.revision : answer;
  };

  it('looks where Flux keeps its objects', () => {
    const path = (kind: FluxRef['kind']): string =>
      resourcePath(fluxResources[kind], { namespace: 'team', name: 'code' });
    const prefix = '/apis/source.toolkit.fluxcd.io/v1/namespaces/team';
    expect(fluxKinds.map(path)).to.deep.equal([
      `${prefix}/gitrepositories/code`,
      `${prefix}/ocirepositories/code`,
      `${prefix}/buckets/code`,
      `${prefix}/externalartifacts/code`,
    ]);
  });

  it('watches only the kinds that are referred to, as long as they are', async () => {
    sources.refer('team', 'a', [code]);
    sources.refer('team', 'b', [code, { kind: 'Bucket', name: 'code' }]);
    await settle();
    expect(kube.watched).to.have.members(['gitrepositories team', 'buckets team']);
    sources.refer('team', 'b', [{ kind: 'OCIRepository', name: 'code' }]);
    sources.refer('team', 'a', []);
    await settle();
    expect(kube.watched).to.deep.equal(['ocirepositories team']);
    sources.close();
    await settle();
    expect(kube.watched).to.deep.equal([]);
  });

  it('knows artifacts from the watch, and nothing else of a source', async () => {
    sources.refer('team', 'a', [code]);
    expect(await revision()).to.equal('main@sha1:1');
    expect(await revision({ kind: 'GitRepository', name: 'none' })).to.equal(undefined);
    expect(await sources.read('team', code)).to.not.have.property('spec');
    expect(kube.count('get')).to.equal(0);
  });

  it('does not take namesakes of different kinds for each other', async () => {
    const bucket: FluxRef = { kind: 'Bucket', name: 'code' };
    sources.refer('team', 'a', [code, bucket]);
    expect(await sources.read('team', bucket)).to.equal(undefined);
    const artifact = { url, revision: 'sha256:2', digest: `sha256:${sha256}` };
    kube.put(fluxResources.Bucket, 'team', 'code', { status: { artifact } });
    await settle();
    expect(changes).to.deep.equal(['Bucket team/code']);
    expect([await revision(), await revision(bucket)]).to.deep.equal(['main@sha1:1', 'sha256:2']);
  });

  it('tells another artifact, and no change of conditions', async () => {
    sources.refer('team', 'a', [code]);
    await settle();
    put('main@sha1:1', [{ type: 'Ready', status: 'False' }]);
    await settle();
    expect(changes).to.deep.equal([]);
    for (const next of ['main@sha1:2', undefined, 'main@sha1:3']) {
      put(next);
      await settle();
      expect(changes.splice(0)).to.deep.equal(['GitRepository team/code']);
      expect(await revision()).to.equal(next);
    }
  });

  it('waits for CRDs, and says when they are gone', async () => {
    kube.refuse(unknownKind);
    sources.refer('team', 'a', [code]);
    for (let i = 0; i < 2; i++) {
      expect(await revision()).to.equal('unknownKind');
      kube.refuse();
      await clock.advance(15_000);
      expect(changes.splice(0)).to.deep.equal(['GitRepository team/code']);
      expect(await revision()).to.equal('main@sha1:1');
      kube.refuse(unknownKind);
      kube.endWatches();
      await clock.advance(15_000);
      expect(changes.splice(0)).to.deep.equal(['GitRepository team/code']);
    }
  });

  it('says that the right is missing, also without a reference', async () => {
    kube.refuse(forbidden);
    expect(await revision()).to.equal('forbidden');
    sources.refer('team', 'a', [code]);
    expect(await revision()).to.equal('forbidden');
  });
});

describe('artifactOf', () => {
  it('finds the address and the hash of the content', () => {
    const expected = { url, revision: 'main@sha1:1', sha256 };
    for (const digest of [`sha256:${sha256}`, `sha256:${sha256.toUpperCase()}`])
      expect(artifactOf(source({ url, revision: 'main@sha1:1', digest }))).to.deep.equal(expected);
  });

  it('needs no revision', () => {
    expect(artifactOf(source({ url, digest: `sha256:${sha256}` }))).to.deep.equal({
      url,
      revision: '',
      sha256,
    });
  });

  const digestProblem = 'has an artifact whose digest is not sha256: and 64 hexadecimal digits';
  for (const [what, artifact, problem] of [
    ['there is none', undefined, 'has no artifact yet'],
    ['it has no url', { digest: `sha256:${sha256}` }, 'has an artifact without a url'],
    ['it has no digest', { url }, digestProblem],
    ['its digest is too short', { url, digest: 'sha256:a1' }, digestProblem],
    ['its digest is too long', { url, digest: `sha256:${sha256}00` }, digestProblem],
    ['its digest is no digest', { url, digest: sha256 }, digestProblem],
    [
      'its digest is another',
      { url, digest: `sha512:${sha256}${sha256}` },
      'has an artifact with a sha512 digest',
    ],
    ['its digest is exotic', { url, digest: `blake3:${sha256}` }, 'has an artifact with a blake3 digest'],
  ] as const) {
    it(`tells what is wrong when ${what}`, () => {
      expect(artifactOf(source(artifact)))
        .to.have.property('problem')
        .that.satisfies((text: string) => text.startsWith(problem));
    });
  }
});
