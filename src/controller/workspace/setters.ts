import { isEnforced } from '../../api/effective.ts';
import type { PendingOperation } from '../../api/kinds.ts';
import { scheduleProblem } from '../../api/schedule.ts';
import { noted } from '../notes.ts';
import { synced, unlessSuspended, withVerdict } from '../report.ts';
import { weighWishes } from '../wishes.ts';
import type { Found, SettingField, WorkspaceStep } from './input.ts';

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

/**
 * TTL, autostart and automatic updates, each by a call of its own; `../wishes.ts` has the table. None of these keeps the
 * workspace from being started or stopped.
 */
export function decideSettings(before: Found): Found | WorkspaceStep {
  const { input, record, fresh, status } = before;
  const { spec } = input.object;
  const wishes = FIELDS.map((field) => ({
    field,
    wish: spec[field],
    has: record[field],
    applied: status.applied?.[field],
    problem: field === 'autostartSchedule' ? scheduleProblem(spec[field] ?? '') : undefined,
  }));
  const weighed = weighWishes(before, wishes, {
    isEnforced: isEnforced(spec),
    obstacle: 'the template or the licence',
    show: shown,
  });
  const found = noted({ ...before, status: weighed.status }, weighed.notes);
  const [field] = weighed.wanted;
  if (field === undefined || record.build.transition === 'delete') return found;
  if (!fresh) return { do: 'read', fact: 'freshWorkspace' };
  const value = String(spec[field]);
  const message = `Setting spec.${field} ${shown(spec[field])} in Coder`;
  return unlessSuspended(
    input,
    {
      do: 'write',
      operation: { type: 'Set', workspaceID: record.id, field, value },
      status: withVerdict(input, found.status, {
        ready: { status: 'False', reason: 'Updating', message },
        synced,
        reconciling: { reason: 'Progressing', message },
      }),
      event: { type: 'Normal', reason: 'Updating', message },
    },
    weighed.unsent,
  );
}

function shown(value: unknown): string {
  return value === '' ? '"" (never)' : String(value);
}
