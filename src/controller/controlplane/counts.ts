import { isDeepStrictEqual } from 'node:util';
import type { CoderControlPlaneStatus } from '../../api/generated.ts';
import type { Clock } from '../../base/clock.ts';
import type { Scope } from '../facts.ts';
import { scopeMatcher } from '../scope.ts';
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
  const isIn = scopeMatcher(scope);
  const counts = { workspaces: 0, templates: 0 };
  for (const workspace of workspaces) if (!workspace.isPrebuild && isIn(workspace)) counts.workspaces++;
  for (const template of templates) if (isIn(template)) counts.templates++;
  return counts;
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
   * @param mirrored how much of it objects of the operator's own show; undefined while that is still to be found out.
   */
  count(
    namespace: string,
    scope: Scope,
    everything: Everything | undefined,
    rhythmMs: number,
    mirrored: () => Pick<Counts, 'mirrored' | 'unmirrored'> | undefined,
  ): Counts | undefined {
    const last = this.#last.get(namespace);
    const at = this.#clock.monotonic();
    const isRecent = last !== undefined && at - last.at < rhythmMs && isDeepStrictEqual(last.scope, scope);
    if (everything === undefined || isRecent) return last?.counts;
    const counts = { ...countsWithin(scope, everything), ...mirrored() };
    this.#last.set(namespace, { scope, counts, at });
    return counts;
  }

  forget(namespace: string): void {
    this.#last.delete(namespace);
  }
}
