import { expect } from 'chai';
import { finalizers, annotations } from '../../../../src/api/kinds.ts';
import { untilWoken } from '../../../../src/controller/step.ts';
import type { CoderTemplateSpec, CoderTemplateStatus } from '../../../../src/api/generated.ts';
import { versionName } from '../../../../src/coder/contenthash.ts';
import { CoderError, type CoderErrorKind } from '../../../../src/coder/errors.ts';
import { decideTemplate } from '../../../../src/controller/template/decide.ts';
import type {
  TemplateFacts,
  TemplateInput,
  TemplateStep,
} from '../../../../src/controller/template/input.ts';
import { afterAnswer, afterFailure } from '../../../../src/controller/template/outcome.ts';
import {
  SETTING_FIELDS,
  type SettingField,
  type TemplateSettings,
} from '../../../../src/coder/templatesettings.ts';
import { DEPLOYMENT } from '../../../support/controller-coder.ts';
import { wired } from '../../../support/controller-kube.ts';
import {
  expectStep,
  gone,
  messageOf,
  NOW,
  pendingOperation,
  PLAIN_SETTINGS,
  seen,
  shown,
  TEMPLATE_ID,
  keyOf,
  templateInput,
  templateRecord,
  VERSION_ID,
  versionRecord,
} from '../../../support/controller-records.ts';
import { SUSPENSIONS } from '../../../support/workspace-rules.ts';

const FILES = { 'main.tf': '# one' };
const COOLDOWN_MS = 300_000;

/** A wish for each setting that Coder does not have in a new template. */
const WISHES: { readonly [F in SettingField]-?: CoderTemplateSpec[F] } = {
  displayName: 'Docker',
  description: 'Containers',
  icon: '/icon/docker.png',
  deprecated: 'use the other one',
  defaultTTLMillis: 3_600_000,
  activityBumpMillis: 0,
  autostopRequirement: { daysOfWeek: ['Sunday', 'Monday'], weeks: 2 },
  autostartRequirement: { daysOfWeek: [] },
  allowUserAutostart: false,
  allowUserAutostop: false,
  allowUserCancelWorkspaceJobs: true,
  failureTTLMillis: 60_000,
  timeTilDormantMillis: 60_000,
  timeTilDormantAutodeleteMillis: 60_000,
  requireActiveVersion: true,
  maxPortShareLevel: 'Owner',
  corsBehavior: 'Passthru',
  useClassicParameterFlow: true,
};
const FIELDS = Object.keys(WISHES) as SettingField[];

interface Given {
  readonly spec?: CoderTemplateSpec;
  readonly status?: CoderTemplateStatus;
  readonly settings?: Partial<TemplateSettings>;
  readonly fresh?: boolean;
  readonly atMs?: number;
  readonly asked?: string;
  readonly facts?: Partial<TemplateFacts>;
}

/** A template whose content is as it is wished. */
function inputOf(given: Given, pendingForMs = 0): TemplateInput {
  const spec = { files: FILES, ...given.spec };
  const status: CoderTemplateStatus = {
    id: TEMPLATE_ID,
    origin: 'Created',
    deploymentID: DEPLOYMENT,
    activeVersion: { id: VERSION_ID, name: 'one' },
    contentHash: keyOf(FILES),
    contentVersionID: VERSION_ID,
    lastHandledReconcileAt: given.asked,
    ...given.status,
  };
  const metadata = {
    finalizers: [finalizers.template],
    ...(given.asked === undefined
      ? {}
      : { annotations: { [annotations.reconcileRequestedAt]: given.asked } }),
  };
  const record = templateRecord({ settings: { ...PLAIN_SETTINGS, ...given.settings } });
  const facts = { template: seen(record, given.fresh ?? true), ...given.facts };
  const input = templateInput({ spec, status, metadata }, facts, pendingForMs);
  return { ...input, now: new Date(NOW.getTime() + (given.atMs ?? 0)) };
}

const decide = (given: Given, pendingForMs = 0): TemplateStep => decideTemplate(inputOf(given, pendingForMs));

