import { expect } from 'chai';
import { multiply } from '../../../../hack/bench/multiply.ts';

describe('multiply', () => {
  /** A database that has columns for every table and `originals` workspaces; remembers what it was told. */
  function database(originals: number): {
    readonly sql: (text: string) => Promise<readonly (readonly string[])[]>;
    readonly copies: string[];
  } {
    const copies: string[] = [];
    return {
      copies,
      sql: (text) => {
        if (text.startsWith('SELECT count')) return Promise.resolve([[String(originals)]]);
        if (text.startsWith('SELECT column_name')) return Promise.resolve([['id'], ['name'], ['created_at']]);
        if (text.startsWith('BEGIN')) copies.push(text);
        return Promise.resolve([]);
      },
    };
  }

  const seriesOf = (text: string): string => /generate_series\((.*?)\)/.exec(text)?.[1] ?? '';
  const limitOf = (text: string): string => /LIMIT (\d+)/.exec(text)?.[1] ?? '';

  it('copies in batches, and no more than are missing', async () => {
    const { sql, copies } = database(200);
    const told: number[] = [];
    await multiply(sql, { prefix: 'w', total: 1_100, batch: 400, onBatch: (n) => told.push(n) });
    expect(told).to.deep.equal([600, 1_000, 1_100]);
    expect(copies.map(seriesOf)).to.deep.equal(['1, 2', '3, 4', '5, 5']);
    expect(copies.map(limitOf)).to.deep.equal(['900', '500', '100']);
  });

  it('gives every copy an id of its own and keeps what it does not know', async () => {
    const { sql, copies } = database(1);
    await multiply(sql, { prefix: 'w', total: 2, batch: 10 });
    expect(copies[0]).to.match(
      /INSERT INTO workspaces \("id", "name", "created_at"\) SELECT c\.workspace, o\.name \|\| '-' \|\| c\.n, /,
    );
    expect(copies[0]).to.match(/INSERT INTO workspace_builds \(.*\) SELECT c\.build, o\."name", /);
  });

  it('does nothing when there are enough', async () => {
    const { sql, copies } = database(200);
    await multiply(sql, { prefix: 'w', total: 200, batch: 10 });
    expect(copies).to.deep.equal([]);
  });
});
