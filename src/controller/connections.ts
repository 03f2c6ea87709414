import { isDeepStrictEqual } from 'node:util';
import type { Cause } from '../api/conditions.ts';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import type { CoderClient } from '../coder/client.ts';
import { CoderError } from '../coder/errors.ts';
import { BuildSlots } from './buildslots.ts';
import type { ConnectedFact, ConnectionFact } from './facts.ts';
import { failureOf } from './failure.ts';
import { Observer } from './observer/observer.ts';
import { VersionCache } from './observer/versions.ts';
import { UploadSlots } from './uploadslots.ts';

/** A connection that was made, with what watches Coder through it. */
export interface LiveConnection {
  readonly client: CoderClient;
  readonly observer: Observer;
  /** What template versions ask for. */
  readonly versions: VersionCache;
  /** Who may build now. */
  readonly slots: BuildSlots;
  /** Who may upload now. */
  readonly uploads: UploadSlots;
  readonly fact: ConnectedFact;
}

/** What a control plane's spec allows, whether or not Coder answers. */
export type Permissions = Pick<ConnectedFact, 'scope' | 'adoptedDeletion' | 'suspended'>;

/** A connection that works. */
export interface NewConnection {
  readonly client: CoderClient;
  readonly fact: ConnectedFact;
  readonly pollIntervalMs: number;
  /** Builds of ours at the same time. Default: no limit. */
  readonly maxConcurrentBuilds?: number | undefined;
}

export interface ConnectionsOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Ends every observer. */
  readonly signal: AbortSignal;
  /** Name of the control plane of a namespace, talked to or not. */
  readonly controlPlaneOf: (namespace: string) => string | undefined;
  /** Whether the control plane of a namespace is suspended, as its object says at this very moment. */
  readonly suspendedBySpec: (namespace: string) => boolean;
  /** Told when a namespace's connection became usable or unusable, or allows something else than before. */
  readonly onChange: (namespace: string) => void;
  /** Told when everything in a namespace's Coder was looked at for the first time. */
  readonly onFirstLook: (namespace: string) => void;
  /** Told after each look at all of one kind in a namespace's Coder, the first one too. */
  readonly onLook: (namespace: string, what: 'workspaces' | 'templates') => void;
  /** Told when a call failed in a way that is the connection's fault: the control plane has to be looked at. */
  readonly onSuspicion: (namespace: string, controlPlane: string) => void;
  readonly onWorkspace: (namespace: string, workspaceID: string) => void;
  readonly onTemplate: (namespace: string, templateID: string) => void;
  /** Told when an object that asked for a build may have it now. */
  readonly onSlot: (namespace: string, objectKey: string) => void;
}

/** What is known of a control plane that cannot be used. */
export interface FailedOptions {
  /** What it allows now; left out, what it allowed before. */
  readonly permissions?: Permissions;
  /** Coder answers, and only this once not as it should: because of a rate limit, for instance. Default false. */
  readonly isReached?: boolean;
}

interface Observed extends LiveConnection {
  readonly watch: Watch;
  readonly pollIntervalMs: number;
}

/** What is seen of Coder through one connection, while that works. */
class Watch {
  readonly #run: (signal: AbortSignal) => Promise<void>;
  #stop: AbortController | undefined;
  #ended: Promise<void> = Promise.resolve();

  constructor(run: (signal: AbortSignal) => Promise<void>) {
    this.#run = run;
  }

