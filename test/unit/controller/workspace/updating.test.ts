import { expect } from 'chai';
import type { CoderWorkspaceSpec, CoderWorkspaceStatus } from '../../../../src/api/generated.ts';
import { CoderError } from '../../../../src/coder/errors.ts';
import type { WorkspaceFacts, WorkspaceStep } from '../../../../src/controller/workspace/input.ts';
import { afterFailure } from '../../../../src/controller/workspace/outcome.ts';
import { TAKEN_AS_APPLIED } from '../../../../src/controller/wishes.ts';
import { richParameter } from '../../../support/controller-coder.ts';
import {
  build,
  byOwner,
  expectStep,
  messageOf,
  NOW,
  shown,
  TEMPLATE_ID,
  WORKSPACE_ID,
} from '../../../support/controller-records.ts';
import {
  asks,
  boundInput,
  built,
  decideBound,
  resolved,
  satisfied,
  STOPPED,
  SUSPENSIONS,
  type BoundCase,
} from '../../../support/workspace-rules.ts';

const COOLDOWN_MS = 300_000;
const PIN = '0e000000-0000-4000-8000-00000000000a';
const pinned = {
  version: {
    version: { id: PIN, name: 'two', templateID: TEMPLATE_ID, jobStatus: 'succeeded', isArchived: false },
  },
};
const cpu = richParameter({ name: 'cpu', default: '1' });
const values = { values: resolved({ cpu: '4' }), ...built({ cpu: '1' }), ...asks([cpu]) };

/** The same thing wished in each way; the workspace runs without it. */
interface Wish {
  readonly name: string;
  readonly spec: CoderWorkspaceSpec;
  readonly record: BoundCase['record'];
  readonly facts: Partial<WorkspaceFacts>;
  readonly text: string;
  readonly reason: 'VersionChanged' | 'ParametersChanged';
}
const WISHES: readonly Wish[] = [
  {
    name: 'a pin by id',
    spec: { templateVersionID: PIN },
    record: {},
    facts: pinned,
    text: PIN,
    reason: 'VersionChanged',
  },
  {
    name: 'a pin by name',
    spec: { templateVersionName: 'two' },
    record: {},
    facts: pinned,
    text: 'version two (it has one)',
    reason: 'VersionChanged',
  },
  {
    name: 'the active version',
    spec: {},
    record: { templateActiveVersionID: 'newer', outdated: true },
    facts: {},
    text: 'newer',
    reason: 'VersionChanged',
  },
  {
    name: 'a parameter',
    spec: { parameters: [{ name: 'cpu', value: '4' }] },
    record: {},
    facts: values,
    text: 'cpu',
    reason: 'ParametersChanged',
  },
];

const restart = { running: true, updatePolicy: 'Restart' } as const;

const caseOf = (wish: Wish, over: BoundCase = {}): BoundCase => ({
  ...over,
  spec: { ...restart, ...wish.spec, ...over.spec },
  record: { ...wish.record, build: build(over.build) },
  facts: { ...wish.facts, ...over.facts },
});

/** What follows the stop for a restart. */
const startedAgain = (wish: Wish): WorkspaceStep => {
  const { status } = expectStep(decideBound(caseOf(wish)), 'write');
  return decideBound(caseOf(wish, { build: { ...STOPPED, number: 2, id: build().id }, status }));
};

/** The status once the wish was sent with a start. */
const sentWith = (wish: Wish): CoderWorkspaceStatus => {
  const { applied } = expectStep(startedAgain(wish), 'write').status;
  return { ...satisfied(true), ...(applied === undefined ? {} : { applied }) };
};

