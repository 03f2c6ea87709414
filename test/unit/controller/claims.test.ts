import { expect } from 'chai';
import { isClaimedByAnother, isOlder, olderClaim } from '../../../src/controller/claims.ts';
import type { KubeObject } from '../../../src/api/meta.ts';

function object(name: string, creationTimestamp: string, more: object = {}): KubeObject {
  return { metadata: { name, uid: `uid-${name}`, creationTimestamp, ...more } };
}
const first = object('first', '2026-01-01T00:00:00Z');
const second = object('second', '2026-01-01T00:00:01Z');
const twin = object('a-twin', '2026-01-01T00:00:00Z');

describe('olderClaim', () => {
  it('lets the oldest one have it', () => {
    expect(olderClaim(first, [first, second])).to.equal(undefined);
    expect(olderClaim(second, [first, second])).to.equal('first');
    expect(olderClaim(second, [])).to.equal(undefined);
  });

  it('agrees with itself about those of the same second', () => {
    expect(olderClaim(first, [first, twin])).to.equal('a-twin');
    expect(olderClaim(twin, [first, twin])).to.equal(undefined);
  });

  it('does not name an object of another namespace', () => {
    const far = object('first', '2026-01-01T00:00:00Z', { namespace: 'elsewhere' });
    expect(olderClaim(second, [far])).to.equal('in another namespace');
  });

  it('counts one that is being deleted until it is gone', () => {
    const leaving = object('first', '2026-01-01T00:00:00Z', { deletionTimestamp: 'now' });
    expect(olderClaim(second, [leaving])).to.equal('first');
  });
});

describe('claims and mirrors', () => {
  const labels = { 'coder.com/mirror': 'true' };
  const mirror = object('first', '2026-01-01T00:00:00Z', { labels });

  it('lets an object have what only an older mirror shows', () => {
    expect(olderClaim(second, [mirror, second])).to.equal(undefined);
    expect(isClaimedByAnother(second, [mirror, second])).to.equal(false);
  });

  it('looks past a mirror to an older object', () => {
    const middle = object('middle', '2026-01-01T00:00:00Z');
    expect(olderClaim(second, [mirror, middle])).to.equal('middle');
    expect(isClaimedByAnother(second, [mirror, middle])).to.equal(true);
  });

  it('keeps no mirror from showing what an older object has', () => {
    const younger = object('younger', '2026-01-01T00:00:09Z', { labels });
    expect(olderClaim(younger, [first])).to.equal(undefined);
  });

  it('counts an older object that only looks like a mirror', () => {
    const wished: KubeObject = { ...mirror, ...{ spec: { running: true } } };
    expect(olderClaim(second, [wished])).to.equal('first');
    expect(isClaimedByAnother(second, [wished])).to.equal(true);
  });
});

describe('isClaimedByAnother', () => {
  it('is so when another object is bound to the same, older or not', () => {
    expect(isClaimedByAnother(first, [first])).to.equal(false);
    expect(isClaimedByAnother(first, [first, second])).to.equal(true);
    expect(isClaimedByAnother(second, [first])).to.equal(true);
  });
});

describe('isOlder', () => {
  it('is never true both ways', () => {
    for (const a of [first, second, twin]) {
      for (const b of [first, second, twin]) expect(isOlder(a, b) && isOlder(b, a)).to.equal(false);
    }
  });
});
