import { expect } from 'chai';
import {
  driftReasons,
  notReadyReasons,
  readyReasons,
  reconcilingReasons,
  stalledReasons,
} from '../../../src/api/reasons.ts';

const lists = { stalledReasons, reconcilingReasons, readyReasons, notReadyReasons, driftReasons };

describe('reasons', () => {
  for (const [name, list] of Object.entries<readonly string[]>(lists)) {
    it(`of ${name} are CamelCase words, each once`, () => {
      for (const reason of list) expect(reason).to.match(/^[A-Z][A-Za-z]{1,62}$/);
      expect(list).to.deep.equal([...new Set(list)]);
    });
  }

  it('that speak of success never speak of anything else', () => {
    const others = [...stalledReasons, ...reconcilingReasons, ...notReadyReasons, ...driftReasons];
    expect(others.filter((r) => (readyReasons as readonly string[]).includes(r))).to.deep.equal([]);
  });
});
