import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import type { CoderTemplate } from '../../src/api/kinds.ts';
import { isNotFound } from '../../src/coder/errors.ts';
import { MAX_ARCHIVE_BYTES } from '../../src/coder/layout.ts';
import { MAX_UNPACKED_BYTES } from '../../src/coder/unpack.ts';
import { fluxKinds, type FluxKind } from '../../src/controller/flux.ts';
import { bombOf, sha256Of, tarGzOf } from '../support/archives.ts';
import { ArtifactServer, htmlPage, redirectTo } from '../support/artifacts.ts';
import { FluxObject, installFluxCrds, removeFluxCrds } from '../support/flux.ts';
import { runningOperator, SERVERS_WITHIN_MS } from '../support/servers.ts';
import { coderWrites, has, isReady, messageOf, SMALL, Tenant } from '../support/tenant.ts';

const activeName = (t: CoderTemplate): string => t.status?.activeVersion?.name ?? '';
const waitsForDependency = (t: CoderTemplate): boolean =>
  has(t, 'Reconciling', 'True', 'WaitingForDependency');

/** A tenant whose control plane is there. */
async function connectedTenant(): Promise<Tenant> {
  const tenant = await Tenant.create();
  await tenant.apply(tenant.credentials(), tenant.controlPlane());
  return tenant;
}

