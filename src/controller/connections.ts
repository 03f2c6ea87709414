import type { Cause } from '../api/conditions.ts';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import type { CoderClient } from '../coder/client.ts';
import { CoderError } from '../coder/errors.ts';
import type { ConnectedFact, ConnectionFact } from './facts.ts';
import { failureOf } from './failure.ts';
import { Observer } from './observer/observer.ts';

/** A connection that was made, with what watches Coder through it. */
export interface LiveConnection {
  readonly client: CoderClient;
  readonly observer: Observer;
  readonly fact: ConnectedFact;
}

export interface ConnectionsOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Ends every observer. */
  readonly signal: AbortSignal;
  /** Name of the control plane of a namespace, talked to or not. */
  readonly controlPlaneOf: (namespace: string) => string | undefined;
  /** Told when a namespace's connection became usable or unusable. */
  readonly onChange: (namespace: string) => void;
  /** Told when everything in a namespace's Coder was looked at for the first time. */
  readonly onFirstLook: (namespace: string) => void;
  /** Told when a call failed in a way that is the connection's fault: the control plane has to be looked at. */
  readonly onSuspicion: (namespace: string, controlPlane: string) => void;
  readonly onWorkspace: (namespace: string, workspaceID: string) => void;
  readonly onTemplate: (namespace: string, templateID: string) => void;
}

interface Observed extends LiveConnection {
  readonly stop: AbortController;
  readonly pollIntervalMs: number;
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
    if (entry.failure === undefined) return { state: 'ready', ...entry.live.fact };
    return {
      state: 'unavailable',
      controlPlane: entry.controlPlane,
      cause: entry.failure.cause,
      sinceMs: this.#options.clock.monotonic() - entry.failure.since,
      ...(entry.live === undefined ? {} : { last: entry.live.fact }),
    };
  }

  /** The connection as it is or last was; deletions may use one whose Secret is gone. */
  live(namespace: string): LiveConnection | undefined {
    return this.#entries.get(namespace)?.live;
  }

  /** The control plane answered as it should. A client that is the same as before goes on observing. */
  connected(
    namespace: string,
    controlPlane: string,
    connection: {
      readonly client: CoderClient;
      readonly fact: ConnectedFact;
      readonly pollIntervalMs: number;
    },
  ): void {
    const before = this.#entries.get(namespace);
    const { client, fact, pollIntervalMs } = connection;
    const goesOn = before?.live?.client === client && before.live.pollIntervalMs === pollIntervalMs;
    const live =
      before?.live !== undefined && goesOn
        ? { ...before.live, fact }
        : this.#observe(namespace, controlPlane, connection);
    if (!goesOn) this.#end(before);
    this.#entries.set(namespace, { controlPlane, live, failure: undefined });
    if (before === undefined || before.failure !== undefined || !goesOn) this.#options.onChange(namespace);
  }

  /**
   * The control plane cannot be used now. The last connection is kept, for deletions, unless another Coder answers in
   * its place: the token must not be sent there, neither by a deletion nor by the observer.
   */
  failed(namespace: string, controlPlane: string, cause: Cause): void {
    const before = this.#entries.get(namespace);
    const since = before?.failure?.since ?? this.#options.clock.monotonic();
    const isAnother = cause.reason === 'DeploymentMismatch';
    if (isAnother) this.#end(before);
    const live = isAnother ? undefined : before?.live;
    this.#entries.set(namespace, { controlPlane, live, failure: { cause, since } });
    if (before?.failure?.cause.message !== cause.message) this.#options.onChange(namespace);
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
    entry?.live?.stop.abort(new Error('the connection is not used any more'));
  }

  #observe(
    namespace: string,
    controlPlane: string,
    connection: {
      readonly client: CoderClient;
      readonly fact: ConnectedFact;
      readonly pollIntervalMs: number;
    },
  ): Observed {
    const { clock, logger, signal, onWorkspace, onTemplate } = this.#options;
    const stop = new AbortController();
    const observer = new Observer({
      client: connection.client,
      clock,
      logger: logger.child({ namespace, controlPlane }),
      pollIntervalMs: connection.pollIntervalMs,
      onWorkspace: (id) => onWorkspace(namespace, id),
      onTemplate: (id) => onTemplate(namespace, id),
      onFirstLook: () => this.#options.onFirstLook(namespace),
      onError: (error) => this.suspect(namespace, error),
    });
    observer.run(AbortSignal.any([signal, stop.signal])).catch((error: unknown) => {
      logger.error('an observer ended', { namespace, controlPlane, error });
    });
    return { ...connection, observer, stop };
  }
}
