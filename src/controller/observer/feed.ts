import type { Clock } from '../../base/clock.ts';
import type { CoderClient } from '../../coder/client.ts';
import { isForbidden, isNotFound } from '../../coder/errors.ts';
import { activeStatuses } from '../../coder/states.ts';
import type { ProvisionerJob } from '../../coder/types.ts';
import { Alarm } from './alarm.ts';
import { MOST_BUSY } from './rhythm.ts';
import { SeenJobs, type BuildNews } from './seenjobs.ts';

/** Whether Coder tells of builds at once, or only the whole list does, later. */
export interface JobFeedState {
  /** `refused` when the token may read the jobs of no organization, `unknown` while none was asked for. */
  readonly state: 'working' | 'refused' | 'unknown';
  /** Names of the organizations whose jobs the token may not read. */
  readonly refused: readonly string[];
}

export interface JobFeedOptions {
  readonly client: Pick<CoderClient, 'provisionerJobs'>;
  readonly clock: Clock;
  /** Names of the organizations that matter; empty for all. */
  readonly organizations: () => readonly string[];
  /** Told of every build that has begun or moved on. */
  readonly onNews: (news: BuildNews) => void;
  /** Told when jobs could not be read for another reason than that the token may not. */
  readonly onError: (error: unknown) => void;
  /** From 0 to 1. Default Math.random. */
  readonly random?: (() => number) | undefined;
}

/** Active jobs cost Coder little; a short build may begin and end between two looks at them, but is among the newest. */
type Kind = 'active' | 'newest';

const INTERVAL_MS: Readonly<Record<Kind, number>> = { active: 2_000, newest: 4_000 };
/** Requests a second for one organization, and therefore, with longer intervals, for any number of them. */
const RATE = 1_000 / INTERVAL_MS.active + 1_000 / INTERVAL_MS.newest;
const MOST_RATE = 1;
/** Active jobs that are asked for: more are seen as those before them end. */
const MOST_ACTIVE = 1_000;
/** As many of the newest as begin between two looks, and then some. When these were more, the larger number is asked for. */
const NEWEST = 100;
const MOST_NEWEST = 1_000;
/** Failing looks become as seldom as this. */
const SLOWEST_FAILING_MS = 60_000;
/** A feed that is later than this is none; the next look tells the same. */
const TIMEOUT_MS = 10_000;

class Turn {
  dueAt = 0;
  failures = 0;
  #last = Infinity;
  #cost = 0;

  /** What a look takes: of the last two the quicker one, so that a single hiccup of Coder does not slow the rhythm down. */
  get costMs(): number {
    return this.#cost;
  }

  took(ms: number): void {
    this.#cost = Math.min(ms, this.#last);
    this.#last = ms;
  }
}

interface Organization {
  readonly id: string;
  name: string;
  readonly seen: SeenJobs;
  readonly turns: Readonly<Record<Kind, Turn>>;
  answer: 'none' | 'given' | 'refused';
}

interface Due {
  readonly organization: Organization;
  readonly kind: Kind;
  readonly turn: Turn;
}

/**
 * Tells of every build in Coder, whoever asked for it, soon after it has begun: each one makes a job, and the jobs of an
 * organization are listed quickly, however many workspaces there are.
 *
 * One request at a time, about one a second at most, and each kind at most a twentieth of the time for all organizations
 * together. Whoever may not read jobs is asked again after the next look at everything only.
 */
export class JobFeed {
  readonly #options: JobFeedOptions;
  readonly #alarm: Alarm;
  #organizations: ReadonlyMap<string, Organization> = new Map();

  constructor(options: JobFeedOptions) {
    this.#options = options;
    this.#alarm = new Alarm(options.clock);
  }

  get state(): JobFeedState {
    const inScope = this.#inScope();
    const refused = inScope.filter((o) => o.answer === 'refused').map((o) => o.name);
    const isWorking = inScope.some((o) => o.answer === 'given');
    return { state: isWorking ? 'working' : refused.length > 0 ? 'refused' : 'unknown', refused };
  }

