import { expect } from 'chai';
import type { CoderTemplateSpec } from '../../../src/api/generated.ts';
import { controlPlanes } from '../../../src/api/kinds.ts';
import type { ResourceType } from '../../../src/api/meta.ts';
import { archiveOf } from '../../../src/coder/archive.ts';
import { apiserver } from '../../support/apiserver.ts';
import { sha256Of, tarGzOf } from '../../support/archives.ts';
import { ArtifactServer } from '../../support/artifacts.ts';
import type { SeenRequest } from '../../support/coder-http.ts';
import { STRANGER } from '../../support/controller-coder.ts';
import { FluxObject, installFluxCrds, removeFluxCrds } from '../../support/flux.ts';
import { LoopTemplate } from '../../support/loop-template.ts';
import { Loop } from '../../support/loop.ts';
import { has, messageOf } from '../../support/tenant.ts';

const configMaps: ResourceType = {
  group: '',
  version: 'v1',
  plural: 'configmaps',
  kind: 'ConfigMap',
  namespaced: true,
};

const FILES = { 'main.tf': '# content\n' };
const ARTIFACT = '/artifact.tar.gz';
const ARCHIVE = '/archive.tar.gz';

/** Rhythms of their own: the observer's look at everything, and the control plane's at its connection. */
const RHYTHMS = [
  /^GET \/api\/v2\/workspaces$/,
  /^GET \/api\/v2\/templates$/,
  /^GET \/api\/v2\/buildinfo$/,
  /^GET \/api\/v2\/users\/me(\/keys\/[^/]+)?$/,
];
/** The observer's look at what Coder builds. Whoever looks for a job of ours names us. */
function isOfJobFeed({ path, query }: SeenRequest): boolean {
  return path.endsWith('/provisionerjobs') && !query.has('initiator');
}

/** What they ask of the API server: none of the templates refers to a Secret. */
const OTHERS: ReadonlySet<string> = new Set([
  'leases',
  'secrets',
  'codercontrolplanes/status',
  // Whether the endpoint is installed, whose certificates the controller keeps.
  'apiservices',
]);
const WRITES: ReadonlySet<string> = new Set(['create', 'update', 'patch', 'delete']);

