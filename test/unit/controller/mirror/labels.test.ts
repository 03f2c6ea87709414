import { expect } from 'chai';
import type { KubeObject } from '../../../../src/api/meta.ts';
import { MIRROR_MANAGER, mirrorLabels } from '../../../../src/api/mirrors.ts';
import {
  hasLabels,
  isAppliedByOthers,
  labelsOf,
  labelsToGiveUp,
} from '../../../../src/controller/mirror/labels.ts';

const OURS = labelsOf({ organization: 'acme', owner: 'ann', template: 'docker' });

/** Somebody who has set these labels, as managedFields tell it. */
function manager(name: string, labels: readonly string[]): object {
  const set = Object.fromEntries(labels.map((label) => [`f:${label}`, {}]));
  return { manager: name, operation: 'Apply', fieldsV1: { 'f:metadata': { 'f:labels': set }, 'f:spec': {} } };
}

function live(parts: {
  readonly labels?: Readonly<Record<string, string>>;
  readonly managedFields?: readonly object[];
  readonly applied?: unknown;
}): KubeObject {
  const { labels = OURS, applied, managedFields } = parts;
  const metadata = {
    name: 'acme.ann.dev',
    labels,
    ...(managedFields === undefined ? {} : { managedFields }),
    ...(applied === undefined
      ? {}
      : {
          annotations: {
            'kubectl.kubernetes.io/last-applied-configuration':
              typeof applied === 'string' ? applied : JSON.stringify(applied),
          },
        }),
  };
  return { metadata };
}

describe('labelsOf', () => {
  it('tells where a workspace is from, in lower case', () => {
    expect(labelsOf({ organization: 'Acme', owner: 'Ann', template: 'Docker' })).to.deep.equal({
      'coder.com/mirror': 'true',
      'coder.com/organization': 'acme',
      'coder.com/owner': 'ann',
      'coder.com/template': 'docker',
    });
  });

  it('tells of no owner where there is none', () => {
    expect(labelsOf({ organization: 'acme', template: 'docker' })).to.not.have.property(mirrorLabels.owner);
  });
});

describe('labelsOf, of old names', () => {
  const bad = ['', '-docker', 'docker-', 'a b', 'ünder', 'x'.repeat(64)];
  for (const template of bad) {
    it(`leaves out what no label can say: "${template.slice(0, 10)}"`, () => {
      expect(labelsOf({ organization: 'acme', owner: 'ann', template })).to.deep.equal({
        'coder.com/mirror': 'true',
        'coder.com/organization': 'acme',
        'coder.com/owner': 'ann',
      });
    });
  }

  for (const template of ['a', 'a_b.c-d', 'x'.repeat(63)]) {
    it(`keeps what one can: "${template.slice(0, 10)}"`, () => {
      expect(labelsOf({ organization: 'acme', template })).to.include({ 'coder.com/template': template });
    });
  }
});

describe('isAppliedByOthers', () => {
  const label = [mirrorLabels.mirror];
  it('is so when a manifest of somebody else holds the label of mirrors', () => {
    expect(isAppliedByOthers(live({ managedFields: [manager('argocd', label)] }), MIRROR_MANAGER)).to.equal(
      true,
    );
    const applied = { metadata: { labels: { [mirrorLabels.mirror]: 'true' } } };
    expect(isAppliedByOthers(live({ applied }), MIRROR_MANAGER)).to.equal(true);
  });

  it('is not so of a mirror of ours', () => {
    const managedFields = [manager(MIRROR_MANAGER, label), manager('argocd', [mirrorLabels.owner])];
    expect(isAppliedByOthers(live({ managedFields }), MIRROR_MANAGER)).to.equal(false);
  });
});

describe('hasLabels', () => {
  it('asks for each of them, and does not mind others', () => {
    expect(hasLabels(live({}), OURS)).to.equal(true);
    expect(hasLabels(live({ labels: { ...OURS, 'example.com/team': 'x' } }), OURS)).to.equal(true);
    expect(hasLabels(live({ labels: { ...OURS, [mirrorLabels.owner]: 'bob' } }), OURS)).to.equal(false);
    expect(hasLabels(live({ labels: {} }), OURS)).to.equal(false);
    expect(hasLabels({ metadata: { name: 'bare' } }, OURS)).to.equal(false);
  });
});

describe('labelsToGiveUp', () => {
  const all = Object.values(mirrorLabels);
  const rest = all.filter((label) => label !== mirrorLabels.owner);
  const [ours, theirs] = [
    manager(MIRROR_MANAGER, all),
    manager('argocd-controller', ['example.com/team', mirrorLabels.owner]),
  ];
  const manifest = { metadata: { labels: { [mirrorLabels.owner]: 'ann' } } };
  const cases: [string, Parameters<typeof live>[0], readonly string[]][] = [
    ['all of ours where nobody else has any', { managedFields: [ours] }, all],
    ['none that somebody applied from the server side', { managedFields: [ours, theirs] }, rest],
    ['none that is in the manifest that kubectl applied', { managedFields: [ours], applied: manifest }, rest],
    ['none at all when a manifest holds all of them', { managedFields: [ours, manager('kubectl', all)] }, []],
    ['only what is there', { labels: { [mirrorLabels.mirror]: 'true' } }, [mirrorLabels.mirror]],
    ['all when nothing is told of who set what', {}, all],
    ['all when the note of kubectl was broken by hand', { applied: '{"metadata":' }, all],
    ['all when the note of kubectl says something else', { applied: 'null' }, all],
    [
      'all when somebody else set other fields only',
      { managedFields: [ours, { manager: 'kubectl-edit', fieldsV1: { 'f:spec': { 'f:running': {} } } }] },
      all,
    ],
  ];
  for (const [name, given, labels] of cases) {
    it(`are ${name}`, () => {
      expect(labelsToGiveUp(live(given), MIRROR_MANAGER)).to.deep.equal(labels);
    });
  }

  it('never are labels of others', () => {
    const labels = { ...OURS, 'example.com/team': 'x', 'coder.com/other': 'y' };
    expect(labelsToGiveUp(live({ labels }), MIRROR_MANAGER)).to.have.members(all);
  });
});
