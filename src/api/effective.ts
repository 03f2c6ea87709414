import type { CoderControlPlaneSpec, CoderWorkspaceSpec } from './generated.ts';
import type { Origin } from './kinds.ts';

/** How often everything in Coder is looked at when the control plane does not say. */
export const DEFAULT_POLL_INTERVAL_MS = 60_000;

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Milliseconds of a duration as Go and Kubernetes write it (`90s`, `1m30s`), or undefined when it is none. */
export function parseDuration(text: string): number | undefined {
  if (!/^(?:\d+(?:\.\d+)?(?:ms|s|m|h))+$/.test(text)) return undefined;
  let total = 0;
  for (const [, amount = '0', unit = 's'] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)) {
    total += Number(amount) * (UNIT_MS[unit] ?? 0);
  }
  return total;
}

/** Milliseconds between two looks at everything; 10 seconds to 1 hour whatever an older schema let through. */
export function pollIntervalOf(spec: CoderControlPlaneSpec): number {
  const wished = spec.pollInterval === undefined ? undefined : parseDuration(spec.pollInterval);
  return Math.min(3_600_000, Math.max(10_000, wished ?? DEFAULT_POLL_INTERVAL_MS));
}

export interface DeletionChoice {
  /** What deleting the object does to the thing in Coder. */
  readonly policy: 'Delete' | 'Retain';
  /** Delete was asked for and does not count, since the operator did not create the thing. */
  readonly overruled: boolean;
}

/**
 * What deleting an object means. What the operator created is deleted unless it is to be kept; everything else, and
 * what is of unknown origin as after a restore without status, only if both the object and the control plane say so.
 *
 * @param adoptedDeletion whether the control plane lets go of what the operator did not create.
 */
export function deletionOf(
  wished: 'Delete' | 'Retain' | undefined,
  origin: Origin | undefined,
  adoptedDeletion: boolean,
): DeletionChoice {
  if (origin === 'Created') return { policy: wished ?? 'Delete', overruled: false };
  if (wished !== 'Delete') return { policy: 'Retain', overruled: false };
  return adoptedDeletion ? { policy: 'Delete', overruled: false } : { policy: 'Retain', overruled: true };
}

/** Requests to Coder in a minute when the control plane does not say. */
export const DEFAULT_REQUESTS_PER_MINUTE = 240;

/** How long a build may take before it is reported, when the object does not say. */
export const DEFAULT_BUILD_TIMEOUT_MS = 30 * 60_000;

/** Milliseconds that a build may take before it is reported as taking too long. */
export function buildTimeoutOf(spec: CoderWorkspaceSpec): number {
  const wished = spec.buildTimeout === undefined ? undefined : parseDuration(spec.buildTimeout);
  return wished ?? DEFAULT_BUILD_TIMEOUT_MS;
}

/** Whether what somebody changes in Coder is set right again. */
export function isEnforced(spec: Pick<CoderWorkspaceSpec, 'driftPolicy'>): boolean {
  return spec.driftPolicy !== 'OnChange';
}
