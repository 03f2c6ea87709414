import { expect } from 'chai';
import { workspaces } from '../../../../src/api/kinds.ts';
import type { KubeObject } from '../../../../src/api/meta.ts';
import { viewMetadata } from '../../../../src/apiserver/view/metadata.ts';
import { fullObject } from '../../../support/crd-samples.ts';

describe('the metadata of the view', () => {
  const full = fullObject(workspaces, 'coder.ann.dev');
  const with_ = (change: object): KubeObject => ({ ...full, metadata: { ...full.metadata, ...change } });

  it("are the object's own, without what only writers need", () => {
    expect(viewMetadata(full)).to.deep.equal({
      name: 'coder.ann.dev',
      namespace: 'demo',
      uid: '0c7b2f0e-6f3b-4f9a-9d0a-000000000001',
      resourceVersion: '4711',
      generation: 3,
      creationTimestamp: '2026-01-01T00:00:00Z',
      deletionTimestamp: '2026-01-03T00:00:00Z',
      deletionGracePeriodSeconds: 0,
      labels: { team: 'a' },
      annotations: { note: 'b' },
    });
  });

  it('leave out what is not there', () => {
    const { name, namespace, uid, resourceVersion } = viewMetadata(full);
    const bare = { name, namespace, uid, resourceVersion };
    expect(viewMetadata({ metadata: bare })).to.deep.equal(bare);
    expect(Object.keys(viewMetadata({ metadata: { ...bare, labels: {}, annotations: {} } }))).to.deep.equal(
      Object.keys(bare),
    );
  });

  const marks: readonly [what: string, half: 'labels' | 'annotations', key: string, value: string][] = [
    ['kubectl apply', 'annotations', 'kubectl.kubernetes.io/last-applied-configuration', '{}'],
    [
      'Argo CD by annotation',
      'annotations',
      'argocd.argoproj.io/tracking-id',
      'app:coder.com/CoderWorkspace:demo/x',
    ],
    ['Argo CD by label', 'labels', 'app.kubernetes.io/instance', 'app'],
    ['Argo CD by its own label', 'labels', 'argocd.argoproj.io/instance', 'app'],
    ['an instruction to Argo CD', 'annotations', 'argocd.argoproj.io/sync-wave', '1'],
    ['Flux kustomizations', 'labels', 'kustomize.toolkit.fluxcd.io/name', 'apps'],
    ['an instruction to Flux', 'annotations', 'kustomize.toolkit.fluxcd.io/prune', 'disabled'],
    ['Flux Helm releases', 'labels', 'helm.toolkit.fluxcd.io/name', 'apps'],
    ['Helm by annotation', 'annotations', 'meta.helm.sh/release-name', 'apps'],
    ['Helm by label', 'labels', 'app.kubernetes.io/managed-by', 'Helm'],
    ['apply sets', 'labels', 'applyset.kubernetes.io/part-of', 'applyset-x'],
    ['inventories of cli-utils', 'annotations', 'config.k8s.io/owning-inventory', 'x'],
    ['kapp', 'labels', 'kapp.k14s.io/app', '1'],
    ['Fleet', 'labels', 'objectset.rio.cattle.io/hash', 'x'],
  ];
  for (const [what, half, key, value] of marks) {
    it(`do not bear the mark of ${what}`, () => {
      const shown = viewMetadata(with_({ [half]: { [key]: value, mine: 'x' } }));
      expect(shown[half]).to.deep.equal({ mine: 'x' });
      expect(viewMetadata(with_({ [half]: { [key]: value } }))).to.not.have.property(half);
    });
  }

  it('keep what only looks like a mark', () => {
    const labels = {
      'app.kubernetes.io/managed-by': 'team-a',
      'app.kubernetes.io/name': 'x',
      'example.com/argocd.argoproj.io': 'x',
      'coder.com/mirror': 'true',
    };
    expect(viewMetadata(with_({ labels })).labels).to.deep.equal(labels);
  });
});
