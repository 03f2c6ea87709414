import type { PendingOperation } from '../../api/kinds.ts';
import { scheduleProblem } from '../../api/schedule.ts';
import { synced, unlessSuspended, withVerdict } from '../report.ts';
import { correctionOf, corrects, thenCorrected } from './correction.ts';
import type { Found, SettingField, WorkspaceDraft, WorkspaceStep } from './input.ts';
import { noted } from './say.ts';
import { unlessEmpty } from './update.ts';

/** The call that sets each field, as an announcement names it. */
export const SETTERS = {
  ttlMillis: 'SetTTL',
  autostartSchedule: 'SetAutostart',
  automaticUpdates: 'SetAutomaticUpdates',
} as const satisfies Readonly<Record<SettingField, string>>;

const FIELDS = Object.keys(SETTERS) as readonly SettingField[];

/** The field that an announced operation sets, if it is one that does. */
export function settingOf(pending: PendingOperation): SettingField | undefined {
  return FIELDS.find((field) => SETTERS[field] === pending.type);
}

/** A value as the spec and the status hold it, from the text of an announcement. */
function valueOf(field: SettingField, text: string): string | number {
  return field === 'ttlMillis' ? Number(text) : text;
}

/** Records that a setting was brought to Coder, and whether Coder heeds it. */
export function withApplied(
  status: WorkspaceDraft,
  field: SettingField,
  text: string,
  isHonoured: boolean,
): WorkspaceDraft {
  const others = (status.applied?.notHonoured ?? []).filter((f) => f !== field);
  const notHonoured = isHonoured ? others : [...others, field];
  return {
    ...status,
    applied: {
      ...status.applied,
      [field]: valueOf(field, text),
      notHonoured: notHonoured.length === 0 ? undefined : notHonoured,
    },
    refusals: withoutRefusal(status, field),
  };
}

/** Records that Coder refuses a setting; it is not sent again until the wish changes. */
export function withRefusal(
  status: WorkspaceDraft,
  field: SettingField,
  text: string,
  message: string,
): WorkspaceDraft {
  const applied = withApplied(status, field, text, true);
  return { ...applied, refusals: [...(applied.refusals ?? []), { field, message }] };
}

function withoutRefusal(status: WorkspaceDraft, field: SettingField): WorkspaceDraft['refusals'] {
  const refusals = (status.refusals ?? []).filter((r) => r.field !== field);
  return refusals.length === 0 ? undefined : refusals;
}

/** The setting is not managed: nothing is remembered of it. */
function forgotten(status: WorkspaceDraft, field: SettingField): WorkspaceDraft {
  const notHonoured = status.applied?.notHonoured?.filter((f) => f !== field) ?? [];
  return {
    ...status,
    applied: unlessEmpty({
      ...status.applied,
      [field]: undefined,
      notHonoured: notHonoured.length === 0 ? undefined : notHonoured,
    }),
    refusals: withoutRefusal(status, field),
  };
}

/** What is remembered and said of the settings, and the next one to be sent if there is one. */
export interface SettingsDecision {
  readonly found: Found;
  /** @param status what power came to: failures and a cooldown go on, also when the sending fails again and again. */
  readonly send?: (status: WorkspaceDraft) => WorkspaceStep;
}

/**
 * TTL, autostart and automatic updates, each by a call of its own.
 *
 * | wish against Coder | remembered | then |
 * |---|---|---|
 * | left out | – | not managed |
 * | the same | – | remembered as applied |
 * | other | not yet applied | sent, if it can be valid |
 * | other | applied, refused | Stalled: RefusedByCoder |
 * | other | applied, not heeded | Drifted: SettingsNotHonoured |
 * | other | applied; so somebody changed it | OnChange: Drifted. Enforce: Drifted, and sent when it is its turn |
 *
 * None of these keeps the workspace from being started or stopped.
 */
