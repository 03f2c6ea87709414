import { expect } from 'chai';
import fc from 'fast-check';
import { canonicalEqual } from '../../../src/kube/equality.ts';

describe('canonicalEqual', () => {
  it('ignores the order of keys and takes undefined for absent', () => {
    expect(canonicalEqual({ a: 1, b: { c: [1, 2] } }, { b: { c: [1, 2] }, a: 1, d: undefined })).to.equal(
      true,
    );
  });

  it('tells null, empty, zero and absent apart', () => {
    const different = [{}, { a: null }, { a: [] }, { a: {} }, { a: 0 }, { a: '' }, { a: false }];
    for (const [i, left] of different.entries()) {
      for (const [j, right] of different.entries()) {
        expect(canonicalEqual(left, right)).to.equal(i === j);
      }
    }
  });

  it('heeds the order and length of lists', () => {
    expect(canonicalEqual([1, 2], [2, 1])).to.equal(false);
    expect(canonicalEqual([1], [1, undefined])).to.equal(false);
  });

  it('does not take inherited names for keys', () => {
    expect(canonicalEqual({ constructor: 'x' }, {})).to.equal(false);
    expect(canonicalEqual({}, { constructor: Object })).to.equal(false);
  });

  it('agrees with JSON: a value equals its copy, and a change of a leaf is seen', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.jsonValue()),
        fc.string(),
        fc.jsonValue(),
        (value, key, leaf) => {
          const copy = JSON.parse(JSON.stringify(value)) as Record<string, unknown>;
          expect(canonicalEqual(value, copy)).to.equal(true);
          expect(canonicalEqual({ ...value, [key]: leaf }, { ...value, [key]: [leaf] })).to.equal(false);
        },
      ),
    );
  });
});
