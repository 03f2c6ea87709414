import { appendFileSync } from 'node:fs';
import { expect } from 'chai';
import { FuzzReport } from '../../../hack/fuzz.ts';

describe('the report of the fuzz tests', () => {
  let report: FuzzReport;

  beforeEach(() => (report = new FuzzReport()));
  afterEach(() => report.remove());

  it('adds up what each parser got, whoever told it, and all of it', () => {
    for (const [parser, inputs] of [
      ['names', 1_000_000],
      ['Accept', 7],
      ['names', 5],
    ] as const) {
      appendFileSync(report.file, `${JSON.stringify({ parser, inputs })}\n`);
    }
    const rows = report.text().split('\n');
    expect(rows.map((row) => row.trim().split(/ {2,}/))).to.deep.equal([
      ['Accept', '7'],
      ['names', '1,000,005'],
      ['in all', '1,000,012'],
    ]);
  });

  it('is empty where nothing was tried', () => {
    expect(report.text()).to.match(/^ *in all +0$/);
  });
});