export function decideSettings(before: Found): SettingsDecision {
  const { input, record } = before;
  const { spec } = input.object;
  let found = before;
  const wanted: SettingField[] = [];
  const changed: SettingField[] = [];
  for (const field of FIELDS) {
    const wish = spec[field];
    const { status } = found;
    if (wish === undefined) {
      found = { ...found, status: forgotten(status, field) };
    } else if (String(wish) === String(record[field])) {
      found = { ...found, status: withApplied(status, field, String(wish), true) };
    } else if (status.applied?.[field] !== wish) {
      const problem = field === 'autostartSchedule' ? scheduleProblem(String(wish)) : undefined;
      if (problem === undefined) wanted.push(field);
      else
        found = noted(found, {
          stalled: { reason: 'InvalidParameters', message: `spec.${field}: ${problem}` },
        });
    } else {
      const refusal = status.refusals?.find((r) => r.field === field);
      if (refusal !== undefined) {
        const message = `Coder refuses spec.${field} ${shown(wish)}: ${refusal.message}. Change it or, when that is mended in Coder, set the annotation coder.com/reconcile-requested-at to a new value`;
        found = noted(found, { stalled: { reason: 'RefusedByCoder', message } });
      } else if (status.applied.notHonoured?.includes(field) === true) {
        const message = `Coder took spec.${field} ${shown(wish)} without an error, and has ${shown(record[field])}: the template or the licence does not allow it`;
        found = noted(found, { drifts: [{ reason: 'SettingsNotHonoured', message }] });
      } else {
        changed.push(field);
      }
    }
  }
  let counted = (status: WorkspaceDraft): WorkspaceDraft => status;
  if (changed.length > 0) {
    const message = `Somebody changed ${changed.map((field) => `spec.${field}`).join(', ')} in Coder: status.observed has what is there`;
    const correction = corrects(input) ? correctionOf(found) : undefined;
    if (correction?.when === 'now') {
      // All of them are wishes to carry out again, one call a pass.
      const { driftedAt, corrections } = correction.status;
      counted = (status) =>
        changed.reduce<WorkspaceDraft>((s, field) => forgotten(s, field), {
          ...status,
          driftedAt,
          corrections,
        });
      found = { ...found, status: correction.unsent };
      wanted.push(...changed);
    } else {
      const then = correction === undefined ? '' : `; ${thenCorrected(correction, input.now)}`;
      found = noted(correction === undefined ? found : { ...found, status: correction.status }, {
        drifts: [
          {
            reason: 'SettingsChanged',
            message: `${message}${then}`,
            isOverBudget: correction?.because === 'budget',
          },
        ],
        afterMs: correction?.afterMs,
      });
    }
  }
  const [field] = wanted;
  if (field === undefined || record.build.transition === 'delete') return { found };
  return {
    found,
    send: (status) => {
      // That the wish was reached is recorded with the report that tells it.
      const unsent = { ...status, power: found.status.power };
      return sending({ ...found, status: counted(unsent) }, field, unsent);
    },
  };
}

/** Sends one setting; `unsent` is the status as long as that is not done. */
function sending(
  { input, record, fresh, status }: Found,
  field: SettingField,
  unsent: WorkspaceDraft,
): WorkspaceStep {
  if (!fresh) return { do: 'read', fact: 'freshWorkspace' };
  const wish = input.object.spec[field];
  const message = `Setting spec.${field} ${shown(wish)} in Coder`;
  return unlessSuspended(
    input,
    {
      do: 'write',
      operation: { type: 'Set', workspaceID: record.id, field, value: String(wish) },
      status: withVerdict(input, status, {
        ready: { status: 'False', reason: 'Updating', message },
        synced,
        reconciling: { reason: 'Progressing', message },
      }),
      event: { type: 'Normal', reason: 'Updating', message },
    },
    unsent,
  );
}

function shown(value: string | number | undefined): string {
  return value === '' ? '"" (never)' : String(value);
}
