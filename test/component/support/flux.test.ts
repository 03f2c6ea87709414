import { expect } from 'chai';
import type { KubeObject } from '../../../src/api/meta.ts';
import { artifactOf, fluxKinds, fluxResources, type FluxSource } from '../../../src/controller/flux.ts';
import { isUnknownKind } from '../../../src/kube/errors.ts';
import { apiserver, type ApiServer } from '../../support/apiserver.ts';
import { sha256Of } from '../../support/archives.ts';
import { FluxObject, installFluxCrds, removeFluxCrds } from '../../support/flux.ts';

const namespace = 'flux-sources';

interface WithConditions extends KubeObject {
  readonly status?: {
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
  };
}

describe('sources of Flux on a real API server', function () {
  this.timeout(60_000);
  let server: ApiServer;

  before(async function () {
    this.timeout(900_000);
    server = await apiserver();
    await server.kubectl(['create', 'namespace', namespace]);
    await installFluxCrds(server.client);
  });

  after(() => removeFluxCrds(server.client));

  async function conditionsOf(source: FluxObject): Promise<Readonly<Record<string, string>>> {
    const { status } = (await source.get()) as WithConditions;
    return Object.fromEntries((status?.conditions ?? []).map((c) => [c.type, c.status]));
  }

  for (const kind of fluxKinds) {
    it(`a ${kind} shows its artifact, the next one, and that it is gone`, async () => {
      const source = await FluxObject.create(server.client, namespace, kind, 'templates');
      expect(artifactOf(await source.get()))
        .to.have.property('problem')
        .that.includes('no artifact yet');

      const url = 'http://source-controller.flux-system.svc.cluster.local./templates/1.tar.gz';
      const first = Buffer.from('first');
      await source.publish({ url, bytes: first });
      const shown = artifactOf(await source.get());
      expect(shown).to.include({ url, sha256: sha256Of(first) });
      expect(await conditionsOf(source)).to.include({ Ready: 'True' });
      const { status } = (await source.get()) as { readonly status?: { readonly artifact?: object } };
      expect(status?.artifact).to.include({ path: 'templates/1.tar.gz', size: first.length });

      await source.fail();
      expect(artifactOf(await source.get())).to.deep.equal(shown);
      expect(await conditionsOf(source)).to.deep.equal({ Ready: 'False', FetchFailed: 'True' });

      await source.publish({ url, bytes: Buffer.from('second'), revision: 'v2' });
      expect(artifactOf(await source.get())).to.deep.equal({
        url,
        revision: 'v2',
        sha256: sha256Of(Buffer.from('second')),
      });

      await source.unpublish();
      expect(artifactOf(await source.get()))
        .to.have.property('problem')
        .that.includes('no artifact yet');
      await source.delete();
    });
  }

  it('take what the real controller may write, and nothing less than the CRD asks for', async () => {
    const source = await FluxObject.create(server.client, namespace, 'GitRepository', 'other-digest');
    const artifact = { url: 'http://127.0.0.1/x.tar.gz', bytes: Buffer.from('x') };
    await source.publish({ ...artifact, digest: `sha512:${'a'.repeat(128)}` });
    expect(artifactOf(await source.get()))
      .to.have.property('problem')
      .that.includes('sha512');
    await source.publish({ ...artifact, digest: 'no digest' }).then(
      () => expect.fail('the API server took a digest without an algorithm'),
      (error: unknown) => expect(String(error)).to.include('status.artifact.digest'),
    );
  });

  it('are gone with their CRDs and come back empty, and installing twice is harmless', async () => {
    const buckets = fluxResources.Bucket;
    await FluxObject.create(server.client, namespace, 'Bucket', 'doomed');
    await removeFluxCrds(server.client);
    await removeFluxCrds(server.client);
    await server.client.list(buckets, namespace).then(
      () => expect.fail('the API server still lists buckets'),
      (error: unknown) => expect(isUnknownKind(error)).to.equal(true),
    );
    await installFluxCrds(server.client);
    await installFluxCrds(server.client);
    const { items } = await server.client.list<FluxSource>(buckets, namespace);
    expect(items).to.deep.equal([]);
  });
});
