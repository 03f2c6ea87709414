import { expect } from 'chai';
import type { Origin } from '../../../src/api/kinds.ts';
import { isMirror, isTakenOver, mirrorLabels } from '../../../src/api/mirrors.ts';
import type { KubeObject } from '../../../src/api/meta.ts';

interface Case {
  readonly label?: string;
  readonly spec?: object;
  readonly finalizers?: readonly string[];
  readonly origin?: Origin;
}

type Anything = KubeObject & { readonly spec?: object; readonly status?: { readonly origin?: Origin } };

function object({ label, spec, finalizers, origin }: Case): Anything {
  return {
    metadata: {
      name: 'acme.ann.dev',
      labels: {
        'example.com/other': 'true',
        ...(label === undefined ? {} : { [mirrorLabels.mirror]: label }),
      },
      ...(finalizers === undefined ? {} : { finalizers }),
    },
    ...(spec === undefined ? {} : { spec }),
    ...(origin === undefined ? {} : { status: { origin } }),
  };
}

const mirror: Case = { label: 'true', spec: {}, finalizers: [], origin: 'Mirrored' };
const users: [string, Case][] = [
  ['one without the label', { spec: {}, origin: 'Mirrored' }],
  ['one whose label says something else', { ...mirror, label: 'false' }],
  ['one with a wish', { ...mirror, spec: { running: true } }],
  ['one with a wish that clears something', { ...mirror, spec: { parameters: [] } }],
  ["one that is held, by anybody's finalizer", { ...mirror, finalizers: ['example.com/other'] }],
];

describe('isMirror', () => {
  it('is so of an object with the label, nothing wished and nothing held', () => {
    expect(isMirror(object(mirror))).to.equal(true);
    expect(isMirror(object({ label: 'true' })), 'without spec and finalizers').to.equal(true);
    expect(isMirror({ metadata: { name: 'bare' } })).to.equal(false);
  });

  for (const [name, given] of users) {
    it(`is not so of ${name}`, () => {
      expect(isMirror(object(given))).to.equal(false);
    });
  }
});

describe('isTakenOver', () => {
  for (const [name, given] of users) {
    it(`is so of ${name}, as long as its status says that it was mirrored`, () => {
      expect(isTakenOver(object(given))).to.equal(true);
      for (const origin of ['Adopted', 'Created'] as const) {
        expect(isTakenOver(object({ ...given, origin }))).to.equal(false);
      }
    });
  }

  it('is not so of a mirror, nor of an object that never was one', () => {
    expect(isTakenOver(object(mirror))).to.equal(false);
    expect(isTakenOver(object({ spec: { running: true } }))).to.equal(false);
  });
});
