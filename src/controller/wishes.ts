import { canonicalEqual } from '../kube/equality.ts';
import { correctionOf, thenCorrected, type Corrected, type CorrectedStatus } from './correction.ts';
import { moreNotes, noNotes, type Drift, type Notes } from './notes.ts';

/**
 * In place of the hash of a wish in a status that was lost: whatever is wished then counts as carried out, although
 * nothing was sent for it. The hash of that wish follows as soon as it is known.
 */
export const TAKEN_AS_APPLIED = 'lost';

/** The part of a status that remembers which settings were brought to Coder, and what came of it. */
export interface RememberingStatus extends CorrectedStatus {
  readonly applied?: { readonly notHonoured?: readonly string[] | undefined } | undefined;
  readonly refusals?: readonly { readonly field: string; readonly message: string }[] | undefined;
}

/** Records that a setting was brought to Coder, and whether Coder heeds it. */
export function withApplied<Status extends RememberingStatus>(
  status: Status,
  field: string,
  value: unknown,
  isHonoured: boolean,
): Status {
  const others = (status.applied?.notHonoured ?? []).filter((f) => f !== field);
  const notHonoured = isHonoured ? others : [...others, field];
  return {
    ...status,
    applied: {
      ...status.applied,
      [field]: value,
      notHonoured: notHonoured.length === 0 ? undefined : notHonoured,
    },
    refusals: withoutRefusal(status, field),
  };
}

/** Records that Coder refuses a setting; it is not sent again until the wish changes. */
export function withRefusal<Status extends RememberingStatus>(
  status: Status,
  field: string,
  value: unknown,
  message: string,
): Status {
  const applied = withApplied(status, field, value, true);
  return { ...applied, refusals: [...(applied.refusals ?? []), { field, message }] };
}

/** Nothing is remembered of a setting: it is not managed, or its wish is to be carried out again. */
export function forgotten<Status extends RememberingStatus>(status: Status, field: string): Status {
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

/** An object with something in it, or none. */
export function unlessEmpty<T extends object>(value: T): T | undefined {
  return Object.values(value).every((v) => v === undefined) ? undefined : value;
}

function withoutRefusal(status: RememberingStatus, field: string): RememberingStatus['refusals'] {
  const refusals = (status.refusals ?? []).filter((r) => r.field !== field);
  return refusals.length === 0 ? undefined : refusals;
}

/** One setting: what is wished, what Coder has, and what was brought there last; undefined for none. */
export interface Wish<Field extends string> {
  readonly field: Field;
  readonly wish: unknown;
  readonly has: unknown;
  readonly applied: unknown;
  /** Why the wish cannot be sent. */
  readonly problem?: string | undefined;
}

/** How the object wants its settings held. */
export interface Holding {
  /** Whether what somebody changed is set right. */
  readonly corrects: boolean;
  /** What may keep Coder from heeding a value that it took. */
  readonly obstacle: string;
  /** A value in a message. */
  readonly show: (value: unknown) => string;
}

export interface Weighed<Field extends string, Status> {
  /** The settings to send now. */
  readonly wanted: readonly Field[];
  /** The status for as long as nothing is sent. */
  readonly status: Status;
  /** A status in which the correction is counted that sending them is, if it is one. */
  readonly counted: (status: Status) => Status;
  readonly notes: Notes;
}

/**
 * Settings, each for itself:
 *
 * | wish against Coder | remembered | then |
 * |---|---|---|
 * | left out | – | not managed, nothing is remembered |
 * | the same | – | remembered as applied |
 * | other | not yet applied | wanted, if it can be valid |
 * | other | applied, refused | Stalled: RefusedByCoder |
 * | other | applied, not heeded | Drifted: SettingsNotHonoured |
 * | other | applied; so somebody changed it | OnChange: Drifted. Enforce: Drifted, and wanted when it is its turn |
 *
 * All that somebody changed is one drift, and setting it right is one correction.
 */
export function weighWishes<Status extends RememberingStatus, Field extends string>(
  { input, status: before }: Corrected<Status>,
  wishes: readonly Wish<Field>[],
  { corrects, obstacle, show }: Holding,
): Weighed<Field, Status> {
  let status = before;
  let notes: Notes = noNotes;
  const wanted: Field[] = [];
  const changed: Field[] = [];
  for (const { field, wish, has, applied, problem } of wishes) {
    if (wish === undefined) {
      status = forgotten(status, field);
    } else if (canonicalEqual(wish, has)) {
      status = withApplied(status, field, wish, true);
    } else if (!canonicalEqual(wish, applied)) {
      if (problem === undefined) wanted.push(field);
      else {
        const message = `spec.${field}: ${problem}`;
        notes = moreNotes(notes, { stalled: { reason: 'InvalidParameters', message } });
      }
    } else {
      const refusal = status.refusals?.find((r) => r.field === field);
      if (refusal !== undefined) {
        const message = `Coder refuses spec.${field} ${show(wish)}: ${refusal.message}. Change it or, when that is mended in Coder, set the annotation coder.com/reconcile-requested-at to a new value`;
        notes = moreNotes(notes, { stalled: { reason: 'RefusedByCoder', message } });
      } else if (status.applied?.notHonoured?.includes(field) === true) {
        const message = `Coder took spec.${field} ${show(wish)} without an error, and has ${show(has)}: ${obstacle} does not allow it`;
        notes = moreNotes(notes, { drifts: [{ reason: 'SettingsNotHonoured', message }] });
      } else {
        changed.push(field);
      }
    }
  }
  const plain = (s: Status): Status => s;
  if (changed.length === 0) return { wanted, status, counted: plain, notes };

  const correction = corrects ? correctionOf({ input, status }) : undefined;
  if (correction?.when === 'now') {
    // All of them are wishes to carry out again.
    const { driftedAt, corrections } = correction.status;
    const counted = (s: Status): Status =>
      changed.reduce((next, field) => forgotten(next, field), { ...s, driftedAt, corrections });
    return { wanted: [...wanted, ...changed], status: correction.unsent, counted, notes };
  }
  const message = `Somebody changed ${changed.map((field) => `spec.${field}`).join(', ')} in Coder: status.observed has what is there`;
  const then = correction === undefined ? '' : `; ${thenCorrected(correction, input.now)}`;
  const drift: Drift = {
    reason: 'SettingsChanged',
    message: `${message}${then}`,
    isOverBudget: correction?.because === 'budget',
  };
  return {
    wanted,
    status: correction?.status ?? status,
    counted: plain,
    notes: moreNotes(notes, { drifts: [drift], afterMs: correction?.afterMs }),
  };
}
