import { expect } from 'chai';
import fc from 'fast-check';
import { RecordSplitter } from '../../../src/coder/records.ts';

interface Outcome {
  readonly records: unknown[];
  readonly rest: unknown;
  readonly skipped: number;
}

function split(body: string | Buffer, cuts: readonly number[] = [], maxRecordBytes = 10_000): Outcome {
  const records: unknown[] = [];
  const splitter = new RecordSplitter({
    field: 'workspaces',
    maxRecordBytes,
    onRecord: (json) => records.push(JSON.parse(json)),
  });
  const bytes = Buffer.from(body);
  const ends = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  let from = 0;
  for (const end of [...ends, bytes.length]) {
    splitter.write(bytes.subarray(from, end));
    from = end;
  }
  return { records, rest: splitter.end(), skipped: splitter.skipped };
}

describe('RecordSplitter', () => {
  it('cuts the records out and leaves the rest', () => {
    const body = '{"workspaces":[{"id":1,"latest_build":{"n":[{}]}},\n{"id":2}],"count":2}';
    expect(split(body)).to.deep.equal({
      records: [{ id: 1, latest_build: { n: [{}] } }, { id: 2 }],
      rest: { workspaces: [], count: 2 },
      skipped: 0,
    });
  });

  it('gives what JSON.parse gives, however the body is cut', () => {
    const list = fc.record({
      before: fc.jsonValue(),
      workspaces: fc.array(fc.dictionary(fc.string({ unit: 'grapheme' }), fc.jsonValue()), { maxLength: 5 }),
      count: fc.integer(),
      'a"\\': fc.jsonValue(),
    });
    fc.assert(
      fc.property(list, fc.boolean(), fc.array(fc.nat(2000)), (value, pretty, cuts) => {
        const { records, rest } = split(JSON.stringify(value, undefined, pretty ? 2 : 0), cuts);
        const { workspaces, ...others } = JSON.parse(JSON.stringify(value)) as Record<string, unknown>;
        expect(records).to.deep.equal(workspaces);
        expect(rest).to.deep.equal({ ...others, workspaces: [] });
      }),
      { numRuns: 500 },
    );
  });

  it('leaves the records of other lists where they are', () => {
    const body =
      '{"facets":[{"a":1},{"b":2}],"workspaces":[{"id":1}],"more":{"workspaces":[{"c":3}]},"count":1}';
    expect(split(body)).to.deep.equal({
      records: [{ id: 1 }],
      rest: { facets: [{ a: 1 }, { b: 2 }], workspaces: [], more: { workspaces: [{ c: 3 }] }, count: 1 },
      skipped: 0,
    });
  });

  it('leaves out records that are too large, counts them and goes on', () => {
    const body = JSON.stringify({ workspaces: [{ id: 1 }, { id: 'x'.repeat(200) }, { id: 3 }], count: 3 });
    for (const cuts of [[], [30, 60, 90, 120]]) {
      const { records, skipped } = split(body, cuts, 100);
      expect(records).to.deep.equal([{ id: 1 }, { id: 3 }]);
      expect(skipped).to.equal(1);
    }
  });

  it('notices a list that was cut short at any place, and one that is no JSON', () => {
    const body = '{"workspaces":[{"id":1,"name":"a\\"b"},{"id":2}],"count":2}';
    for (let end = 0; end < body.length; end++) {
      expect(() => split(body.slice(0, end)), body.slice(0, end)).to.throw(SyntaxError);
    }
    expect(() => split('<html>')).to.throw(SyntaxError);
    expect(() => split(`${body}}`)).to.throw(SyntaxError);
  });
});
