import { expect } from 'chai';
import type { CoderWorkspaceStatus } from '../../../src/api/generated.ts';
import type { Settings } from '../../../src/controller/settings.ts';
import { correctionOf, thenCorrected, type Correction } from '../../../src/controller/correction.ts';
import { NOW } from '../../support/controller-records.ts';
import { boundInput } from '../../support/workspace-rules.ts';

const MINUTE = 60_000;

/** A time so many minutes after NOW, as a status holds it. */
const at = (minutes: number): string =>
  new Date(NOW.getTime() + minutes * MINUTE).toISOString().replace('.000Z', 'Z');

function correction(
  status: CoderWorkspaceStatus,
  atMinutes = 0,
  settings: Partial<Settings> = {},
): Correction<CoderWorkspaceStatus> {
  const input = boundInput({ status, atMs: atMinutes * MINUTE, settings });
  return correctionOf<CoderWorkspaceStatus>({
    input,
    status: { ...input.object.status, driftedAt: undefined },
  });
}

describe('correctionOf', () => {
  it('K1 what is noticed now waits for the cooldown', () => {
    const given = correction({});
    expect(given).to.deep.include({ when: 'later', afterMs: 5 * MINUTE, because: 'cooldown' });
    expect(given.status.driftedAt).to.equal(at(0));
    expect(given.when === 'later' && thenCorrected(given, NOW)).to.contain(at(5));
  });

  const cooldowns: [string, number, number | 'now'][] = [
    ['noticed a minute ago', -1, 4],
    ['noticed a moment before its end', -5 + 1 / MINUTE, 1 / MINUTE],
    ['noticed a cooldown ago', -5, 'now'],
    ['noticed a day ago', -1_440, 'now'],
    ['noticed a minute ahead: the clock was set back a little', 1, 5],
    ['noticed a cooldown ahead', 5, 5],
    ['noticed more than a cooldown ahead: the clock was set back', 6, 'now'],
    ['noticed a year ahead', 525_600, 'now'],
  ];
  for (const [name, minutes, left] of cooldowns) {
    it(`${left === 'now' && minutes > 0 ? 'K2' : 'K1'} ${name}: ${left === 'now' ? left : `after ${left} min`}`, () => {
      const driftedAt = new Date(NOW.getTime() + minutes * MINUTE).toISOString();
      const given = correction({ driftedAt });
      expect(given.when).to.equal(left === 'now' ? 'now' : 'later');
      if (given.when === 'later') expect(given.afterMs).to.be.closeTo(Number(left) * MINUTE, 1);
    });
  }

  const drifted = { driftedAt: at(-5) };

  it('K4 counts what is set right now, and the cooldown ends with it', () => {
    const given = correction({ ...drifted, corrections: [at(-30)] });
    expect(given.when).to.equal('now');
    expect(given.status.corrections).to.deep.equal([at(-30), at(0)]);
    expect(given.status.driftedAt).to.equal(undefined);
  });

  it('K4 and Z1 has what is to be said while nothing can be sent: as before, nothing counted', () => {
    const given = correction({ ...drifted, corrections: [at(-30)] });
    expect(given.when === 'now' && given.unsent).to.deep.include({ ...drifted, corrections: [at(-30)] });
  });

  const budgets: [string, readonly number[], number | 'now'][] = [
    ['two in the last hour', [-50, -10], 'now'],
    ['three in the last hour', [-50, -30, -10], 10],
    ['three, of which one is older than an hour', [-61, -30, -10], 'now'],
    ['three, of which one is exactly an hour old', [-60, -30, -10], 'now'],
    ['four, as a larger budget may have left', [-55, -50, -30, -10], 10],
    ['three ahead by less than an hour: the clock was set back', [10, 20, 30], 60],
    ['three ahead by more: they say nothing', [70, 80, 90], 'now'],
    ['one that is due in a moment', [-60 + 1 / 1_000, -30, -10], 1 / 60],
  ];
  for (const [name, minutes, left] of budgets) {
    it(`${left === 'now' ? 'K4' : 'K3'} ${name}: ${left === 'now' ? left : 'later'}`, () => {
      const corrections = minutes.map((m) => new Date(NOW.getTime() + m * MINUTE).toISOString());
      const given = correction({ ...drifted, corrections });
      expect(given.when).to.equal(left === 'now' ? 'now' : 'later');
      if (given.when === 'now') return;
      expect(given).to.deep.include({ because: 'budget', afterMs: Number(left) * MINUTE });
      expect(given.status.driftedAt, 'it stays noticed').to.equal(drifted.driftedAt);
      expect(given.status.corrections).to.deep.equal(corrections);
      expect(thenCorrected(given, NOW)).to.contain('as often as is allowed in an hour');
    });
  }

  it('K3 a budget of 0 sets nothing right', () => {
    for (const corrections of [[], [at(-10)]]) {
      const given = correction({ ...drifted, corrections }, 0, { driftBudget: 0 });
      expect(given).to.deep.include({ when: 'later', because: 'budget' });
      expect(given.when === 'later' && given.afterMs).to.be.within(1_000, 60 * MINUTE);
    }
  });

  it('K4 without a cooldown it is set right at once', () => {
    expect(correction({}, 0, { driftCooldownMs: 0 }).when).to.equal('now');
  });

  it('remembers so many corrections that a status stays small', () => {
    const corrections = Array.from({ length: 40 }, (_, i) => at(-1 - i / 2)).reverse();
    const given = correction({ ...drifted, corrections }, 0, { driftBudget: 100 });
    expect(given.status.corrections).to.have.length(32);
    expect(given.status.corrections?.at(-1)).to.equal(at(0));
  });

  it('a hundred changes in a row, one a minute, are set right three times an hour', () => {
    let status: CoderWorkspaceStatus = {};
    const done: number[] = [];
    for (let minute = 0; minute < 100; minute++) {
      const given = correction(status, minute);
      if (given.when === 'now') done.push(minute);
      status = given.status;
    }
    expect(done).to.deep.equal([5, 11, 17, 65, 71, 77]);
  });

  it('a cooldown or a budget that is over is over for good: it never waits longer than it said', () => {
    let status: CoderWorkspaceStatus = { ...drifted, corrections: [at(-50), at(-30), at(-10)] };
    const first = correction(status);
    expect(first.when).to.equal('later');
    if (first.when !== 'later') return;
    status = first.status;
    expect(correction(status, first.afterMs / MINUTE).when).to.equal('now');
  });
});
