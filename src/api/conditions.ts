import type { CoderWorkspaceStatus } from './generated.ts';
import type { DriftReason, Reason, ReconcilingReason, StalledReason, SuspendedReason } from './reasons.ts';

export type Condition = NonNullable<CoderWorkspaceStatus['conditions']>[number];
export type ConditionStatus = Condition['status'];

/** One cause: a word from the closed list and a sentence for a person. */
export interface Cause<R extends Reason = Reason> {
  readonly reason: R;
  readonly message: string;
}

/**
 * What a decision says about an object, from which its conditions follow.
 *
 * At most one of `reconciling` and `stalled` may be set, and then Ready is never True: the type cannot say so, and
 * `conditionsOf` makes sure of it.
 */
export interface Verdict {
  readonly ready: Cause & { readonly status: ConditionStatus };
  readonly synced: Cause & { readonly status: ConditionStatus };
  readonly reconciling?: Cause<ReconcilingReason> | undefined;
  readonly stalled?: Cause<StalledReason> | undefined;
  readonly suspended?: Cause<SuspendedReason> | undefined;
  readonly drifted?: Cause<DriftReason> | undefined;
}

/** Longest message that a condition carries, in characters; the CRD's limit is higher. */
const LONGEST_MESSAGE = 1024;

/**
 * The conditions that a verdict means, in a fixed order. `lastTransitionTime` moves only when a status changes, so
 * that an unchanged verdict gives an unchanged status and nothing is written.
 *
 * Ready and Synced are always there; Reconciling, Stalled, Suspended and Drifted only while they are true. The rules are those of
 * Flux's condition checker (github.com/fluxcd/pkg, runtime/conditions/check), so that kstatus reads them rightly.
 */
export function conditionsOf(
  verdict: Verdict,
  previous: readonly Condition[] | undefined,
  generation: number,
  now: Date,
): Condition[] {
  const held = verdict.reconciling !== undefined || verdict.stalled !== undefined;
  const ready =
    held && verdict.ready.status === 'True' ? { ...verdict.ready, status: 'False' as const } : verdict.ready;
  const wanted: [string, ConditionStatus, Cause][] = [
    ['Ready', ready.status, ready],
    ['Synced', verdict.synced.status, verdict.synced],
  ];
  if (verdict.stalled !== undefined) wanted.push(['Stalled', 'True', verdict.stalled]);
  else if (verdict.reconciling !== undefined) wanted.push(['Reconciling', 'True', verdict.reconciling]);
  if (verdict.suspended !== undefined) wanted.push(['Suspended', 'True', verdict.suspended]);
  if (verdict.drifted !== undefined) wanted.push(['Drifted', 'True', verdict.drifted]);

  return wanted.map(([type, status, cause]) => {
    const before = previous?.find((c) => c.type === type);
    return {
      type,
      status,
      observedGeneration: generation,
      lastTransitionTime: before?.status === status ? before.lastTransitionTime : timestamp(now),
      reason: cause.reason,
      message: shorten(oneLine(cause.message), LONGEST_MESSAGE),
    };
  });
}

/** A message quotes names from the spec, which may hold anything: it stays one line, and moves no cursor. */
function oneLine(message: string): string {
  return message.replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ');
}

/** A time as Kubernetes writes it: RFC 3339 in UTC, whole seconds. */
export function timestamp(time: Date): string {
  return time.toISOString().replace(/\.\d+Z$/, 'Z');
}

/** The condition of a type, if it is there. */
export function findCondition(
  conditions: readonly Condition[] | undefined,
  type: string,
): Condition | undefined {
  return conditions?.find((c) => c.type === type);
}

/** At most `most` characters of a message; one that is cut ends in an ellipsis. */
export function shorten(message: string, most: number): string {
  return message.length <= most ? message : `${cut(message, most - 1)}…`;
}

/**
 * At most the first `most` UTF-16 units of a text, and no half character at the end: the API server would keep another
 * one in its place, and what is read back would differ from what was written for ever.
 */
export function cut(text: string, most: number): string {
  const last = text.charCodeAt(most - 1);
  const isHalf = text.length > most && last >= 0xd800 && last <= 0xdbff;
  return text.slice(0, isHalf ? most - 1 : most);
}