describe('a template at rest, through the running loop', function () {
  this.timeout(60_000);
  let loop: Loop;
  let artifacts: ArtifactServer;
  let repository: FluxObject;
  const templates = new Map<string, LoopTemplate>();

  before(async function () {
    this.timeout(900_000);
    artifacts = await ArtifactServer.start();
    loop = await Loop.open();
    await installFluxCrds(loop.kube);
    const bytes = await tarGzOf(FILES);
    const url = artifacts.serve(ARTIFACT, bytes);
    artifacts.serve(ARCHIVE, bytes);
    await loop.kube.create(configMaps, {
      metadata: { name: 'code', namespace: loop.namespace },
      ...{ data: FILES },
    });
    repository = await FluxObject.create(loop.kube, loop.namespace, 'GitRepository', 'code');
    await repository.publish({ url, bytes });
    const archive = { url: artifacts.url(ARCHIVE), sha256: sha256Of(bytes) };
    const specs: Readonly<Record<string, (versionID: string) => CoderTemplateSpec>> = {
      files: () => ({ files: FILES }),
      configmap: () => ({ source: { configMapRef: { name: 'code' } } }),
      archive: () => ({ source: { archive } }),
      gitrepository: () => ({ source: { sourceRef: repository.ref } }),
      version: (versionID) => ({ versionID }),
      settings: () => ({ description: 'as wished' }),
      manual: () => ({ files: { 'main.tf': '# waits\n' }, promotion: 'Manual' }),
    };
    for (const [name, specOf] of Object.entries(specs)) {
      const versionID = await importByHand(name);
      templates.set(name, await LoopTemplate.apply(loop, name, specOf(versionID)));
    }
    for (const [name, template] of templates) {
      await template.until((o) =>
        has(o, 'Ready', 'True', name === 'manual' ? 'WaitingForPromotion' : 'UpToDate'),
      );
    }
    expect(loop.coder.uploads, 'of the version that waits').to.have.length(1);
  });

  after(async () => {
    // Absent when `before` has failed.
    await (loop as Loop | undefined)?.close();
    await (artifacts as ArtifactServer | undefined)?.close();
    await removeFluxCrds((await apiserver()).client);
  });

  /** Somebody has made the template with this content, so that nothing needs to be uploaded. */
  async function importByHand(name: string): Promise<string> {
    const { coder } = loop;
    const { id: templateID } = coder.addTemplate(name);
    const file = coder.uploadBy(STRANGER, await archiveOf(FILES));
    const { id } = coder.addVersionOf(file, { templateID });
    coder.promote(templateID, id);
    return id;
  }

  /** Lets the observer make two whole looks, so that whatever was about to be asked has been asked. */
  async function twoLooks(): Promise<void> {
    const looks = (): number =>
      loop.server.requests.filter(({ path }) => path === '/api/v2/templates').length;
    const before = looks();
    // Two requests each: Coder lists deprecated ones by themselves.
    await loop.until(looks, (now) => now >= before + 6);
  }

  /** What was asked of Coder, of the API server and of the artifacts' server while something happened. */
  async function askedDuring(act: () => Promise<unknown>): Promise<{
    readonly coder: readonly string[];
    readonly kube: readonly string[];
    readonly downloads: number;
  }> {
    const downloads = (): number => artifacts.requests(ARTIFACT) + artifacts.requests(ARCHIVE);
    await twoLooks();
    const before = [loop.server.requests.length, loop.kubeRequests.length, downloads()] as const;
    await act();
    await twoLooks();
    return {
      coder: loop.server.requests
        .slice(before[0])
        .filter((request) => !isOfJobFeed(request))
        .map(({ method, path }) => `${method} ${path}`)
        .filter((request) => !RHYTHMS.some((rhythm) => rhythm.test(request))),
      kube: loop.kubeRequests
        .slice(before[1])
        .filter(({ verb, resource }) => !OTHERS.has(resource) && verb !== 'watch')
        .map(({ verb, resource }) => `${verb} ${resource}`),
      downloads: downloads() - before[2],
    };
  }

  const NOTHING = { coder: [], kube: [], downloads: 0 };

  /** It has been looked at once more than now. */
  async function looked(template: LoopTemplate, act: () => Promise<unknown>): Promise<void> {
    const before = template.passes;
    await act();
    await loop.until(
      () => template.passes,
      (now) => now > before,
    );
  }

  const named = (name: string): LoopTemplate => templates.get(name) ?? expect.fail(`no template ${name}`);

  for (const name of ['files', 'configmap', 'archive', 'gitrepository', 'version', 'settings', 'manual']) {
    it(`asks for nothing when it is woken (${name})`, async () => {
      const template = named(name);
      const before = template.object.status;
      expect(await askedDuring(() => looked(template, () => template.touch()))).to.deep.equal(NOTHING);
      expect(template.object.status).to.deep.equal(before);
    });
  }

  it('asks for nothing more than the ConfigMap when that changes but for its content', async () => {
    const template = named('configmap');
    const label = { metadata: { labels: { 'example.com/touched': 'yes' } } };
    const change = (): Promise<unknown> => loop.kube.mergePatch(configMaps, loop.namespace, 'code', label);
    const asked = await askedDuring(() => looked(template, change));
    expect(asked).to.deep.equal({ ...NOTHING, kube: ['get configmaps'] });
  });

  it('is not even looked at when a source of Flux tells of no other artifact', async () => {
    const template = named('gitrepository');
    const other = await FluxObject.create(loop.kube, loop.namespace, 'GitRepository', 'other');
    const marker = await LoopTemplate.apply(loop, 'marker', { source: { sourceRef: other.ref } });
    await marker.until((o) => messageOf(o, 'Reconciling').includes('no artifact yet'));
    const before = template.passes;
    await repository.fail();
    // A watch is in order: once this is known, the failure was seen.
    await other.publish({ url: artifacts.url(ARTIFACT), bytes: Buffer.from(''), digest: 'sha512:abc' });
    await marker.until((o) => messageOf(o, 'Reconciling').includes('sha512'));
    expect(template.passes).to.equal(before);
    await marker.delete();
  });

  it('is not even looked at when the control plane looks at its connection', async () => {
    const before = [...templates.values()].map((template) => template.passes);
    const passes = (): number => loop.passes(controlPlanes, 'coder');
    const asked = await askedDuring(async () => {
      const looks = passes();
      const metadata = { annotations: { 'example.com/touched': 'yes' } };
      await loop.kube.mergePatch(controlPlanes, loop.namespace, 'coder', { metadata });
      await loop.until(passes, (now) => now > looks);
    });
    expect(asked).to.deep.equal(NOTHING);
    expect([...templates.values()].map((template) => template.passes)).to.deep.equal(before);
  });

  it('has nothing downloaded, uploaded or written after a restart of the operator', async () => {
    const statuses = [...templates.values()].map(({ object }) => object.status);
    const { coder, kube, downloads } = await askedDuring(async () => {
      await loop.restart();
      // Before everything was looked at once, those that rest are left alone.
      await twoLooks();
      for (const template of templates.values()) await looked(template, () => template.touch());
    });
    expect(coder).to.deep.equal([]);
    expect(downloads).to.equal(0);
    expect(kube.filter((request) => WRITES.has(request.split(' ')[0] ?? ''))).to.deep.equal([]);
    expect([...templates.values()].map(({ object }) => object.status)).to.deep.equal(statuses);
  });
});
