import { expect } from 'chai';
import {
  compareResourceVersions,
  isObjectOf,
  objectKey,
  resourcePath,
  trimmed,
} from '../../../src/kube/objects.ts';
import { widget, widgets } from '../../support/kube-objects.ts';

const nodes = { group: '', version: 'v1', plural: 'nodes', kind: 'Node', namespaced: false };

describe('resourcePath', () => {
  it('addresses collections, objects and subresources', () => {
    expect(resourcePath(widgets)).to.equal('/apis/test.coder.com/v1/widgets');
    expect(resourcePath(widgets, { namespace: 'a' })).to.equal(
      '/apis/test.coder.com/v1/namespaces/a/widgets',
    );
    expect(resourcePath(widgets, { namespace: 'a', name: 'b.c', subresource: 'status' })).to.equal(
      '/apis/test.coder.com/v1/namespaces/a/widgets/b.c/status',
    );
    expect(resourcePath(nodes, { name: 'n' })).to.equal('/api/v1/nodes/n');
  });

  it('keeps capitals and escapes what URLs need escaped', () => {
    expect(resourcePath(nodes, { name: 'system:Node A' })).to.equal('/api/v1/nodes/system%3ANode%20A');
  });

  for (const name of ['', '.', '..', 'a/b', 'a%2fb']) {
    it(`refuses the name ${JSON.stringify(name)}, which would address something else`, () => {
      expect(() => resourcePath(nodes, { name })).to.throw('cannot be part of a Kubernetes path');
    });
  }

  it('refuses a namespace for a cluster-wide resource', () => {
    expect(() => resourcePath(nodes, { namespace: 'a' })).to.throw('not in namespaces');
  });
});

describe('isObjectOf', () => {
  it('takes what has a name, a place and a version, with or without its kind', () => {
    expect(isObjectOf(widgets, widget('a'))).to.equal(true);
    expect(isObjectOf(widgets, { metadata: widget('a').metadata })).to.equal(true);
    expect(isObjectOf(nodes, { metadata: { name: 'n', resourceVersion: '1' } })).to.equal(true);
  });

  const { metadata } = widget('a');
  const wrong: readonly (readonly [string, unknown])[] = [
    ['nothing', undefined],
    ['null', null],
    ['a text', 'widget'],
    ['something without metadata', {}],
    ['something whose metadata is null', { metadata: null }],
    ['another kind', { ...widget('a'), kind: 'Pod' }],
    ['something without a name', { metadata: { ...metadata, name: '' } }],
    ['something without a namespace', { metadata: { ...metadata, namespace: undefined } }],
    ['something without a version', { metadata: { ...metadata, resourceVersion: 7 } }],
  ];
  for (const [what, value] of wrong) {
    it(`refuses ${what}`, () => {
      expect(isObjectOf(widgets, value)).to.equal(false);
    });
  }
});

describe('objectKey', () => {
  it('is namespace/name, or the name alone', () => {
    expect(objectKey(widget('a'))).to.equal('default/a');
    expect(objectKey({ metadata: { name: 'a' } })).to.equal('a');
  });
});

describe('compareResourceVersions', () => {
  it('compares as integers of any length', () => {
    expect(compareResourceVersions('9', '10')).to.be.below(0);
    expect(compareResourceVersions('18446744073709551616', '18446744073709551615')).to.be.above(0);
    expect(compareResourceVersions('7', '7')).to.equal(0);
  });

  it('does not compare anything else', () => {
    for (const other of ['', 'abc', '01', '1a', undefined]) {
      expect(compareResourceVersions('1', other)).to.equal(undefined);
    }
  });
});

describe('trimmed', () => {
  it('drops managedFields and the applied manifest, and leaves the original alone', () => {
    const fat = widget('a');
    const annotations = { 'kubectl.kubernetes.io/last-applied-configuration': '{}', mine: '1' };
    const object = { ...fat, metadata: { ...fat.metadata, annotations, managedFields: [{}] } };
    expect(trimmed(object)).to.deep.equal({
      ...fat,
      metadata: { ...fat.metadata, annotations: { mine: '1' } },
    });
    expect(object.metadata.managedFields).to.have.length(1);
    expect(object.metadata.annotations).to.have.all.keys(Object.keys(annotations));
  });

  it('does not copy what has neither', () => {
    const lean = widget('a');
    expect(trimmed(lean)).to.equal(lean);
  });
});
