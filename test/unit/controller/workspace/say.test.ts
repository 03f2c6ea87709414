import { expect } from 'chai';
import type { Condition } from '../../../../src/api/conditions.ts';
import type { ConnectedFact } from '../../../../src/controller/facts.ts';
import { noted, type Notes } from '../../../../src/controller/notes.ts';
import { after, untilWoken, withBackoff, type Rest } from '../../../../src/controller/step.ts';
import type { Found, WorkspaceDraft, WorkspaceStep } from '../../../../src/controller/workspace/input.ts';
import { say, sayStalled, sayWaiting } from '../../../../src/controller/workspace/say.ts';
import {
  expectStep,
  messageOf,
  shown,
  WORKSPACE_ID,
  workspaceRecord,
} from '../../../support/controller-records.ts';
import { boundInput } from '../../../support/workspace-rules.ts';

const ready = { ready: { status: 'True', reason: 'Running', message: 'The workspace runs' } } as const;
const refused = { reason: 'RefusedByCoder', message: 'Coder refuses' } as const;
const renamed = { reason: 'RenamedInCoder', message: 'It has another name' } as const;
const changed = { reason: 'SettingsChanged', message: 'Somebody set it' } as const;
const stoppedByUser = { reason: 'StoppedByUser', message: 'Somebody stopped it' } as const;
const failed = { reason: 'BuildFailed', message: 'It failed' } as const;

function found(notes: Partial<Notes> = {}, conditions?: readonly Condition[]): Found {
  const input = boundInput(conditions === undefined ? {} : { status: { conditions } });
  const coder = input.facts.connection as ConnectedFact;
  const name = { organization: 'acme', owner: 'ann', workspace: 'dev' };
  const status: WorkspaceDraft = { ...input.object.status };
  return {
    input,
    name,
    coder,
    status,
    record: workspaceRecord(),
    fresh: true,
    notes: { drifts: [], ...notes },
  };
}

const conditionsOf = (step: WorkspaceStep): readonly Condition[] =>
  expectStep(step, 'report').status.conditions ?? [];