  /** These are the organizations now, names by id. Those that refused are asked once more. */
  refresh(names: ReadonlyMap<string, string>): void {
    const next = new Map<string, Organization>();
    const now = this.#options.clock.monotonic();
    for (const [id, name] of names) {
      const organization = this.#organizations.get(id) ?? newOrganization(id, name);
      organization.name = name;
      if (organization.answer === 'refused') organization.turns.active.dueAt = now;
      next.set(id, organization);
    }
    this.#organizations = next;
    this.#alarm.ring();
  }

  /** Runs until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const next = this.#next();
      if (next !== undefined && next.turn.dueAt <= this.#options.clock.monotonic()) {
        await this.#look(next, signal);
      } else {
        await this.#alarm.until(next?.turn.dueAt ?? Infinity, signal);
      }
    }
  }

  #inScope(): readonly Organization[] {
    const wanted = new Set(this.#options.organizations().map((name) => name.toLowerCase()));
    const all = [...this.#organizations.values()];
    return wanted.size === 0 ? all : all.filter(({ name }) => wanted.has(name.toLowerCase()));
  }

  #next(): Due | undefined {
    let first: Due | undefined;
    for (const organization of this.#inScope()) {
      for (const kind of ['active', 'newest'] as const) {
        const turn = organization.turns[kind];
        if (first === undefined || turn.dueAt < first.turn.dueAt) first = { organization, kind, turn };
      }
    }
    return first;
  }

  async #look({ organization, kind, turn }: Due, signal: AbortSignal): Promise<void> {
    const { clock, onNews, onError } = this.#options;
    const startedAt = clock.monotonic();
    try {
      const news = await this.#read(organization, kind, signal);
      turn.took(clock.monotonic() - startedAt);
      turn.failures = 0;
      turn.dueAt = startedAt + this.#intervalMs(kind, turn);
      organization.answer = 'given';
      // It was refused before.
      if (organization.turns.newest.dueAt === Infinity) organization.turns.newest.dueAt = startedAt;
      for (const build of news) onNews(build);
    } catch (error) {
      if (signal.aborted) return;
      if (isNotFound(error) || isForbidden(error)) {
        organization.answer = 'refused';
        for (const each of Object.values(organization.turns)) each.dueAt = Infinity;
        return;
      }
      turn.failures++;
      turn.dueAt = clock.monotonic() + this.#pauseMs(kind, turn);
      onError(error);
    }
  }

  async #read({ id, seen }: Organization, kind: Kind, signal: AbortSignal): Promise<readonly BuildNews[]> {
    const ask = (limit: number, status?: typeof activeStatuses): Promise<readonly ProvisionerJob[]> =>
      this.#options.client.provisionerJobs(id, {
        limit,
        ...(status === undefined ? {} : { status }),
        signal,
        counted: false,
        // Before the many reads of builds under way: it takes a moment and others wait for what it tells.
        priority: 'high',
        timeoutMs: TIMEOUT_MS,
      });
    if (kind === 'active') return seen.takeActive(await ask(MOST_ACTIVE, activeStatuses));
    const newest = await ask(NEWEST);
    const isCutShort = newest.length >= NEWEST && !seen.joins(newest);
    return seen.takeNewest(isCutShort ? await ask(MOST_NEWEST) : newest);
  }

  #intervalMs(kind: Kind, { costMs }: Turn): number {
    const fed = this.#inScope().filter((o) => o.answer !== 'refused').length;
    const stretch = Math.max(1, (RATE * fed) / MOST_RATE);
    return Math.max(INTERVAL_MS[kind] * stretch, (costMs * fed) / MOST_BUSY);
  }

  #pauseMs(kind: Kind, turn: Turn): number {
    const { random = Math.random } = this.#options;
    const longest = Math.min(SLOWEST_FAILING_MS, INTERVAL_MS[kind] * 2 ** Math.min(turn.failures, 10));
    return Math.max(this.#intervalMs(kind, turn), longest * (0.5 + 0.5 * random()));
  }
}

function newOrganization(id: string, name: string): Organization {
  const turns = { active: new Turn(), newest: new Turn() };
  return { id, name, seen: new SeenJobs(), turns, answer: 'none' };
}
