import { expect } from 'chai';
import fc from 'fast-check';
import { randomBytes } from 'node:crypto';
import { crc32, gunzipSync, inflateRawSync } from 'node:zlib';
import { crc32Combine } from '../../../../src/apiserver/store/crc32.ts';
import { deflated } from '../../../../src/apiserver/store/deflate.ts';
import { gzipOf, type GzipPart } from '../../../../src/apiserver/store/gzip.ts';
import { EntrySegment } from '../../../../src/apiserver/store/segments.ts';
import { widgetEntry } from '../../../support/view-store.ts';

/** Bytes that compress well, badly or not at all, of any length around the limits of the format. */
const bytes = fc
  .tuple(
    fc.oneof(fc.nat(600), fc.constantFrom(0, 1, 255, 256, 257, 65_535, 65_536, 70_000)),
    fc.constantFrom('text', 'random'),
  )
  .map(([length, sort]) =>
    sort === 'text' ? Buffer.alloc(length, '{"kind":"CoderWorkspace"},') : randomBytes(length),
  );
const parts = fc.array(fc.tuple(bytes, fc.boolean()), { maxLength: 12 });

const kept = (plain: Uint8Array): GzipPart => ({ bytes: plain.length, deflated: () => deflated(plain) });

describe('gzipOf', () => {
  it('is the concatenation of any parts, as one member', async () => {
    await fc.assert(
      fc.asyncProperty(parts, async (all) => {
        const member = Buffer.concat(
          await gzipOf(all.map(([plain, isKept]) => (isKept ? kept(plain) : plain))),
        );
        const plain = Buffer.concat(all.map(([part]) => part));
        expect(gunzipSync(member).equals(plain)).to.equal(true);
        // A second member would come after the end of the first stream of deflate, where this one stops.
        expect(inflateRawSync(member.subarray(10, -8)).equals(plain)).to.equal(true);
      }),
      { numRuns: 60 },
    );
  });

  it('leaves what is compressed already as it is', async () => {
    const blocks = await deflated(Buffer.from('kept'));
    const pieces = await gzipOf([Buffer.from('['), { bytes: 4, deflated: () => Promise.resolve(blocks) }]);
    expect(pieces).to.include(blocks.blocks);
    expect(gunzipSync(Buffer.concat(pieces)).toString()).to.equal('[kept');
  });

  it('fails when a part cannot be compressed, and leaves no rejection behind', async () => {
    const failing = (): GzipPart => ({ bytes: 1, deflated: () => Promise.reject(new Error('no memory')) });
    const error: unknown = await gzipOf([failing(), failing(), failing()]).catch((reason: unknown) => reason);
    expect(error).to.be.an('error').with.property('message', 'no memory');
  });

  it('compresses no more than a few parts at once', async () => {
    let running = 0;
    let most = 0;
    const part = (): GzipPart => ({
      bytes: 1,
      async deflated() {
        most = Math.max(most, ++running);
        const made = await deflated(Buffer.from('x'));
        running--;
        return made;
      },
    });
    const pieces = await gzipOf(Array.from({ length: 40 }, part));
    expect(gunzipSync(Buffer.concat(pieces)).toString()).to.equal('x'.repeat(40));
    expect(most).to.be.within(2, 5);
  });
});

describe('the compressed form of a segment', () => {
  const segment = (): EntrySegment =>
    new EntrySegment([widgetEntry('a'), widgetEntry('b', { colour: 'grün' })]);

  it('is the entries joined by commas', async () => {
    const one = segment();
    const plain = one.entries.map(({ json }) => json.toString()).join(',');
    expect(one.bytes).to.equal(Buffer.byteLength(plain));
    expect(gunzipSync(Buffer.concat(await gzipOf([one]))).toString()).to.equal(plain);
  });

  it('is made once, also for those who ask at the same time', async () => {
    const one = segment();
    const [first, second] = await Promise.all([one.deflated(), one.deflated()]);
    expect(first).to.equal(second);
    expect(await one.deflated()).to.equal(first);
    expect(first.blocks.buffer.byteLength, 'no memory beyond it').to.equal(first.blocks.length);
  });
});

describe('crc32Combine', () => {
  it('is the CRC of two pieces one after the other', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.uint8Array({ maxLength: 300 }), (a, b) => {
        expect(crc32Combine(crc32(a), crc32(b), b.length)).to.equal(crc32(Buffer.concat([a, b])));
      }),
    );
  });

  it('holds for long pieces', () => {
    const a = randomBytes(1_000);
    const b = Buffer.alloc(5_000_000, 'long');
    expect(crc32Combine(crc32(a), crc32(b), b.length)).to.equal(crc32(b, crc32(a)));
    // Beyond what fits into 32 bits: appending 6 GiB in two halves or at once is the same.
    const half = 3 * 2 ** 30;
    const zero = crc32Combine(0, 0x12345678, half);
    expect(crc32Combine(crc32Combine(1, zero, half), 7, half)).to.equal(
      crc32Combine(1, crc32Combine(zero, 7, half), 2 * half),
    );
  });
});
