import { expect } from 'chai';
import { ExpiringMap } from '../../../../src/apiserver/auth/expiring.ts';
import { FakeClock } from '../../../support/clock.ts';

describe('ExpiringMap', () => {
  it('keeps what it was given for its time', async () => {
    const clock = new FakeClock();
    const map = new ExpiringMap<number>({ clock, maxEntries: 10 });
    map.set('a', 1, 1000);
    await clock.advance(999);
    expect(map.get('a')).to.equal(1);
    await clock.advance(1);
    expect([map.get('a'), map.size]).to.deep.equal([undefined, 0]);
  });

  it('is not kept alive by being asked', async () => {
    const clock = new FakeClock();
    const map = new ExpiringMap<number>({ clock, maxEntries: 10 });
    map.set('a', 1, 1000);
    for (let i = 0; i < 3; i++) {
      await clock.advance(400);
      map.get('a');
    }
    expect(map.get('a')).to.be.undefined;
  });

  it('forgets the least recently used of too many', () => {
    const map = new ExpiringMap<number>({ clock: new FakeClock(), maxEntries: 2 });
    map.set('a', 1, 1000);
    map.set('b', 2, 1000);
    map.get('a');
    map.set('c', 3, 1000);
    map.set('c', 4, 1000);
    expect([map.get('a'), map.get('b'), map.get('c'), map.size]).to.deep.equal([1, undefined, 4, 2]);
  });
});
