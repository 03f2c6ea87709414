import { expect } from 'chai';
import fc from 'fast-check';
import { indented } from '../../../../src/apiserver/http/indent.ts';

function cut(text: string, size: number): Uint8Array[] {
  const bytes = Buffer.from(text);
  return Array.from({ length: Math.ceil(bytes.byteLength / size) }, (_, i) =>
    bytes.subarray(i * size, (i + 1) * size),
  );
}

function pretty(text: string, size = 1024): string {
  return Buffer.concat([...indented(cut(text, size))]).toString();
}

describe('indented', () => {
  it('writes as JSON.stringify does, wherever the bytes are cut', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.integer({ min: 1, max: 7 }), (value, size) => {
        const text = JSON.stringify(value);
        expect(pretty(text, size)).to.equal(JSON.stringify(value, null, 2));
      }),
    );
  });

  it('takes indented JSON as it takes other', () => {
    const value = { a: [1, { b: 'x, y: {}' }], c: {}, d: [], e: '\\"' };
    const indentedOnce = JSON.stringify(value, null, 2);
    expect(pretty(JSON.stringify(value, null, '\t'))).to.equal(indentedOnce);
    expect(pretty(indentedOnce, 3)).to.equal(indentedOnce);
  });

  it('holds no more than a piece', () => {
    const seen: number[] = [];
    const pieces = function* (): Generator<Uint8Array> {
      yield Buffer.from('[');
      for (let i = 0; i < 100; i++) yield Buffer.from(`${i === 0 ? '' : ','}{"a":"${'x'.repeat(1000)}"}`);
      yield Buffer.from(']');
    };
    for (const piece of indented(pieces())) seen.push(piece.byteLength);
    expect(Math.max(...seen)).to.be.lessThan(2000);
    expect(seen).to.have.lengthOf(102);
  });
});
