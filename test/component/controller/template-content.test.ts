import { expect } from 'chai';
import type { ResourceType } from '../../../src/api/meta.ts';
import { fluxKinds, fluxResources } from '../../../src/controller/flux.ts';
import { apiserver } from '../../support/apiserver.ts';
import { sha256Of, tarGzOf } from '../../support/archives.ts';
import { ArtifactServer } from '../../support/artifacts.ts';
import { FluxObject, installFluxCrds, removeFluxCrds } from '../../support/flux.ts';
import { LoopTemplate } from '../../support/loop-template.ts';
import { Loop } from '../../support/loop.ts';
import { messageOf } from '../../support/tenant.ts';

const configMaps: ResourceType = {
  group: '',
  version: 'v1',
  plural: 'configmaps',
  kind: 'ConfigMap',
  namespaced: true,
};

const text = (content: string): Record<string, string> => ({ 'main.tf': `# ${content}\n` });

describe('content of a template from a ConfigMap, through the running loop', function () {
  this.timeout(60_000);
  let loop: Loop;
  let template: LoopTemplate;

  before(async () => {
    // Nothing is noticed by looking at Coder again.
    loop = await Loop.open({ isPatient: true, controlPlane: { pollInterval: '1h' } });
    await loop.kube.create(configMaps, {
      metadata: { name: 'code', namespace: loop.namespace },
      ...{ data: text('one') },
    });
    template = await LoopTemplate.apply(loop, 'map', { source: { configMapRef: { name: 'code' } } });
    await template.untilActive();
  });

  // Absent when `before` has failed.
  after(() => (loop as Loop | undefined)?.close());

  const change = (content: string): Promise<unknown> =>
    loop.kube.mergePatch(configMaps, loop.namespace, 'code', { data: text(content) });

  it('becomes a new version when the ConfigMap changes', async () => {
    expect(await template.activeFile('main.tf')).to.equal('# one\n');
    const before = await template.untilActive();
    await change('two');
    await template.untilActive(before);
    expect(await template.activeFile('main.tf')).to.equal('# two\n');
    expect(loop.coder.uploads).to.have.length(2);
  });

  it('is followed by a workspace that uses the template', async () => {
    const workspace = await loop.applied('user', {
      templateName: 'map',
      running: true,
      updatePolicy: 'Restart',
    });
    const before = await template.untilActive();
    expect(workspace.object.status?.latestBuild?.templateVersionID).to.equal(before);
    await change('three');
    const active = await template.untilActive(before);
    await workspace.until((o) => o.status?.latestBuild?.templateVersionID === active);
    await workspace.untilWell();
    expect(workspace.calls).to.deep.equal(['create', 'stop', 'start']);
  });
});