function wishOf(field: SettingField): CoderTemplateSpec {
  return { [field]: WISHES[field] };
}

/** The wish was applied once. */
function applied(spec: CoderTemplateSpec, over: object = {}): CoderTemplateStatus {
  return { applied: { ...(spec as TemplateSettings), ...over } };
}

/** The settings that a step sends, and nothing else. */
function sent(step: TemplateStep): {
  readonly fields: readonly string[];
  readonly settings: TemplateSettings;
} {
  const { operation, status } = expectStep(step, 'write');
  if (operation.type !== 'SetSettings') throw new Error(`it is ${operation.type}`);
  expect(operation.templateID).to.equal(TEMPLATE_ID);
  expect(shown(status)).to.deep.equal([
    'Ready=False/Updating',
    'Synced=True/SyncSucceeded',
    'Reconciling=True/Progressing',
  ]);
  return operation;
}

/** The step that sends settings. */
function sentWith(step: TemplateStep): Extract<TemplateStep, { do: 'write' }> {
  sent(step);
  return expectStep(step, 'write');
}

const AT_REST = ['Ready=True/UpToDate', 'Synced=True/SyncSucceeded'];

describe('decideSettings of a template', () => {
  it('knows every setting', () => {
    expect(FIELDS).to.have.members(SETTING_FIELDS);
  });

  for (const field of FIELDS) {
    const spec = wishOf(field);
    describe(field, () => {
      it('left out: it is not managed, and nothing is remembered', () => {
        const status = { ...applied(spec, { notHonoured: [field] }), refusals: [{ field, message: 'no' }] };
        const step = expectStep(decide({ status, fresh: false }), 'report');
        expect(shown(step.status)).to.deep.equal(AT_REST);
        expect(step.status.applied).to.equal(undefined);
        expect(step.status.refusals).to.equal(undefined);
      });

      it('new: it is looked at afresh, then sent with all that Coder has', () => {
        expect(decide({ spec, fresh: false })).to.deep.equal({ do: 'read', fact: 'freshTemplate' });
        const step = decide({ spec });
        const { fields, settings } = sent(step);
        expect(fields).to.deep.equal([field]);
        const { [field]: is, ...others } = settings;
        const { [field]: was, ...plain } = PLAIN_SETTINGS;
        expect(others).to.deep.equal(plain);
        expect(is).not.to.deep.equal(was);
        expect(expectStep(step, 'write').event?.message).to.equal(`Setting spec.${field} in Coder`);
        expect(expectStep(step, 'write').status.applied).to.have.property(field);
      });

      it('the same: it is remembered as applied, after a fresh look, and then rests', () => {
        const { settings } = sent(decide({ spec }));
        expect(decide({ spec, settings, fresh: false })).to.deep.equal({ do: 'read', fact: 'freshTemplate' });
        const step = expectStep(decide({ spec, settings }), 'report');
        expect(shown(step.status)).to.deep.equal(AT_REST);
        const again = decide({ spec, settings, fresh: false, status: step.status });
        expect(wired(expectStep(again, 'report').status)).to.deep.equal(wired(step.status));
      });

      it('refused: it is told, and not sent again', () => {
        const status = { ...applied(spec), refusals: [{ field, message: 'not that' }] };
        const step = expectStep(decide({ spec, status, fresh: false }), 'report');
        expect(shown(step.status)).to.deep.equal([
          'Ready=False/RefusedByCoder',
          'Synced=True/SyncSucceeded',
          'Stalled=True/RefusedByCoder',
        ]);
        expect(messageOf(step.status)).to.contain(`spec.${field}`).and.to.contain('not that');
        expect(step.event).to.deep.include({ type: 'Warning', reason: 'RefusedByCoder' });
      });

      it('not heeded: it is told, and not sent again', () => {
        const status = applied(spec, { notHonoured: [field] });
        const step = expectStep(decide({ spec, status, fresh: false, atMs: 10 * COOLDOWN_MS }), 'report');
        expect(shown(step.status)).to.deep.equal([...AT_REST, 'Drifted=True/SettingsNotHonoured']);
        expect(messageOf(step.status, 'Drifted')).to.contain(`spec.${field}`).and.to.contain('the licence');
        expect(step.rest).to.deep.equal({ until: 'woken' });
      });

      it('changed by somebody, under OnChange: it is told and left', () => {
        const given = { spec: { ...spec, driftPolicy: 'OnChange' as const }, status: applied(spec) };
        const step = expectStep(decide({ ...given, fresh: false, atMs: 10 * COOLDOWN_MS }), 'report');
        expect(shown(step.status)).to.deep.equal([...AT_REST, 'Drifted=True/SettingsChanged']);
        expect(step.status.driftedAt).to.equal(undefined);
        expect(step.event).to.deep.include({ type: 'Normal', reason: 'SettingsChanged' });
      });

      it('changed by somebody, under Enforce: it is told, and set again after the cooldown', () => {
        const first = expectStep(decide({ spec, status: applied(spec), fresh: false }), 'report');
        expect(shown(first.status)).to.deep.equal([...AT_REST, 'Drifted=True/SettingsChanged']);
        expect(first.rest).to.deep.equal({ until: 'time', afterMs: COOLDOWN_MS });
        const later = { spec, status: first.status, atMs: COOLDOWN_MS };
        expect(decide({ ...later, fresh: false })).to.deep.equal({ do: 'read', fact: 'freshTemplate' });
        const step = decide(later);
        expect(sent(step).fields).to.deep.equal([field]);
        const { status } = expectStep(step, 'write');
        expect(status.corrections).to.deep.equal(['2026-01-02T03:09:05Z']);
        expect(status.driftedAt).to.equal(undefined);
      });
    });
  }

  it('sends all that are new at once, and nothing that is left as it is', () => {
    const spec = { ...WISHES, driftPolicy: 'OnChange' } as CoderTemplateSpec;
    expect(sent(decide({ spec })).fields).to.have.members(FIELDS);
    const status = { ...applied(WISHES, { displayName: 'Another', notHonoured: ['deprecated'] }) };
    const { fields, settings } = sent(decide({ spec, status, settings: { icon: '/somebody.png' } }));
    expect(fields).to.deep.equal(['displayName']);
    expect(settings).to.deep.equal({ ...PLAIN_SETTINGS, icon: '/somebody.png', displayName: 'Docker' });
  });

  it('takes days in any order, and a week that is left out, for the same', () => {
    const spec: CoderTemplateSpec = { autostopRequirement: { daysOfWeek: ['Sunday', 'Monday'] } };
    const settings = { autostopRequirement: { daysOfWeek: ['Monday', 'Sunday'], weeks: 1 } };
    expect(shown(expectStep(decide({ spec, settings }), 'report').status)).to.deep.equal(AT_REST);
  });

  it('an empty deprecation takes it back', () => {
    const step = decide({ spec: { deprecated: '' }, settings: { deprecated: 'old' } });
    expect(sent(step).settings.deprecated).to.equal('');
  });

  it('waits when the budget is used up, and warns', () => {
    const spec = wishOf('icon');
    const corrections = ['02:24:05', '02:44:05', '02:54:05'].map((t) => `2026-01-02T${t}Z`);
    const status = { ...applied(spec), driftedAt: '2026-01-02T02:59:05Z', corrections };
    const step = expectStep(decide({ spec, status }), 'report');
    expect(step.rest).to.deep.equal({ until: 'time', afterMs: 1_200_000 });
    expect(step.event).to.deep.include({ type: 'Warning', reason: 'SettingsChanged' });
  });

  it('sets nothing right with a budget of 0: it is said and left, without a Warning', () => {
    const spec = wishOf('icon');
    const status = { ...applied(spec), driftedAt: '2026-01-01T00:00:00Z' };
    const input = inputOf({ spec, status, atMs: COOLDOWN_MS });
    const step = expectStep(
      decideTemplate({ ...input, settings: { ...input.settings, driftBudget: 0 } }),
      'report',
    );
    expect(shown(step.status)).to.deep.equal([...AT_REST, 'Drifted=True/SettingsChanged']);
    expect(step.event?.type).to.equal('Normal');
    expect([step.status.driftedAt, step.status.corrections]).to.deep.equal([undefined, undefined]);
    expect(step.rest).to.deep.equal({ until: 'woken' });
  });

  it('warns also when they are sent at once that Delete does not count', () => {
    const spec: CoderTemplateSpec = { ...wishOf('icon'), deletionPolicy: 'Delete' };
    const input = inputOf({ spec, status: { origin: 'Adopted' } });
    const object = { ...input.object, metadata: { ...input.object.metadata, finalizers: [] } };
    expect(sentWith(decideTemplate({ ...input, object })).notice).to.deep.include({
      type: 'Warning',
      reason: 'Retained',
    });
  });

  describe('a person asks', () => {
    const spec = wishOf('deprecated');
    const status: CoderTemplateStatus = {
      ...applied(spec, { notHonoured: ['deprecated'] }),
      corrections: ['2026-01-02T03:00:00Z'],
    };

    it('all is sent again, once for each request', () => {
      const step = decide({ spec, status, asked: 'again' });
      expect(sent(step).fields).to.deep.equal(['deprecated']);
      const after = expectStep(step, 'write').status;
      expect(after.applied?.request).to.equal('again');
      expect(after.corrections).to.equal(undefined);
      const known = { ...status, applied: { ...status.applied, request: 'again' } };
      expect(shown(expectStep(decide({ spec, status: known, asked: 'again' }), 'report').status)).to.include(
        'Drifted=True/SettingsNotHonoured',
      );
    });

    it('and no setting is managed: nothing is remembered of it', () => {
      const step = expectStep(decide({ asked: 'again' }), 'report');
      expect(step.status.applied).to.equal(undefined);
    });
  });

  describe('content', () => {
    const others = { files: { 'main.tf': '# two' } };
    const cases: readonly [string, CoderTemplateStatus][] = [
      ['refused', { ...applied(wishOf('icon')), refusals: [{ field: 'icon', message: 'no' }] }],
      ['not heeded', applied(wishOf('icon'), { notHonoured: ['icon'] })],
      ['changed by somebody', applied(wishOf('icon'))],
    ];
    for (const [what, status] of cases) {
      it(`is imported while a setting is ${what}`, () => {
        const facts = { versionByName: { name: 'x', version: undefined } };
        const step = decide({ spec: { ...wishOf('icon'), ...others }, status, facts });
        expect(step).to.deep.equal({ do: 'read', fact: 'versionByName' });
      });
    }

    const wrong: Partial<TemplateFacts> = {
      content: {
        state: 'refused',
        cause: { reason: 'InvalidContent', message: 'spec.files is no template' },
        rest: untilWoken,
      },
    };

    it('that is being imported, or has failed, keeps no setting from being sent', () => {
      const pendingVersion = { name: 'k8s-x', id: VERSION_ID, jobStatus: 'running' };
      expect(sent(decide({ spec: wishOf('icon'), status: { pendingVersion } })).fields).to.deep.equal([
        'icon',
      ]);
      expect(sent(decide({ spec: wishOf('icon'), facts: wrong })).fields).to.deep.equal(['icon']);
    });

    const two = keyOf(others.files);
    const name = versionName(two, 1);
    const version = versionRecord({ name, templateID: TEMPLATE_ID });

    it('goes first, and no correction is counted for it', () => {
      const spec = { ...wishOf('icon'), ...others };
      const status = { ...applied(wishOf('icon')), driftedAt: '2026-01-02T02:59:05Z' };
      const facts = { versionByName: { name, version: { ...version, id: 'another' } } };
      const step = expectStep(decide({ spec, status, facts }), 'write');
      expect(step.operation.type).to.equal('Promote');
      expect(step.status.driftedAt).to.equal(status.driftedAt);
      expect(step.status.corrections).to.equal(undefined);
      expect(step.status.applied).to.deep.include(wishOf('icon'));
    });

    it('that is there is told with the settings that follow, and remembered', () => {
      const facts = { versionByName: { name, version } };
      const step = sentWith(decide({ spec: { ...wishOf('icon'), ...others }, facts }));
      expect(step.notice).to.deep.include({ type: 'Normal', reason: 'UpToDate' });
      expect(step.event).to.deep.include({ type: 'Normal', reason: 'Updating' });
      expect(step.status.contentHash).to.equal(two);
      expect(step.status.contentVersionID).to.equal(VERSION_ID);
    });

    it('that failed is remembered with the settings that follow', () => {
      const facts = { versionByName: { name, version: { ...version, jobStatus: 'failed', error: 'no' } } };
      const { status } = sentWith(decide({ spec: { ...wishOf('icon'), ...others }, facts }));
      expect(status.pendingVersion).to.deep.include({ name, error: 'no', failedAt: '2026-01-02T03:04:05Z' });
    });

    it('that cannot be is what is told, with the drift of the settings', () => {
      const spec = wishOf('icon');
      const step = expectStep(decide({ spec, status: applied(spec), facts: wrong }), 'report');
      expect(shown(step.status)).to.include.members([
        'Stalled=True/InvalidContent',
        'Drifted=True/SettingsChanged',
      ]);
      expect(step.rest).to.deep.equal({ until: 'time', afterMs: COOLDOWN_MS });
    });

    it('of somebody else is told before the settings', () => {
      const spec = wishOf('icon');
      const status = { ...applied(spec), contentVersionID: 'another' };
      const step = expectStep(decide({ spec, status }), 'report');
      expect(shown(step.status)).to.include('Drifted=True/ActiveVersionChanged');
      expect(messageOf(step.status, 'Drifted')).to.contain('Somebody changed spec.icon');
    });
  });

  for (const [who, reason, given] of SUSPENSIONS) {
    it(`sends nothing while suspended by ${who}, and counts no correction`, () => {
      const spec = { ...wishOf('icon'), ...(reason === 'SuspendedBySpec' ? { suspend: true } : {}) };
      const { connection } = given.facts ?? {};
      const facts = connection === undefined ? {} : { connection };
      const fresh = expectStep(decide({ spec, facts }), 'report');
      expect(shown(fresh.status)).to.include.members(['Ready=False/Suspended', `Suspended=True/${reason}`]);
      expect(fresh.status.applied).to.equal(undefined);
      expect(fresh.status.observed).to.deep.equal(PLAIN_SETTINGS);
      const status = { ...applied(wishOf('icon')), driftedAt: '2026-01-01T00:00:00Z' };
      const drifted = expectStep(decide({ spec, facts, status }), 'report');
      expect(drifted.status.corrections).to.equal(undefined);
      expect(drifted.status.driftedAt).to.equal('2026-01-01T00:00:00Z');
    });
  }
});

