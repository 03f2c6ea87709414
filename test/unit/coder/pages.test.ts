import { expect } from 'chai';
import fc from 'fast-check';
import { UnexpectedResponseError } from '../../../src/coder/errors.ts';
import { readPages } from '../../../src/coder/pages.ts';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('readPages', () => {
  it('asks for every row once, the first page by itself and then as many as it may', async () => {
    const cases = fc.record({
      count: fc.nat({ max: 120 }),
      size: fc.integer({ min: 1, max: 20 }),
      atOnce: fc.integer({ min: 1, max: 5 }),
      /** How many turns of the loop each answer takes. */
      delays: fc.array(fc.nat({ max: 3 }), { minLength: 1, maxLength: 10 }),
    });
    await fc.assert(
      fc.asyncProperty(cases, async ({ count, size, atOnce, delays }) => {
        const seen: number[] = [];
        let [open, most, asked] = [0, 0, 0];
        const read = async (offset: number): Promise<{ count: number; rows: number }> => {
          most = Math.max(most, ++open);
          if (offset > 0) expect(asked, 'the first page is alone').to.be.greaterThan(0);
          const delay = delays[asked++ % delays.length] ?? 0;
          for (let i = 0; i < delay; i++) await turn();
          const rows = Math.max(0, Math.min(size, count - offset));
          for (let i = 0; i < rows; i++) seen.push(offset + i);
          open--;
          return { count, rows };
        };
        expect(await readPages({ size, most: 1_000, atOnce, read })).to.equal(count);
        expect(seen.sort((a, b) => a - b)).to.deep.equal(Array.from({ length: count }, (_, i) => i));
        expect(most).to.be.at.most(atOnce);
        expect(asked).to.equal(Math.max(1, Math.ceil(count / size)));
      }),
      { numRuns: 200 },
    );
  });

  it('takes a page that is longer than asked for as what it is', async () => {
    const offsets: number[] = [];
    const read = (offset: number): Promise<{ count: number; rows: number }> => {
      offsets.push(offset);
      return Promise.resolve({ count: 100, rows: offset === 0 ? 90 : 10 });
    };
    await readPages({ size: 10, most: 1_000, atOnce: 1, read });
    expect(offsets).to.deep.equal([0, 90]);
  });

  it('ends with what failed first, after all that was under way, and asks for no more', async () => {
    const ended: number[] = [];
    const read = async (offset: number): Promise<{ count: number; rows: number }> => {
      if (offset === 10) throw new Error('broken');
      await turn();
      ended.push(offset);
      return { count: 1_000, rows: 10 };
    };
    const error: unknown = await readPages({ size: 10, most: 1_000, atOnce: 3, read }).catch(
      (thrown: unknown) => thrown,
    );
    expect(error).to.have.property('message', 'broken');
    expect(ended).to.deep.equal([0, 20, 30]);
  });

  it('does not go on for ever', async () => {
    let asked = 0;
    const read = (): Promise<{ count: number; rows: number }> => {
      asked++;
      return Promise.resolve({ count: Number.MAX_SAFE_INTEGER, rows: 0 });
    };
    const error: unknown = await readPages({ size: 10, most: 50, atOnce: 2, read }).catch(
      (thrown: unknown) => thrown,
    );
    expect(error).to.be.instanceOf(UnexpectedResponseError);
    expect(asked).to.equal(50);
  });
});
