import { expect } from 'chai';
import fc from 'fast-check';
import { conditionsOf, cut, findCondition, timestamp, type Verdict } from '../../../src/api/conditions.ts';
import { assertConditions, kstatusOf } from '../../support/conditions.ts';
import { wired } from '../../support/controller-kube.ts';

const T0 = new Date('2026-01-01T00:00:00.999Z');
const T1 = new Date('2026-01-01T00:01:00Z');
const synced: Verdict['synced'] = { status: 'True', reason: 'SyncSucceeded', message: 'Fine' };
const good: Verdict = { ready: { status: 'True', reason: 'Running', message: 'It runs' }, synced };
const waiting: Verdict = {
  ready: { status: 'False', reason: 'Starting', message: 'It starts' },
  synced,
  reconciling: { reason: 'WaitingForBuild', message: 'Build 2' },
};
const stuck: Verdict = {
  ready: { status: 'False', reason: 'DuplicateClaim', message: 'Twice' },
  synced,
  stalled: { reason: 'DuplicateClaim', message: 'Twice' },
};

describe('conditionsOf', () => {
  it('keeps a fixed order and leaves out what is not so', () => {
    const drifted = { reason: 'StoppedByUser', message: 'Stopped' } as const;
    const types = (verdict: Verdict): string[] => conditionsOf(verdict, undefined, 1, T0).map((c) => c.type);
    expect(types(good)).to.deep.equal(['Ready', 'Synced']);
    expect(types({ ...waiting, drifted })).to.deep.equal(['Ready', 'Synced', 'Reconciling', 'Drifted']);
    expect(types({ ...stuck, drifted })).to.deep.equal(['Ready', 'Synced', 'Stalled', 'Drifted']);
  });

  it('moves lastTransitionTime only with the status', () => {
    const before = conditionsOf(good, undefined, 1, T0);
    const other = { ...good, ready: { ...good.ready, reason: 'Stopped' as const, message: 'It is stopped' } };
    const same = conditionsOf(other, before, 2, T1);
    expect(same.map((c) => c.lastTransitionTime)).to.deep.equal([
      '2026-01-01T00:00:00Z',
      '2026-01-01T00:00:00Z',
    ]);
    const changed = conditionsOf(waiting, before, 2, T1);
    expect(changed.map((c) => c.lastTransitionTime)).to.deep.equal([
      '2026-01-01T00:01:00Z',
      '2026-01-01T00:00:00Z',
      '2026-01-01T00:01:00Z',
    ]);
  });

  it('gives the same for the same, so that nothing is written', () => {
    const before = conditionsOf(waiting, undefined, 1, T0);
    expect(conditionsOf(waiting, before, 1, T1)).to.deep.equal(before);
  });

  it('speaks of the generation that it was made for', () => {
    expect(conditionsOf(waiting, undefined, 7, T0).map((c) => c.observedGeneration)).to.deep.equal([7, 7, 7]);
  });

  it('never says Ready while something is under way or stuck', () => {
    for (const verdict of [waiting, stuck]) {
      const conditions = conditionsOf({ ...verdict, ready: good.ready }, undefined, 1, T0);
      expect(findCondition(conditions, 'Ready')?.status).to.equal('False');
    }
  });

  it('takes Stalled for stronger than Reconciling', () => {
    const types = conditionsOf({ ...stuck, reconciling: waiting.reconciling }, undefined, 1, T0).map(
      (c) => c.type,
    );
    expect(types).to.include('Stalled').and.not.include('Reconciling');
  });

  it('keeps a message that quotes a strange name on one line', () => {
    const message = 'There is no Secret a\r\n\u0007b\u2028c';
    const [ready] = conditionsOf({ ...good, ready: { ...good.ready, message } }, undefined, 1, T0);
    expect(ready?.message).to.equal('There is no Secret a b c');
  });

  it('shortens a long message to what fits, between two characters', () => {
    fc.assert(
      fc.property(fc.nat(3), fc.constantFrom('a', 'ä', '💥'), (shift, letter) => {
        const message = 'x'.repeat(shift) + letter.repeat(3000);
        const conditions = conditionsOf({ ...good, ready: { ...good.ready, message } }, undefined, 1, T0);
        const shown = findCondition(conditions, 'Ready')?.message ?? '';
        expect(shown.length).to.be.within(1022, 1024);
        expect(shown.endsWith('…')).to.equal(true);
        expect(wired(shown)).to.equal(shown);
      }),
      { numRuns: 50 },
    );
  });
});

