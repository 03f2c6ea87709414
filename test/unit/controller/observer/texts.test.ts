import { expect } from 'chai';
import { Texts } from '../../../../src/controller/observer/texts.ts';

describe('Texts', () => {
  it('gives the text that it was asked for, over any number of looks', () => {
    const texts = new Texts();
    for (let look = 0; look < 3; look++) {
      texts.turn();
      for (const text of ['', 'a', 'b', 'a']) expect(texts.one(text)).to.equal(text);
    }
  });
});
