import { shorten } from '../../api/conditions.ts';
import type { CoderTemplateSpec } from '../../api/generated.ts';
import type { PendingOperation } from '../../api/kinds.ts';
import { canonicalEqual } from '../../kube/equality.ts';
import { corrects } from '../correction.ts';
import { moreNotes } from '../notes.ts';
import { requestOf, synced, unlessSuspended, withVerdict, type ReportStep } from '../report.ts';
import { forgotten, weighWishes, withApplied } from '../wishes.ts';
import type { Found, TemplateDraft, TemplateRecord, TemplateStep } from './input.ts';
import {
  SETTING_FIELDS,
  wishOf,
  type SettingField,
  type TemplateSettings,
} from '../../coder/templatesettings.ts';
import { isAwaitingPromotion } from './status.ts';

/** The type of the announcement of settings; its value names them. */
export const SET = 'SetSettings';

/** Longest value that a message repeats, in characters. */
const LONGEST_SHOWN = 64;

/** What is remembered and said of the settings, and how they are sent if any are to be. */
export interface SettingsDecision {
  readonly found: Found;
  /** @param content what the content came to: all that is known of it goes on, also when the sending fails again and again. */
  readonly send?: (content: ReportStep<TemplateDraft>) => TemplateStep;
}

/**
 * The settings of a template that is there. Each is weighed for itself (`../wishes.ts`), and all that are to be sent go
 * in one call, laid over what Coder has: it resets what is left out.
 *
 * | wish against Coder | remembered | then |
 * |---|---|---|
 * | left out | – | not managed; sent as Coder has it |
 * | a person asks, by annotation | | all is forgotten once, refusals and corrections too |
 * | not yet applied | – | look afresh first: the same then counts as applied, other is sent |
 * | other | applied, refused | Stalled: RefusedByCoder |
 * | other | applied, not heeded, as without a licence | Drifted: SettingsNotHonoured |
 * | other | applied; so somebody changed it | OnChange: Drifted. Enforce: Drifted, and sent when it is its turn |
 *
 * None of these keeps the content from being imported and promoted: that goes first. Content that waits, or cannot be,
 * keeps no setting from being sent.
 */
export function decideSettings(before: Found): SettingsDecision {
  const { input, record, fresh } = before;
  const { spec } = input.object;
  const isManaged = SETTING_FIELDS.some((field) => spec[field] !== undefined);
  const status = isManaged ? renewed(before) : { ...before.status, applied: undefined };
  const wishes = SETTING_FIELDS.map((field) => ({
    field,
    wish: wishOf(spec, field),
    has: record.settings[field],
    applied: wishOf(status.applied ?? {}, field),
  }));
  const isNew = wishes.some(({ wish, applied }) => wish !== undefined && !canonicalEqual(wish, applied));
  if (isNew && !fresh) return { found: before, send: lookAfresh };
  const weighed = weighWishes({ input, status }, wishes, {
    corrects: corrects(input),
    obstacle: 'the licence',
    show: shown,
  });
  const notes = moreNotes(input.notes, weighed.notes);
  const found: Found = { ...before, status: weighed.status, input: { ...input, notes } };
  const { wanted, counted } = weighed;
  if (wanted.length === 0) return { found };
  if (!fresh) return { found, send: lookAfresh };
  return {
    found,
    send: (content) => {
      // That the content is there is told once, and not again after this.
      const before = found.status.pendingVersion;
      const isImported =
        isAwaitingPromotion(spec, content.status) &&
        (before?.id !== content.status.pendingVersion?.id || before?.jobStatus !== 'succeeded');
      const isNews = isImported || content.status.contentHash !== found.status.contentHash;
      const notice = isNews ? content.event : undefined;
      const step = sending({ ...found, status: counted(content.status) }, wanted, content.status);
      return step.do === 'write' ? { ...step, notice } : step;
    },
  };
}

const lookAfresh = (): TemplateStep => ({ do: 'read', fact: 'freshTemplate' });

/** Sends settings; `unsent` is the status as long as that is not done. */
function sending(
  { input, record, status }: Found,
  wanted: readonly SettingField[],
  unsent: TemplateDraft,
): TemplateStep {
  const { spec } = input.object;
  const message = `Setting ${wanted.map((field) => `spec.${field}`).join(', ')} in Coder`;
  // What is sent is remembered with the announcement: what came of it is told by looking.
  const announced = wanted.reduce(
    (draft, field) => withApplied(draft, field, wishOf(spec, field), true),
    status,
  );
  return unlessSuspended(
    input,
    {
      do: 'write',
      operation: {
        type: SET,
        templateID: record.id,
        fields: wanted,
        settings: laidOver(record.settings, spec, wanted),
      },
      status: withVerdict(input, announced, {
        ready: { status: 'False', reason: 'Updating', message },
        synced,
        reconciling: { reason: 'Progressing', message },
      }),
      event: { type: 'Normal', reason: 'Updating', message },
    },
    unsent,
  );
}

/** The wishes as they are remembered when they count as carried out, with what a person has asked for until now. */
export function appliedOf(spec: CoderTemplateSpec, request: string | undefined): TemplateDraft['applied'] {
  const wishes = SETTING_FIELDS.flatMap((field) => {
    const wish = wishOf(spec, field);
    return wish === undefined ? [] : [[field, wish] as const];
  });
  return wishes.length === 0 ? undefined : { ...Object.fromEntries(wishes), request };
}

/** The settings that an announced operation sends. */
export function fieldsOf(pending: PendingOperation): readonly SettingField[] {
  const names = new Set((pending.value ?? '').split(','));
  return SETTING_FIELDS.filter((field) => names.has(field));
}

/**
 * What came of settings that were sent. One that Coder has is applied. Another one, once it is certain that the call has
 * had its effect, is not heeded; undefined as long as that is open.
 */
export function settled(
  status: TemplateDraft,
  fields: readonly SettingField[],
  record: TemplateRecord,
  isAnswered: boolean,
): TemplateDraft | undefined {
  const differing = differingOf(status, fields, record);
  if (differing.length > 0 && !isAnswered) return undefined;
  return differing.reduce((draft, field) => withApplied(draft, field, draft.applied?.[field], false), status);
}

/** The request has not reached Coder: what is not there is to be sent again. */
export function unsettled(
  status: TemplateDraft,
  fields: readonly SettingField[],
  record: TemplateRecord,
): TemplateDraft {
  return differingOf(status, fields, record).reduce((draft, field) => forgotten(draft, field), status);
}

function differingOf(
  { applied = {} }: TemplateDraft,
  fields: readonly SettingField[],
  { settings }: TemplateRecord,
): readonly SettingField[] {
  return fields.filter((field) => !canonicalEqual(wishOf(applied, field), settings[field]));
}

/** The status in which a request by a person is seen to: all that was remembered of settings is forgotten. */
function renewed({ input, status }: Found): TemplateDraft {
  const request = requestOf(input.object);
  if (request === undefined || request === status.applied?.request) return status;
  return { ...status, applied: { request }, refusals: undefined, corrections: undefined };
}

function laidOver(
  settings: TemplateSettings,
  spec: CoderTemplateSpec,
  fields: readonly SettingField[],
): TemplateSettings {
  return { ...settings, ...Object.fromEntries(fields.map((field) => [field, wishOf(spec, field)])) };
}

function shown(value: unknown): string {
  return value === undefined ? 'nothing' : shorten(JSON.stringify(value), LONGEST_SHOWN);
}