describe('decideUpdate', () => {
  for (const wish of WISHES) {
    const { name, text, reason } = wish;
    describe(name, () => {
      it('U11 without Restart waits for the next start and says so', () => {
        const step = expectStep(
          decideBound(caseOf(wish, { spec: { updatePolicy: 'OnNextStart' } })),
          'report',
        );
        expect(shown(step.status)).to.deep.equal([
          'Ready=True/Running',
          'Synced=True/SyncSucceeded',
          'Drifted=True/WaitsForNextStart',
        ]);
        expect(messageOf(step.status, 'Drifted'))
          .to.contain(text)
          .and.to.contain('Takes effect with the next start');
        expect(step.rest).to.deep.equal({ until: 'woken' });
        expect(step.status.applied).to.equal(undefined);
      });

      it('U11 with Restart waits too where it does not run because of spec.running', () => {
        const cases: [CoderWorkspaceSpec, BoundCase['build'], string][] = [
          [{ running: false }, STOPPED, 'Stopped'],
          [{ running: undefined }, {}, 'PowerNotManaged'],
        ];
        for (const [spec, parts, ready] of cases) {
          const step = expectStep(
            decideBound(caseOf(wish, { spec, ...(parts === undefined ? {} : { build: parts }) })),
            'report',
          );
          expect(shown(step.status)).to.include(`Ready=True/${ready}`);
          expect(shown(step.status)).to.include('Drifted=True/WaitsForNextStart');
          expect(messageOf(step.status, 'Drifted')).to.contain(
            'updatePolicy Restart needs spec.running true',
          );
        }
      });

      it('U12 new, with Restart: it is stopped, to be started', () => {
        expect(decideBound({ ...caseOf(wish), fresh: false })).to.deep.equal({
          do: 'read',
          fact: 'freshWorkspace',
        });
        const step = expectStep(decideBound(caseOf(wish, { build: { number: 4 } })), 'write');
        expect(step.operation).to.deep.equal({
          type: 'Stop',
          workspaceID: WORKSPACE_ID,
          afterBuildNumber: 4,
        });
        expect(step.status.power).to.deep.equal({ running: true, state: 'Pending', after: 4 });
        expect(shown(step.status)).to.deep.equal([
          'Ready=False/Updating',
          'Synced=True/SyncSucceeded',
          'Reconciling=True/Progressing',
        ]);
        expect(step.event?.message).to.contain('Restarting the workspace for').and.to.contain(text);
        expect(step.status.corrections).to.equal(undefined);
      });

      it('U12 new under OnChange is restarted as well: it is a change of the wish', () => {
        const given = caseOf(wish, { spec: { driftPolicy: 'OnChange' } });
        expect(expectStep(decideBound(given), 'write').operation.type).to.equal('Stop');
      });

      it('U12 after the stop it is started with what is wished, and counts as carried out', () => {
        expect(expectStep(decideBound(caseOf(wish)), 'write').status.applied).to.equal(undefined);
        const step = expectStep(startedAgain(wish), 'write');
        expect(step.operation.type).to.equal('Start');
        expect(step.status.applied?.update).to.match(/^[0-9a-f]{16}$/);
      });

      it('U12 is still new when the stop came to nothing', () => {
        const { status } = expectStep(decideBound(caseOf(wish)), 'write');
        expect(expectStep(decideBound(caseOf(wish, { status })), 'write').operation.type).to.equal('Stop');
      });

      it('U12 is tried again by the ladder when Coder refuses the stop', () => {
        const start = expectStep(decideBound(caseOf(wish)), 'write');
        let { status } = start;
        for (let count = 1; count <= 6; count++) {
          const refused = afterFailure(
            boundInput(caseOf(wish, { status })),
            start.operation,
            new CoderError('Invalid', 'no'),
          );
          expect(refused.failures).to.deep.include({ what: 'stop', count });
          const step = expectStep(decideBound(caseOf(wish, { status: refused })), 'report');
          expect(shown(step.status)).to.include(
            count === 6 ? 'Stalled=True/BuildRetriesExhausted' : 'Reconciling=True/RefusedByCoder',
          );
          ({ status } = step);
        }
      });

      it("U15 what Coder's own automation built otherwise is said and left", () => {
        const autostart = { ...byOwner, number: 3, reason: 'autostart' };
        const given = caseOf(wish, { status: sentWith(wish), build: autostart, atMs: 9 * COOLDOWN_MS });
        const step = expectStep(decideBound(given), 'report');
        expect(shown(step.status)).to.include('Ready=True/Running').and.to.include(`Drifted=True/${reason}`);
        expect(step.rest).to.deep.equal({ until: 'woken' });
      });

      it('U13 our own build made no difference: it is said and not repeated', () => {
        for (const atMs of [0, 9 * COOLDOWN_MS]) {
          const given = caseOf(wish, { status: sentWith(wish), build: { number: 3 }, atMs });
          const step = expectStep(decideBound(given), 'report');
          expect(shown(step.status)).to.deep.equal([
            'Ready=True/Running',
            'Synced=True/SyncSucceeded',
            `Drifted=True/${reason}`,
          ]);
          expect(messageOf(step.status, 'Drifted')).to.contain(
            'Sent with build 3, and Coder did not take it',
          );
          expect(step.status.driftedAt).to.equal(undefined);
        }
      });

      const others = { ...byOwner, number: 3 };

      it('U14 somebody built it otherwise, OnChange: it is said', () => {
        const spec = { driftPolicy: 'OnChange' as const };
        const given = caseOf(wish, { spec, status: sentWith(wish), build: others, atMs: 9 * COOLDOWN_MS });
        const step = expectStep(decideBound(given), 'report');
        expect(shown(step.status)).to.include('Ready=True/Running').and.to.include(`Drifted=True/${reason}`);
        expect(messageOf(step.status, 'Drifted')).to.contain('Somebody built it otherwise in Coder');
        expect(step.rest).to.deep.equal({ until: 'woken' });
      });

      it('U14, U15 somebody built it otherwise, Enforce: it is said, and restarted after the cooldown', () => {
        const given = caseOf(wish, { status: sentWith(wish), build: others });
        const first = expectStep(decideBound(given), 'report');
        expect(shown(first.status)).to.include('Ready=True/Running').and.to.include(`Drifted=True/${reason}`);
        expect(first.status.driftedAt).to.equal('2026-01-02T03:04:05Z');
        expect(first.rest).to.deep.equal({ until: 'time', afterMs: COOLDOWN_MS });
        const step = expectStep(decideBound({ ...given, status: first.status, atMs: COOLDOWN_MS }), 'write');
        expect(step.operation.type).to.equal('Stop');
        expect(step.status.corrections).to.deep.equal(['2026-01-02T03:09:05Z']);
        expect(step.status.driftedAt).to.equal(undefined);
      });

      it('U14 waits when the budget is used up, and warns', () => {
        const corrections = ['02:24:05', '02:44:05', '02:54:05'].map((t) => `2026-01-02T${t}Z`);
        const driftedAt = new Date(NOW.getTime() - COOLDOWN_MS).toISOString();
        const status = { ...sentWith(wish), corrections, driftedAt };
        const step = expectStep(decideBound(caseOf(wish, { status, build: others })), 'report');
        expect(step.event).to.deep.include({ type: 'Warning', reason });
        expect(step.rest).to.deep.equal({ until: 'time', afterMs: 1_200_000 });
      });

      it('U14 after a lost status our own newest build is not blamed: nobody knows with what it was sent', () => {
        const lost = { ...satisfied(true), applied: { update: TAKEN_AS_APPLIED } };
        const given = caseOf(wish, { spec: { driftPolicy: 'OnChange' }, status: lost, build: { number: 3 } });
        const step = expectStep(decideBound(given), 'report');
        expect(shown(step.status)).to.include(`Drifted=True/${reason}`);
        expect(messageOf(step.status, 'Drifted'))
          .to.contain('Somebody built it otherwise')
          .and.to.not.contain('did not take it');
        expect(step.status.applied?.update).to.match(/^lost:[0-9a-f]{16}$/);
        const again = expectStep(decideBound({ ...given, status: step.status }), 'report');
        expect(again.status, 'nothing more is written').to.deep.equal(step.status);
        const waits = expectStep(
          decideBound({
            ...given,
            spec: { ...given.spec, updatePolicy: 'OnNextStart' },
            status: step.status,
          }),
          'report',
        );
        expect(messageOf(waits.status, 'Drifted')).to.contain('Takes effect with the next start');
      });

      it('U12 another wish after a lost status is new', () => {
        const applied = { update: `${TAKEN_AS_APPLIED}:0123456789abcdef` };
        const given = caseOf(wish, { status: { ...satisfied(true), applied } });
        expect(expectStep(decideBound(given), 'write').operation.type).to.equal('Stop');
      });

      it('U14 with a budget of 0 it is said and left, without a Warning', () => {
        const settings = { driftBudget: 0 };
        const given = caseOf(wish, {
          status: sentWith(wish),
          build: others,
          atMs: 9 * COOLDOWN_MS,
          settings,
        });
        const step = expectStep(decideBound(given), 'report');
        expect(shown(step.status)).to.include('Ready=True/Running').and.to.include(`Drifted=True/${reason}`);
        expect(step.event?.type).to.equal('Normal');
        expect(step.status.driftedAt).to.equal(undefined);
        expect(step.rest).to.deep.equal({ until: 'woken' });
      });

      it("U12 a person's request makes it new", () => {
        const given = caseOf(wish, { status: sentWith(wish), build: { number: 3 }, asked: 'again' });
        expect(expectStep(decideBound(given), 'write').operation.type).to.equal('Stop');
      });

      it('U11 says that it differs, not that it waits, where the wish is not new', () => {
        const spec = { updatePolicy: 'OnNextStart' as const };
        const given = caseOf(wish, { spec, status: sentWith(wish), build: others });
        expect(shown(expectStep(decideBound(given), 'report').status)).to.include(`Drifted=True/${reason}`);
      });

      it('U12, P13 takes a place before the stop, or waits for one', () => {
        const { buildSlot, ...facts } = { ...wish.facts, buildSlot: undefined };
        expect(buildSlot).to.equal(undefined);
        const asking = { ...caseOf(wish), facts: { ...facts, buildSlot: undefined } as object };
        expect(decideBound(asking)).to.deep.equal({ do: 'read', fact: 'buildSlot' });
        const step = expectStep(decideBound(caseOf(wish, { facts: { buildSlot: 'none' } })), 'report');
        expect(shown(step.status)).to.include('Reconciling=True/WaitingForBuildSlot');
        expect(step.status.applied, 'it is still new').to.equal(undefined);
        expect(step.status.power?.state).to.equal('Satisfied');
      });

      for (const [who, suspended, suspension] of SUSPENSIONS) {
        it(`Z1 suspended by ${who}: it is not stopped, and stays new`, () => {
          const step = expectStep(decideBound(caseOf(wish, suspension)), 'report');
          expect(shown(step.status))
            .to.include('Ready=False/Suspended')
            .and.to.include(`Suspended=True/${suspended}`);
          expect(step.status.applied).to.equal(undefined);
          expect(step.status.power?.state).to.equal('Satisfied');
        });

        it(`Z1 suspended by ${who}: a correction is not counted`, () => {
          const driftedAt = new Date(NOW.getTime() - COOLDOWN_MS).toISOString();
          const status = { ...sentWith(wish), driftedAt };
          const step = expectStep(
            decideBound(caseOf(wish, { ...suspension, status, build: others })),
            'report',
          );
          expect(shown(step.status)).to.include('Ready=False/Suspended');
          expect(step.status.corrections).to.equal(undefined);
          expect(step.status.driftedAt).to.equal(driftedAt);
        });
      }
    });
  }

  describe('what could not be started is not stopped', () => {
    const failed = {
      version: { version: { ...pinned.version.version, jobStatus: 'failed', isArchived: false } },
    };
    const problems: [string, CoderWorkspaceSpec, Partial<WorkspaceFacts>, string][] = [
      [
        'U1 a pin that is not there',
        { templateVersionID: PIN },
        { version: { version: undefined } },
        'Reconciling=True/WaitingForDependency',
      ],
      ['U3 a pin whose import failed', { templateVersionID: PIN }, failed, 'Stalled=True/InvalidParameters'],
    ];
    for (const [name, spec, facts, condition] of problems) {
      it(name, () => {
        const step = expectStep(decideBound({ spec: { ...restart, ...spec }, facts }), 'report');
        expect(shown(step.status)).to.include(condition);
        expect(step.status.power).to.deep.equal(satisfied(true).power);
        expect(step.status.applied).to.equal(undefined);
      });

      it(`${name} is told also while it waits for the next start`, () => {
        const step = expectStep(decideBound({ spec: { running: true, ...spec }, facts }), 'report');
        expect(shown(step.status)).to.include(condition);
        expect(step.status.power).to.deep.equal(satisfied(true).power);
      });
    }

    it('U1 is looked for', () => {
      for (const updatePolicy of ['Restart', 'OnNextStart'] as const) {
        const spec = { ...restart, updatePolicy, templateVersionID: PIN };
        expect(decideBound({ spec })).to.deep.equal({ do: 'read', fact: 'version' });
      }
    });

    it('U9 a parameter that the wished version does not know', () => {
      const spec = { ...restart, templateVersionID: PIN, parameters: [{ name: 'cpu', value: '4' }] };
      const facts = { ...values, ...pinned, ...asks([], PIN) };
      const step = expectStep(decideBound({ spec, facts }), 'report');
      expect(shown(step.status)).to.include('Stalled=True/InvalidParameters');
    });
  });

  it('names version and parameters where both differ', () => {
    const spec = { ...restart, templateVersionName: 'two', parameters: [{ name: 'cpu', value: '4' }] };
    const facts = { ...values, ...pinned, ...asks([cpu], PIN) };
    const step = expectStep(decideBound({ spec, facts }), 'write');
    expect(step.event?.message).to.contain('version two').and.to.contain('cpu');
    const stopped = decideBound({
      spec,
      facts,
      status: step.status,
      record: { build: build({ ...STOPPED, number: 2 }) },
    });
    expect(expectStep(stopped, 'write').operation).to.deep.include({
      type: 'Start',
      templateVersionID: PIN,
      parameters: [{ name: 'cpu', value: '4' }],
    });
  });

  it('P7 a failing agent does not keep it from being restarted', () => {
    const wish = WISHES[0]!;
    const step = decideBound({ ...caseOf(wish), record: { healthy: false } });
    expect(expectStep(step, 'write').operation.type).to.equal('Stop');
  });
});
