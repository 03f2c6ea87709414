import type { Clock } from '../../base/clock.ts';
import { errorText } from '../../base/errors.ts';
import type { Logger } from '../../base/logger.ts';
import type { Pacer } from '../http/pacer.ts';
import type { StatusError } from '../http/status.ts';
import type { WatchSink } from '../http/types.ts';
import type { Change, Snapshot, ViewStore } from '../store/types.ts';
import { nextBookmark } from './bookmarks.ts';
import { bookmarkLine, eventLine, eventTypeOf, type EventLines } from './events.ts';
import { FRESH_MS } from './list.ts';
import type { ListOptions } from './options.ts';
import { errorEvent, expired, tooLargeVersion } from './refusals.ts';
import { selected, type Selection } from './selection.ts';
import type { Shape, Shaper } from './shapes.ts';
import type { Ticker, Ticking } from './ticker.ts';
import type { Member, Watchers } from './watchers.ts';

export interface WatchDeps {
  readonly store: ViewStore;
  readonly shaper: Shaper;
  readonly lines: EventLines;
  readonly watchers: Watchers;
  readonly ticker: Ticker;
  readonly pacer: Pacer;
  readonly clock: Clock;
  readonly logger: Logger;
  /** So many lines were sent to this watch alone. */
  readonly onSent: (lines: number) => void;
  /** All that was there has been sent, after so many milliseconds. */
  readonly onInitialEnd: (durationMs: number) => void;
}

export interface WatchRequest {
  readonly options: ListOptions;
  readonly shape: Shape;
  /** Life of the stream in milliseconds. */
  readonly timeoutMs: number;
}

/** Events that are sent without a turn of the loop, in bytes. */
const PIECE_BYTES = 64 * 1024;
/** A change that is nothing to this watch takes a look all the same. */
const LEAST_BYTES = 64;
/** Changes that wait until those before have been sent; a client so far behind lists again. */
const MAX_QUEUE = 20_000;
/** A client that takes nothing for so long while there is much to send is given up. */
const STALL_MS = 60_000;

/**
 * One watch. What was there, or has happened since the client's version, is sent in pieces that wait for the client;
 * what happens meanwhile waits behind it. Once nothing is left the watch joins those that are told together.
 */
export class Watch implements Member, Ticking {
  readonly selection: Selection;
  readonly shape: Shape;
  readonly #deps: WatchDeps;
  readonly #request: WatchRequest;
  readonly #sink: WatchSink;
  readonly #started: number;
  readonly #deadline: number;
  #bookmarkAt: number;
  #stallsAt = Infinity;
  #hasSent = false;
  /** Lines that were sent and not counted. */
  #unreported = 0;
  #isEnded = false;
  /** Changes that have to wait; undefined once each goes out as it happens. */
  #queue: Change[] | undefined = [];
  #isJoined = false;
  /** Everything up to here was told. */
  #position = 0n;
  #endFollowing: (() => void) | undefined;

  constructor(deps: WatchDeps, request: WatchRequest, sink: WatchSink) {
    this.#deps = deps;
    this.#request = request;
    this.#sink = sink;
    this.selection = request.options.selection;
    this.shape = request.shape;
    this.#started = deps.clock.monotonic();
    this.#deadline = this.#started + request.timeoutMs;
    const { allowWatchBookmarks } = request.options;
    this.#bookmarkAt = allowWatchBookmarks ? nextBookmark(this.#started, this.#deadline) : Infinity;
  }

  get needsColumns(): boolean {
    return this.shape.as === 'Table' && !this.#hasSent;
  }

  get due(): number {
    return Math.min(this.#deadline, this.#bookmarkAt, this.#stallsAt);
  }

  start(): void {
    if (this.#sink.signal.aborted) return;
    this.#sink.signal.addEventListener('abort', () => this.#close(), { once: true });
    this.#deps.watchers.enter(this);
    this.#deps.ticker.add(this);
    this.#run().catch((error: unknown) => {
      this.#deps.logger.error('a watch failed', { error: errorText(error) });
      this.#end();
    });
  }

  send(line: Uint8Array): void {
    this.#hasSent = true;
    this.#sink.send(line);
  }

  lost(): void {
    this.#fail(expired('the history of changes was interrupted: list again'));
  }

