import { expect } from 'chai';
import fc from 'fast-check';
import { finalizers, type CoderWorkspace } from '../../../src/api/kinds.ts';
import { Deletions, exceedsBudget } from '../../../src/controller/deletions.ts';
import { FakeClock } from '../../support/clock.ts';

const BUDGET = 3;
const T = ['2026-01-01T00:00:00Z', '2026-01-01T00:01:00Z', '2026-01-01T00:02:00Z'] as const;

function workspace(name: string, metadata: object = {}): CoderWorkspace {
  return {
    metadata: {
      name,
      namespace: 'team',
      uid: `uid-${name}`,
      deletionTimestamp: T[1],
      finalizers: [finalizers.workspace],
      ...metadata,
    },
    spec: {},
  };
}

class Bench {
  readonly clock = new FakeClock();
  objects: CoderWorkspace[] = [];
  released: string | undefined;
  #made = 0;
  deletions = this.restarted();

  restarted(): Deletions {
    return new Deletions({
      clock: this.clock,
      budget: BUDGET,
      deleting: (namespace) =>
        this.objects.filter(
          ({ metadata }) => metadata.namespace === namespace && metadata.deletionTimestamp !== undefined,
        ),
      releasedAt: (namespace) => (namespace === 'team' ? this.released : undefined),
    });
  }

  /** Somebody deletes so many objects. */
  prune(count: number, metadata: object = {}): CoderWorkspace[] {
    const more = Array.from({ length: count }, () => workspace(`w${this.#made++}`, metadata));
    this.objects.push(...more);
    return more;
  }

  /** Every object that may is sent, and is gone then. */
  deleteWhatMay(): number {
    const before = this.objects.length;
    for (const object of [...this.objects]) {
      if (this.deletions.isHeld(object).held) continue;
      this.deletions.sent(object);
      this.objects = this.objects.filter((o) => o !== object);
    }
    return before - this.objects.length;
  }
}

describe('exceedsBudget', () => {
  it('counts what is pending as much as what was sent', () => {
    expect(exceedsBudget({ sent: 0, pending: 3, budget: 3 })).to.equal(false);
    expect(exceedsBudget({ sent: 0, pending: 4, budget: 3 })).to.equal(true);
    expect(exceedsBudget({ sent: 3, pending: 1, budget: 3 })).to.equal(true);
    expect(exceedsBudget({ sent: 0, pending: 1, budget: 0 })).to.equal(true);
  });
});

describe('Deletions', () => {
  let bench: Bench;
  beforeEach(() => {
    bench = new Bench();
  });

  it('lets a few through', () => {
    bench.prune(BUDGET);
    expect(bench.deleteWhatMay()).to.equal(BUDGET);
  });

  it('holds all of a prune that is too large, and says how many', () => {
    const [first = workspace('')] = bench.prune(500);
    expect(bench.deletions.isHeld(first)).to.deep.equal({ held: true, pending: 500 });
    expect(bench.deleteWhatMay()).to.equal(0);
  });

  it('counts what was sent in the last ten minutes', async () => {
    bench.prune(2);
    bench.deleteWhatMay();
    bench.prune(2);
    expect(bench.deleteWhatMay()).to.equal(0);
    await bench.clock.advance(599_999);
    expect(bench.deleteWhatMay()).to.equal(0);
    await bench.clock.advance(1);
    expect(bench.deleteWhatMay()).to.equal(2);
  });

  it('does not hold a deletion that was sent, however long Coder takes, and counts it once', async () => {
    const objects = bench.prune(BUDGET);
    for (const object of objects) bench.deletions.sent(object);
    const [more = workspace('')] = bench.prune(1);
    for (const object of objects) expect(bench.deletions.isHeld(object).held).to.equal(false);
    expect(bench.deletions.isHeld(more)).to.deep.equal({ held: true, pending: 1 });
    await bench.clock.advance(600_000);
    expect(bench.deletions.isHeld(more).held).to.equal(false);
    for (const object of objects) expect(bench.deletions.isHeld(object).held).to.equal(false);
  });

  it('frees what was asked for up to the release, and counts it no more', () => {
    bench.prune(500);
    [bench.released] = T;
    expect(bench.deleteWhatMay(), 'they came after it').to.equal(0);
    [, bench.released] = T;
    expect(bench.deleteWhatMay()).to.equal(500);
    bench.prune(BUDGET, { deletionTimestamp: T[2] });
    expect(bench.deleteWhatMay(), 'the budget is whole again').to.equal(BUDGET);
    const [late = workspace('')] = bench.prune(1, { deletionTimestamp: T[2] });
    expect(bench.deletions.isHeld(late)).to.deep.equal({ held: true, pending: 1 });
  });

  it('counts only what would be deleted in Coder through the same control plane', () => {
    bench.prune(10, { namespace: 'elsewhere' });
    bench.prune(10, { finalizers: [] });
    bench.prune(10, { deletionTimestamp: undefined });
    const [own = workspace('')] = bench.prune(1);
    expect(bench.deletions.isHeld(own).held).to.equal(false);
  });

  it('holds no object that is not being deleted', () => {
    bench.prune(10);
    expect(bench.deletions.isHeld(workspace('other', { deletionTimestamp: undefined })).held).to.equal(false);
  });

  it('after a restart knows nothing of what was sent, and all of what is pending', () => {
    const [sent = workspace('')] = bench.prune(BUDGET + 1);
    bench.deletions.sent(sent);
    bench.deletions = bench.restarted();
    expect(bench.deletions.isHeld(sent)).to.deep.equal({ held: true, pending: BUDGET + 1 });
  });

  it('knows the last deletion that was asked for', () => {
    expect(bench.deletions.lastAskedFor('team')).to.equal(undefined);
    bench.prune(1, { deletionTimestamp: T[2] });
    bench.prune(1, { deletionTimestamp: T[0] });
    bench.prune(1, { deletionTimestamp: '2027-01-01T00:00:00Z', namespace: 'elsewhere' });
    expect(bench.deletions.lastAskedFor('team')).to.equal(T[2]);
  });

  it('never lets more through in ten minutes than its budget, however the deletions come', async () => {
    const steps = fc.array(fc.record({ count: fc.nat(5), waitMs: fc.nat(400_000) }), { maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(steps, async (all) => {
        const own = new Bench();
        const times: number[] = [];
        for (const { count, waitMs } of all) {
          own.prune(count);
          const sent = own.deleteWhatMay();
          for (let i = 0; i < sent; i++) times.push(own.clock.monotonic());
          await own.clock.advance(waitMs);
        }
        for (const at of times) {
          expect(times.filter((t) => t >= at && t < at + 600_000).length).to.be.at.most(BUDGET);
        }
      }),
      { numRuns: 25 },
    );
  });
});
