import type { ProvisionerJob } from '../../coder/types.ts';

/** A build by anybody that has begun or moved on, as its job tells. */
export interface BuildNews {
  readonly workspaceID: string;
  readonly buildID: string | undefined;
  readonly jobStatus: string;
  /** Nothing was known of jobs before: it may have been so for long. */
  readonly isFirst: boolean;
}

type Statuses = Map<string, string>;

/** What was seen of the jobs of one organization, as far as is needed to tell what is new. Bounded by what one answer holds. */
export class SeenJobs {
  /** Those that the last answer about active jobs had, with their newest known status. */
  #active: Statuses | undefined;
  /** The same of the last answer about the newest jobs. */
  #newest: Statuses | undefined;

  /** Whether the newest jobs join on to those that were seen before. If not, there may be more between. */
  joins(jobs: readonly ProvisionerJob[]): boolean {
    return this.#newest === undefined || jobs.some(({ id }) => this.#newest?.has(id));
  }

  /** Takes in all active jobs, newest first. */
  takeActive(jobs: readonly ProvisionerJob[]): readonly BuildNews[] {
    const news = this.#newsIn(jobs, this.#active === undefined);
    this.#active = statusesOf(jobs);
    return news;
  }

  /** Takes in the newest jobs, newest first. What is behind the last one that was seen before is older than all of it. */
  takeNewest(jobs: readonly ProvisionerJob[]): readonly BuildNews[] {
    const before = this.#newest;
    const last = before === undefined ? -1 : jobs.findLastIndex(({ id }) => before.has(id));
    const news = this.#newsIn(last === -1 ? jobs : jobs.slice(0, last + 1), before === undefined);
    this.#newest = statusesOf(jobs);
    for (const { id, status } of jobs) if (this.#active?.has(id)) this.#active.set(id, status);
    return news;
  }

  #newsIn(jobs: readonly ProvisionerJob[], isFirst: boolean): readonly BuildNews[] {
    const news: BuildNews[] = [];
    const told = new Set<string>();
    for (const { id, status, type, metadata, input } of jobs) {
      const workspaceID = metadata?.workspace_id;
      if (type !== 'workspace_build' || workspaceID === undefined || told.has(workspaceID)) continue;
      // Only the newest build of a workspace says how it is.
      told.add(workspaceID);
      if ((this.#active?.get(id) ?? this.#newest?.get(id)) === status) continue;
      news.push({ workspaceID, buildID: input?.workspace_build_id, jobStatus: status, isFirst });
    }
    return news;
  }
}

function statusesOf(jobs: readonly ProvisionerJob[]): Statuses {
  return new Map(jobs.map(({ id, status }) => [id, status]));
}
