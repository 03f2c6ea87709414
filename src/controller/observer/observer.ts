import { setMaxListeners } from 'node:events';
import type { Clock } from '../../base/clock.ts';
import { errorText } from '../../base/errors.ts';
import type { Logger } from '../../base/logger.ts';
import type { CoderClient } from '../../coder/client.ts';
import { isGone, isNotFound } from '../../coder/errors.ts';
import type { Workspace, WorkspaceBuild } from '../../coder/types.ts';
import type { TemplateRecord } from '../template/input.ts';
import { templateRecordOf } from '../template/records.ts';
import { RecordCache } from './cache.ts';
import { Follower } from './follower.ts';
import { buildRecordOf, isActive, recordOf, type WorkspaceRecord } from './record.ts';

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
  /** Told of all that becomes known of a workspace, also by calls of ours, and with `undefined` of what is forgotten. */
  readonly onRecord?: ((id: string, record: WorkspaceRecord | undefined) => void) | undefined;
  /** Told when Coder could not be read. */
  readonly onError: (error: unknown) => void;
}

/** A look at everything may take at most this part of the time. */
const MOST_BUSY = 1 / 20;
/** The answer to the whole list may be large: ten thousand workspaces weigh 25 MB and take seconds. */
const WHOLE_LIST = { timeoutMs: 120_000, counted: false } as const;

/**
 * Knows what one Coder holds, and wakes the objects that are concerned when something changes.
 *
 * It looks at everything at a slow rhythm and follows builds under way closely, so its cost does not grow with the
 * number of objects that rest.
 */
export class Observer {
  readonly #options: ObserverOptions;
  readonly #follower: Follower;
  readonly workspaces: RecordCache<WorkspaceRecord>;
  readonly #templates = new RecordCache<TemplateRecord>();

  /** How many workspaces each template had at the last look at everything. */
  #users: ReadonlyMap<string, number> = new Map();
  #hasLooked = false;
  #hasListedTemplates = false;

  constructor(options: ObserverOptions) {
    this.#options = options;
    const { client, clock } = options;
    this.workspaces = new RecordCache(options.onRecord);
    this.#follower = new Follower({
      clock,
      isUnderWay: (record) => isActive(record.build),
      readOne: (id, signal) => readWorkspace(client, id, signal),
      readMany: async (ids, signal) => {
        const list = await client.workspaces({ query: `id:${ids.join(',')}`, signal, counted: false });
        return list.workspaces.map(recordOf);
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
  }

  /** Whether everything in Coder was looked at once. */
  get hasLooked(): boolean {
    return this.#hasLooked;
  }

  /** Number of builds that are followed now. */
  get inFlight(): number {
    return this.#follower.size;
  }

  /** Everything that Coder holds, as far as it is shown to us; undefined until all of it was looked at once. */
  get everything():
    | { readonly workspaces: Iterable<WorkspaceRecord>; readonly templates: Iterable<TemplateRecord> }
    | undefined {
    if (!this.#hasLooked || !this.#hasListedTemplates) return undefined;
    return { workspaces: this.workspaces.records(), templates: this.#templates.records() };
  }

  /** Workspaces of a template at the last look at everything; undefined before the first. */
  usersOf(templateID: string): number | undefined {
    return this.#hasLooked ? (this.#users.get(templateID) ?? 0) : undefined;
  }

  template(id: string): TemplateRecord | undefined {
    return this.#templates.get(id);
  }

  /** Takes in what a call of ours brought; wakes nobody, since whoever called knows it. */
  learn(workspace: Workspace, askedAt: number): WorkspaceRecord {
    const record = recordOf(workspace);
    this.workspaces.put(record, askedAt);
    return this.workspaces.get(record.id) ?? record;
  }

  /** The same for the answer to a new build. */
  learnBuild(before: WorkspaceRecord, build: WorkspaceBuild, askedAt: number): WorkspaceRecord {
    const record: WorkspaceRecord = { ...before, build: buildRecordOf(build) };
    this.workspaces.put(record, askedAt);
    return record;
  }

  /** The same for a template. Its workspaces are told what the active version is now: they may have to follow it. */
  learnTemplate(record: TemplateRecord, askedAt: number): void {
    this.#templates.put(record, askedAt);
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
    for (const workspaceID of moved) this.#options.onWorkspace(workspaceID);
  }

  /** What is not seen is not remembered, so that seeing it again later wakes its object. */
  forgetTemplate(id: string): void {
    this.#templates.forget(id);
  }

  /** Follows a workspace's build until it ends. */
  follow(workspaceID: string): void {
    this.#follower.follow(workspaceID);
  }

  /** Runs until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    // Every read under way listens for the end: that many are no leak.
    setMaxListeners(0, signal);
    await Promise.all([this.#follower.run(signal), this.#pollUntil(signal)]);
  }

  async #pollUntil(signal: AbortSignal): Promise<void> {
    const { clock, logger, pollIntervalMs, onError } = this.#options;
    while (!signal.aborted) {
      const startedAt = clock.monotonic();
      try {
        await this.#lookAtEverything(signal);
      } catch (error) {
        // An abort ends the loop; everything else is told and tried again at the next turn.
        if (!(signal.aborted as boolean)) {
          logger.warn('Coder could not be looked at', { error: errorText(error) });
          onError(error);
        }
      }
      const tookMs = clock.monotonic() - startedAt;
      await clock.sleep(Math.max(pollIntervalMs, tookMs / MOST_BUSY), signal).catch(() => undefined);
    }
  }

  async #lookAtEverything(signal: AbortSignal): Promise<void> {
    const { client, clock, logger, onWorkspace, onTemplate, onFirstLook } = this.#options;
    const askedAt = clock.monotonic();
    const records: WorkspaceRecord[] = [];
    const { count } = await client.eachWorkspace((w) => records.push(recordOf(w)), { ...WHOLE_LIST, signal });
    logger.debug('looked at everything in Coder', { workspaces: records.length, count });
    const { changed, missing } = this.workspaces.putAll(records, askedAt);
    const isFirst = !this.#hasLooked;
    this.#hasLooked = true;
    const recounted = this.#count(records);
    // The first look changes all: everybody is woken at its end, also when the templates cannot be read.
    if (!isFirst) for (const id of [...changed, ...missing]) onWorkspace(id);
    let moved: readonly string[] = [];
    try {
      moved = await this.#lookAtTemplates(signal);
    } finally {
      // What was counted is told now or never, also when the templates cannot be read.
      if (isFirst) onFirstLook();
      else for (const id of new Set([...moved, ...recounted])) onTemplate(id);
    }
  }

  /** Counts what uses each template; ids of those with another number than before. */
  #count(records: readonly WorkspaceRecord[]): readonly string[] {
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
    const { changed, missing } = this.#templates.putAll(templates.map(templateRecordOf), askedAt);
    this.#hasListedTemplates = true;
    return [...changed, ...missing];
  }
}

async function readWorkspace(
  client: CoderClient,
  id: string,
  signal: AbortSignal,
): Promise<WorkspaceRecord | undefined> {
  try {
    return recordOf(await client.workspace(id, { signal, counted: false }));
  } catch (error) {
    if (isGone(error) || isNotFound(error)) return undefined;
    throw error;
  }
}
