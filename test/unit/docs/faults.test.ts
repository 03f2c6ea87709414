import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const PAGE = 'docs/explanation/faults.md';
const COUNT = 40;
/** A title of a test, or what a row of a table of tests gives its title: it begins with numbers and a full stop. */
const TITLE = /['"`](F\d+(?:, F\d+)*)\. /g;

/** Numbers of the faults that a text names in titles of tests. */
function numbersIn(text: string): readonly string[] {
  return [...text.matchAll(TITLE)].flatMap(([, numbers = '']) => numbers.split(', '));
}

describe('the table of faults', () => {
  const files = readdirSync(`${root}/test`, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.test.ts'))
    .map((file) => `test/${file}`);
  const shown = new Map(files.map((file) => [file, numbersIn(readFileSync(`${root}/${file}`, 'utf8'))]));
  const page = readFileSync(`${root}/${PAGE}`, 'utf8');
  const rows = page.split('\n').filter((line) => /^\| F\d+ /.test(line));
  const wanted = Array.from({ length: COUNT }, (_, i) => `F${i + 1}`);

  it('has a test for each number, and no test for another', () => {
    const all = new Set([...shown.values()].flat());
    expect([...all].sort()).to.deep.equal([...wanted].sort());
  });

  it('has a row for each number, in order', () => {
    expect(rows.map((row) => /^\| (F\d+) /.exec(row)?.[1])).to.deep.equal(wanted);
  });

  it('names the files whose tests show a row, all of them', () => {
    for (const row of rows) {
      const [, number = '', , , tests = ''] = row.split('|').map((cell) => cell.trim());
      const named = [...tests.matchAll(/\]\(\.\.\/\.\.\/(test\/[^)]+)\)/g)].map(([, file = '']) => file);
      const showing = [...shown].filter(([, numbers]) => numbers.includes(number)).map(([file]) => file);
      expect(named.sort(), number).to.deep.equal(showing.sort());
    }
  });
});
