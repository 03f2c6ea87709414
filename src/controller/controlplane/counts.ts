import { isDeepStrictEqual } from 'node:util';
import type { CoderControlPlaneStatus } from '../../api/generated.ts';
import type { Clock } from '../../base/clock.ts';
import type { Scope } from '../facts.ts';
import type { WorkspaceRecord } from '../observer/record.ts';
import type { TemplateRecord } from '../template/input.ts';

export type Counts = NonNullable<CoderControlPlaneStatus['counts']>;

/** Everything that a Coder holds. */
export interface Everything {
  readonly workspaces: Iterable<Pick<WorkspaceRecord, 'organizationName' | 'ownerName' | 'isPrebuild'>>;
  readonly templates: Iterable<Pick<TemplateRecord, 'organizationName'>>;
}

/** How much of it may be managed. Prebuilds are nobody's workspaces yet, and templates have no owner to be in scope. */
export function countsWithin(scope: Scope, { workspaces, templates }: Everything): Counts {
  const isOrganization = matcher(scope.organizations);
  const isOwner = matcher(scope.owners);
  const counts = { workspaces: 0, templates: 0 };
  for (const { organizationName, ownerName, isPrebuild } of workspaces) {
    if (!isPrebuild && isOrganization(organizationName) && isOwner(ownerName)) counts.workspaces++;
  }
  for (const { organizationName } of templates) if (isOrganization(organizationName)) counts.templates++;
  return counts;
}

function matcher(names: readonly string[]): (name: string) => boolean {
  if (names.length === 0) return () => true;
  // A set: there may be ten thousand workspaces and hundreds of owners.
  const known = new Set(names.map((name) => name.toLowerCase()));
  return (name) => known.has(name.toLowerCase());
}

interface Counted {
  readonly scope: Scope;
  readonly counts: Counts;
  /** By the monotonic clock. */
  readonly at: number;
}

/**
 * Counts at a slow rhythm. A control plane is woken by every object that takes our finalizer, and must not write its
 * status each time.
 */
export class Counting {
  readonly #clock: Clock;
  readonly #last = new Map<string, Counted>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * What a namespace's Coder holds within the scope, as counted less than `rhythmMs` ago.
   *
   * @param everything undefined while not all of it was looked at.
   */
  count(
    namespace: string,
    scope: Scope,
    everything: Everything | undefined,
    rhythmMs: number,
  ): Counts | undefined {
    const last = this.#last.get(namespace);
    const at = this.#clock.monotonic();
    const isRecent = last !== undefined && at - last.at < rhythmMs && isDeepStrictEqual(last.scope, scope);
    if (everything === undefined || isRecent) return last?.counts;
    const counts = countsWithin(scope, everything);
    this.#last.set(namespace, { scope, counts, at });
    return counts;
  }

  forget(namespace: string): void {
    this.#last.delete(namespace);
  }
}
