import { expect } from 'chai';
import fc from 'fast-check';
import { BuildSlots } from '../../../src/controller/buildslots.ts';
import type { WorkspaceRecord } from '../../../src/controller/observer/record.ts';
import { FakeClock } from '../../support/clock.ts';
import { OPERATOR } from '../../support/controller-coder.ts';
import { build, byOwner, workspaceRecord } from '../../support/controller-records.ts';

function record(id: string, parts: Parameters<typeof build>[0] = {}): WorkspaceRecord {
  return workspaceRecord({ id, name: id, build: build(parts) });
}
const building = (id: string): WorkspaceRecord => record(id, { jobStatus: 'running' });

class Bench {
  readonly clock = new FakeClock();
  readonly woken: string[] = [];
  readonly slots: BuildSlots;

  constructor(limit: number | undefined) {
    this.slots = new BuildSlots({
      clock: this.clock,
      userID: OPERATOR.id,
      limit,
      onFree: (objectKey) => this.woken.push(objectKey),
    });
  }

  reserve(...keys: string[]): boolean[] {
    return keys.map((key) => this.slots.reserve(key, `team/${key}`));
  }

  see(...records: WorkspaceRecord[]): void {
    for (const r of records) this.slots.see(r.id, r);
  }
}

function opened(limit: number | undefined): Bench {
  const bench = new Bench(limit);
  bench.slots.open();
  return bench;
}

