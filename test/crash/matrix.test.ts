import { writeFile } from 'node:fs/promises';
import { expect } from 'chai';
import { Matrix, reportOf } from '../support/crash/matrix.ts';
import type { Verdict } from '../support/crash/run.ts';

/** Ids of plans, with blanks between them; left out: all. */
const IDS = (process.env['CRASH_PLANS'] ?? '').split(/\s+/).filter((id) => id !== '');
/** Where the verdicts go. */
const FILE = process.env['CRASH_JSON'] ?? '';
const EVERY = Number(process.env['CRASH_EVERY'] ?? '1');
const LONGEST_MS = 3_600_000;
const PROGRESS_EVERY = 20;

describe('every plan of the crash matrix', function () {
  this.timeout(LONGEST_MS);

  it('ends as the run without a fault, and has done nothing twice', async () => {
    const matrix = await Matrix.record(IDS);
    const plans = matrix.every(EVERY);
    expect(plans, 'plans to run').not.to.be.empty;
    say(`${plans.length} plans`);
    const startedAt = performance.now();
    const verdicts = await matrix.run(plans, (verdict, done) => {
      if (verdict.failures.length > 0) say(reportOf(verdict));
      else if (done % PROGRESS_EVERY === 0) {
        say(`${done} of ${plans.length} after ${seconds(performance.now() - startedAt)} s`);
      }
    });
    const failed = verdicts.filter((v) => v.failures.length > 0);
    say(summary(verdicts, performance.now() - startedAt));
    if (FILE !== '')
      await writeFile(
        FILE,
        JSON.stringify(verdicts.map((v) => ({ ...v, tale: v.failures.length === 0 ? '' : v.tale }))),
      );
    expect(
      failed.map((v) => v.id),
      'failed plans; each tells its story above',
    ).to.deep.equal([]);
  });
});

function summary(verdicts: readonly Verdict[], ms: number): string {
  const kinds = new Map<string, { count: number; failed: number }>();
  for (const { id, failures } of verdicts) {
    const mode = id.split(':').at(-1) ?? '';
    const kind = kinds.get(mode) ?? { count: 0, failed: 0 };
    kinds.set(mode, { count: kind.count + 1, failed: kind.failed + (failures.length > 0 ? 1 : 0) });
  }
  const lines = [...kinds].map(([mode, { count, failed }]) => `  ${mode}: ${count}, failed ${failed}`);
  const virtual = verdicts.reduce((sum, v) => sum + v.virtualMs, 0);
  const real = verdicts.reduce((sum, v) => sum + v.realMs, 0) / Math.max(1, verdicts.length);
  return [
    `${verdicts.length} plans in ${seconds(ms)} s, ${seconds(real)} s each, ${(virtual / 3_600_000).toFixed(1)} hours of virtual time`,
    ...lines,
  ].join('\n');
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(1);
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