describe('content of a template', function () {
  this.timeout(90_000);
  let tenant: Tenant;
  let host: ArtifactServer;

  before(async function () {
    this.timeout(SERVERS_WITHIN_MS);
    host = await ArtifactServer.start();
    tenant = await connectedTenant();
    await tenant.untilControlPlane(isReady);
  });

  after(async function () {
    this.timeout(150_000);
    // Absent when `before` has failed.
    await (tenant as Tenant | undefined)?.destroy();
    await (host as ArtifactServer | undefined)?.close();
  });

  const name = (suffix: string): string => `${tenant.tag}${suffix}`;
  const untilOne = (
    suffix: string,
    isSo: (t: CoderTemplate) => boolean,
    withinMs?: number,
  ): Promise<CoderTemplate> => tenant.untilTemplate(isSo, withinMs, name(suffix));

  /** A template from an archive, with its own hash unless another is given. */
  function fromArchive(url: string, bytes: Uint8Array, source: object = {}): object {
    return { source: { archive: { url, sha256: sha256Of(bytes) }, ...source } };
  }

  /** The same where these bytes are really served, under a path of that name. */
  const served = (path: string, bytes: Buffer, source: object = {}): object =>
    fromArchive(host.serve(`/${path}`, bytes), bytes, source);

  it('that cannot be used is told by a condition, and nothing of it reaches Coder', async () => {
    const good = await tarGzOf(SMALL);
    const elsewhere = host.serve('/elsewhere', good).replace('127.0.0.1', 'localhost');
    const cases: readonly (readonly [suffix: string, spec: object, says: RegExp])[] = [
      ['notf', { files: { 'README.md': 'hello' } }, /spec\.files is no template: there is no \.tf .* file/],
      ['binary', { files: { ...SMALL, 'logo.png': 'a\0b' } }, /"logo\.png" is no text/],
      ['deeper', served('deeper', await tarGzOf(SMALL, { prefix: 'dev/' })), /"dev\/main\.tf" lies deeper/],
      ['folder', served('folder', good, { path: 'dev' }), /there is no folder "dev" in it/],
      [
        'link',
        served('link', await tarGzOf(SMALL, { symlinks: { 'a.tf': '/etc/passwd' } })),
        /"a\.tf" is a symbolic link/,
      ],
      [
        'outside',
        served('outside', await tarGzOf({ ...SMALL, '../a.tf': '' })),
        /"\.\.\/a\.tf" has a part "\." or "\.\."/,
      ],
      ['large', served('large', await bombOf(MAX_ARCHIVE_BYTES + 1)), /grows beyond 1 MiB/],
      [
        'bomb',
        served('bomb', await bombOf(MAX_UNPACKED_BYTES + 1, 'zeros'), { path: 'dev' }),
        /inflates to more than 256 MiB/,
      ],
      ['zip', served('zip', Buffer.from('PK\u0003\u0004 and so on')), /it looks like a zip archive/],
      ['hash', fromArchive(host.serve('/hash', good), Buffer.from('other')), /the SHA-256 [0-9a-f]{64}/],
      [
        'html',
        fromArchive(host.serve('/html', htmlPage()), good),
        /answers with an HTML page, not an archive/,
      ],
      [
        'redirect',
        fromArchive(host.serve('/redirect', redirectTo(elsewhere)), good),
        /redirects to the host "localhost:\d+"/,
      ],
      [
        'http',
        fromArchive('http://example.com/a.tar.gz', good),
        /http is allowed only to Services inside the cluster/,
      ],
      ['metadata', fromArchive('http://169.254.169.254/latest/meta-data', good), /169\.254\.169\.254/],
      [
        'linklocal',
        fromArchive('https://169.254.169.254/latest/meta-data', good),
        /a link-local address \(169\.254\.169\.254\)/,
      ],
    ];
    const before = await coderWrites();
    await tenant.apply(...cases.map(([suffix, spec]) => tenant.template(spec, name(suffix))));
    for (const [suffix, , says] of cases) {
      const stalled = await untilOne(suffix, (t) => has(t, 'Stalled', 'True', 'InvalidContent'));
      expect(messageOf(stalled, 'Ready'), suffix).to.match(says);
      expect(stalled.status?.pendingVersion, suffix).to.equal(undefined);
      const there = await tenant.coder.templateByName('coder', name(suffix)).catch((error: unknown) => error);
      expect(isNotFound(there), suffix).to.equal(true);
    }
    expect(await coderWrites()).to.deep.equal(before);
    expect(host.requests('/elsewhere')).to.equal(0);
  });

  it('is the same version wherever it comes from', async () => {
    const late = await tarGzOf(SMALL, { prefix: 'templates/dev/', folders: true });
    await tenant.apply(
      tenant.configMap('all', SMALL),
      tenant.template({ files: SMALL }, name('files')),
      tenant.template({ source: { configMapRef: { name: 'all' } } }, name('all')),
      tenant.template(fromArchive(host.url('/late'), late, { path: './templates/dev' }), name('late')),
    );
    const missing = await untilOne('late', (t) => has(t, 'Reconciling', 'True', 'SourceUnavailable'));
    expect(messageOf(missing, 'Ready')).to.match(/spec\.source\.archive: There is no file at http.*\/late/);
    host.serve('/late', late);
    const ready = await Promise.all(['files', 'all', 'late'].map((s) => untilOne(s, isReady, 60_000)));
    const [first = ''] = ready.map(activeName);
    expect(ready.map(activeName)).to.deep.equal([first, first, first]);
    for (const { status } of ready) expect(await tenant.versions(status?.id ?? '')).to.deep.equal([first]);
    expect(ready[2]?.status?.source).to.include({ digest: `sha256:${sha256Of(late)}` });
    // Neither a token nor anything else that a host could use goes along.
    for (const headers of host.headers('/late')) {
      expect(headers).to.have.all.keys('host', 'connection', 'accept', 'accept-encoding', 'user-agent');
    }
  });

  it('is a new version once the ConfigMap says something else, and the object stays as it is', async () => {
    const items = [
      { key: 'root', path: 'main.tf' },
      { key: 'net', path: 'modules/net/main.tf' },
    ];
    await tenant.apply(
      tenant.configMap('keys', { root: SMALL['main.tf'], note: 'not wished' }),
      tenant.template({ source: { configMapRef: { name: 'keys', items } } }, name('keys')),
    );
    const waiting = await untilOne('keys', waitsForDependency);
    expect(messageOf(waiting, 'Ready')).to.contain('The ConfigMap keys has no key net');
    const before = activeName(await untilOne('all', isReady));
    const change = (configMap: string, data: object): Promise<string> =>
      tenant.kubectl('patch', 'configmap', configMap, '--type=merge', '-p', JSON.stringify({ data }));
    await change('keys', { net: '# nothing yet\n' });
    await change('all', { 'README.md': 'the second' });
    const ready = await untilOne('keys', isReady);
    const fileID = (await tenant.coder.templateVersion(ready.status?.activeVersion?.id ?? '')).job.file_id;
    const stored = await tenant.coder.file(fileID ?? '');
    expect(stored.includes('modules/net/main.tf'), 'at its path').to.equal(true);
    expect(stored.includes('not wished'), 'a key without an item').to.equal(false);
    const second = await untilOne('all', (t) => isReady(t) && activeName(t) !== before, 60_000);
    expect(second.metadata.generation).to.equal(1);
    expect(await tenant.versions(second.status?.id ?? '')).to.deep.equal([before, activeName(second)]);
  });

  it('that cannot be used is not fetched again and again, and goes on when it is mended', async () => {
    for (const path of ['deeper', 'link', 'large', 'bomb', 'hash', 'html', 'redirect']) {
      expect(host.requests(`/${path}`), path).to.equal(1);
    }
    await tenant.apply(tenant.template({ files: SMALL }, name('hash')));
    const mended = await untilOne('hash', isReady, 60_000);
    expect(mended.status?.source).to.equal(undefined);
  });
});

