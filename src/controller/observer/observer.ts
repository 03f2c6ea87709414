import { setMaxListeners } from 'node:events';
import type { Clock } from '../../base/clock.ts';
import { errorText } from '../../base/errors.ts';
import type { Logger } from '../../base/logger.ts';
import type { CoderClient } from '../../coder/client.ts';
import { isForbidden, isGone, isNotFound } from '../../coder/errors.ts';
import type { Workspace, WorkspaceBuild } from '../../coder/types.ts';
import type { TemplateRecord } from '../template/input.ts';
import { templateNameOf, templateRecordOf } from '../template/records.ts';
import { RecordCache, type Suspicion } from './cache.ts';
import { JobFeed, type JobFeedState } from './feed.ts';
import { Follower } from './follower.ts';
import { buildRecordOf, isActive, objectNameOf, recordOf, type WorkspaceRecord } from './record.ts';
import { listTimeoutMs, pauseAfter } from './rhythm.ts';
import type { BuildNews } from './seenjobs.ts';
import { inSlices } from './slices.ts';
import { Texts } from './texts.ts';

export interface ObserverOptions {
  readonly client: CoderClient;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Time between two looks at everything, in milliseconds; stretched when a look takes long. */
  readonly pollIntervalMs: number;
  /** Told of every workspace whose record changed, or that is not seen any more. */
  readonly onWorkspace: (id: string) => void;
  /** Told of every template whose record changed, or that is not seen any more. */
  readonly onTemplate: (id: string) => void;
  /** Told once, after the first look at everything: from then on what is remembered is worth asking for. */
  readonly onFirstLook: () => void;
  /** Told after each look at all of one kind, the first one too. */
  readonly onLook?: ((what: 'workspaces' | 'templates') => void) | undefined;
  /** Told of all that becomes known of a workspace, also by calls of ours, and with `undefined` of what is forgotten. */
  readonly onRecord?: ((id: string, record: WorkspaceRecord | undefined) => void) | undefined;
  /** Told when Coder could not be read. */
  readonly onError: (error: unknown) => void;
  /**
   * Throws when another Coder answers than the one that is meant. Asked before and after each look, and after each read of
   * what was not known: what another one says of its own must not be taken for news of this one.
   */
  readonly assertSameCoder?: ((signal: AbortSignal) => Promise<void>) | undefined;
  /** Names of the organizations whose builds matter as soon as they begin; empty for all. Default all. */
  readonly organizations?: (() => readonly string[]) | undefined;
  /** From 0 to 1. Default Math.random. */
  readonly random?: (() => number) | undefined;
}

/**
 * Knows what one Coder holds, and wakes the objects that are concerned when something changes.
 *
 * It looks at everything at a slow rhythm, at the jobs that Coder has begun at a quick one, and follows builds under way
 * closely, so its cost does not grow with the number of objects that rest.
 */
export class Observer {
  readonly #options: ObserverOptions;
  readonly #follower: Follower;
  readonly #feed: JobFeed;
  readonly #texts = new Texts();
  readonly #shared = (text: string): string => this.#texts.one(text);
  readonly workspaces: RecordCache<WorkspaceRecord>;
  readonly templates: RecordCache<TemplateRecord>;

  /** How many workspaces each template had at the last look at everything. */
  #users: ReadonlyMap<string, number> = new Map();
  /** How many rows Coder counted but did not show at the last look. */
  #heldBack = 0;
  #hasLooked = false;
  /** A look that is given up in the middle has told nobody: the next one is the first again. */
  #hasToldFirstLook = false;
  #hasListedTemplates = false;
  /** When everything is to be looked at next, on the monotonic clock. */
  #lookDueAt = -Infinity;

