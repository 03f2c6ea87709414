import { expect } from 'chai';
import { differenceInSteps } from '../../../../src/apiserver/store/difference.ts';
import { SortedEntries } from '../../../../src/apiserver/store/entries.ts';
import { widgetEntry } from '../../../support/view-store.ts';

describe('differenceInSteps', () => {
  it('pauses as often for a thousand namespaces as for one', () => {
    const pausesOf = (namespaceOf: (i: number) => string): number => {
      const entries = Array.from({ length: 1_000 }, (_, i) =>
        widgetEntry(`w${i}`, { namespace: namespaceOf(i) }),
      );
      const before = entries.reduce((all, entry) => all.with(entry), SortedEntries.none());
      const steps = differenceInSteps(before, entries);
      let pauses = 0;
      while (steps.next().done !== true) pauses++;
      return pauses;
    };
    const pauses = pausesOf(() => 'one');
    expect(pauses).to.be.within(4, 20);
    expect(pausesOf((i) => `n${i}`)).to.equal(pauses);
  });
});
