import { expect } from 'chai';
import { apiVersionOf } from '../../../src/kube/objects.ts';
import { templates, workspaces, type CoderWorkspace } from '../../../src/api/kinds.ts';
import { LoopMirrors } from '../../support/loop-mirrors.ts';
import { has, isReady } from '../../support/tenant.ts';

/** How people and tools apply a manifest; the last ones as Argo CD and Flux do. */
const WAYS: Readonly<Record<string, readonly string[]>> = {
  'kubectl apply': ['apply', '-f', '-'],
  'kubectl apply --server-side': ['apply', '--server-side', '--force-conflicts', '-f', '-'],
  'Argo CD': ['apply', '--server-side', '--force-conflicts', '--field-manager=argocd-controller', '-f', '-'],
  Flux: ['apply', '--server-side', '--force-conflicts', '--field-manager=kustomize-controller', '-f', '-'],
};

describe('a mirror that is adopted, through the running loop', function () {
  this.timeout(60_000);
  let m: LoopMirrors;
  let count = 0;

  before(async () => {
    m = await LoopMirrors.open();
  });

  after(async () => {
    // Absent when `before` has failed.
    await (m as LoopMirrors | undefined)?.loop.close();
  });

  /** A mirror at rest, of a workspace of its own. */
  async function mirror(): Promise<CoderWorkspace> {
    const workspace = await m.added(`w-${++count}`);
    const name = `acme.ann.${workspace.name}`;
    return m.until(name, (o) => isReady(o) && o.status?.running === true);
  }

  /** It is the user's, bound to the same, and nothing was asked of Coder. */
  async function adopted({ metadata, status }: CoderWorkspace): Promise<CoderWorkspace> {
    const object = await m.until(
      metadata.name,
      (o) =>
        o.status?.origin === 'Adopted' && isReady(o) && !('coder.com/owner' in (o.metadata.labels ?? {})),
    );
    expect(object.metadata.uid).to.equal(metadata.uid);
    expect(object.status?.id).to.equal(status?.id);
    await m.untilRight();
    expect(m.loop.server.changes).to.deep.equal([]);
    return object;
  }

  function manifest(name: string, labels?: Readonly<Record<string, string>>): object {
    return {
      apiVersion: apiVersionOf(workspaces),
      kind: workspaces.kind,
      metadata: { name, namespace: m.loop.namespace, ...(labels === undefined ? {} : { labels }) },
      spec: { templateName: 'docker', running: true },
    };
  }

  it('by a wish of a person is no mirror any more', async () => {
    const before = await mirror();
    await m.loop.kubectl([
      'patch',
      'coderworkspace',
      before.metadata.name,
      '--type=merge',
      '-p',
      JSON.stringify({ spec: { running: true } }),
    ]);
    const { metadata, spec } = await adopted(before);
    expect(metadata.labels ?? {}).to.deep.equal({});
    expect(spec).to.deep.equal({ running: true });
  });

  for (const [way, args] of Object.entries(WAYS)) {
    it(`by ${way} loses our labels and keeps the user's, and the manifest shows no difference after`, async () => {
      const before = await mirror();
      const { name } = before.metadata;
      const wished = manifest(name, { 'example.com/team': 'red', 'coder.com/template': 'docker' });
      await m.loop.kubectl(args, wished);
      const { metadata, spec } = await adopted(before);
      expect(metadata.labels).to.deep.equal({ 'example.com/team': 'red', 'coder.com/template': 'docker' });
      expect(spec).to.deep.equal({ templateName: 'docker', running: true });
      const { resourceVersion } = metadata;
      const again = await m.loop.kubectl(args, wished);
      expect(again).to.match(args.includes('--server-side') ? /serverside-applied/ : /unchanged/);
      const diff = args.filter((arg) => arg !== 'apply' && arg !== '-f' && arg !== '-');
      // It fails when there is any.
      expect(await m.loop.kubectl(['diff', ...diff, '-f', '-'], wished)).to.equal('');
      await m.loop.looks(3);
      expect(m.object(name)?.metadata.resourceVersion).to.equal(resourceVersion);
    });

    it(`by ${way}, with no more than its name, stays what it was`, async () => {
      const before = await mirror();
      const { name } = before.metadata;
      const { apiVersion, kind } = manifest(name) as { readonly apiVersion: string; readonly kind: string };
      await m.loop.kubectl(args, { apiVersion, kind, metadata: { name, namespace: m.loop.namespace } });
      await m.loop.looks(3);
      await m.untilRight();
      expect(m.object(name)?.status).to.include({ origin: 'Mirrored', id: before.status?.id });
    });
  }

  it('is let go of without a trace in Coder, and may be had again', async () => {
    const before = await mirror();
    const { name } = before.metadata;
    await m.wish(name, { automaticUpdates: 'Never' });
    await adopted(before);
    await m.loop.kubectl(['delete', 'coderworkspace', name]);
    await m.loop.looks(3);
    await m.loop.kubectl(WAYS['kubectl apply'] ?? [], manifest(name));
    const { status } = await m.until(name, (o) => o.status?.origin === 'Adopted' && isReady(o));
    expect(status?.id).to.equal(before.status?.id);
    expect(m.loop.server.changes).to.deep.equal([]);
  });

  it('is driven from then on', async () => {
    const before = await mirror();
    const { name } = before.metadata;
    const changes = m.loop.server.changes.length;
    await m.wish(name, { running: false });
    await m.until(name, (o) => o.status?.origin === 'Adopted' && o.status.running === false && isReady(o));
    await m.wish(name, { running: true });
    await m.until(name, (o) => o.status?.running === true && isReady(o));
    const asked = m.loop.server.changes.slice(changes).map(({ method, path }) => `${method} ${path}`);
    const build = `POST /api/v2/workspaces/${before.status?.id ?? ''}/builds`;
    expect(asked).to.deep.equal([build, build]);
  });

  it('of a template is adopted in the same way', async () => {
    const { loop } = m;
    const changes = loop.server.changes.length;
    const { id } = m.coder.addTemplate('spare');
    await loop.until(
      () => loop.template('acme.spare'),
      (t) => t.status?.id === id && isReady(t),
    );
    const wished = {
      apiVersion: apiVersionOf(templates),
      kind: templates.kind,
      metadata: { name: 'acme.spare', namespace: loop.namespace },
      spec: { driftPolicy: 'OnChange' },
    };
    await loop.kubectl(WAYS['Flux'] ?? [], wished);
    const { metadata, status } = await loop.until(
      () => loop.template('acme.spare'),
      (t) => t.status?.origin === 'Adopted' && isReady(t) && !has(t, 'Drifted', 'True'),
    );
    expect(metadata.labels ?? {}).to.deep.equal({});
    expect(status?.id).to.equal(id);
    expect(loop.server.changes.slice(changes)).to.deep.equal([]);
  });
});