  tick(now: number): void {
    if (now >= this.#deadline || now >= this.#stallsAt) {
      this.#end();
      return;
    }
    if (now < this.#bookmarkAt) return;
    this.#join();
    this.#deps.watchers.bookmark(this);
    this.#bookmarkAt = nextBookmark(now, this.#deadline);
  }

  async #run(): Promise<void> {
    const { store } = this.#deps;
    const { resourceVersion = 0n, sendInitialEvents } = this.#request.options;
    if (sendInitialEvents === true) {
      if (!(await store.reached(resourceVersion, FRESH_MS, this.#sink.signal))) {
        this.#fail(tooLargeVersion(resourceVersion, store.resourceVersion));
        return;
      }
      if (this.#isEnded) return;
      // Nothing can happen between the two.
      const snapshot = store.snapshot();
      if (this.#follow(snapshot.resourceVersion)) await this.#sendInitial(snapshot);
    } else {
      this.#follow(resourceVersion === 0n ? store.snapshot().resourceVersion : resourceVersion);
    }
    await this.#drain();
  }

  /** Begins to take in what comes after a version; what has come already is there at once. */
  #follow(resourceVersion: bigint): boolean {
    const { store } = this.#deps;
    const end = store.follow(resourceVersion, {
      takesDifferences: !this.selection.isByLabels,
      changed: (change) => this.#changed(change),
      lost: () => this.lost(),
    });
    if (end === undefined) {
      const versions = `${resourceVersion.toString()} (${store.resourceVersion.toString()})`;
      this.#fail(expired(`too old resource version: ${versions}`));
      return false;
    }
    this.#endFollowing = end;
    const { resourceVersion: newest } = store.snapshot();
    this.#position = newest > resourceVersion ? newest : resourceVersion;
    return true;
  }

  async #sendInitial(snapshot: Snapshot): Promise<void> {
    const { shaper, clock, onInitialEnd } = this.#deps;
    const entries = selected(snapshot, this.selection);
    let next = 0;
    await this.#inPieces(() => {
      const entry = entries[next++];
      if (entry === undefined) return undefined;
      return this.#sendAlone(eventLine(shaper, 'ADDED', entry, this.shape, this.needsColumns));
    });
    if (this.#isEnded) return;
    if (this.#request.options.allowWatchBookmarks) {
      const marks = { isInitialEnd: true, withColumns: this.needsColumns };
      this.#sendAlone(bookmarkLine(shaper, snapshot.resourceVersion, this.shape, marks));
    }
    onInitialEnd(clock.monotonic() - this.#started);
  }

  /** Sends what has waited, and what comes while that is sent; from then on each change goes out as it happens. */
  async #drain(): Promise<void> {
    let next = 0;
    await this.#inPieces(() => {
      const change = this.#queue?.[next++];
      if (change !== undefined) return this.#tell(change);
      this.#queue = undefined;
      this.#join();
      return undefined;
    });
  }

  /**
   * Sends one event after the other until there is none, in pieces that wait until the client has taken most of what
   * was sent before, and that take turns with those of others.
   *
   * @param sendNext answers the bytes
   */
  async #inPieces(sendNext: () => number | undefined): Promise<void> {
    const { clock, ticker, pacer } = this.#deps;
    const isMore = (): boolean => {
      for (let bytes = 0; bytes < PIECE_BYTES;) {
        const sent = this.#isEnded ? undefined : sendNext();
        if (sent === undefined) return false;
        bytes += Math.max(sent, LEAST_BYTES);
      }
      return true;
    };
    for (let goesOn = isMore(); goesOn; goesOn = await pacer.run(isMore)) {
      this.#report();
      this.#stallsAt = clock.monotonic() + STALL_MS;
      ticker.sooner(this.#stallsAt);
      await this.#sink.drained();
      this.#stallsAt = Infinity;
    }
    this.#report();
  }

  #changed(change: Change): void {
    if (this.#queue === undefined) {
      this.#tell(change);
      this.#report();
      // Not before the store is through with it: then all others have been told the same.
      queueMicrotask(() => this.#join());
    } else if (this.#queue.push(change) > MAX_QUEUE) {
      this.#end();
    }
  }

  /** Sends what the change is to this watch; answers the bytes. */
  #tell(change: Change): number {
    const type = eventTypeOf(change, this.selection);
    if (type === undefined) return 0;
    const line = this.#deps.lines.line(change, type, this.shape, this.needsColumns);
    return this.#sendAlone(line);
  }

  #sendAlone(line: Uint8Array): number {
    this.send(line);
    this.#unreported++;
    return line.byteLength;
  }

  #report(): void {
    if (this.#unreported > 0) this.#deps.onSent(this.#unreported);
    this.#unreported = 0;
  }

  #join(): void {
    if (this.#isEnded || this.#isJoined || this.#queue !== undefined) return;
    this.#isJoined = this.#deps.watchers.join(this, this.#position);
    if (!this.#isJoined) return;
    this.#endFollowing?.();
    this.#endFollowing = undefined;
  }

  #fail(error: StatusError): void {
    if (this.#isEnded) return;
    this.#sink.send(errorEvent(error.toStatus()));
    this.#end();
  }

  #end(): void {
    if (this.#isEnded) return;
    this.#close();
    this.#sink.end();
  }

  #close(): void {
    this.#isEnded = true;
    this.#queue = undefined;
    this.#endFollowing?.();
    this.#endFollowing = undefined;
    this.#deps.watchers.leave(this);
    this.#deps.ticker.delete(this);
  }
}