  /** Begins, or goes on where it was. */
  begin(): void {
    if (this.#stop !== undefined) return;
    const { signal } = (this.#stop = new AbortController());
    this.#ended = this.#ended.then(() => this.#run(signal));
  }

  /** Until it is begun again. */
  end(): void {
    this.#stop?.abort(new Error('the connection is not used any more'));
    this.#stop = undefined;
  }
}

/** A connection works, or it has a failure and perhaps worked before. */
type Entry =
  | { readonly controlPlane: string; readonly live: Observed; readonly failure: undefined }
  | {
      readonly controlPlane: string;
      readonly live: Observed | undefined;
      /** Why it cannot be used now, and since when by the monotonic clock. */
      readonly failure: { readonly cause: Cause; readonly since: number };
    };

/** The connections to Coder, one for each namespace that has a control plane. */
export class Connections {
  readonly #options: ConnectionsOptions;
  readonly #entries = new Map<string, Entry>();

  constructor(options: ConnectionsOptions) {
    this.#options = options;
  }

  /** What a decision may know of a namespace's connection. */
  fact(namespace: string): ConnectionFact {
    const entry = this.#entries.get(namespace);
    if (entry === undefined) {
      return { state: this.#options.controlPlaneOf(namespace) === undefined ? 'none' : 'connecting' };
    }
    const now = { suspended: this.isSuspended(namespace) };
    if (entry.failure === undefined) return { state: 'ready', ...entry.live.fact, ...now };
    return {
      state: 'unavailable',
      controlPlane: entry.controlPlane,
      cause: entry.failure.cause,
      sinceMs: this.#options.clock.monotonic() - entry.failure.since,
      ...(entry.live === undefined ? {} : { last: { ...entry.live.fact, ...now } }),
    };
  }

  /**
   * Asked right before each call that changes something in Coder. A person who suspends a control plane stops what was
   * decided on already, too, so it is the object that answers and not the last look at it.
   */
  isSuspended(namespace: string): boolean {
    return this.#options.suspendedBySpec(namespace);
  }

  /** The connection as it is or last was; deletions may use one whose Secret is gone. */
  live(namespace: string): LiveConnection | undefined {
    return this.#entries.get(namespace)?.live;
  }

  /** The control plane answered as it should. A client that is the same as before goes on observing. */
  connected(namespace: string, controlPlane: string, connection: NewConnection): void {
    const before = this.#entries.get(namespace);
    const { client, fact, pollIntervalMs, maxConcurrentBuilds } = connection;
    const goesOn = before?.live?.client === client && before.live.pollIntervalMs === pollIntervalMs;
    const live =
      before?.live !== undefined && goesOn
        ? { ...before.live, fact }
        : this.#observe(namespace, controlPlane, connection);
    if (goesOn) live.slots.setLimit(maxConcurrentBuilds);
    else this.#end(before);
    this.#entries.set(namespace, { controlPlane, live, failure: undefined });
    live.watch.begin();
    const isSame = before?.failure === undefined && goesOn && isDeepStrictEqual(before.live.fact, fact);
    if (!isSame) this.#options.onChange(namespace);
  }

  /**
   * The control plane cannot be used now. The last connection is kept, for deletions, unless another Coder answers in
   * its place: the token must not be sent there, neither by a deletion nor by the observer.
   *
   * A Coder that does not answer, or refuses the token, is left alone until it does: an outage costs what the control
   * plane asks, and no more with many objects or organizations.
   */
  failed(
    namespace: string,
    controlPlane: string,
    cause: Cause,
    { permissions, isReached = false }: FailedOptions = {},
  ): void {
    const before = this.#entries.get(namespace);
    const since = before?.failure?.since ?? this.#options.clock.monotonic();
    const isAnother = cause.reason === 'DeploymentMismatch';
    if (isAnother) this.#end(before);
    else if (cause.reason === 'CoderUnreachable' && !isReached) before?.live?.watch.end();
    // What is deleted after its Secret is seen to end.
    else before?.live?.watch.begin();
    const last = isAnother ? undefined : before?.live;
    const live = last === undefined ? undefined : { ...last, fact: { ...last.fact, ...permissions } };
    this.#entries.set(namespace, { controlPlane, live, failure: { cause, since } });
    const isSame =
      before?.failure?.cause.message === cause.message && isDeepStrictEqual(live?.fact, last?.fact);
    if (!isSame) this.#options.onChange(namespace);
  }

  /** A call failed. When that is the connection's fault, the control plane is looked at, once. */
  suspect(namespace: string, error: unknown): void {
    const entry = this.#entries.get(namespace);
    if (entry === undefined || entry.failure !== undefined) return;
    if (error instanceof CoderError && failureOf(error).isOfConnection) {
      this.#options.onSuspicion(namespace, entry.controlPlane);
    }
  }

  /** The control plane is gone. */
  drop(namespace: string): void {
    const before = this.#entries.get(namespace);
    this.#entries.delete(namespace);
    this.#end(before);
    before?.live?.client.close();
    this.#options.onChange(namespace);
  }

  /** Ends every connection, when nothing works on any more: an open socket would keep the process alive. */
  close(): void {
    for (const entry of this.#entries.values()) {
      this.#end(entry);
      entry.live?.client.close();
    }
    this.#entries.clear();
  }

  #end(entry: Entry | undefined): void {
    entry?.live?.watch.end();
    entry?.live?.slots.close();
  }

  /** @throws when another deployment answers now; the control plane is looked at then. */
  async #assertSameCoder(
    namespace: string,
    controlPlane: string,
    client: CoderClient,
    signal: AbortSignal,
  ): Promise<void> {
    const { deployment_id: found } = await client.buildInfo({ signal, counted: false });
    const meant = this.live(namespace)?.fact.deploymentID;
    if (meant === undefined || found === meant) return;
    this.#options.onSuspicion(namespace, controlPlane);
    throw new CoderError('UnexpectedResponse', `Another Coder deployment answers (${found}) than ${meant}`);
  }

  #observe(namespace: string, controlPlane: string, connection: NewConnection): Observed {
    const { clock, logger, signal, onWorkspace, onTemplate, onFirstLook, onLook, onSlot } = this.#options;
    const { client, fact, pollIntervalMs, maxConcurrentBuilds } = connection;
    const slots = new BuildSlots({
      clock,
      userID: fact.userID,
      limit: maxConcurrentBuilds,
      onFree: (objectKey) => onSlot(namespace, objectKey),
    });
    const observer = new Observer({
      client,
      clock,
      logger: logger.child({ namespace, controlPlane }),
      pollIntervalMs,
      onWorkspace: (id) => onWorkspace(namespace, id),
      onTemplate: (id) => onTemplate(namespace, id),
      onRecord: (id, record) => slots.see(id, record),
      onFirstLook: () => {
        slots.open();
        onFirstLook(namespace);
      },
      onLook: (what) => onLook(namespace, what),
      // As the control plane says now: a change of its scope does not begin a new connection.
      organizations: () => (this.live(namespace)?.fact ?? fact).scope.organizations,
      onError: (error) => this.suspect(namespace, error),
      assertSameCoder: (ended) => this.#assertSameCoder(namespace, controlPlane, client, ended),
    });
    const watch = new Watch((ended) =>
      observer.run(AbortSignal.any([signal, ended])).catch((error: unknown) => {
        logger.error('an observer ended', { namespace, controlPlane, error });
      }),
    );
    return {
      client,
      fact,
      pollIntervalMs,
      observer,
      versions: new VersionCache({ client }),
      slots,
      uploads: new UploadSlots(clock),
      watch,
    };
  }
}
