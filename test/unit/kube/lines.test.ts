import { expect } from 'chai';
import fc from 'fast-check';
import { LineSplitter } from '../../../src/kube/lines.ts';

describe('LineSplitter', () => {
  it('finds the same lines wherever the stream is cut', () => {
    const line = fc.string({ unit: 'grapheme' }).map((text) => `x${text.replace(/\s/g, '')}`);
    fc.assert(
      fc.property(fc.array(line), fc.integer({ min: 1, max: 7 }), (lines, size) => {
        const bytes = Buffer.from(lines.map((text) => `${text}\n`).join(''));
        const splitter = new LineSplitter(10_000);
        const found: string[] = [];
        for (let i = 0; i < bytes.length; i += size)
          found.push(...splitter.push(bytes.subarray(i, i + size)));
        expect(found).to.deep.equal(lines);
        expect(splitter.pendingBytes).to.equal(0);
      }),
    );
  });

  it('does not split at U+2028, which JSON may hold', () => {
    expect(new LineSplitter(100).push(Buffer.from('{"a":"\u2028"}\n'))).to.deep.equal(['{"a":"\u2028"}']);
  });

  it('takes CRLF and skips empty lines', () => {
    expect(new LineSplitter(100).push(Buffer.from('a\r\n\r\n\nb\n'))).to.deep.equal(['a', 'b']);
  });

  it('knows an unfinished line', () => {
    const splitter = new LineSplitter(100);
    expect(splitter.push(Buffer.from('a\nbc'))).to.deep.equal(['a']);
    expect(splitter.pendingBytes).to.equal(2);
  });

  it('refuses a line without end', () => {
    const splitter = new LineSplitter(10);
    splitter.push(Buffer.from('12345678'));
    expect(() => splitter.push(Buffer.from('901'))).to.throw(RangeError, '10 bytes');
  });
});
