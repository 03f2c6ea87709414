import { expect } from 'chai';
import { Pages } from '../../../../src/apiserver/reading/pages.ts';
import { readToken, writeToken } from '../../../../src/apiserver/reading/token.ts';
import type { Segment, Snapshot } from '../../../../src/apiserver/store/types.ts';
import { FakeClock } from '../../../support/clock.ts';

function segment(bytes: number): Segment {
  return {
    namespace: 'default',
    entries: [],
    bytes,
    deflated: () => expect.fail('nothing is compressed here'),
  };
}

function listing(version: number, segments: readonly Segment[] = []): Snapshot {
  return { resourceVersion: BigInt(version), segments: () => segments, get: () => undefined };
}

describe('Pages', () => {
  it('keeps a list for five minutes after its last page, and for fifteen at most', async () => {
    const clock = new FakeClock();
    const pages = new Pages({ clock });
    pages.keep(listing(1), true);
    await clock.advance(4 * 60_000);
    expect(pages.get(1n)).to.not.equal(undefined);
    for (let i = 0; i < 3; i++) {
      pages.keep(listing(1), false);
      await clock.advance(3 * 60_000);
    }
    expect(pages.get(1n)).to.not.equal(undefined);
    pages.keep(listing(1), false);
    await clock.advance(3 * 60_000);
    expect([pages.get(1n), clock.pending]).to.deep.equal([undefined, 0]);
    pages.keep(listing(2), true);
    await clock.advance(5 * 60_000);
    expect(pages.size).to.equal(0);
  });

  it('keeps a bounded number; those that all have read go first, then those unused for longest', async () => {
    const clock = new FakeClock();
    const pages = new Pages({ clock, maxLists: 3 });
    for (const version of [1, 2, 3]) {
      pages.keep(listing(version), true);
      await clock.advance(1_000);
    }
    // Two read the second list, and one of them has come to its end.
    pages.keep(listing(2), true);
    pages.finish(2n);
    pages.finish(3n);
    pages.keep(listing(4), true);
    expect([1n, 2n, 3n, 4n].map((version) => pages.get(version) !== undefined)).to.deep.equal([
      true,
      true,
      false,
      true,
    ]);
    pages.keep(listing(5), true);
    expect([1n, 2n, 4n, 5n].map((version) => pages.get(version) !== undefined)).to.deep.equal([
      false,
      true,
      true,
      true,
    ]);
    pages.clear();
    expect([pages.size, clock.pending]).to.deep.equal([0, 0]);
  });

  it('keeps a bounded number of bytes, and counts what lists share once', () => {
    const pages = new Pages({ clock: new FakeClock(), maxBytes: 100 });
    const shared = segment(1_000);
    pages.keep(listing(1, [shared, segment(60)]), true);
    pages.keep(listing(2, [shared, segment(30)]), true);
    pages.keep(listing(3, [shared, segment(30)]), true);
    expect(pages.size).to.equal(3);
    pages.keep(listing(4, [shared, segment(30)]), true);
    expect(pages.size).to.equal(3);
    expect(pages.get(1n)).to.equal(undefined);
    // The newest stays, however large it is.
    pages.keep(listing(5, [segment(5_000)]), true);
    expect([pages.size, pages.get(5n) !== undefined]).to.deep.equal([1, true]);
    pages.clear();
  });

  it('takes an end that it knows nothing of', () => {
    const pages = new Pages({ clock: new FakeClock() });
    pages.finish(7n);
    expect(pages.size).to.equal(0);
  });
});

describe('continue tokens', () => {
  it('are read as they were written, and go into a URL as they are', () => {
    const after = { namespace: 'team-a', name: 'ü.b' };
    for (const resourceVersion of [undefined, 1n, 18446744073709551615n]) {
      const token = writeToken({ resourceVersion, since: 1_767_225_600_000, after, hash: 'abc' });
      expect(token).to.match(/^[-\w]+$/);
      expect(readToken(token)).to.deep.equal({
        resourceVersion,
        since: 1_767_225_600_000,
        after,
        hash: 'abc',
      });
    }
  });
});