describe('say', () => {
  it('R1 what the last rule waits for or is stalled by goes before a setting that is stalled', () => {
    const before = found({ stalled: refused });
    expect(shown(expectStep(sayWaiting(before, {}, failed, withBackoff), 'report').status)).to.deep.equal([
      'Ready=False/BuildFailed',
      'Synced=True/SyncSucceeded',
      'Reconciling=True/BuildFailed',
    ]);
    const exhausted = { reason: 'BuildRetriesExhausted', message: 'no more' } as const;
    expect(shown(expectStep(sayStalled(before, {}, exhausted), 'report').status)).to.deep.equal([
      'Ready=False/BuildRetriesExhausted',
      'Synced=True/SyncSucceeded',
      'Stalled=True/BuildRetriesExhausted',
    ]);
  });

  it('R2 a setting that is stalled makes Ready false, the first of them', () => {
    const invalid = { reason: 'InvalidParameters', message: 'never' } as const;
    const step = expectStep(
      say(noted(found({ stalled: refused }), { stalled: invalid }), {}, ready),
      'report',
    );
    expect(shown(step.status)).to.deep.equal([
      'Ready=False/RefusedByCoder',
      'Synced=True/SyncSucceeded',
      'Stalled=True/RefusedByCoder',
    ]);
  });

  it('R3 several drifts are one condition, with the reason of power first', () => {
    const before = noted(found({ drifts: [changed] }), { drifts: [renamed] });
    const step = expectStep(say(before, {}, { ...ready, drifted: stoppedByUser }), 'report');
    expect(shown(step.status)).to.include('Drifted=True/StoppedByUser');
    expect(messageOf(step.status, 'Drifted')).to.equal(
      'Somebody stopped it. Somebody set it. It has another name',
    );
    const without = expectStep(say(before, {}, ready), 'report');
    expect(shown(without.status)).to.include('Drifted=True/SettingsChanged');
  });

  it('R3 is told also while it waits', () => {
    const step = expectStep(sayWaiting(found({ drifts: [renamed] }), {}, failed, withBackoff), 'report');
    expect(shown(step.status)).to.include('Drifted=True/RenamedInCoder');
  });

  const build: Rest = { until: 'build', workspaceID: WORKSPACE_ID, afterMs: 9_000 };
  const endless: Rest = { until: 'build', workspaceID: WORKSPACE_ID };
  const rests: [string, Rest, number | undefined, Rest][] = [
    ['until it is woken', untilWoken, undefined, untilWoken],
    ['until it is woken, sooner', untilWoken, 5_000, after(5_000)],
    ['for a time', after(9_000), 5_000, after(5_000)],
    ['for a time that is over before', after(3_000), 5_000, after(3_000)],
    ['until a build ends', build, 5_000, { ...build, afterMs: 5_000 }],
    [
      'until a build ends that is late before',
      { ...build, afterMs: 3_000 },
      5_000,
      { ...build, afterMs: 3_000 },
    ],
    ['until a build ends, without a limit', endless, 5_000, { ...endless, afterMs: 5_000 }],
    ['until a build ends, and nothing else', endless, undefined, { ...endless, afterMs: undefined }],
    ['ever more seldom', withBackoff, 5_000, withBackoff],
  ];
  for (const [name, rest, afterMs, expected] of rests) {
    it(`R4 rests ${name}`, () => {
      const notes = afterMs === undefined ? {} : { afterMs };
      const step = expectStep(say(found(notes), {}, ready, rest), 'report');
      expect({ ...step.rest }).to.deep.include(JSON.parse(JSON.stringify(expected)) as object);
    });
  }

  it('R4 the soonest of all notes counts', () => {
    const before = noted(noted(noted(found(), { afterMs: 9_000 }), { afterMs: 3_000 }), {});
    expect(before.notes.afterMs).to.equal(3_000);
  });

  describe('R5 one event a report', () => {
    const own = { type: 'Normal', reason: 'Running', message: 'It runs' } as const;
    const adopted = { type: 'Normal', reason: 'Adopted', message: 'Took it over' } as const;

    it("what was noted goes before the rule's own, and that before what differs", () => {
      const step = say(found({ event: adopted, drifts: [renamed] }), {}, ready, untilWoken, own);
      expect(expectStep(step, 'report').event).to.deep.equal(adopted);
      const alone = say(found({ drifts: [renamed] }), {}, ready, untilWoken, own);
      expect(expectStep(alone, 'report').event).to.deep.equal(own);
    });

    it('a Warning for a new reason goes before what was noted', () => {
      const step = sayWaiting(found({ event: adopted }), {}, failed, withBackoff);
      expect(expectStep(step, 'report').event).to.deep.include({ type: 'Warning', reason: 'BuildFailed' });
    });

    it('is not repeated while the reason stays', () => {
      const before = conditionsOf(sayWaiting(found(), {}, failed, withBackoff));
      const again = sayWaiting(found({}, before), {}, { ...failed, message: 'Try 2 follows' }, withBackoff);
      expect(expectStep(again, 'report').event).to.equal(undefined);
      const stalled = sayStalled(found({}, before), {}, refused);
      expect(expectStep(stalled, 'report').event).to.deep.include({
        type: 'Warning',
        reason: 'RefusedByCoder',
      });
    });

    for (const reason of [
      'WaitingForBuild',
      'WaitingForBuildSlot',
      'WaitingForImport',
      'Progressing',
      'OutcomeUnknown',
    ] as const) {
      it(`${reason} is none`, () => {
        const step = sayWaiting(found(), {}, { reason, message: 'x' }, withBackoff);
        expect(expectStep(step, 'report').event).to.equal(undefined);
      });
    }

    it('what was noted goes before drift', () => {
      const step = say(found({ event: adopted, drifts: [renamed] }), {}, ready);
      expect(expectStep(step, 'report').event).to.deep.equal(adopted);
    });

    it('drift is told when its message is new', () => {
      const first = say(found({ drifts: [renamed] }), {}, ready);
      expect(expectStep(first, 'report').event).to.deep.equal({ type: 'Normal', ...renamed });
      const same = say(found({ drifts: [renamed] }, conditionsOf(first)), {}, ready);
      expect(expectStep(same, 'report').event).to.equal(undefined);
      const other = say(
        found({ drifts: [{ ...renamed, message: 'Again' }] }, conditionsOf(first)),
        {},
        ready,
      );
      expect(expectStep(other, 'report').event).to.deep.include({ type: 'Normal', message: 'Again' });
    });

    it('drift that was set right too often is a Warning', () => {
      const step = say(found({ drifts: [renamed, { ...changed, isOverBudget: true }] }), {}, ready);
      expect(expectStep(step, 'report').event).to.deep.include({ type: 'Warning', reason: 'RenamedInCoder' });
    });
  });

  it('keeps conditions that did not change, and the time at which they began', () => {
    const first = conditionsOf(say(found(), {}, ready));
    const later = found(
      {},
      first.map((c) => ({ ...c, lastTransitionTime: '2026-01-01T00:00:00Z' })),
    );
    for (const c of conditionsOf(say(later, {}, ready)))
      expect(c.lastTransitionTime).to.equal('2026-01-01T00:00:00Z');
  });
});