describe('cut', () => {
  it('leaves short texts alone and never halves a character', () => {
    expect(cut('abc', 3)).to.equal('abc');
    expect(cut('abcd', 3)).to.equal('abc');
    expect(cut('ab💥', 4)).to.equal('ab💥');
    expect(cut('ab💥', 3)).to.equal('ab');
  });
});

describe('timestamp', () => {
  it('is RFC 3339 in UTC with whole seconds', () => {
    expect(timestamp(T0)).to.equal('2026-01-01T00:00:00Z');
  });
});

describe('the condition rules of the tests', () => {
  const ready = conditionsOf(good, undefined, 1, T0);
  const status = { observedGeneration: 1, conditions: ready };
  const [first, second] = ready;
  const changed = (change: object): object => ({ ...status, conditions: [{ ...first, ...change }, second] });
  const broken: [string, object | undefined][] = [
    ['no status', undefined],
    ['no conditions', { observedGeneration: 1 }],
    ['no Synced', { ...status, conditions: [first] }],
    ['a type twice', { ...status, conditions: [first, first, second] }],
    ['a word that is not in the list', changed({ reason: 'Whatever' })],
    ['a reason of failure on Ready=True', changed({ reason: 'Starting' })],
    ['a reason of success on Ready=False', changed({ status: 'False' })],
    [
      'a generation to come',
      { observedGeneration: 2, conditions: ready.map((c) => ({ ...c, observedGeneration: 2 })) },
    ],
    ['two generations', changed({ observedGeneration: 0 })],
    ['no message', changed({ message: '' })],
    ['two lines', changed({ message: 'a\nb' })],
    ['half a character', changed({ message: 'a\ud83d' })],
    [
      'Ready=True while Reconciling',
      { ...status, conditions: [...ready, { ...second, type: 'Reconciling', reason: 'Progressing' }] },
    ],
    [
      'Reconciling=False',
      {
        ...status,
        conditions: [...ready, { ...second, type: 'Reconciling', status: 'False', reason: 'Progressing' }],
      },
    ],
    ['Ready=Unknown alone', changed({ status: 'Unknown', reason: 'NotYetObserved' })],
  ];
  it('take what is right', () => {
    for (const verdict of [good, waiting, stuck]) {
      assertConditions({ observedGeneration: 1, conditions: conditionsOf(verdict, undefined, 1, T0) }, 1);
    }
  });
  for (const [name, wrong] of broken) {
    it(`find ${name}`, () => {
      expect(() => assertConditions(wrong, 1)).to.throw();
    });
  }
});

describe('kstatusOf', () => {
  const object = (verdict: Verdict | undefined, metadata: object = {}): Parameters<typeof kstatusOf>[0] => ({
    metadata: { name: 'x', generation: 1, ...metadata },
    ...(verdict === undefined
      ? { status: { observedGeneration: -1 } }
      : { status: { observedGeneration: 1, conditions: conditionsOf(verdict, undefined, 1, T0) } }),
  });
  it('reads the conditions in the order of kstatus', () => {
    expect(kstatusOf(object(undefined))).to.equal('InProgress');
    expect(kstatusOf(object(good))).to.equal('Current');
    expect(kstatusOf(object(waiting))).to.equal('InProgress');
    expect(kstatusOf(object(stuck))).to.equal('Failed');
    expect(kstatusOf(object(good, { generation: 2 }))).to.equal('InProgress');
    expect(kstatusOf(object(good, { deletionTimestamp: 'now' }))).to.equal('Terminating');
  });
});
