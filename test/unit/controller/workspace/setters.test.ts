import { expect } from 'chai';
import { CoderError, type CoderErrorKind } from '../../../../src/coder/errors.ts';
import type { CoderWorkspaceSpec, CoderWorkspaceStatus } from '../../../../src/api/generated.ts';
import type { SettingField, WorkspaceStep } from '../../../../src/controller/workspace/input.ts';
import type { WorkspaceRecord } from '../../../../src/controller/observer/record.ts';
import { afterFailure } from '../../../../src/controller/workspace/outcome.ts';
import { settingOf } from '../../../../src/controller/workspace/setters.ts';
import { wired } from '../../../support/controller-kube.ts';
import {
  expectStep,
  messageOf,
  NOW,
  pendingOperation,
  shown,
  WORKSPACE_ID,
} from '../../../support/controller-records.ts';
import {
  boundInput,
  decideBound,
  STOPPED,
  SUSPENSIONS,
  type BoundCase,
} from '../../../support/workspace-rules.ts';

const NINE = 'CRON_TZ=Europe/Berlin 30 9 * * 1-5';
const COOLDOWN_MS = 300_000;

/** A wish for each field that Coder does not have, and what Coder has. */
const FIELDS: readonly [SettingField, CoderWorkspaceSpec, string, Partial<WorkspaceRecord>, string][] = [
  ['ttlMillis', { ttlMillis: 3_600_000 }, '3600000', { ttlMillis: 7_200_000 }, '7200000'],
  ['autostartSchedule', { autostartSchedule: NINE }, NINE, { autostartSchedule: '0 7 * * *' }, '0 7 * * *'],
  ['automaticUpdates', { automaticUpdates: 'Always' }, 'Always', { automaticUpdates: 'Never' }, 'Never'],
];

/** The wish was applied once. */
const applied = (spec: CoderWorkspaceSpec, over: object = {}): CoderWorkspaceStatus => {
  const { ttlMillis, autostartSchedule, automaticUpdates } = spec;
  return { applied: { ttlMillis, autostartSchedule, automaticUpdates, ...over } };
};

function expectSet(step: WorkspaceStep, field: SettingField, value: string): void {
  const { operation, status, event } = expectStep(step, 'write');
  expect(operation).to.deep.equal({ type: 'Set', workspaceID: WORKSPACE_ID, field, value });
  expect(shown(status)).to.deep.equal([
    'Ready=False/Updating',
    'Synced=True/SyncSucceeded',
    'Reconciling=True/Progressing',
  ]);
  expect(event).to.deep.include({ type: 'Normal', reason: 'Updating' });
  expect(event?.message).to.contain(`spec.${field}`);
}