  constructor(options: ObserverOptions) {
    this.#options = options;
    const { client, clock } = options;
    this.workspaces = new RecordCache({ onTaken: options.onRecord, nameOf: objectNameOf, clock });
    this.templates = new RecordCache({ nameOf: templateNameOf, clock });
    this.#follower = new Follower({
      clock,
      isUnderWay: (record) => isActive(record.build),
      readOne: (id, signal) => this.#readOne(id, signal),
      readMany: async (ids, signal) => {
        const list = await client.workspaces({ query: `id:${ids.join(',')}`, signal, counted: false });
        await this.#assertSameCoder(list.workspaces, signal);
        return list.workspaces.map((w) => recordOf(w, this.#shared));
      },
      onRead: (id, record, askedAt) => {
        if (record === undefined) {
          this.workspaces.forget(id);
          options.onWorkspace(id);
        } else if (this.workspaces.put(record, askedAt)) {
          options.onWorkspace(id);
        }
      },
      onError: options.onError,
    });
    this.#feed = new JobFeed({
      client,
      clock,
      organizations: options.organizations ?? ((): readonly string[] => []),
      onNews: (news) => this.#hear(news),
      onError: options.onError,
      random: options.random,
    });
  }

  /** Whether everything in Coder was looked at once. */
  get hasLooked(): boolean {
    return this.#hasLooked;
  }

  /** Number of builds that are followed now. */
  get inFlight(): number {
    return this.#follower.size;
  }

  /** Whether builds that others ask for are seen soon after they begin, or with the next look at everything only. */
  get jobFeed(): JobFeedState {
    return this.#feed.state;
  }

  /** Everything that Coder holds, as far as it is shown to us; undefined until all of it was looked at once. */
  get everything():
    | { readonly workspaces: Iterable<WorkspaceRecord>; readonly templates: Iterable<TemplateRecord> }
    | undefined {
    if (!this.#hasLooked || !this.#hasListedTemplates) return undefined;
    return { workspaces: this.workspaces.records(), templates: this.templates.records() };
  }

  /** Workspaces of a template at the last look at everything; undefined before the first. */
  usersOf(templateID: string): number | undefined {
    return this.#hasLooked ? (this.#users.get(templateID) ?? 0) : undefined;
  }

  template(id: string): TemplateRecord | undefined {
    return this.templates.get(id);
  }

  /** Takes in what a call of ours brought; wakes nobody, since whoever called knows it. */
  learn(workspace: Workspace, askedAt: number): WorkspaceRecord {
    const record = recordOf(workspace, this.#shared);
    this.workspaces.put(record, askedAt);
    return this.workspaces.get(record.id) ?? record;
  }

  /** The same for the answer to a new build. */
  learnBuild(before: WorkspaceRecord, build: WorkspaceBuild, askedAt: number): WorkspaceRecord {
    const record: WorkspaceRecord = { ...before, build: buildRecordOf(build, this.#shared) };
    this.workspaces.put(record, askedAt);
    return record;
  }

  /** The same for a template. Its workspaces are told what the active version is now: they may have to follow it. */
  learnTemplate(record: TemplateRecord, askedAt: number): void {
    this.templates.put(record, askedAt);
    const { id, activeVersionID } = record;
    const moved = this.workspaces.amend((workspace) =>
      workspace.templateID !== id || workspace.templateActiveVersionID === activeVersionID
        ? workspace
        : {
            ...workspace,
            templateActiveVersionID: activeVersionID,
            outdated: workspace.build.templateVersionID !== activeVersionID,
          },
    );
    void inSlices(moved, this.#options.onWorkspace, this.#options.clock);
  }

  /** What is not seen is not remembered, so that seeing it again later wakes its object. */
  forgetTemplate(id: string): void {
    this.templates.forget(id);
  }

  /**
   * It was just proven that a workspace is gone, or its deletion confirmed. No answer to what was asked for until now
   * brings it back.
   */
  provenGone(workspaceID: string): void {
    this.workspaces.bury(workspaceID, this.#options.clock.monotonic());
  }

  /** The same for a template. */
  templateProvenGone(id: string): void {
    this.templates.bury(id, this.#options.clock.monotonic());
  }

  /** Follows a workspace's build until it ends. */
  follow(workspaceID: string): void {
    this.#follower.follow(workspaceID);
  }

  /** Runs until the signal aborts. May be run again after that, and keeps its rhythm. */
  async run(signal: AbortSignal): Promise<void> {
    // Every read under way listens for the end: that many are no leak.
    setMaxListeners(0, signal);
    await Promise.all([this.#follower.run(signal), this.#feed.run(signal), this.#pollUntil(signal)]);
  }

  /** A build has begun or moved on. What is known of it already, by our own calls or the follower, is not read again. */
  #hear({ workspaceID, buildID, jobStatus, isFirst }: BuildNews): void {
    const known = this.workspaces.get(workspaceID);
    const isKnown = known?.build.id === buildID && known?.build.jobStatus === jobStatus;
    const isUnderWay = isActive({ jobStatus });
    if (isKnown) {
      if (isUnderWay) this.#follower.follow(workspaceID);
    } else if (isUnderWay || !isFirst || known !== undefined) {
      // Of what is not known and ended before we looked, the whole list has told what there is.
      this.#follower.follow(workspaceID, 0);
    }
  }

  async #pollUntil(signal: AbortSignal): Promise<void> {
    const { clock, logger, pollIntervalMs, onError, random = Math.random } = this.#options;
    let tookMs = 0;
    let failures = 0;
    for (;;) {
      const waitMs = this.#lookDueAt - clock.monotonic();
      if (waitMs > 0) await clock.sleep(waitMs, signal).catch(() => undefined);
      if (signal.aborted) return;
      const startedAt = clock.monotonic();
      try {
        await this.#lookAtEverything(listTimeoutMs(tookMs), signal);
        failures = 0;
      } catch (error) {
        // A look that was given up is still to be made; everything else is told and tried again at the next turn.
        if (signal.aborted as boolean) return;
        failures++;
        logger.warn('Coder could not be looked at', { error: errorText(error) });
        onError(error);
      }
      tookMs = clock.monotonic() - startedAt;
      const pauseMs = pauseAfter({ tookMs, failures, pollIntervalMs, random: random() });
      this.#lookDueAt = clock.monotonic() + pauseMs;
    }
  }

  async #lookAtEverything(timeoutMs: number, signal: AbortSignal): Promise<void> {
    const { client, clock, logger, onWorkspace, onTemplate, onFirstLook, onLook } = this.#options;
    const askedAt = clock.monotonic();
    await this.#options.assertSameCoder?.(signal);
    this.#texts.turn();
    // A row may come twice, when it moved while the list was made.
    const rows = new Map<string, WorkspaceRecord>();
    const organizations = new Map<string, string>();
    const each = (workspace: Workspace): void => {
      rows.set(workspace.id, recordOf(workspace, this.#shared));
      organizations.set(workspace.organization_id, workspace.organization_name);
    };
    const { count } = await client.eachWorkspace(each, { timeoutMs, counted: false, signal });
    await this.#options.assertSameCoder?.(signal);
    logger.debug('looked at everything in Coder', { workspaces: rows.size, count });
    const heldBack = Math.max(0, count - rows.size);
    const suspicion = suspicionAfter(heldBack, this.#heldBack);
    this.#heldBack = heldBack;
    const { changed, missing } = await this.workspaces.putAll(rows, askedAt, suspicion);
    const isFirst = !this.#hasToldFirstLook;
    this.#hasLooked = true;
    const recounted = this.#count(rows.values());
    // The first look changes all: everybody is woken at its end, also when the templates cannot be read.
    if (!isFirst) {
      await inSlices([...changed, ...missing], onWorkspace, clock);
      onLook?.('workspaces');
    }
    let moved: readonly string[] = [];
    try {
      moved = await this.#lookAtTemplates(signal);
    } finally {
      // What was counted is told now or never, also when the templates cannot be read.
      if (!isFirst) await inSlices(new Set([...moved, ...recounted]), onTemplate, clock);
      // A connection that has ended meanwhile has nothing to tell.
      else if (!signal.aborted) {
        this.#hasToldFirstLook = true;
        onFirstLook();
        onLook?.('workspaces');
      }
      for (const template of this.templates.records()) {
        organizations.set(template.organizationID, template.organizationName);
      }
      this.#feed.refresh(organizations);
    }
    onLook?.('templates');
  }

  /** Counts what uses each template; ids of those with another number than before. */
  #count(records: Iterable<WorkspaceRecord>): readonly string[] {
    const before = this.#users;
    const users = new Map<string, number>();
    for (const { templateID } of records) users.set(templateID, (users.get(templateID) ?? 0) + 1);
    this.#users = users;
    return [...new Set([...before.keys(), ...users.keys()])].filter((id) => before.get(id) !== users.get(id));
  }

  /** Ids of the templates that changed or are not seen any more. */
  async #lookAtTemplates(signal: AbortSignal): Promise<readonly string[]> {
    const { client, clock } = this.#options;
    const askedAt = clock.monotonic();
    const templates = await client.templates({ signal, counted: false });
    await this.#options.assertSameCoder?.(signal);
    const rows = new Map(templates.map((t) => [t.id, templateRecordOf(t)]));
    const { changed, missing } = await this.templates.putAll(rows, askedAt);
    this.#hasListedTemplates = true;
    return [...changed, ...missing];
  }

  /** What is known already can only be of the Coder that is meant: no two of them share a UUID. */
  async #assertSameCoder(read: readonly Workspace[], signal: AbortSignal): Promise<void> {
    const isKnown = read.every(({ id }) => this.workspaces.get(id) !== undefined);
    if (!isKnown) await this.#options.assertSameCoder?.(signal);
  }

  /** Undefined for one that is not shown to us; one that is gone for certain does not come back. */
  async #readOne(id: string, signal: AbortSignal): Promise<WorkspaceRecord | undefined> {
    try {
      const workspace = await this.#options.client.workspace(id, { signal, counted: false });
      await this.#assertSameCoder([workspace], signal);
      return recordOf(workspace, this.#shared);
    } catch (error) {
      if (isGone(error)) this.provenGone(id);
      // Coder forbids a workspace whose template is not shown to us.
      if (isGone(error) || isNotFound(error) || isForbidden(error)) return undefined;
      throw error;
    }
  }
}

/**
 * What the absence of rows says in a list of which Coder held back so many: it drops those of which it may not show us
 * everything, and the largest cannot be read in a list. When it holds back more than before, those are the ones that we
 * miss, and they are remembered. When it goes on to hold back some, only what the list before had is missed: the others
 * were read one by one already, and would be again after each look.
 */
function suspicionAfter(heldBack: number, before: number): Suspicion {
  if (heldBack > before) return 'none';
  return heldBack > 0 ? 'listed' : 'all';
}