describe('content of a template from Flux', function () {
  this.timeout(90_000);
  let tenants: readonly Tenant[] = [];
  let host: ArtifactServer;
  /** Whose template comes from this kind: two each, since uploads of one Coder's operator wait for each other. */
  let homes: Readonly<Record<FluxKind, Tenant>>;
  const sources = new Map<FluxKind, FluxObject>();
  /** The active version of each one's template. */
  const active = new Map<FluxKind, string>();
  const REFUSED_MS = 40_000;

  before(async function () {
    this.timeout(SERVERS_WITHIN_MS);
    host = await ArtifactServer.start();
    // One after the other: the first starts the servers.
    for (let i = 0; i < 3; i++) tenants = [...tenants, await connectedTenant()];
    const [one, two] = tenants as readonly [Tenant, Tenant];
    homes = { GitRepository: one, OCIRepository: one, Bucket: two, ExternalArtifact: two };
    await removeFluxCrds(one.kube);
  });

  after(async function () {
    this.timeout(150_000);
    if (tenants[0] !== undefined) await removeFluxCrds(tenants[0].kube);
    await Promise.all(tenants.map((t) => t.destroy()));
    await (host as ArtifactServer | undefined)?.close();
  });

  const name = (kind: FluxKind): string => `${homes[kind].tag}${kind.slice(0, 1).toLowerCase()}`;
  const until = (
    kind: FluxKind,
    isSo: (t: CoderTemplate) => boolean,
    withinMs?: number,
  ): Promise<CoderTemplate> => homes[kind].untilTemplate(isSo, withinMs, name(kind));
  /** Side by side, with the kind in the error. */
  const each = async <T>(act: (kind: FluxKind) => Promise<T>): Promise<readonly T[]> =>
    Promise.all(fluxKinds.map(act));
  const source = (kind: FluxKind): FluxObject => {
    const found = sources.get(kind);
    if (found === undefined) throw new Error(`The ${kind} was not created`);
    return found;
  };

  /** What lies in the folder `dev` of the artifact, in `note` what tells it from others. */
  function artifact(note: string, folders = true): Promise<Buffer> {
    const files = { ...SMALL, 'README.md': note };
    const inFolder = Object.entries(files).map(([path, content]) => [`dev/${path}`, content] as const);
    return tarGzOf({ 'other/broken.tf': 'no terraform', ...Object.fromEntries(inFolder) }, { folders });
  }

  async function publish(kind: FluxKind, bytes: Buffer): Promise<void> {
    const url = host.serve(`/${kind}/${sha256Of(bytes)}.tar.gz`, bytes);
    await source(kind).publish({ url, bytes });
  }

  async function createSources(): Promise<void> {
    await each(async (kind) => {
      const { kube, namespace } = homes[kind];
      sources.set(kind, await FluxObject.create(kube, namespace, kind, 'templates'));
    });
  }

  it('waits while its kinds are not installed, and says so', async () => {
    await each((kind) =>
      homes[kind].apply(
        homes[kind].template({ source: { sourceRef: { kind, name: 'templates' }, path: 'dev' } }, name(kind)),
      ),
    );
    await each(async (kind) => {
      const waiting = await until(kind, waitsForDependency);
      expect(messageOf(waiting, 'Ready')).to.match(
        new RegExp(`This cluster does not know the kind ${kind} .*: install Flux's source-controller`),
      );
    });
  });

  it('comes by itself when they are, and the source has an artifact', async () => {
    const [{ kube }] = tenants as readonly [Tenant];
    await installFluxCrds(kube);
    await each((kind) =>
      until(kind, (t) => messageOf(t, 'Ready').startsWith(`There is no ${kind} templates`), REFUSED_MS),
    );
    await createSources();
    await each((kind) => until(kind, (t) => messageOf(t, 'Ready').includes('has no artifact yet')));
    await each(async (kind) => publish(kind, await artifact(`first ${kind}`)));
    await each(async (kind) => {
      const ready = await until(kind, isReady);
      expect(ready.status?.source?.revision).to.match(/[0-9a-f]{40}/);
      active.set(kind, activeName(ready));
    });
  });

  it('is a new version with each new artifact', async () => {
    await each(async (kind) => publish(kind, await artifact(`second ${kind}`)));
    await each(async (kind) => {
      const first = active.get(kind) ?? '';
      const ready = await until(kind, (t) => isReady(t) && activeName(t) !== first, 60_000);
      expect(ready.metadata.generation).to.equal(1);
      expect(await homes[kind].versions(ready.status?.id ?? '')).to.deep.equal([first, activeName(ready)]);
      active.set(kind, activeName(ready));
    });
  });

  it('is no new version when only other things in the artifact are new', async () => {
    const repacked = await artifact('second GitRepository', false);
    await publish('GitRepository', repacked);
    const digest = `sha256:${sha256Of(repacked)}`;
    const ready = await until('GitRepository', (t) => isReady(t) && t.status?.source?.digest === digest);
    expect(activeName(ready)).to.equal(active.get('GitRepository'));
    expect(await homes.GitRepository.versions(ready.status?.id ?? '')).to.have.length(2);
  });

  it('is not fetched from where nobody should be led', async () => {
    const tenant = homes.GitRepository;
    const misled = await FluxObject.create(tenant.kube, tenant.namespace, 'ExternalArtifact', 'misled');
    const bytes = await artifact('misled');
    await misled.publish({ url: 'https://169.254.169.254/latest/meta-data', bytes });
    await tenant.apply(tenant.template({ source: { sourceRef: misled.ref, path: 'dev' } }, `${tenant.tag}m`));
    const stalled = await tenant.untilTemplate(
      (t) => has(t, 'Stalled', 'True', 'InvalidContent'),
      30_000,
      `${tenant.tag}m`,
    );
    expect(messageOf(stalled, 'Ready')).to.match(/the ExternalArtifact misled: .*a link-local address/);
  });

  it('of 1 MiB is in Coder soon after its artifact is there', async () => {
    const tenant = tenants[2] as Tenant;
    const big = await FluxObject.create(tenant.kube, tenant.namespace, 'GitRepository', 'big');
    const first = await tarGzOf(SMALL);
    await big.publish({ url: host.serve('/big/1', first), bytes: first });
    await tenant.apply(tenant.template({ source: { sourceRef: big.ref } }));
    const before = activeName(await tenant.untilTemplate(isReady));
    const [{ length }] = Object.values(SMALL) as [string];
    // Nothing that compression could make small.
    const bytes = await tarGzOf({ ...SMALL, 'data.bin': randomBytes(MAX_ARCHIVE_BYTES - length) });
    const url = host.serve('/big/2', bytes);

    const published = Date.now();
    await big.publish({ url, bytes });
    const pending = await tenant.untilTemplate(
      (t) => t.status?.pendingVersion?.id !== undefined || (isReady(t) && activeName(t) !== before),
    );
    const seen = Date.now() - published;
    const { id = '' } = pending.status?.pendingVersion ?? pending.status?.activeVersion ?? {};
    const created = Date.parse((await tenant.coder.templateVersion(id)).created_at) - published;
    process.stdout.write(
      `      a new artifact of 1 MiB: version in Coder after ${created} ms, in the status after ${seen} ms\n`,
    );
    await tenant.untilTemplate((t) => isReady(t) && activeName(t) !== before);
  });

  it('stays what it is in Coder when the kinds are removed, and goes on when they are back', async () => {
    const [{ kube }] = tenants as readonly [Tenant];
    const operator = await runningOperator();
    const { pid } = operator;
    await removeFluxCrds(kube);
    await each(async (kind) => {
      const waiting = await until(
        kind,
        (t) => waitsForDependency(t) && messageOf(t, 'Ready').includes('does not know the kind'),
        REFUSED_MS,
      );
      expect(activeName(waiting)).to.equal(active.get(kind));
      const { active_version_id: id } = await homes[kind].coder.template(waiting.status?.id ?? '');
      expect(id).to.equal(waiting.status?.activeVersion?.id);
    });
    const before = await coderWrites();
    await installFluxCrds(kube);
    await createSources();
    await each(async (kind) => publish(kind, await artifact(`second ${kind}`)));
    await each(async (kind) => {
      const ready = await until(kind, isReady, REFUSED_MS);
      expect(activeName(ready)).to.equal(active.get(kind));
    });
    expect(await coderWrites()).to.deep.equal(before);
    expect(operator.running && operator.pid === pid, 'the operator runs on').to.equal(true);
  });
});