describe('decideSettings', () => {
  it('knows the field of an announced operation', () => {
    const types = ['SetTTL', 'SetAutostart', 'SetAutomaticUpdates', 'Start', 'Create'];
    expect(types.map((type) => settingOf(pendingOperation({ type })))).to.deep.equal([
      'ttlMillis',
      'autostartSchedule',
      'automaticUpdates',
      undefined,
      undefined,
    ]);
  });

  for (const [field, spec, value, record, has] of FIELDS) {
    describe(field, () => {
      it('T1 left out: it is not managed and nothing is remembered', () => {
        const status = {
          ...applied(spec, { notHonoured: [field] }),
          refusals: [{ field, message: 'no' }],
        };
        const step = expectStep(decideBound({ status, record }), 'report');
        expect(step.status.applied).to.equal(undefined);
        expect(step.status.refusals).to.equal(undefined);
        expect(step.status.observed).to.deep.include(record);
        expect(shown(step.status)).to.deep.equal(['Ready=True/PowerNotManaged', 'Synced=True/SyncSucceeded']);
      });

      it('T2 the same: it is remembered as applied, and what was refused is forgotten', () => {
        const status = { ...applied(spec, { notHonoured: [field] }), refusals: [{ field, message: 'no' }] };
        for (const before of [{}, status]) {
          const step = expectStep(
            decideBound({ spec, record: spec as Partial<WorkspaceRecord>, status: before }),
            'report',
          );
          expect(wired(step.status.applied)).to.deep.equal(spec);
          expect(step.status.refusals).to.equal(undefined);
          expect(shown(step.status)).to.include('Ready=True/PowerNotManaged');
        }
      });

      it('T4 new: it is set, after a fresh look', () => {
        expect(decideBound({ spec, record, fresh: false })).to.deep.equal({
          do: 'read',
          fact: 'freshWorkspace',
        });
        expectSet(decideBound({ spec, record }), field, value);
        const before = applied({ ttlMillis: 60_000, autostartSchedule: '', automaticUpdates: 'Never' });
        expectSet(decideBound({ spec, record, status: before }), field, value);
      });

      it('T4 applied before, and a person asks: it is set again', () => {
        const status = { ...applied(spec), refusals: [{ field, message: 'no' }] };
        const step = decideBound({ spec, record, status, asked: 'again' });
        expectSet(step, field, value);
        expect(expectStep(step, 'write').status.refusals).to.equal(undefined);
        expect(expectStep(step, 'write').status.lastHandledReconcileAt).to.equal('again');
      });

      it('T5 refused: it is told and not sent again', () => {
        const status = { ...applied(spec), refusals: [{ field, message: 'the template forbids it' }] };
        const step = expectStep(decideBound({ spec, record, status }), 'report');
        expect(shown(step.status)).to.deep.equal([
          'Ready=False/RefusedByCoder',
          'Synced=True/SyncSucceeded',
          'Stalled=True/RefusedByCoder',
        ]);
        expect(messageOf(step.status))
          .to.contain(`spec.${field} ${value}`)
          .and.to.contain('the template forbids it')
          .and.to.contain('coder.com/reconcile-requested-at');
        expect(step.rest).to.deep.equal({ until: 'woken' });
        expect(step.event).to.deep.include({ type: 'Warning', reason: 'RefusedByCoder' });
        const again = expectStep(decideBound({ spec, record, status: step.status }), 'report');
        expect(again.status).to.deep.equal(step.status);
        expect(again.event).to.equal(undefined);
      });

      it('T6 not honoured: it is told and not sent again', () => {
        const status = applied(spec, { notHonoured: [field] });
        const step = expectStep(decideBound({ spec, record, status, atMs: 10 * COOLDOWN_MS }), 'report');
        expect(shown(step.status)).to.deep.equal([
          'Ready=True/PowerNotManaged',
          'Synced=True/SyncSucceeded',
          'Drifted=True/SettingsNotHonoured',
        ]);
        expect(messageOf(step.status, 'Drifted')).to.contain(`spec.${field} ${value}`).and.to.contain(has);
        expect(step.rest).to.deep.equal({ until: 'woken' });
        expect(step.status.driftedAt).to.equal(undefined);
      });

      it('T7 changed by somebody, under OnChange: it is told and left', () => {
        const given = { spec: { ...spec, driftPolicy: 'OnChange' as const }, record, status: applied(spec) };
        for (const atMs of [0, 10 * COOLDOWN_MS]) {
          const step = expectStep(decideBound({ ...given, atMs }), 'report');
          expect(shown(step.status)).to.deep.equal([
            'Ready=True/PowerNotManaged',
            'Synced=True/SyncSucceeded',
            'Drifted=True/SettingsChanged',
          ]);
          expect(messageOf(step.status, 'Drifted'))
            .to.contain(`Somebody changed spec.${field} in Coder`)
            .and.to.contain('status.observed');
          expect(String(step.status.observed?.[field])).to.equal(has);
          expect(step.status.driftedAt).to.equal(undefined);
          expect(step.rest).to.deep.equal({ until: 'woken' });
        }
      });

      it('T7, T8 changed by somebody, under Enforce: it is told, and set again after the cooldown', () => {
        const first = expectStep(decideBound({ spec, record, status: applied(spec) }), 'report');
        expect(shown(first.status)).to.include('Drifted=True/SettingsChanged');
        expect(shown(first.status)).to.include('Ready=True/PowerNotManaged');
        expect(messageOf(first.status, 'Drifted')).to.contain('set right at 2026-01-02T03:09:05Z');
        expect(first.status.driftedAt).to.equal('2026-01-02T03:04:05Z');
        expect(first.rest).to.deep.equal({ until: 'time', afterMs: COOLDOWN_MS });

        const waiting = expectStep(
          decideBound({ spec, record, status: first.status, atMs: COOLDOWN_MS - 1 }),
          'report',
        );
        expect(waiting.status, 'nothing is written meanwhile').to.deep.equal(first.status);
        expect(waiting.event).to.equal(undefined);

        const step = decideBound({ spec, record, status: first.status, atMs: COOLDOWN_MS });
        expectSet(step, field, value);
        const { status } = expectStep(step, 'write');
        expect(status.corrections).to.deep.equal(['2026-01-02T03:09:05Z']);
        expect(status.driftedAt).to.equal(undefined);
      });
    });
  }

  it('T3 a schedule that cannot be one is not sent', () => {
    const spec = { autostartSchedule: 'CRON_TZ=Europe/Nowhere 0 9 * * *' };
    const step = expectStep(decideBound({ spec, fresh: false }), 'report');
    expect(shown(step.status)).to.deep.equal([
      'Ready=False/InvalidParameters',
      'Synced=True/SyncSucceeded',
      'Stalled=True/InvalidParameters',
    ]);
    expect(messageOf(step.status)).to.contain('spec.autostartSchedule: the time zone "Europe/Nowhere"');
    expect(step.event).to.deep.include({ type: 'Warning', reason: 'InvalidParameters' });
    expect(step.status.applied).to.equal(undefined);
  });

  const cleared: [SettingField, CoderWorkspaceSpec, string, Partial<WorkspaceRecord>][] = [
    ['ttlMillis', { ttlMillis: 0 }, '0', { ttlMillis: 60_000 }],
    ['autostartSchedule', { autostartSchedule: '' }, '', { autostartSchedule: NINE }],
  ];
  for (const [field, spec, value, record] of cleared) {
    it(`T4 an empty ${field} clears it`, () => {
      const step = decideBound({ spec, record });
      expectSet(step, field, value);
      expect(expectStep(step, 'write').event?.message).to.match(value === '' ? /"" \(never\)/ : / 0 /);
    });
  }

  const all: CoderWorkspaceSpec = {
    ttlMillis: 3_600_000,
    autostartSchedule: NINE,
    automaticUpdates: 'Always',
  };

  it('T4 sets one a call, the others after it', () => {
    expectSet(decideBound({ spec: all }), 'ttlMillis', '3600000');
    const record = { ttlMillis: 3_600_000 };
    expectSet(decideBound({ spec: all, record }), 'autostartSchedule', NINE);
    expectSet(
      decideBound({ spec: all, record: { ...record, autostartSchedule: NINE } }),
      'automaticUpdates',
      'Always',
    );
  });

  it('T4 comes after a start: one that cannot be sent keeps nothing from being started', () => {
    const given = { spec: { ...all, running: true }, build: STOPPED };
    expect(expectStep(decideBound(given), 'write').operation.type).to.equal('Start');
  });

  it('T4 is sent while a build is under way', () => {
    expectSet(decideBound({ spec: all, build: { jobStatus: 'running' } }), 'ttlMillis', '3600000');
  });

  const harmless: [string, BoundCase][] = [
    ['T3 an invalid schedule', { spec: { autostartSchedule: 'daily' } }],
    [
      'T5 a refused setting',
      {
        spec: { ttlMillis: 3_600_000 },
        status: { ...applied({ ttlMillis: 3_600_000 }), refusals: [{ field: 'ttlMillis', message: 'no' }] },
      },
    ],
    [
      'T6 one that is not honoured',
      {
        spec: { ttlMillis: 3_600_000 },
        status: applied({ ttlMillis: 3_600_000 }, { notHonoured: ['ttlMillis'] }),
      },
    ],
    [
      'T7 one that somebody changed',
      { spec: { ttlMillis: 3_600_000 }, status: applied({ ttlMillis: 3_600_000 }) },
    ],
  ];
  for (const [name, given] of harmless) {
    it(`${name} keeps nothing from being started`, () => {
      const step = decideBound({ ...given, spec: { ...given.spec, running: true }, build: STOPPED });
      expect(expectStep(step, 'write').operation.type).to.equal('Start');
    });
  }

  const refusing: CoderErrorKind[] = ['Invalid', 'Forbidden', 'Conflict', 'NotFound'];
  for (const kind of refusing) {
    it(`T5 ${kind} is a refusal, which another wish and a person's request end`, () => {
      const spec = { ttlMillis: 3_600_000 };
      const input = boundInput({ spec, status: { pendingOperation: pendingOperation({ type: 'SetTTL' }) } });
      const operation = {
        type: 'Set',
        workspaceID: WORKSPACE_ID,
        field: 'ttlMillis',
        value: '3600000',
      } as const;
      const error = new CoderError(kind, 'status 400: x', { coderMessage: 'too long', mayHaveChanged: true });
      const status = afterFailure(input, operation, error);
      expect(status.pendingOperation).to.equal(undefined);
      expect(status.refusals).to.deep.equal([{ field: 'ttlMillis', message: 'too long' }]);
      expect(expectStep(decideBound({ spec, status }), 'report').status.refusals).to.have.length(1);
      expectSet(decideBound({ spec: { ttlMillis: 60_000 }, status }), 'ttlMillis', '60000');
      expectSet(decideBound({ spec, status, asked: 'again' }), 'ttlMillis', '3600000');
    });
  }

  it('T4 another failure that is certain is no refusal: it is sent again', () => {
    const spec = { ttlMillis: 3_600_000 };
    const operation = {
      type: 'Set',
      workspaceID: WORKSPACE_ID,
      field: 'ttlMillis',
      value: '3600000',
    } as const;
    for (const kind of ['RateLimited', 'Unauthorized', 'Unreachable'] as const) {
      const status = afterFailure(boundInput({ spec }), operation, new CoderError(kind, 'x'));
      expectSet(decideBound({ spec, status }), 'ttlMillis', '3600000');
    }
  });

  it('T7 several that somebody changed are one drift with all their names', () => {
    const step = expectStep(decideBound({ spec: all, status: applied(all) }), 'report');
    const message = messageOf(step.status, 'Drifted');
    for (const field of ['ttlMillis', 'autostartSchedule', 'automaticUpdates'])
      expect(message).to.contain(field);
  });

  it('T8 several that somebody changed are one correction, one call a pass', () => {
    const driftedAt = NOW.toISOString();
    const first = decideBound({ spec: all, status: { ...applied(all), driftedAt }, atMs: COOLDOWN_MS });
    expectSet(first, 'ttlMillis', '3600000');
    const { status } = expectStep(first, 'write');
    expect(status.corrections).to.have.length(1);
    const record = { ttlMillis: 3_600_000 };
    const second = decideBound({ spec: all, status, record, atMs: COOLDOWN_MS });
    expectSet(second, 'autostartSchedule', NINE);
    expect(expectStep(second, 'write').status.corrections).to.have.length(1);
  });

  it('T8 waits when the budget is used up, and warns once', () => {
    const spec = { ttlMillis: 3_600_000 };
    const corrections = ['02:24:05', '02:44:05', '02:54:05'].map((t) => `2026-01-02T${t}Z`);
    const status = { ...applied(spec), driftedAt: '2026-01-02T02:59:05Z', corrections };
    const step = expectStep(decideBound({ spec, status }), 'report');
    expect(step.rest).to.deep.equal({ until: 'time', afterMs: 1_200_000 });
    expect(step.event).to.deep.include({ type: 'Warning', reason: 'SettingsChanged' });
    expect(messageOf(step.status, 'Drifted')).to.contain('as often as is allowed in an hour');
    expect(expectStep(decideBound({ spec, status: step.status, atMs: 1_000 }), 'report').event).to.equal(
      undefined,
    );
  });

  it('T7 with a budget of 0 it is said and left, without a Warning', () => {
    const spec = { ttlMillis: 3_600_000 };
    const given = { spec, settings: { driftBudget: 0 } };
    const status = { ...applied(spec), driftedAt: NOW.toISOString() };
    const step = expectStep(decideBound({ ...given, status, atMs: COOLDOWN_MS }), 'report');
    expect(shown(step.status)).to.include('Drifted=True/SettingsChanged');
    expect(step.event?.type).to.equal('Normal');
    expect([step.status.driftedAt, step.status.corrections]).to.deep.equal([undefined, undefined]);
    expect(step.rest).to.deep.equal({ until: 'woken' });
    const later = decideBound({ ...given, status: step.status, atMs: 9 * COOLDOWN_MS });
    expect(expectStep(later, 'report').status).to.deep.equal(step.status);
  });

  for (const jobStatus of ['running', 'failed']) {
    it(`T9 nothing is set after a deletion that is ${jobStatus}`, () => {
      expectStep(decideBound({ spec: all, build: { transition: 'delete', jobStatus } }), 'report');
    });
  }

  for (const [name, reason, suspension] of SUSPENSIONS) {
    it(`Z1 suspended by ${name}: a new setting is not sent`, () => {
      const step = expectStep(decideBound({ ...suspension, spec: { ...all, ...suspension.spec } }), 'report');
      expect(shown(step.status)).to.deep.equal([
        'Ready=False/Suspended',
        'Synced=True/SyncSucceeded',
        `Suspended=True/${reason}`,
      ]);
      expect(messageOf(step.status)).to.contain('spec.ttlMillis 3600000').and.to.contain('spec.suspend');
      expect(step.status.applied?.ttlMillis).to.equal(undefined);
    });

    it(`Z1 suspended by ${name}: one that somebody changed is not counted, and waits where it is`, () => {
      const spec = { ttlMillis: 3_600_000, ...suspension.spec };
      const given = { ...suspension, spec, atMs: COOLDOWN_MS };
      const driftedAt = NOW.toISOString();
      const step = expectStep(decideBound({ ...given, status: { ...applied(spec), driftedAt } }), 'report');
      expect(shown(step.status)).to.include('Ready=False/Suspended');
      expect(step.status.corrections).to.equal(undefined);
      expect(step.status.applied?.ttlMillis).to.equal(3_600_000);
      expect(step.rest).to.deep.equal({ until: 'woken' });
      const later = expectStep(
        decideBound({ ...given, status: step.status, atMs: 9 * COOLDOWN_MS }),
        'report',
      );
      expect(later.status, 'nothing is written while it lasts').to.deep.equal(step.status);
      expectSet(
        decideBound({ spec: { ttlMillis: 3_600_000 }, status: later.status, atMs: 9 * COOLDOWN_MS }),
        'ttlMillis',
        '3600000',
      );
    });
  }
});