describe('settings that were announced', () => {
  const spec: CoderTemplateSpec = { icon: '/icon/docker.png', deprecated: 'old' };
  const pending = pendingOperation({ type: 'SetSettings', value: 'icon,deprecated' });
  const status: CoderTemplateStatus = { ...applied(spec), pendingOperation: pending };

  it('are looked for afresh', () => {
    expect(decide({ spec, status, fresh: false })).to.deep.equal({ do: 'read', fact: 'freshTemplate' });
  });

  it('are applied when they are there', () => {
    const step = expectStep(decide({ spec, status, settings: spec }), 'report');
    expect(shown(step.status)).to.deep.equal(AT_REST);
    expect(step.status.pendingOperation).to.equal(undefined);
    expect(wired(step.status.applied)).to.deep.equal(spec);
  });

  it('are waited for while they may still land, then sent again', () => {
    const waiting = expectStep(decide({ spec, status }, 34_999), 'report');
    expect(shown(waiting.status)).to.include('Reconciling=True/OutcomeUnknown');
    expect(waiting.status.pendingOperation).to.deep.equal(pending);
    expect(sent(decide({ spec, status }, 35_000)).fields).to.deep.equal(['icon', 'deprecated']);
    const one = { spec, status, settings: { icon: '/icon/docker.png' } };
    expect(sent(decide(one, 35_000)).fields).to.deep.equal(['deprecated']);
  });

  it('are not heeded when Coder said yes and has something else', () => {
    const answered = afterAnswer(inputOf({ spec, status }));
    expect(decideTemplate(answered)).to.deep.equal({ do: 'read', fact: 'freshTemplate' });
    const record = templateRecord({ settings: { ...PLAIN_SETTINGS, icon: '/icon/docker.png' } });
    const input = { ...answered, facts: { ...answered.facts, template: seen(record) } };
    const step = expectStep(decideTemplate(input), 'report');
    expect(step.status.applied?.notHonoured).to.deep.equal(['deprecated']);
    expect(shown(step.status)).to.deep.equal([...AT_REST, 'Drifted=True/SettingsNotHonoured']);
  });

  it('are written down before anything else is sent', () => {
    const given = { spec: { ...spec, displayName: 'Docker' }, status };
    const step = expectStep(decideTemplate({ ...inputOf(given), isAnswered: true }), 'report');
    expect(step.rest).to.deep.equal({ until: 'time', afterMs: 1 });
    expect(step.status.pendingOperation).to.equal(undefined);
    expect(step.status.applied?.notHonoured).to.have.members(['icon', 'deprecated']);
  });

  it('are of no matter any more when the template is gone', () => {
    const step = expectStep(decide({ spec, status, facts: { template: gone } }), 'report');
    expect(shown(step.status)).to.include('Stalled=True/DeletedInCoder');
  });

  it('follow another wish that came meanwhile', () => {
    const given = { spec: { icon: '/another.png' }, status, settings: spec as TemplateSettings };
    expect(sent(decide(given)).fields).to.deep.equal(['icon']);
  });

  const operation = {
    type: 'SetSettings',
    templateID: TEMPLATE_ID,
    fields: ['icon', 'deprecated'],
    settings: PLAIN_SETTINGS,
  } as const;
  const failing = (kind: CoderErrorKind, parts: object = {}): CoderTemplateStatus =>
    afterFailure(
      inputOf({ spec, status }),
      operation,
      new CoderError(kind, 'x', { coderMessage: 'no', ...parts }),
    );

  it('stay open when the outcome is unclear', () => {
    expect(failing('Timeout', { mayHaveChanged: true }).pendingOperation).to.deep.equal(pending);
  });

  for (const kind of ['Invalid', 'Forbidden', 'Conflict', 'NotFound'] as const) {
    it(`are refused by ${kind}, each that is named, or all`, () => {
      expect(failing(kind).refusals).to.deep.equal([
        { field: 'icon', message: 'no' },
        { field: 'deprecated', message: 'no' },
      ]);
      const named = failing(kind, { validations: [{ field: 'icon', detail: 'not that one' }] });
      expect(named.refusals).to.deep.equal([{ field: 'icon', message: 'not that one' }]);
      expect(sent(decide({ spec, status: named })).fields).to.deep.equal(['deprecated']);
      const strange = failing(kind, { validations: [{ field: 'other_ms', detail: 'too short' }] });
      expect(strange.refusals?.[0]).to.deep.equal({ field: 'icon', message: 'other_ms: too short' });
      expect(strange.refusals).to.have.length(2);
    });
  }

  it('are refused by the names that Coder gives them', () => {
    const many = {
      ...operation,
      fields: ['autostopRequirement', 'maxPortShareLevel', 'failureTTLMillis'] as const,
    };
    const faults = ['autostop_requirement.weeks', 'max_port_sharing_level', 'failure_ttl_ms'];
    const error = new CoderError('Invalid', 'x', {
      validations: faults.map((field) => ({ field, detail: `bad ${field}` })),
    });
    const { refusals } = afterFailure(inputOf({ spec: WISHES, status: applied(WISHES) }), many, error);
    expect(refusals?.map(({ message }) => message)).to.deep.equal(faults.map((field) => `bad ${field}`));
  });

  it('are sent again after any other failure that is certain', () => {
    for (const kind of ['RateLimited', 'Unauthorized', 'Unreachable'] as const) {
      const after = failing(kind);
      expect(after.refusals).to.equal(undefined);
      expect(sent(decide({ spec, status: after })).fields).to.deep.equal(['icon', 'deprecated']);
    }
  });
});
