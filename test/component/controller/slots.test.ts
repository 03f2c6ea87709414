import { expect } from 'chai';
import { Loop } from '../../support/loop.ts';
import { has } from '../../support/tenant.ts';

const LIMIT = 2;
const WORKSPACES = 10;

describe('maxConcurrentBuilds, through the running loop', function () {
  this.timeout(60_000);
  let loop: Loop;

  before(async () => {
    loop = await Loop.open({ controlPlane: { maxConcurrentBuilds: LIMIT } });
  });

  after(async () => {
    // Absent when `before` has failed.
    await (loop as Loop | undefined)?.close();
  });

  it('lets so many builds be under way and no more, until every workspace runs', async () => {
    /** Builds of ours under way at each request that asks for one more, with that one. */
    const atOnce: number[] = [];
    loop.coder.onRequest = () => atOnce.push(loop.activeBuilds.length + 1);
    loop.pauseBuilds();
    const all = await Promise.all(
      Array.from({ length: WORKSPACES }, (_, i) => loop.apply(`slot-${i}`, { running: true })),
    );
    for (let left = WORKSPACES; left > 0; left -= LIMIT) {
      // Everybody else has asked, and waits in line.
      await loop.until(
        () => all.filter(({ object }) => has(object, 'Reconciling', 'True', 'WaitingForBuildSlot')).length,
        (waiting) => waiting === left - LIMIT && loop.activeBuilds.length === LIMIT,
      );
      for (const id of loop.activeBuilds) loop.coder.finishBuilds('succeeded', '', id);
    }
    for (const w of all) await w.untilWell();
    expect(Math.max(...atOnce)).to.equal(LIMIT);
    for (const w of all) expect(w.calls, w.name).to.deep.equal(['create']);
  });
});
