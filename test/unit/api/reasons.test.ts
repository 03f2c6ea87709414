import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import {
  driftReasons,
  notReadyReasons,
  readyReasons,
  reconcilingReasons,
  stalledReasons,
  suspendedReasons,
} from '../../../src/api/reasons.ts';

const lists = {
  stalledReasons,
  reconcilingReasons,
  readyReasons,
  notReadyReasons,
  driftReasons,
  suspendedReasons,
};
const troubleshooting = readFileSync(
  new URL('../../../docs/how-to/troubleshooting.md', import.meta.url),
  'utf8',
);

describe('reasons', () => {
  for (const [name, list] of Object.entries<readonly string[]>(lists)) {
    it(`of ${name} are CamelCase words, each once`, () => {
      for (const reason of list) expect(reason).to.match(/^[A-Z][A-Za-z]{1,62}$/);
      expect(list).to.deep.equal([...new Set(list)]);
    });

    it(`of ${name} are all in the troubleshooting page`, () => {
      expect(list.filter((reason) => !troubleshooting.includes(`\`${reason}\``))).to.deep.equal([]);
    });
  }

  it('that speak of success never speak of anything else', () => {
    const others = [...stalledReasons, ...reconcilingReasons, ...notReadyReasons, ...driftReasons];
    expect(others.filter((r) => (readyReasons as readonly string[]).includes(r))).to.deep.equal([]);
  });
});
