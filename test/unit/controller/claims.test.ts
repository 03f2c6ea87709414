import { expect } from 'chai';
import { isOlder, olderClaim } from '../../../src/controller/claims.ts';
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

describe('isOlder', () => {
  it('is never true both ways', () => {
    for (const a of [first, second, twin]) {
      for (const b of [first, second, twin]) expect(isOlder(a, b) && isOlder(b, a)).to.equal(false);
    }
  });
});
