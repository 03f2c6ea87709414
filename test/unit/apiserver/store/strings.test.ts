import { expect } from 'chai';
import { Strings } from '../../../../src/apiserver/store/strings.ts';

describe('Strings', () => {
  it('answers what it was given, however many there are', () => {
    const strings = new Strings();
    for (let round = 0; round < 2; round++) {
      for (let i = 0; i < 10_000; i++) expect(strings.share(`text ${i}`)).to.equal(`text ${i}`);
    }
    const long = 'x'.repeat(1_000);
    expect(strings.share(long)).to.equal(long);
  });
});