describe('BuildSlots', () => {
  it('without a limit lets everybody build, also before the first look', () => {
    const bench = new Bench(undefined);
    expect(bench.reserve('a', 'b', 'c')).to.deep.equal([true, true, true]);
    expect(bench.slots.taken).to.equal(0);
  });

  it('gives as many slots as there are, and the same one twice to the same', () => {
    const bench = opened(2);
    expect(bench.reserve('a', 'b', 'c', 'a')).to.deep.equal([true, true, false, true]);
    expect(bench.slots.taken).to.equal(2);
  });

  it('gives none before everything in Coder was looked at, and then counts what is under way', () => {
    const bench = new Bench(2);
    expect(bench.reserve('a', 'b')).to.deep.equal([false, false]);
    bench.see(building('x'), record('y'), record('z', { ...byOwner, jobStatus: 'running' }));
    bench.slots.open();
    expect(bench.woken).to.deep.equal(['team/a']);
    expect(bench.reserve('a', 'b')).to.deep.equal([true, false]);
  });

  it("counts every state of a build that keeps Coder busy, and nobody else's", () => {
    const bench = opened(9);
    bench.see(
      ...['pending', 'running', 'canceling'].map((jobStatus) => record(jobStatus, { jobStatus })),
      ...['succeeded', 'failed', 'canceled'].map((jobStatus) => record(jobStatus, { jobStatus })),
      record('hers', { ...byOwner, jobStatus: 'running' }),
    );
    expect(bench.slots.taken).to.equal(3);
  });

  it('a build takes the place of its reservation, by UUID or by name', () => {
    const bench = opened(2);
    bench.reserve('w1', 'Ann/w2');
    bench.see(building('w1'), building('w2'));
    expect(bench.slots.taken).to.equal(2);
    bench.slots.done('w1');
    bench.slots.done('ann/w2');
    expect(bench.slots.taken, 'they are under way').to.equal(2);
  });

  it('a record of before does not take a reservation away', () => {
    const bench = opened(1);
    bench.reserve('w1');
    bench.see(record('w1'));
    expect(bench.reserve('w2')).to.deep.equal([false]);
  });

  it('wakes whoever was refused in the order in which they asked, and no more than are free', () => {
    const bench = opened(2);
    bench.see(building('x'), building('y'));
    bench.reserve('a', 'b', 'c', 'a');
    expect(bench.woken).to.deep.equal([]);
    bench.see(record('x'));
    expect(bench.woken).to.deep.equal(['team/a']);
    bench.slots.see('y', undefined);
    expect(bench.woken, 'forgotten is ended').to.deep.equal(['team/a', 'team/b']);
  });

  it('lets one that was stopped to be started again go first, and the others in their order', () => {
    const bench = opened(1);
    bench.see(building('x'));
    bench.reserve('a', 'b');
    expect(bench.slots.reserve('restarted', 'team/restarted', true)).to.equal(false);
    bench.see(record('x'));
    expect(bench.woken).to.deep.equal(['team/restarted']);
    expect(bench.reserve('restarted')).to.deep.equal([true]);
    bench.slots.done('restarted');
    bench.slots.done('a');
    expect(bench.woken).to.deep.equal(['team/restarted', 'team/a', 'team/b']);
  });

  it('keeps the slot for the one that was woken', () => {
    const bench = opened(1);
    bench.see(building('x'));
    bench.reserve('a');
    bench.see(record('x'));
    expect(bench.reserve('newcomer', 'a')).to.deep.equal([false, true]);
  });

  it('goes on to the next one when it is not needed any more', () => {
    const bench = opened(1);
    bench.reserve('x', 'a', 'b');
    bench.slots.done('x');
    bench.slots.done('a');
    expect(bench.woken).to.deep.equal(['team/a', 'team/b']);
    bench.slots.done('never asked');
    expect(bench.woken).to.have.length(2);
  });

  it('takes one out of the line that does not want to build any more', () => {
    const bench = opened(1);
    bench.reserve('x', 'a', 'b');
    bench.slots.done('a');
    bench.slots.done('x');
    expect(bench.woken).to.deep.equal(['team/b']);
  });

  it('waits a while for one that does not come, and not for ever', async () => {
    const bench = opened(1);
    bench.reserve('x', 'gone', 'b');
    bench.slots.done('x');
    await bench.clock.advance(59_999);
    expect(bench.woken).to.deep.equal(['team/gone']);
    await bench.clock.advance(1);
    expect(bench.woken).to.deep.equal(['team/gone', 'team/b']);
    bench.reserve('b');
    await bench.clock.advance(60_000);
    expect(bench.slots.taken, 'one that came keeps it').to.equal(1);
    bench.see(building('b'));
    await bench.clock.advance(3_600_000);
    expect(bench.slots.taken, 'for as long as it builds').to.equal(1);
  });

  it('loses no slot to a reservation that was left behind', async () => {
    const bench = opened(1);
    bench.reserve('lost', 'b');
    await bench.clock.advance(179_999);
    expect(bench.woken).to.deep.equal([]);
    await bench.clock.advance(1);
    expect(bench.woken).to.deep.equal(['team/b']);
  });

  it('follows its limit up and down', () => {
    const bench = opened(1);
    bench.reserve('x', 'a', 'b', 'c');
    bench.slots.setLimit(2);
    expect(bench.woken).to.deep.equal(['team/a']);
    bench.slots.setLimit(1);
    bench.slots.done('x');
    expect(bench.woken, 'there is still one').to.deep.equal(['team/a']);
    bench.slots.setLimit(undefined);
    expect(bench.woken).to.deep.equal(['team/a', 'team/b', 'team/c']);
  });

  it('leaves nothing behind when its connection ends', () => {
    const bench = opened(1);
    bench.reserve('x', 'a', 'b');
    bench.slots.done('x');
    bench.slots.close();
    expect(bench.clock.pending).to.equal(0);
    expect(bench.woken).to.deep.equal(['team/a']);
  });

  it('never lets more build than it may, and leaves no slot unused while anybody waits', () => {
    const keys = ['a', 'b', 'c', 'd', 'e'];
    const act = fc.tuple(fc.constantFrom('ask', 'give up', 'send', 'end'), fc.constantFrom(...keys));
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 3 }), fc.array(act, { maxLength: 40 }), (limit, acts) => {
        const bench = opened(limit);
        const granted = new Set<string>();
        const under = new Set<string>();
        const waiting = new Set<string>();
        for (const [what, key] of acts) {
          if (what === 'ask') {
            if (bench.reserve(key)[0] === true) granted.add(key);
            else waiting.add(key);
          }
          if (what === 'give up') bench.slots.done(key);
          if (what === 'send' && granted.has(key) && !under.has(key)) {
            bench.see(building(key));
            under.add(key);
          }
          if (what === 'end') {
            bench.see(record(key));
            under.delete(key);
          }
          if (what !== 'ask') granted.delete(key);
          if (granted.has(key) || what === 'give up') waiting.delete(key);
          for (const objectKey of bench.woken.splice(0)) waiting.delete(objectKey.slice('team/'.length));
          expect(bench.slots.taken).to.be.at.most(limit);
          expect(under.size).to.be.at.most(bench.slots.taken);
          if (waiting.size > 0) expect(bench.slots.taken).to.equal(limit);
        }
      }),
    );
  });
});