describe('content of a template from an archive, through the running loop', function () {
  this.timeout(90_000);
  let loop: Loop;
  let artifacts: ArtifactServer;

  before(async function () {
    this.timeout(900_000);
    artifacts = await ArtifactServer.start();
    loop = await Loop.open({ controlPlane: { pollInterval: '1h' } });
    await removeFluxCrds(loop.kube);
  });

  after(async () => {
    // Absent when `before` has failed.
    await (loop as Loop | undefined)?.close();
    await (artifacts as ArtifactServer | undefined)?.close();
    await removeFluxCrds((await apiserver()).client);
  });

  /** An archive that is not served yet. */
  async function archive(
    path: string,
    content: string,
  ): Promise<{ readonly bytes: Buffer; readonly url: string }> {
    return { bytes: await tarGzOf(text(content)), url: artifacts.url(path) };
  }

  const source = (name: string): Promise<FluxObject> =>
    FluxObject.create(loop.kube, loop.namespace, 'GitRepository', name);

  const ofFlux = (name: string): Promise<LoopTemplate> =>
    LoopTemplate.apply(loop, name, { source: { sourceRef: { kind: 'GitRepository', name } } });

  /** Requests of the operator for kinds of Flux, such as `list gitrepositories`. */
  const fluxRequests = (): readonly string[] =>
    loop.kubeRequests
      .filter(({ resource }) => fluxKinds.some((kind) => fluxResources[kind].plural === resource))
      .map(({ verb, resource }) => `${verb} ${resource}`);

  it("waits for Flux's CRDs whenever they are absent, and asks for its kinds only while it refers to one", async () => {
    const first = await archive('/crds/1.tar.gz', 'crds');
    artifacts.serve('/crds/1.tar.gz', first.bytes);
    await loop.applied('bystander', { running: false });
    expect(fluxRequests()).to.deep.equal([]);

    const template = await ofFlux('crds');
    const unknown = /does not know the kind GitRepository/;
    await template.until((o) => unknown.test(messageOf(o, 'Reconciling')));
    await installFluxCrds(loop.kube);
    await template.until((o) => /There is no GitRepository crds/.test(messageOf(o, 'Reconciling')));
    await (await source('crds')).publish(first);
    const active = await template.untilActive();

    await removeFluxCrds(loop.kube);
    await template.until((o) => unknown.test(messageOf(o, 'Reconciling')));
    await installFluxCrds(loop.kube);
    const again = await source('crds');
    await again.publish(first);
    expect(await template.untilActive(), 'the same content').to.equal(active);
    expect(artifacts.requests('/crds/1.tar.gz')).to.equal(1);
    expect(loop.coder.uploads).to.have.length(1);
    expect(new Set(fluxRequests().map((r) => r.split(' ')[1]))).to.deep.equal(new Set(['gitrepositories']));

    await template.delete();
    // The watch is told when the last object goes with its kind, if there still is one.
    const asked = fluxRequests().length;
    await removeFluxCrds(loop.kube);
    await installFluxCrds(loop.kube);
    await loop.applied('bystander2', { running: false });
    expect(fluxRequests().slice(asked)).to.deep.equal([]);
  });

  it('becomes a new version when the artifact is replaced', async () => {
    const [one, two] = [
      await archive('/replaced/1.tar.gz', 'one'),
      await archive('/replaced/2.tar.gz', 'two'),
    ];
    artifacts.serve('/replaced/1.tar.gz', one.bytes);
    artifacts.serve('/replaced/2.tar.gz', two.bytes);
    const repository = await source('replaced');
    await repository.publish({ ...one, revision: 'main@sha1:1' });
    const template = await ofFlux('replaced');
    const before = await template.untilActive();
    expect(template.object.status?.source?.revision).to.equal('main@sha1:1');
    await repository.publish({ ...two, revision: 'main@sha1:2' });
    await template.untilActive(before);
    expect(await template.activeFile('main.tf')).to.equal('# two\n');
    expect(template.object.status?.source?.revision).to.equal('main@sha1:2');
    expect([
      artifacts.requests('/replaced/1.tar.gz'),
      artifacts.requests('/replaced/2.tar.gz'),
    ]).to.deep.equal([1, 1]);
  });

  it('waits for a server that is down, and goes on by itself when it is up', async () => {
    const { bytes, url } = await archive('/down.tar.gz', 'down');
    artifacts.serve('/down.tar.gz', (_, response) => response.destroy());
    const repository = await source('down');
    await repository.publish({ url, bytes });
    const template = await ofFlux('down');
    const waiting = await template.untilSaid('Reconciling', 'SourceUnavailable');
    expect(messageOf(waiting, 'Reconciling')).to.match(/the GitRepository down: .*\/down\.tar\.gz/);
    artifacts.serve('/down.tar.gz', bytes);
    await template.untilActive();
    expect(await template.activeFile('main.tf')).to.equal('# down\n');
  });

  it('takes no artifact of another digest, and goes on when Flux tells the right one', async () => {
    const { bytes, url } = await archive('/digest.tar.gz', 'digest');
    artifacts.serve('/digest.tar.gz', bytes);
    const repository = await source('digest');
    await repository.publish({ url, bytes, digest: `sha256:${'0'.repeat(64)}` });
    const template = await ofFlux('digest');
    const waiting = await template.untilSaid('Reconciling', 'SourceUnavailable');
    expect(messageOf(waiting, 'Reconciling')).to.include(`SHA-256 ${'0'.repeat(64)}`);
    expect(loop.coder.presentTemplates.map(({ name }) => name)).to.not.include('digest');
    await repository.publish({ url, bytes });
    await template.untilActive();
    expect(await template.activeFile('main.tf')).to.equal('# digest\n');
  });

  it('takes no archive of another hash than the manifest says, until that is mended', async () => {
    const { bytes, url } = await archive('/hash.tar.gz', 'hash');
    artifacts.serve('/hash.tar.gz', bytes);
    const uploads = loop.coder.uploads.length;
    const template = await LoopTemplate.apply(loop, 'hash', {
      source: { archive: { url, sha256: '0'.repeat(64) } },
    });
    const stalled = await template.untilSaid('Stalled', 'InvalidContent');
    expect(messageOf(stalled, 'Stalled')).to.match(/spec\.source\.archive: .*SHA-256 0{64}/);
    expect(loop.coder.uploads).to.have.length(uploads);
    await template.patch({ source: { archive: { url, sha256: sha256Of(bytes) } } });
    await template.untilActive();
    expect(await template.activeFile('main.tf')).to.equal('# hash\n');
    expect(artifacts.requests('/hash.tar.gz')).to.equal(2);
  });
});
