import type { PendingOperation } from '../../api/kinds.ts';
import { scheduleProblem } from '../../api/schedule.ts';
import { corrects } from '../correction.ts';
import { noted } from '../notes.ts';
import { synced, unlessSuspended, withVerdict } from '../report.ts';
import { weighWishes } from '../wishes.ts';
import type { Found, SettingField, WorkspaceDraft, WorkspaceStep } from './input.ts';

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
export function valueOf(field: SettingField, text: string): string | number {
  return field === 'ttlMillis' ? Number(text) : text;
}

/** What is remembered and said of the settings, and the next one to be sent if there is one. */
export interface SettingsDecision {
  readonly found: Found;
  /** @param status what power came to: failures and a cooldown go on, also when the sending fails again and again. */
  readonly send?: (status: WorkspaceDraft) => WorkspaceStep;
}

/**
 * TTL, autostart and automatic updates, each by a call of its own; `../wishes.ts` has the table. None of these keeps the
 * workspace from being started or stopped.
 */
export function decideSettings(before: Found): SettingsDecision {
  const { input, record, status } = before;
  const { spec } = input.object;
  const wishes = FIELDS.map((field) => ({
    field,
    wish: spec[field],
    has: record[field],
    applied: status.applied?.[field],
    problem: field === 'autostartSchedule' ? scheduleProblem(spec[field] ?? '') : undefined,
  }));
  const weighed = weighWishes(before, wishes, {
    corrects: corrects(input),
    obstacle: 'the template or the licence',
    show: shown,
  });
  const found = noted({ ...before, status: weighed.status }, weighed.notes);
  const [field] = weighed.wanted;
  if (field === undefined || record.build.transition === 'delete') return { found };
  return {
    found,
    send: (status) => {
      // That the wish was reached is recorded with the report that tells it.
      const unsent = { ...status, power: found.status.power };
      return sending({ ...found, status: weighed.counted(unsent) }, field, unsent);
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

function shown(value: unknown): string {
  return value === '' ? '"" (never)' : String(value);
}
